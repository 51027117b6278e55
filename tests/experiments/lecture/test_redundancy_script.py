"""Copies and gains: what is exact about the experiment on redundancy, and a fast pass that can fail."""

from experiments.common.data import Data
from experiments.common.frame import Judge, slopes
from experiments.lecture import redundancy

import numpy as np
import pytest
import torch

from rllab import Key
from rllab.runs import Job, Record


def test_no_chosen_step_size_is_at_the_edge_of_its_grid():
    for method, etas in redundancy.TRIALS.items():
        assert etas[0] < redundancy.BEST[method] < etas[-1] and redundancy.BEST[method] in etas
    assert not set(redundancy.TUNING_SEEDS) & set(range(20))


def test_a_wrong_label_is_never_the_true_one_and_a_right_one_stays():
    clean = Data(torch.zeros(20_000, 1), torch.arange(20_000) % 10)
    assert torch.equal(redundancy.mislabelled(clean, 0.0, Key(0)).y, clean.y)
    assert (redundancy.mislabelled(clean, 1.0, Key(0)).y != clean.y).all()
    wrong = (redundancy.mislabelled(clean, 0.1, Key(0)).y != clean.y).double().mean()
    assert abs(wrong - 0.1) < 6.2 * (0.09 / 20_000) ** 0.5  # false-alarm rate 1e-9


def test_batch_steps_do_not_change_with_copies_and_cost_them():
    assert redundancy.until_learned("batch", 3, 5) == 3 * redundancy.until_learned("batch", 1, 5) > 0


def test_the_slope_of_a_power_is_its_exponent():
    x = np.array([1.0, 2.0, 7.0])
    np.testing.assert_allclose(slopes(x, np.stack([3 * x**1.5, x**-0.5])), [1.5, -0.5])


def test_a_step_too_large_counts_as_not_arrived():
    assert redundancy.until_close("batch", 0.6, 0)[1e-6] == np.inf


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redundancy")
    plan = {"kind": "redundancy", "copies": [1, 10], "sorted": [1], "wrong": [0.0]}
    plan["close"] = {"batch": [0.4], "stochastic": [0.03]}
    with Record.create(folder / "run", plan, seed=0) as record:
        redundancy.run(Job("run", plan, 0), record)
        record.finish()
    return [Record.open(folder / "run")]


class Small(redundancy.Config):
    copies = (1, 10)
    sorted_copies = (1,)
    wrong_labels = (0.0,)
    close_etas = {"batch": (0.4,), "stochastic": (0.03,)}  # noqa: RUF012


def test_every_claim_is_judged(records, capsys):
    config = Small()
    judge = Judge()
    redundancy.claims(records, config, judge)
    assert len(judge.verdicts) == 6
    assert "of which" in capsys.readouterr().out


def test_a_gain_that_does_not_grow_fails(records, capsys):
    flat = [row | ({"count": 300} if row["part"] == "copies" else {}) for row in records[0].rows]

    class Flat:
        rows, summary, seed = flat, {}, 0

    judge = Judge()
    redundancy.claims([Flat()], Small(), judge)
    assert judge.verdicts.count(False) == 2 and "FAILS  R = 10" in capsys.readouterr().out

"""Batches and their noise: what is exact about the experiment on mini-batches."""

import json
import shutil

from experiments.common.frame import Judge
from experiments.lecture import minibatch
from experiments.lecture.draws import each_gradient

import numpy as np
import pytest
import torch

from rllab.runs import Record


def test_no_chosen_step_size_is_at_the_edge_of_its_grid():
    assert set(minibatch.BEST) == set(minibatch.BATCHES)
    assert all(
        minibatch.TRIALS[0] < eta < minibatch.TRIALS[-1] and eta in minibatch.TRIALS for eta in minibatch.BEST.values()
    )
    assert not set(minibatch.TUNING_SEEDS) & set(range(20))


def test_the_distance_of_a_batch_is_that_of_its_mean_gradient():
    spread = minibatch.Spread(0, samples=12)
    graph, samples = minibatch.problem(0)
    g = each_gradient(graph, samples.x[:12], samples.y[:12])
    c = torch.zeros(12, dtype=torch.float64)
    c[[0, 3, 3, 7]] = torch.tensor([0.25, 0.5, 0.5, 0.25], dtype=torch.float64)
    by_hand = ((c @ g - g.mean(0)) ** 2).sum()
    torch.testing.assert_close(c @ spread.products @ c, by_hand, rtol=1e-10, atol=1e-12)
    assert spread.trace == pytest.approx(float(g.var(0, correction=0).sum()))


def test_a_batch_of_everything_without_replacement_has_no_noise_and_of_one_all_of_it():
    spread = minibatch.Spread(1, samples=12)
    assert spread.law(12, "shuffled") == 0.0
    assert spread.measure(12, "shuffled", draws=3) < 1e-20
    assert spread.law(1, "shuffled") == spread.law(1, "independent") == spread.trace
    # one epoch of batches of one is every sample once
    assert spread.measure(1, "shuffled", draws=12) == pytest.approx(spread.trace)


def test_the_gradients_of_samples_average_to_that_of_the_batch():
    graph, samples = minibatch.problem(2)
    some = samples.take(slice(9))
    mean = each_gradient(graph, some.x, some.y).mean(0)
    torch.testing.assert_close(mean, graph.backward(some.x, some.y).weights, rtol=0, atol=1e-14)


@pytest.fixture
def records(tmp_path):
    """Three seeds as they might be measured, as rows on disk."""
    made = []
    for seed in range(3):
        with Record.create(tmp_path / f"run-{seed}", {}, seed=seed) as record:
            for batch in minibatch.BATCHES:
                record.append({"part": "learn", "batch": batch, "count": 700 + 40 * batch})
            for batch in minibatch.TIMED:
                record.append({"part": "time", "batch": batch, "seconds": 1 / batch + 0.004})
            for batch in minibatch.DRAWN:
                for order in minibatch.LOOK:
                    law = (1 + seed) / batch * (1.0 if order == "independent" else (300 - batch) / 299)
                    row = {"part": "variance", "batch": batch, "order": order, "law": law, "variance": law}
                    record.append(row)
            record.finish()
        made.append(Record.open(tmp_path / f"run-{seed}"))
    return made


def test_each_claim_can_fail(records, tmp_path, capsys):
    def verdicts(part=None, name=None, value=None):
        changed = []
        for i, record in enumerate(records):
            folder = tmp_path / f"changed-{i}"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(record.folder, folder)
            rows = [json.dumps(row | ({name: value(row)} if row["part"] == part else {})) for row in record.rows]
            (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
            changed.append(Record.open(folder))
        judge = Judge()
        minibatch.claims(changed, minibatch.Config(), judge)
        return np.array(judge.verdicts)

    assert verdicts().all()
    cheap_large = verdicts("learn", "count", lambda row: 700 / row["batch"] ** 0.1)
    assert not cheap_large[[0, 2, 3]].any()  # the third is stated to fail
    assert not verdicts("learn", "count", lambda row: 700.0 * row["batch"])[1]
    assert not verdicts("time", "seconds", lambda row: 1.0)[4]
    assert not verdicts("variance", "variance", lambda row: 1.2 * row["law"])[-2:].any()
    assert not verdicts("variance", "variance", lambda row: row["batch"] ** -0.9)[-3]
    capsys.readouterr()

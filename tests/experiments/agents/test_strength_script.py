"""What strength.py says of runs that are made up: an inferior one fails, what is stored stands for a missing peer."""

import json
from pathlib import Path

from experiments.agents import strength
from experiments.agents.strength import Config, claims, difference, figure, results
from experiments.common.frame import Judge

import numpy as np
import pytest

CELL = "Pendulum-v1/TD3"


class Made:
    """A finished run, as a record shows it."""

    def __init__(self, cell, library, seed, value, steps=10_000):
        self.config, self.seed = {"cell": cell, "library": library}, seed
        self.summary = {"return": value, "steps": steps, "cpu_seconds": 2.0 if library == "rllab" else 6.0}
        self.rows, self.folder = [{"steps": 5000, "return": value - 1}], Path(f"{library}-{seed}")


def runs(ours, theirs, **more):
    made = [Made(CELL, "rllab", seed, value, **more) for seed, value in enumerate(ours)]
    made += [Made(CELL, "stable_baselines3", seed, value) for seed, value in enumerate(theirs)]
    return [*made, Made("Pendulum-v1/random", "random", 0, -1200.0)]


@pytest.fixture(autouse=True)
def stored(tmp_path, monkeypatch):
    path = tmp_path / "strength.json"
    monkeypatch.setattr(strength, "STORED", path)
    return path


def judged(records, capsys, **flags):
    judge = Judge()
    claims(records, Config(**flags), judge)
    return judge, capsys.readouterr().out


EQUAL, WORSE = [-130.0, -135, -128, -133, -131], [-330.0, -335, -328, -333, -331]


def test_equals_are_not_inferior_and_worse_ones_are(capsys):
    judge, said = judged(runs(EQUAL, EQUAL[::-1]), capsys)
    assert judge.verdicts == [True, True] and "3.0 times its CPU speed" in said
    judge, said = judged(runs(WORSE, EQUAL), capsys)
    assert judge.verdicts == [True, False] and "FAILS" in said and "-331.4 against -131.4" in said
    spread = [-130.0, -900, -131, -128, -133]  # good in the median, but who knows
    assert judged(runs(spread, EQUAL), capsys)[0].verdicts == [True, False]


def test_few_seeds_are_noted_and_not_judged(capsys):
    judge, said = judged(runs(WORSE[:3], EQUAL[:3]), capsys)
    assert judge.verdicts == [True] and "-----  Pendulum-v1/TD3: " in said


def test_more_steps_than_the_budget_fail(capsys):
    assert judged(runs(EQUAL, EQUAL, steps=10_001), capsys)[0].verdicts[0] is False


def test_what_is_stored_takes_the_place_of_a_peer_that_is_not_there(stored, capsys, tmp_path):
    judged(runs(EQUAL, EQUAL), capsys, store=True)
    found = json.loads(stored.read_text())
    assert found[CELL]["stable_baselines3"]["seeds"] == [0, 1, 2, 3, 4] and "fresh" not in found[CELL]["rllab"]
    alone = [run for run in runs(WORSE, []) if run.config["library"] == "rllab"]
    assert judged(alone, capsys)[0].verdicts == [True, False]
    assert results(alone, Config())[CELL]["rllab"]["return"] == WORSE
    assert results(alone, Config(share=0.5))[CELL]["rllab"]["return"] == EQUAL  # other budgets are not mixed in
    path = figure(alone, Config(out=tmp_path))
    assert path.stat().st_size > 10_000


def test_the_interval_is_welchs():
    x, y = np.array(EQUAL), np.array([-140.0, -120, -131])
    apart, low, high = difference(list(x), list(y))
    a, b = x.var(ddof=1) / 5, y.var(ddof=1) / 3
    freedom = (a + b) ** 2 / (a**2 / 4 + b**2 / 2)
    from scipy.stats import t

    half = t.ppf(0.975, freedom) * (a + b) ** 0.5
    np.testing.assert_allclose((apart, low, high), (x.mean() - y.mean(), apart - half, apart + half))


def test_a_method_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"--only must be of .*, got Pendulum-v1/DQN"):
        Config(only=("Pendulum-v1/DQN",)).check()

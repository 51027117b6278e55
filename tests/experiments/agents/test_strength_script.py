"""What strength.py says of runs that are made up: an inferior one fails, what is stored stands for a missing peer."""

import json
from pathlib import Path

from experiments.agents import strength
from experiments.agents.strength import STORED, Config, claims, figure, jobs_of, results
from experiments.agents.strength_cells import CELLS
from experiments.agents.strength_figure import answer
from experiments.agents.strength_judged import compared, difference, markdown, seeds_needed
from experiments.common.frame import Judge

import numpy as np
import pytest
from scipy.stats import ttest_ind

CELL, COMMITTED = "Pendulum-v1/TD3", STORED  # before a test puts another in its place


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


EQUAL = [-130.0, -135, -128, -133, -131, -129, -136, -130, -132, -134]
WORSE = [x - 200 for x in EQUAL]


def test_equals_are_not_inferior_and_worse_ones_are(capsys):
    judge, said = judged(runs(EQUAL, EQUAL[::-1]), capsys)
    assert judge.verdicts == [True, True] and "3.0 times its CPU speed" in said
    judge, said = judged(runs(WORSE, EQUAL), capsys)
    assert judge.verdicts == [True, False] and "FAILS" in said and "-331.8 against -131.8" in said
    spread = [*EQUAL[:-1], -1200.0]  # good in the median, but who knows
    assert judged(runs(spread, EQUAL), capsys)[0].verdicts == [True, False]


def test_few_seeds_are_noted_and_not_judged(capsys):
    judge, said = judged(runs(WORSE[:9], EQUAL[:9]), capsys)
    assert judge.verdicts == [True] and "-----  Pendulum-v1/TD3: " in said


def test_a_share_of_the_budgets_tells_what_is_stored_and_judges_only_itself(stored, capsys):
    judged(runs(WORSE, EQUAL), capsys, store=True)
    judge, said = judged(runs(EQUAL, [], steps=5000), capsys, share=0.5)
    assert judge.verdicts == [True] and "-----  Pendulum-v1/TD3: -331.8" in said and ": inferior" in said


def test_more_steps_than_the_budget_fail(capsys):
    assert judged(runs(EQUAL, EQUAL, steps=10_001), capsys)[0].verdicts[0] is False


def test_what_is_stored_takes_the_place_of_a_peer_that_is_not_there(stored, capsys, tmp_path):
    judged(runs(EQUAL, EQUAL), capsys, store=True)
    found = json.loads(stored.read_text())
    assert found[CELL]["stable_baselines3"]["seeds"] == list(range(10)) and "fresh" not in found[CELL]["rllab"]
    alone = [run for run in runs(WORSE, []) if run.config["library"] == "rllab"]
    assert judged(alone, capsys)[0].verdicts == [True, False]
    assert results(alone, Config())[CELL]["rllab"]["return"] == WORSE
    assert results(alone, Config(share=0.5))[CELL]["rllab"]["return"] == EQUAL  # other budgets are not mixed in
    path = figure(alone, Config(out=tmp_path))
    assert path.stat().st_size > 10_000


def found_in(ours, theirs):
    return results(runs(ours, theirs), Config())


def test_verdicts_are_not_inferior_inferior_undecided_and_none():
    spread = [*EQUAL[:-1], -1200.0]
    for ours, seeds, verdict in (
        (EQUAL, 10, "not inferior"),
        (WORSE, 10, "inferior"),
        (spread, 10, "undecided"),
        (EQUAL, 9, "not judged"),
    ):
        (one,) = compared(found_in(ours[:seeds], EQUAL[:seeds]))
        assert one.verdict == verdict
        assert f"| {verdict} |" in markdown(found_in(ours[:seeds], EQUAL[:seeds]))


def test_the_title_counts_what_is_judged():
    good, bad = compared(found_in(EQUAL, EQUAL)), compared(found_in(WORSE, EQUAL))
    assert answer(good) == (
        "1 of 13 cells judged: our agents are not inferior in 1,\nat 0.33 of their peers' CPU time (median)"
    )
    assert answer(good + bad).startswith("2 of 13 cells judged: our agents are not inferior in 1,")
    assert answer(compared(found_in(EQUAL[:3], EQUAL[:3]))) == "None of 13 cells has ten seeds a side yet"


def test_the_seeds_that_are_needed_are_those_of_the_textbook():
    # Cohen (1988), "Statistical power analysis for the behavioral sciences", table 2.4.1: two-sided 5 %, power 0.8
    assert [seeds_needed((1.0, 1.0), d) for d in (0.2, 0.5, 0.8, 1.0)] == [394, 64, 26, 17]
    assert seeds_needed((3.0, 4.0), 1.0) == seeds_needed((5 / 2**0.5, 5 / 2**0.5), 1.0)
    assert seeds_needed((0.0, 0.0), 1.0) == 2 and seeds_needed((1e9, 1.0), 1.0, most=50) == 50


def test_returns_without_spread_have_an_interval_without_width():
    assert difference([500.0] * 3, [499.0] * 3) == (1.0, 1.0, 1.0)


def test_both_sides_take_turns(monkeypatch):
    monkeypatch.setattr(strength, "library_of", lambda method: "peer")
    names = [job.name for job in jobs_of(Config(only=("CartPole-v1/PPO", "CartPole-v1/ARS"), seeds=2))]
    assert names == [
        "CartPole-v1-random",
        *(f"CartPole-v1-{m}-{lib}-{k}" for k in (100, 101) for m in ("PPO", "ARS") for lib in ("rllab", "peer")),
    ]


def test_the_table_beside_the_script_is_that_of_the_stored_results():
    stored = json.loads(COMMITTED.read_text())
    assert COMMITTED.with_suffix(".md").read_text() == markdown(stored)
    assert {name.partition("/")[0] for name in stored} <= {cell.task for cell in CELLS}


def test_the_interval_is_welchs():
    x, y = EQUAL, [-140.0, -120, -131]
    interval = ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(difference(x, y), (np.mean(x) - np.mean(y), interval.low, interval.high))
    pooled = ttest_ind(x, y).confidence_interval(0.95)  # which takes the spreads for equal
    assert difference(x, y)[1] < pooled.low - 1
    assert difference(x, [-131.0] * 3)[1] < np.mean(x) + 131  # one side without spread


def test_a_method_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"--only must be of .*, got Pendulum-v1/DQN"):
        Config(only=("Pendulum-v1/DQN",)).check()


def test_all_cells_together_are_said_by_shares_of_the_reference(capsys):
    judge = judged(runs(EQUAL, EQUAL[::-1]), capsys)[0]
    (together, half_way) = [claim.text for claim in judge.claims if claim.holds is None][-2:]
    assert together.startswith("1 cells together, 10 seeds a side") and "P(ours above theirs) 0.50" in together
    assert "100% of our runs and 100% of theirs are above 90%" in together
    gap = np.mean(np.maximum(0, np.mean(EQUAL) - np.array(EQUAL))) / (np.mean(EQUAL) + 1200)
    assert f"optimality gap {gap:.3f} and {gap:.3f}" in together and "higher one in 0 of 1 cells" in half_way
    judge = judged(runs([x + 50 for x in EQUAL], EQUAL), capsys)[0]
    together, half_way = [claim.text for claim in judge.claims if claim.holds is None][-2:]
    assert "P(ours above theirs) 1.00 in [1.00, 1.00]" in together and "higher one in 1 of 1 cells" in half_way
    assert "optimality gap 0.000 and" in together

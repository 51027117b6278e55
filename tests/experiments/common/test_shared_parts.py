"""What scripts share: jobs a seed, claims that are rows of the lecture's table, rows of dots."""

from dataclasses import dataclass
from typing import Any, ClassVar

from experiments.common import claims
from experiments.common.acceptance import AtMost, Row
from experiments.common.drawing import dots
from experiments.common.frame import Flags, Judge, named, one_a_seed

import pytest

from rllab import plots


@dataclass(frozen=True)
class Config(Flags):
    steps: int = 100
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "steps": 3}


def test_fast_changes_what_a_script_says_and_nothing_else():
    fast = Config(seeds=7).faster()
    assert (fast.seeds, fast.steps, fast.processes, fast.out) == (2, 3, 1, Config().out)
    assert Flags().faster().seeds == 3


def test_there_is_a_job_a_seed_named_after_the_script_and_told_what_its_numbers_depend_on():
    jobs = one_a_seed(Config(seeds=2, steps=5))
    assert [(job.name, job.seed) for job in jobs] == [("test_shared_parts-0", 0), ("test_shared_parts-1", 1)]
    assert all(job.config == {"fast": False, "steps": 5} for job in jobs)


def test_seeds_are_named_as_they_were_run():
    assert named(range(10)) == "0 to 9" and named([3]) == "3"
    assert named(range(0, 20, 5)) == "0, 5, 10, 15"
    assert named([*range(30, 40), *range(10), 0], "–") == "0–9, 30–39"


def small(seed: int, fast: bool) -> float:
    return 0.5


def stated_to_fail(seed: int, fast: bool) -> float:
    return 2.0


@pytest.fixture
def judge(monkeypatch):
    rows = [
        Row(("L50",), "It is so", "a number", AtMost(1.0), small),
        Row(("T2",), "It was said", "a number", AtMost(1.0), stated_to_fail, seeds="median", fails=True),
    ]
    monkeypatch.setattr(claims, "REGISTRY", rows)
    return Judge()


def test_numbers_of_a_script_are_held_to_the_criterion_of_their_row(judge, capsys):
    claims.judge_row(judge, small, [0.5, 0.9])
    claims.judge_row(judge, small, [0.5, 1.1])
    claims.judge_row(judge, stated_to_fail, [0.5, 2.0, 2.0])
    claims.judge_row(judge, stated_to_fail, [0.5, 0.5, 2.0])
    assert judge.verdicts == [True, False, True, False]
    told = capsys.readouterr().out
    assert "FAILS  L50 It is so: a number 1.1 (worst of 2 seeds; needs <= 1)" in told
    assert "FAILS, as stated  T2 It was said: a number 2 (median of 3 seeds; needs <= 1)" in told
    assert "holds, not as stated  T2" in told
    # in a report, what fails as stated is a note, and is not counted among what holds
    assert [claim.holds for claim in judge.claims] == [True, False, None, False]
    assert judge.claims[2].text.startswith("FAILS, as stated: T2")


def test_what_no_row_measures_is_no_claim_of_a_row(judge):
    with pytest.raises(ValueError, match="not enough values"):
        claims.judge_row(judge, lambda seed, fast: 0.0, [0.5])


def test_dots_show_every_number_hollow_where_there_is_none():
    _, (ax,) = plots.panels()
    dots(ax, {"one": [1.0, 3.0], "other": [-1.0, 2.0]}, ["red", "blue"], never=-1.0)
    full, hollow = ax.lines[::2], ax.lines[1::2]
    assert [list(line.get_xdata()) for line in full] == [[1.0, 3.0], [2.0]]
    assert [list(line.get_xdata()) for line in hollow] == [[], [-1.0]]
    assert all(line.get_markerfacecolor() == "none" for line in hollow)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "other"]

"""What is claimed of learners that ride: each claim with numbers that make it hold and with numbers that do not."""

from experiments.agents import rider_claims
from experiments.agents.learners import LEARNERS, SIZES, WEIGHTS
from experiments.agents.rider_claims import credited, judge_all, judge_goal, judge_sizes, judge_speed, table
from experiments.agents.rider_figures import minimised
from experiments.agents.rider_records import Run, keep, kept
from experiments.common.frame import Judge

import numpy as np
import pytest

RUN = Run("td3", "balance", "64-64", 1000, 5_000, 2_000, 3.0, 8.0, 1.0, 600.0, 500.0, 0.1)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(rider_claims, "RESAMPLES", 60)


def many(method, first, limit=100_000, **more):
    """Return a run of a learner for each number of steps to ride; None: it never did."""
    values = {**vars(RUN), "method": method, "limit": limit, **more}
    return [Run(**{**values, "seed": seed, "first_steps": steps}) for seed, steps in enumerate(first)]


def growing(method, exponent, sd=0.1, censored=()):
    """Return ten runs at each size, whose steps grow as d^exponent; those of some sizes are never seen."""
    normal, runs = np.random.default_rng(len(method)), []
    for size in SIZES:
        steps = [round(300 * WEIGHTS[size] ** exponent * np.exp(sd * normal.standard_normal())) for _ in range(10)]
        runs += many(method, [None if size in censored else s for s in steps], limit=10**7, size=size)
    return runs


def test_the_price_in_weights_is_compared_by_exponents(capsys):
    judge = Judge()
    perturbed = [*growing("evolution", 0.5), *growing("ars", 0.4)]
    judge_sizes([*perturbed, *growing("td3", 0.1), *growing("sac", 0.0)], judge)
    assert judge.all_hold and len(judge.verdicts) == 6
    judge = Judge()
    judge_sizes([*perturbed, *growing("td3", 0.45), *growing("sac", 0.0)], judge)  # a critic's grows as ars's does
    assert sum(not verdict for verdict in judge.verdicts) == 1
    judge = Judge()
    judge_sizes([*growing("evolution", 0.0), *growing("ars", 0.4)], judge)  # it does not grow; sizes of td3 missing
    assert sum(not verdict for verdict in judge.verdicts) == 1 and len(judge.verdicts) == 2
    assert "not judged for td3" in capsys.readouterr().out


def test_sizes_at_which_nobody_rides_count_against_a_learner():
    judge = Judge()
    judge_sizes(growing("evolution", 0.0, censored=("256-256",)), judge)
    assert judge.verdicts == [True]  # 10^7 steps were not enough: the price has grown


def test_seconds_are_never_where_steps_are():
    """Four of ten ride; those that do not end sooner by the clock, and leave few at risk when the fourth one rides."""
    rode = [Run(**{**vars(RUN), "seed": seed, "first_cpu_seconds": 1.0 + seed}) for seed in range(4)]
    never = many("td3", [None] * 6, first_cpu_seconds=None, cpu_seconds=3.5)
    assert rider_claims.times_of([*rode, *never], cpu=True).median() == 4.0  # of which nobody is to read a half
    line = table([*rode, *never], "balance", "64-64").splitlines()[-1]
    assert [cell.strip().split(" (")[0] for cell in line.split("|")[2:5]] == ["4 of 10 in 100,000", "never", "never"]


def test_no_learner_is_credited_with_what_random_search_does_as_fast():
    search = many("random", range(3_000, 9_000, 200))
    assert credited(many("td3", range(900, 1_900, 100)), [search])[0]
    assert not credited(many("td3", range(3_000, 9_000, 600)), [search])[0]
    late = many("random", range(50_000, 80_000, 1_000))
    assert not credited(many("td3", range(3_000, 9_000, 600)), [late, search])[0]  # the best search counts


@pytest.mark.parametrize(("other", "holds"), [(300.0, True), (495.0, False)])
def test_one_learner_must_be_above_all_others_per_cpu_second(other, holds):
    def spread(method, upright):
        runs = many(method, [2_000] * 10)
        return [Run(**{**vars(run), "upright": upright + 4.0 * run.seed}) for run in runs]

    judge = Judge()
    judge_speed([*spread("td3", 500.0), *spread("ars", other)], judge)
    assert judge.verdicts == [holds]


@pytest.mark.parametrize(("fresh", "holds"), [(0.9, True), (0.89, False)])
def test_the_goal_counts_as_learned_from_nine_in_ten_starts(fresh, holds):
    judge = Judge()
    others = [*many("sac", [None], task="goal", fresh=0.0), *many("random", [9_000], task="goal", fresh=1.0)]
    judge_goal([*many("td3", [None] * 3, task="goal", fresh=fresh), *others], judge)
    assert judge.verdicts == [holds]
    judge_goal([], judge)
    assert len(judge.verdicts) == 1


class Recorded:
    """A record of the look at the cost."""

    def __init__(self, unchanged, significant):
        self.config = {"method": "flatness"}
        self.summary = {"unchanged": unchanged, "significant": significant, "policies": 9, "h": 1e-6, "sigma": 0.1}
        self.summary["evaluations"] = 256


@pytest.mark.parametrize(("shares", "verdicts"), [((1.0, 0.9), [True, True]), ((0.97, 0.49), [False, False])])
def test_the_flat_cost_is_judged_by_both_shares(shares, verdicts):
    judge = Judge()
    judge_all([Recorded(*shares)], True, judge)
    assert judge.verdicts == verdicts


def test_a_table_says_who_never_rode_and_who_is_not_credited():
    runs = [*many("td3", [2_000, 4_000, None]), *many("sac", [None, None]), *many("random", [900, 1_200, 1_500])]
    text = table(runs, "balance", "64-64")
    td3, sac, random = text.splitlines()[-3:]
    assert "| td3 | 2 of 3 in 100,000" in td3 and "4,000 (2,000 to never)" in td3 and "**no**" in td3
    assert "| sac | 0 of 2" in sac and "| never (never to never) |" in sac
    assert random.startswith("| random | 3 of 3")


def test_runs_are_kept_once_each_and_read_as_they_were(tmp_path):
    path = tmp_path / "records" / "bicycle.jsonl"
    assert kept(path) == []
    keep([RUN, *many("ars", [5, None])], path)
    keep([Run(**{**vars(RUN), "first_steps": None})], path)  # the same run again takes the place of the first
    back = kept(path)
    assert len(back) == 3 and [run.first_steps for run in back if run.method == "td3"] == [None]
    assert [run for run in back if run.method == "ars"] == many("ars", [5, None])


def test_who_rides_sooner_than_a_search_is_counted_over_pairs_and_never_is_a_tie():
    search = many("random", [1_000, 3_000, None])
    # against 1,000, 3,000 and never: 2,000 wins 2 of 3, never wins 0 and half of a tie
    assert rider_claims.chance_of_riding_sooner(many("td3", [2_000, None]), search) == pytest.approx(2.5 / 6)
    # a search that went on for longer is not held against who stopped before
    late = many("random", [90_000] * 3)
    assert rider_claims.chance_of_riding_sooner(many("td3", [None], limit=5_000), late) == 0.5


def test_the_mean_over_all_sizes_needs_runs_at_each():
    runs = [*growing("ars", 0.1), *growing("td3", 0.1)]
    runs = [Run(**{**vars(run), "score": 400.0 + run.seed}) for run in runs if run.method == "ars" or run.size != "16"]
    text = rider_claims.overall(runs)
    # of 40 scores, 400 to 409 each four times, the middle half is 402.5 to 407: the mean is 404.5
    assert "| ars | 404 (40" in text and "td3" not in text
    assert rider_claims.overall(runs[:10]) == ""


def test_what_learners_minimise_is_said_once_for_those_who_share_it():
    said = minimised({"sac", "ppo", "random", "short"}, width=200)
    assert said == "minimised: discounted cost (PPO, SAC); lean squared, discounted (short horizon)"
    assert max(map(len, minimised(LEARNERS, width=60).splitlines())) <= 60

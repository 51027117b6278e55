"""The first choice is held to the truth, on every problem of the library, at parameters nobody chose."""

from experiments.zeroth_order import recommended

import numpy as np
import pytest

import rllab.problems
from rllab import Key, recommend
from rllab.problems import Problem
from rllab.quality.estimates import name_of
from rllab.quality.truth import flat

BUDGET, REPEATS, SEED = 200, 8, 77  # a seed of which nothing was seen when the laws were written


@pytest.mark.slow
def test_the_first_choice_is_within_one_and_a_half_times_the_best_on_four_problems_of_five():
    ratios = {}
    for case in recommended.cases(SEED, 1 << 10):
        key = Key(SEED).child(case.name)
        if case.group != "library":
            continue
        found = recommend(case.cost(), case.at, recommended.PILOT, key, budget=BUDGET)
        truth = flat(case.truth(found.target))
        if not truth.norm() > 0 or np.isnan(found.choices[0].error):
            continue
        errors = {
            name_of(e): recommended.error(e, case, BUDGET, truth, REPEATS, key)[1]
            for e in recommended.rivals(found, case.at)
        }
        mine = errors[name_of(found.best)]
        ratios[case.name] = max(mine, recommended.FLOOR) / max(min(errors.values()), recommended.FLOOR)
    assert len(ratios) >= 25
    assert np.mean(np.array(list(ratios.values())) <= recommended.NEAR) >= 0.8, ratios


def test_every_problem_of_the_library_is_looked_at():
    there = {
        name
        for name, kind in vars(rllab.problems).items()
        if isinstance(kind, type) and issubclass(kind, Problem) and kind.__module__.startswith("rllab.problems")
    }
    abstract = {"Problem", "Separable", "Stochastic", "Flat"}  # a flat cost has no gradient to be compared by
    looked = {case.name.split(" at a ")[0] for case in recommended.cases(0, 1 << 10) if case.group == "library"}
    assert there - abstract == looked

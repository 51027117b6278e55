"""Gymnasium's own environments: each is learned for some steps by every agent that fits, or refused in one sentence.

For 2,000 steps each, some minutes: python -m tests.proofs.registry
"""

from functools import cache

import gymnasium
import pytest
from gymnasium.error import DependencyNotInstalled

from tests.proofs.agents import kinds
from tests.proofs.registry import BOXES, CELLS, CHOICES, SMALL, attempt, newest_versions

STEPS = 66
NEWEST = newest_versions()


@cache
def lacking(name):
    """Return why an environment cannot be made here, None where it can."""
    if name not in NEWEST:
        return f"this version of Gymnasium has no {name}"
    try:
        gymnasium.make(NEWEST[name]).close()
    except DependencyNotInstalled as error:
        return str(error)
    return None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), CELLS, ids=[f"{name}-{kind.__name__}" for name, kind in CELLS])
def test_it_is_learned_or_refused(name, kind):
    if reason := lacking(name):
        pytest.skip(reason)
    refuses = name in CHOICES and not kind.takes_choices
    assert attempt(name, kind, STEPS) == ("refused" if refuses else "learned")


def test_the_table_names_every_environment_of_these_families():
    assert set(NEWEST) <= set(CHOICES | BOXES)
    assert {"CartPole-v1", "Pendulum-v1", "Swimmer-v5"} <= set(NEWEST.values())


def test_every_agent_is_tried_here():
    assert set(SMALL) == set(kinds())

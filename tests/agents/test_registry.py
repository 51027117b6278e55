"""Gymnasium's own environments: each is learned for some steps by every agent that fits, or refused in one sentence.

For 2,000 steps each, some minutes: python -m tests.proofs.registry
"""

import gymnasium
import pytest
from gymnasium.error import DependencyNotInstalled

from tests.proofs.agents import kinds
from tests.proofs.registry import BOXES, CELLS, CHOICES, SMALL, attempt

STEPS = 120


@pytest.mark.parametrize(("environment", "kind"), CELLS, ids=[f"{e}-{k.__name__}" for e, k in CELLS])
def test_it_is_learned_or_refused(environment, kind):
    try:
        gymnasium.make(environment).close()
    except DependencyNotInstalled as lacking:
        pytest.skip(str(lacking))
    refuses = environment in CHOICES and not kind.takes_choices
    assert attempt(environment, kind, STEPS) == ("refused" if refuses else "learned")


def test_the_table_names_every_environment_of_these_families():
    families = "gymnasium.envs.classic_control", "gymnasium.envs.toy_text", "gymnasium.envs.mujoco"
    newest = {}
    for spec in gymnasium.registry.values():
        if str(spec.entry_point).startswith(families):
            name = spec.name
            newest[name] = max(newest.get(name, -1), spec.version or 0)
    assert {f"{name}-v{version}" for name, version in newest.items()} == set(CHOICES | BOXES)


def test_every_agent_is_tried_here():
    assert set(SMALL) == set(kinds())

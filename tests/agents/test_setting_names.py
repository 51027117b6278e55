"""A name that is none of an agent's settings is refused in one sentence, which says what it is called here."""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from rllab.agents import ARS, PPO, TD3, a2c, load
from rllab.agents.base import known_agents
from rllab.agents.named import made
from rllab.agents.setting_names import CALLS, ELSEWHERE, NOWHERE, no_setting

PAGE = (Path(__file__).parents[2] / "docs/how/from_sb3.md").read_text("utf-8")
AGENTS = [kind for kind in known_agents() if kind.__module__.startswith("rllab.")]


@pytest.mark.parametrize("kind", AGENTS, ids=lambda kind: kind.__name__)
def test_every_agent_says_what_learning_rate_is_called(kind):
    with pytest.raises(TypeError, match=rf"^{kind.__name__} has no setting 'learning_rate', which is lr here; it has "):
        kind("CartPole-v1", learning_rate=3e-4)
    with pytest.raises(ValueError, match=rf"^train: {kind.__name__} has no setting 'learning_rate', which is lr here"):
        made(kind, "CartPole-v1", {"learning_rate": 3e-4})


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        (TD3, "policy_kwargs", ", which is hidden or critic_hidden or actor or critic here; it has"),
        (ARS, "net_arch", ", which is hidden or actor here; it has"),
        (ARS, "n_envs", ", which has no counterpart here; it has"),
        (PPO, "device", ", which has no counterpart here; it has"),
        (PPO, "verbose", r", for which there is agent.learn\(10_000, progress=True\); it has"),
        (PPO, "gama", "; did you mean gamma"),
        (PPO, "colour", "; it has"),
    ],
)
def test_other_names_are_answered_too(kind, name, says):
    with pytest.raises(
        TypeError, match=f"^{kind.__name__} has no setting '{name}'{says if says[0] == ';' else '.*' + says}"
    ):
        kind("CartPole-v1", **{name: 1})


def test_a2c_and_load_say_it_too(tmp_path):
    with pytest.raises(TypeError, match="PPO has no setting 'learning_rate', which is lr here"):
        a2c("CartPole-v1", learning_rate=1e-3)
    ARS("CartPole-v1").save(tmp_path / "agent.pt")
    with pytest.raises(ValueError, match="has no setting 'learning_rate', which is lr here"):
        load(tmp_path / "agent.pt", learning_rate=1e-3)


@pytest.mark.parametrize("kind", AGENTS, ids=lambda kind: kind.__name__)
def test_signatures_still_name_every_setting(kind):
    of_init = list(inspect.signature(kind.__init__).parameters.values())[1:]
    assert list(inspect.signature(kind).parameters.values()) == of_init
    assert {"environment", "seed", "lr"} <= set(inspect.signature(kind).parameters)


def test_a_class_with_an_init_of_its_own_takes_its_own_names():
    @dataclass(eq=False)
    class Scaled(ARS):
        def __init__(self, environment, *, scale, **settings):
            self.scale = scale
            super().__init__(environment, **settings)

    assert Scaled("CartPole-v1", scale=2.0, lr=0.5).lr == 0.5


def ours_beside(name: str) -> list[str]:
    """Return what stands on the page beside another library's name."""
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| ")]
    return [row[2] for row in rows if re.search(rf"\b{name}\b", row[1])]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_page_says_the_same_of_a_name_that_differs(name):
    assert any(all(re.search(rf"\b{own}\b", ours) for own in ELSEWHERE[name]) for ours in ours_beside(name))


@pytest.mark.parametrize("name", CALLS)
def test_the_page_shows_the_call_that_does_it(name):
    _, _, last = CALLS[name].rpartition("(…, ")
    assert any(last in ours for ours in ours_beside(name))


def test_the_page_lists_the_names_without_counterpart():
    listed = re.search(r"No\s+counterpart have(.*?)\.\n\n", PAGE, re.S)
    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])) == set(NOWHERE)


def test_what_has_no_counterpart_is_no_setting_of_its_agent():
    names = {name for kind in AGENTS for name in inspect.signature(kind).parameters}
    assert not names & {*ELSEWHERE, *CALLS, *NOWHERE} - {"action_noise"}  # TD3 has it, SAC has not
    assert all(set(ours) <= names for ours in ELSEWHERE.values())
    assert no_setting("X", "env", []) == "X has no setting 'env', which has no counterpart here; it has "


def test_the_page_says_who_has_critic_hidden():
    (line,) = [line for line in PAGE.splitlines() if "critic_hidden" in line]
    having = re.search(r"; ([\w, ]+) have `critic_hidden`", line)
    assert having is not None
    having_it = {a.__name__ for a in AGENTS if "critic_hidden" in inspect.signature(a).parameters}
    assert set(re.findall(r"\w+", having[1])) - {"and"} == having_it

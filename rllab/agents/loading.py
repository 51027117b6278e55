"""Loading: an agent out of a file that `save` wrote, every field of which is checked before it is used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rllab.agents.base import Agent, known_agents
from rllab.agents.saved import check_environment, check_names, check_tensor, plain, take, take_again, unplain
from rllab.agents.spent import Spent
from rllab.checkpoint import digest, read_checkpoint
from rllab.warned import warn

TASK = ("environment", "environment_arguments")  # what an episode under way is of
UNDER_WAY = ("episode", "episodes")  # what agents call it in their states
CONTENT = {"agent", "arguments", "missing", "weights", "modules", "spent", "normalizer", "state"}


def load(path: str | Path, **again: Any) -> Agent:
    """Read an agent that `save` wrote.

    A file is checked before it is used: its digest, then every field of it. It may name an environment of a module,
    "module:id", but no module is imported because a file says so, other than rllab_envs.

    Args:
        path: the file.
        **again: arguments of the agent that take the place of the file's, by name, as for a new agent; those that the
            file does not hold must be given: an `environment` that is a factory, `wrappers`, an `actor`. With another
            id or other `environment_arguments` the episode under way is given up, which warns, and a new one begins;
            what was learned stays, and so do the replay and what normalisation has seen.

    Returns:
        An agent that goes on where the written one was.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else, is damaged, names a module that is not imported, or an argument that it
            does not hold is not given.

    Example:
        import tempfile
        from rllab.agents import Evolution, load

        with tempfile.TemporaryDirectory() as folder:
            Evolution("CartPole-v1", seed=0).save(f"{folder}/agent.pt")
            agent = load(f"{folder}/agent.pt")
    """
    path = Path(path)
    content = read_checkpoint(path)
    name, agents = content.get("agent"), {kind.__name__: kind for kind in known_agents()}
    if not isinstance(name, str) or name not in agents:
        raise ValueError(f"load: {path} must hold one of the agents {sorted(agents)}, got {name!r}")
    try:
        return _made_again(agents[name], content, again)
    except Exception as error:  # what does not fit can fail anywhere
        reason = str(error) or type(error).__name__
        raise ValueError(f"load: {path} must hold an agent {name} that can be made again: {reason}") from error


def loaded_like(agent: Agent, path: str | Path) -> Agent:
    """Return an agent of the same arguments as another, as it was when it was saved."""
    return load(path, **{f.name: getattr(agent, f.name) for f in fields(agent) if f.init})


def _made_again(kind: type[Agent], content: dict[str, Any], given: dict[str, Any]) -> Agent:
    """Return the agent a file describes; raise an error, of whatever kind, if it describes none."""
    check_names("content", content, CONTENT)
    agent = object.__new__(kind)  # without `__init__`: sizes are compared before anything of them is allocated
    names, unsaved = {f.name for f in fields(kind)}, set(kind.unsaved)
    arguments = take_again(names, unsaved, content["arguments"], content["missing"], given)
    if "environment" not in given:
        check_environment(arguments["environment"])
    for name, value in arguments.items():
        setattr(agent, name, value if name in given else unplain(value))
    agent._check()
    modules = agent._modules()
    saved = check_names("modules", content["modules"], set(modules))
    for name, network in modules.items():
        network.check_state(saved[name])
    check_tensor("weights", content["weights"], (agent.policy.size,))
    state = content["state"]
    agent._check_sizes(state)
    agent._init()
    for name, network in modules.items():
        network.load_constants(saved[name])
    take("weights", {"weights": agent.weights}, {"weights": content["weights"]})
    _take_spent(agent.spent, content["spent"])
    if agent.normalizer is not None:
        agent.normalizer.load_state_dict(content["normalizer"])
    changed = [
        name
        for name in TASK
        if name in given and name in content["arguments"] and _is_another(given[name], content["arguments"][name])
    ]
    agent._restore(unplain(_between_episodes(agent, state, changed) if changed else state))
    return agent


def _take_spent(spent: Spent, saved: object) -> None:
    """Take over what a file says was spent, in place, since collectors count into it."""
    if isinstance(saved, dict):
        saved = {"lost_steps": 0, **saved}  # which files did not have at first
    for name, value in check_names("spent", saved, set(asdict(spent))).items():
        number = type(getattr(spent, name))
        if type(value) is not number or not 0 <= value < math.inf:
            raise ValueError(f"{name} must be {number.__name__} >= 0, got {value!r:.60}")
        setattr(spent, name, value)


def _is_another(value: object, held: object) -> bool:
    """Whether a value is plain, and another than a file's; what is not plain cannot be compared."""
    try:
        return digest(plain("load", value)) != digest(held)
    except TypeError:
        return False


def _between_episodes(agent: Agent, state: dict[str, Any], changed: Sequence[str]) -> dict[str, Any]:
    """Return an agent's saved state without episodes under way, which another task would not repeat."""
    before = agent._state()  # in which none has begun
    fresh = {name: before[name] for name in UNDER_WAY if name in before}
    if any(digest(state[name]) != digest(episodes) for name, episodes in fresh.items()):
        warn(
            f"load: {' and '.join(changed)} {'is' if len(changed) == 1 else 'are'} given anew: the episode under way "
            "when the agent was saved is given up, and learning begins another"
        )
    return state | fresh

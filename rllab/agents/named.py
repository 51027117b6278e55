"""Agents and their settings by name, as files and the command line give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from rllab.agents.base import Agent, known_agents
from rllab.agents.schedules import as_scheduled
from rllab.agents.setting_names import no_setting


def agent_called(name: str) -> type[Agent]:
    """Return the agent of a name, in whatever case.

    Raises:
        ValueError: there is none.
    """
    agents = {kind.__name__.lower(): kind for kind in known_agents()}
    if not isinstance(name, str) or name.lower() not in agents:
        raise ValueError(f"train: method must be one of {', '.join(sorted(agents))}, got {name!r}")
    return agents[name.lower()]


def made(kind: type[Agent], environment: str, settings: Mapping[str, Any]) -> Agent:
    """Return the agent of a text's settings, whose kinds are not known before: what does not fit is a ValueError.

    Raises:
        ValueError: the agent does not take these settings or this environment.
    """
    try:
        return kind(environment, 0, **arguments_of(kind, settings))
    except TypeError as error:
        raise ValueError(str(error)) from error


def arguments_of(kind: type[Agent], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as arguments of an agent: "estimator.by" is the default estimator with another `by`.

    A text "linear(3e-4,0)" is `Linear(3e-4, 0.0)`, so that files and the command line can hold it.

    Raises:
        ValueError: the agent, or the default of its argument, has no such setting, or a schedule is not one.
    """
    defaults = {f.name: f.default for f in fields(kind) if f.init and f.name not in ("environment", "seed")}
    arguments: dict[str, Any] = {}
    for name, value in settings.items():
        outer, dot, inner = name.partition(".")
        if outer not in defaults:
            raise ValueError(f"train: {no_setting(kind.__name__, outer, defaults)}")
        value = as_scheduled(name, value)
        if not dot:
            arguments[name] = value
            continue
        arguments[outer] = _with(arguments.get(outer, defaults[outer]), inner, value, f"{kind.__name__}'s {outer}")
    return arguments


def _with(whole: Any, name: str, value: Any, what: str) -> Any:
    """Return a dataclass with another value of a field, or of a field's field."""
    outer, dot, inner = name.partition(".")
    if not is_dataclass(whole) or isinstance(whole, type) or outer not in {f.name for f in fields(whole)}:
        raise ValueError(f"train: {what} has no setting {outer!r}: by default it is {whole!r}")
    if dot:
        value = _with(getattr(whole, outer), inner, value, f"{what}.{outer}")
    return replace(whole, **{outer: value})

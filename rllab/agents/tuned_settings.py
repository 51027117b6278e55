"""tuned: hyperparameters that were found by trials, or published, for an agent on an environment."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "settings"


def tuned(agent: str, environment: str, *, path: str | Path | None = None) -> dict[str, Any]:
    """Return the settings kept for an agent on an environment, as keyword arguments of the agent.

    Args:
        agent: its name, in whatever case.
        environment: Gymnasium id; what stands before a colon, the module to import, does not matter.
        path: a file that `rllab tune` wrote; None reads those of this package, each of which says where it is from.

    Returns:
        Arguments by name. Dotted names are of an argument's own field: "estimator.by"; `agents.named.arguments_of`
        turns them into arguments, and `rllab train --set` takes them as they are.

    Raises:
        ValueError: there are none for this pair; the error lists those there are for either.

    Example:
        from rllab.agents import ARS, tuned

        settings = tuned("ARS", "Pendulum-v1")
    """
    found = read_tuned(agent, path)
    name = _bare(environment)
    if name not in found:
        there = f"for {agent} there are " + (f"those on {', '.join(sorted(found))}" if found else "none")
        if path is None:
            agents = sorted(file.stem for file in FOLDER.glob("*.toml") if name in read_tuned(file.stem))
            there += f"; on {environment} there are " + (f"those for {', '.join(agents)}" if agents else "none")
        raise ValueError(f"tuned: there are no settings for {agent} on {environment}; {there}")
    return dict(found[name]["settings"])


def read_tuned(agent: str, path: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """Return all settings kept for an agent, by environment, with their provenance.

    Raises:
        ValueError: the file is no TOML, or has an entry without settings or provenance.
    """
    file = Path(path) if path is not None else FOLDER / f"{agent.lower()}.toml"
    if path is None and not file.exists():
        return {}
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"tuned: {file} must be TOML: {error}") from None
    for environment, entry in content.items():
        if not isinstance(entry, dict) or not {"settings", "provenance"} <= set(entry):
            raise ValueError(f"tuned: {file} must hold settings and provenance for {environment}, got {entry!r:.60}")
    return content


def as_toml(environment: str, settings: dict[str, Any], provenance: dict[str, Any]) -> str:
    """Return one entry of such a file."""
    name = _value(_bare(environment))
    parts = ((f"[{name}.settings]", settings), (f"[{name}.provenance]", provenance))
    return "\n".join(
        "\n".join([head, *(f"{_value(k)} = {_value(v)}" for k, v in part.items()), ""]) for head, part in parts
    )


def _value(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # the one sign that JSON lets pass
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    raise ValueError(f"tuned: a setting must be a number, text, truth value or list, got {value!r}")


def _bare(environment: str) -> str:
    return environment.rpartition(":")[2]

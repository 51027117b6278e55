"""Learning in environments: one policy, several ways of getting its gradient, one accounting.

Names are loaded when first used: a worker process that only steps environments starts without torch. A script that
learns begins with `from rllab.runs import limit_threads; limit_threads()`, above the imports of numpy and torch, since
torch otherwise computes with a thread for each core, which is slower for networks as small as an agent's.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path as _Path
from typing import TYPE_CHECKING

from rllab.text import with_names as _with_names

if TYPE_CHECKING:
    from rllab.agents.every import *  # noqa: F403 - as `__getattr__` finds them

__doc__ = _with_names(__doc__, str(_Path(__file__).with_name("every.py")))


def __getattr__(name: str) -> object:
    try:
        return vars(import_module("rllab.agents.every"))[name]
    except KeyError:
        raise AttributeError(f"module 'rllab.agents' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *vars(import_module("rllab.agents.every"))})

"""rllab, a gradient-estimation lab for reinforcement learning: where a gradient comes from, how good it is, its price.

Names are loaded when first used, so that `import rllab` and `rllab --help` answer without loading torch. Those of
`rllab.distributions` are here, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rllab.text import with_names as _with_names
from rllab.version import __version__ as __version__

if TYPE_CHECKING:
    from rllab.blackbox import BlackBox as BlackBox
    from rllab.cost import BudgetExceeded as BudgetExceeded
    from rllab.cost import Cost as Cost
    from rllab.distributions import *  # noqa: F403 - every distribution, as `__getattr__` finds them
    from rllab.estimate import Estimate as Estimate
    from rllab.estimate import Target as Target
    from rllab.estimators import Query as Query
    from rllab.executors import RayExecutor as RayExecutor
    from rllab.keys import Key as Key
    from rllab.optimize import SeedReplay as SeedReplay
    from rllab.optimize import Trace as Trace
    from rllab.optimize import minimize as minimize
    from rllab.quality import measure_quality as measure_quality
    from rllab.recommendation import recommend as recommend
    from rllab.training import Fit as Fit
    from rllab.training import fit as fit

__doc__ = _with_names(__doc__, __file__)

_HOME = {
    "BlackBox": "rllab.blackbox",
    "BudgetExceeded": "rllab.cost",
    "Cost": "rllab.cost",
    "Estimate": "rllab.estimate",
    "Fit": "rllab.training",
    "Key": "rllab.keys",
    "Query": "rllab.estimators",
    "RayExecutor": "rllab.executors",
    "SeedReplay": "rllab.optimize",
    "Target": "rllab.estimate",
    "Trace": "rllab.optimize",
    "fit": "rllab.training",
    "measure_quality": "rllab.quality",
    "minimize": "rllab.optimize",
    "recommend": "rllab.recommendation",
}
_MODULES = (
    "agents",
    "backprop",
    "critics",
    "diagrams",
    "distributions",
    "estimators",
    "executors",
    "plots",
    "problems",
    "quality",
    "recommendation",
    "report",
    "runs",
    "tables",
    "testing",
)


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _MODULES:
        return import_module(f"rllab.{name}")
    if name[:1].isupper() and name in (found := _distributions()):
        return found[name]
    raise AttributeError(f"module 'rllab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, *_MODULES, *_distributions()])


def _distributions() -> dict[str, type]:
    """Return the classes that `rllab.distributions` shows: a new one is one line there."""
    return {name: kind for name, kind in vars(import_module("rllab.distributions")).items() if isinstance(kind, type)}

"""rllab, a gradient-estimation lab for reinforcement learning: where a gradient comes from, how good it is, its price.

Names are loaded when first used, so that `import rllab` and `rllab --help` answer without loading torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rllab.version import __version__ as __version__

if TYPE_CHECKING:
    from rllab.blackbox import BlackBox as BlackBox
    from rllab.cost import BudgetExceeded as BudgetExceeded
    from rllab.cost import Cost as Cost
    from rllab.distributions import Bernoulli as Bernoulli
    from rllab.distributions import Beta as Beta
    from rllab.distributions import Categorical as Categorical
    from rllab.distributions import Dirichlet as Dirichlet
    from rllab.distributions import FromTorch as FromTorch
    from rllab.distributions import Gamma as Gamma
    from rllab.distributions import Gaussian as Gaussian
    from rllab.distributions import GaussianMixture as GaussianMixture
    from rllab.distributions import Poisson as Poisson
    from rllab.distributions import Product as Product
    from rllab.estimate import Estimate as Estimate
    from rllab.estimate import Target as Target
    from rllab.estimators import Query as Query
    from rllab.keys import Key as Key
    from rllab.optimize import SeedReplay as SeedReplay
    from rllab.optimize import Trace as Trace
    from rllab.optimize import minimize as minimize
    from rllab.quality import measure_quality as measure_quality

_HOME = {
    "Bernoulli": "rllab.distributions",
    "Beta": "rllab.distributions",
    "BlackBox": "rllab.blackbox",
    "BudgetExceeded": "rllab.cost",
    "Categorical": "rllab.distributions",
    "Cost": "rllab.cost",
    "Dirichlet": "rllab.distributions",
    "Estimate": "rllab.estimate",
    "FromTorch": "rllab.distributions",
    "Gamma": "rllab.distributions",
    "Gaussian": "rllab.distributions",
    "GaussianMixture": "rllab.distributions",
    "Key": "rllab.keys",
    "Poisson": "rllab.distributions",
    "Product": "rllab.distributions",
    "Query": "rllab.estimators",
    "SeedReplay": "rllab.optimize",
    "Target": "rllab.estimate",
    "Trace": "rllab.optimize",
    "measure_quality": "rllab.quality",
    "minimize": "rllab.optimize",
}
_MODULES = (
    "agents",
    "backprop",
    "critics",
    "diagrams",
    "distributions",
    "estimators",
    "plots",
    "problems",
    "quality",
    "runs",
    "tables",
    "testing",
)


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _MODULES:
        return import_module(f"rllab.{name}")
    raise AttributeError(f"module 'rllab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, *_MODULES])

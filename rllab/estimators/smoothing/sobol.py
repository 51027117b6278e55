"""Sobol smoothing: Gaussian smoothing along directions that are spread more evenly than independent ones.

    ĝ = 1/m Σ_i D_i u_i,    u_i = Φ⁻¹(x_i),    x_i a randomised Sobol sequence        D_i as in `probes`

Randomising makes every x_i by itself uniform (on a grid of 2⁻³⁰), so every u_i is N(0, I) and the estimate unbiased for
∇f_σ, f_σ(θ) = E f(θ + σu), however few directions there are. Together they integrate smooth functions of few
coordinates with an error of nearly 1/m instead of 1/√m; the more coordinates matter, the larger m must be before that
shows, and up to then the variance is about that of independent directions.

Sources: Salimans et al. (2017), see `GaussianSmoothing`; for quasi-Monte Carlo directions Rowland, Choromanski, Chalus,
Pacchiano, Sarlos, Turner & Weller (2018), "Geometrically coupled Monte Carlo sampling", section 5; for the
randomisation see `directions.sobol_normal`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from rllab.checks import check_parameters, check_positive
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.moments import GroupedMoments
from rllab.estimators.query import Block, Plan, Query
from rllab.estimators.smoothing import probes
from rllab.estimators.smoothing.directions import SOBOL_DIMENSIONS, sobol_normal


@dataclass(frozen=True)
class SobolSmoothing(Estimator):
    """Estimate the gradient of the Gaussian-smoothed cost along quasi-random directions.

    Args:
        sigma: smoothing radius σ > 0.
        form: see `GaussianSmoothing`.
        group: how many directions share a randomisation; powers of two are spread most evenly. More directions start
            another, independent, group.

    Returns, when called, an Estimate of ∇f_σ, unbiased. Its `value` is as in `GaussianSmoothing`; its `standard_error`
    is over groups, None if there is only one, and errs high if the last one is incomplete.

    At most 21,201 parameters. Memory: O(group · d), in one piece; time: see `directions.sobol_normal`.
    """

    source: ClassVar[str] = (
        "Rowland, Choromanski, Chalus, Pacchiano, Sarlos, Turner & Weller (2018), Geometrically coupled Monte Carlo "
        "sampling"
    )
    sigma: float = 0.1
    form: probes.Form = "antithetic"
    group: int = 128

    def __post_init__(self) -> None:
        check_positive("SobolSmoothing", sigma=self.sigma)
        probes.check_form("SobolSmoothing", self.form)
        if operator.index(self.group) < 1:
            raise ValueError(f"SobolSmoothing: group must be >= 1, got {self.group}")

    @property
    def target(self) -> Target:
        return Target.smoothed("gaussian", self.sigma)

    @property
    def unbiased(self) -> bool:
        return True

    def _plan(self, at: Any) -> Plan:
        d = check_parameters("SobolSmoothing", at).shape[-1]
        if d > SOBOL_DIMENSIONS:
            raise ValueError(f"SobolSmoothing: at must have at most {SOBOL_DIMENSIONS} parameters, got {d}")
        return probes.plan(self.form, at)._replace(block=self.group)

    def _block(self, query: Query, i: int) -> Block:
        a, b = self._span(query, i)
        u = sobol_normal((b - a, *query.at.shape), query.key.child("direction", i), query.at)
        return probes.place(self.form, query.at, self.sigma, u, a)

    def _units(self, query: Query, block: Block) -> np.ndarray:
        return probes.units(self.form, block)

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        scale = probes.scale(self.form, self.sigma)
        moments = GroupedMoments(query.units, scale, self.group, errors=errors, rows=rows)
        return probes.fold(query, answered, self.form, moments)

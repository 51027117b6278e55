"""Sobol smoothing: Gaussian smoothing along directions that are spread more evenly than independent ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from rllab.checks import check_one_of, check_positive, take_counts
from rllab.estimate import Target
from rllab.estimators.query import Query
from rllab.estimators.smoothing.directions import SOBOL_DIMENSIONS, sobol_normal
from rllab.estimators.smoothing.engine import Design, Smoothing
from rllab.estimators.smoothing.probes import FORMS, Form


@dataclass(frozen=True)
class SobolSmoothing(Smoothing):
    """Estimate the gradient of the Gaussian-smoothed cost along quasi-random directions.

        ĝ = 1/m Σ_i D_i u_i,    u_i = Φ⁻¹(x_i),    x_i a randomised Sobol sequence        D_i as in `probes`

    Randomising makes every x_i by itself uniform (on a grid of 2⁻³⁰), so every u_i is N(0, I) and the estimate unbiased
    for ∇f_σ, f_σ(θ) = E f(θ + σu), however few directions there are. Together they integrate smooth functions of few
    coordinates with an error of nearly 1/m instead of 1/√m; the more coordinates matter, the larger m must be before
    that shows, and up to then the variance is about that of independent directions.

    Args:
        sigma: σ > 0, how far each parameter is moved at random, in its units.
        form: see `GaussianSmoothing`.
        group: how many directions share a randomisation; powers of two are spread most evenly. More directions start
            another, independent, group.

    Returns:
        An Estimate of ∇f_σ, unbiased. Its `value` is as in `GaussianSmoothing`; its `standard_error` is over groups,
        None if there is only one, and errs high if the last one is incomplete.

    At most 21,201 parameters. Memory: O(group · d), in one piece; time: see `directions.sobol_normal`.

    Raises:
        TypeError, ValueError: `sigma` is no positive number, `form` is unknown, or `group` is no integer >= 1.

    Source:
        Salimans et al. (2017), see `GaussianSmoothing`; for quasi-Monte Carlo directions Rowland, Choromanski, Chalus,
        Pacchiano, Sarlos, Turner & Weller (2018), "Geometrically coupled Monte Carlo sampling", section 5; for the
        randomisation see `directions.sobol_normal`.

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.SobolSmoothing()(cost, torch.ones(3), evaluations=100, key=0)
        e.gradient  # about 2, 2, 2
    """

    source: ClassVar[str] = (
        "Rowland, Choromanski, Chalus, Pacchiano, Sarlos, Turner & Weller (2018), Geometrically coupled Monte Carlo "
        "sampling"
    )
    unbiased: ClassVar[bool] = True
    shares_draws: ClassVar[bool] = True  # the scrambling matrix of a batch
    elementwise: ClassVar[bool] = False  # a matrix is decomposed or scrambled
    sigma: float = 0.1
    form: Form = "antithetic"
    group: int = 128

    def __post_init__(self) -> None:
        check_positive("SobolSmoothing", sigma=self.sigma)
        check_one_of("SobolSmoothing", FORMS, form=self.form)
        take_counts(self, group=1)

    @property
    def target(self) -> Target:
        return Target.smoothed("gaussian", self.sigma)

    def _design(self, at: Tensor) -> Design:
        if (d := at.shape[-1]) > SOBOL_DIMENSIONS:
            raise ValueError(f"SobolSmoothing: at must have at most {SOBOL_DIMENSIONS} parameters, got {d}")
        return Design("sigma", self.sigma, self.form, group=self.group, block=self.group)

    def _directions(self, query: Query, i: int, first: int, shape: tuple[int, ...]) -> Tensor:
        return sobol_normal(shape, query.key.child("direction", i), query.at)

"""Orthogonal smoothing: probe the cost along directions that do not repeat each other.

    ĝ = s/m Σ_i D_i u_i        D_i = (f(θ + hu_i) − f(θ − hu_i))/2h, or the forward or one-point form, see `probes`

    law            u_i                                                          s     what each f is smoothed by
    "haar"         d orthonormal directions, uniformly rotated                  d     ball of radius h
    "gaussian"     the same, with lengths of independent normal vectors         1     normal, standard deviation h
    "coordinate"   ± the axes, in random order without repetition               d     uniform on ±h along the one axis
    "hadamard"     rows of a Hadamard matrix times random signs, O(d) each      1     signs, as in `SPSA`

Each u_i by itself is distributed as if it were drawn alone, which settles the mean; that they avoid each other lowers
the variance. With m <= d, G = ‖∇f‖², its trace on a linear f, or antithetic on a quadratic one, is

    (d/m − 1) G    "haar", "coordinate", "hadamard" with d = 2ᵏ          ((d + 2)/m − 1) G    "gaussian"

against (d + 1)G/m for independent normal directions: with m = d a linear f is known exactly. For m > d, groups of d
directions (2ᵏ for "hadamard", the next power of two) follow each other, independently; the last one may be incomplete.

Source: Choromanski, Rowland, Sindhwani, Turner & Weller (2018), "Structured evolution with compact architectures for
scalable policy optimization", sections 3.1 and 3.2. There all directions have the length √d or that of normal vectors;
here the radius says how far they reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor

from rllab.checks import check_parameters, check_positive
from rllab.estimate import Estimate, Target
from rllab.estimators.base import Estimator
from rllab.estimators.moments import GroupedMoments
from rllab.estimators.query import Block, Plan, Query
from rllab.estimators.smoothing import probes
from rllab.estimators.smoothing.directions import coordinate_axes, hadamard, orthonormal, padded

Law = Literal["haar", "gaussian", "coordinate", "hadamard"]
_KERNELS = {"haar": "ball", "gaussian": "gaussian", "coordinate": "axis", "hadamard": "rademacher"}


@dataclass(frozen=True)
class OrthogonalSmoothing(Estimator):
    """Estimate the gradient of a smoothed cost along orthogonal directions.

    Args:
        radius: h > 0. Probes lie at distance h from θ for "haar" and "coordinate", h√d for "hadamard", and about that
            for "gaussian".
        law: of the directions, see above. "hadamard" is the one for large d.
        form: see `GaussianSmoothing`.

    Returns, when called, an Estimate of the gradient smoothed as said above, unbiased. Its `value` is the mean over the
    probes for "gaussian" and "hadamard", else None. Its `standard_error` is over groups, None if there is only one, and
    errs high if the last one is incomplete. Seeds are shared as in `GaussianSmoothing`.

    Memory: O(min(m, d) d) for "haar" and "gaussian", whose groups are drawn in one piece, and O(md²) time for those.
    """

    source: ClassVar[str] = (
        "Choromanski, Rowland, Sindhwani, Turner & Weller (2018), Structured evolution with compact architectures for "
        "scalable policy optimization"
    )
    radius: float = 0.1
    law: Law = "haar"
    form: probes.Form = "antithetic"

    def __post_init__(self) -> None:
        check_positive("OrthogonalSmoothing", radius=self.radius)
        probes.check_form("OrthogonalSmoothing", self.form)
        if self.law not in _KERNELS:
            raise ValueError(f"OrthogonalSmoothing: law must be one of {tuple(_KERNELS)}, got {self.law!r}")

    @property
    def target(self) -> Target:
        return Target.smoothed(_KERNELS[self.law], self.radius)

    @property
    def unbiased(self) -> bool:
        return True

    def _plan(self, at: Any) -> Plan:
        plan = probes.plan(self.form, check_parameters("OrthogonalSmoothing", at))
        size = self._group(at)
        if plan.block >= size or self.law in ("haar", "gaussian"):
            return plan._replace(block=max(1, plan.block // size) * size)  # whole groups
        if self.law == "hadamard":
            return plan._replace(block=1 << (plan.block.bit_length() - 1))  # a power of two, and so a part of one
        return plan

    def _group(self, at: Tensor) -> int:
        return padded(at.shape[-1]) if self.law == "hadamard" else at.shape[-1]

    def _block(self, query: Query, i: int) -> Block:
        at, key = query.at, query.key
        a, b = self._span(query, i)
        shape = (b - a, *at.shape)
        if self.law == "coordinate":
            u = coordinate_axes(shape, a, key.child("direction"), at)
        elif self.law == "hadamard":
            u = hadamard(shape, a, key.child("direction", a // self._group(at)), at)
        else:
            u = orthonormal(shape, key.child("direction", i), at, lengths=self.law == "gaussian")
        return probes.place(self.form, at, self.radius, u, a)

    def _units(self, query: Query, block: Block) -> np.ndarray:
        return probes.units(self.form, block)

    def _fold(self, query: Query, answered: Iterable[tuple[Block, Tensor]], rows: bool, errors: bool) -> Estimate:
        at = query.at
        scale = probes.scale(self.form, self.radius)
        if self.law in ("haar", "coordinate"):  # unit vectors: E u uᵀ = I/d
            scale *= at.shape[-1]
        moments = GroupedMoments(query.units, scale, self._group(at), errors=errors, rows=rows)
        estimate = probes.fold(query, answered, self.form, moments)
        return estimate if self.law in ("gaussian", "hadamard") else replace(estimate, value=None)

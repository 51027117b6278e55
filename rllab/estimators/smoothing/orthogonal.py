"""Orthogonal smoothing: probe the cost along directions that do not repeat each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from rllab.checks import check_one_of, check_positive
from rllab.estimate import Target
from rllab.estimators.base import BLOCK
from rllab.estimators.query import Query
from rllab.estimators.smoothing.directions import coordinate_axes, hadamard, orthonormal, padded
from rllab.estimators.smoothing.engine import Design, Smoothing
from rllab.estimators.smoothing.probes import FORMS, Form

Law = Literal["haar", "gaussian", "coordinate", "hadamard"]
_KERNELS = {"haar": "ball", "gaussian": "gaussian", "coordinate": "axis", "hadamard": "rademacher"}


@dataclass(frozen=True)
class OrthogonalSmoothing(Smoothing):
    """Estimate the gradient of a smoothed cost along orthogonal directions.

        ĝ = s/m Σ_i D_i u_i        D_i = (f(θ + hu_i) − f(θ − hu_i))/2h, or the forward or one-point form, see `probes`

        law            u_i                                                          s     what each f is smoothed by
        "haar"         d orthonormal directions, uniformly rotated                  d     ball of radius h
        "gaussian"     the same, with lengths of independent normal vectors         1     normal, standard deviation h
        "coordinate"   ± the axes, in random order without repetition             d     uniform on ±h along the one axis
        "hadamard"     rows of a Hadamard matrix times random signs, O(d) each      1     signs, as in `SPSA`

    Each u_i by itself is distributed as if it were drawn alone, which settles the mean; that they avoid each other
    lowers the variance. With m <= d, G = ‖∇f‖², its trace on a linear f, or antithetic on a quadratic one, is

        (d/m − 1) G    "haar", "coordinate", "hadamard" with d = 2ᵏ          ((d + 2)/m − 1) G    "gaussian"

    against (d + 1)G/m for independent normal directions: with m = d a linear f is known exactly. For m > d, groups of d
    directions (2ᵏ for "hadamard", the next power of two) follow each other, independently; the last one may be
    incomplete.

    Args:
        radius: h > 0. Probes lie at distance h from θ for "haar" and "coordinate", h√d for "hadamard", and about that
            for "gaussian": of these two laws it is the `sigma` of others. On stairs of width w that is to be about w√d:
            where no probe leaves a step, as at a small radius, the estimate is 0.
        law: of the directions, see above. "hadamard" is the one for large d.
        form: see `GaussianSmoothing`.

    Returns:
        An Estimate of the gradient smoothed as said above, unbiased. Its `value` is the mean over the probes for
        "gaussian" and "hadamard", else None. Its `standard_error` is over groups, None if there is only one, and errs
        high if the last one is incomplete. Seeds are shared as in `GaussianSmoothing`.

    Memory: O(min(m, d) d) for "haar" and "gaussian", whose groups are drawn in one piece, and O(md²) time for those.

    Raises:
        TypeError, ValueError: `radius` is no positive number, or `form` or `law` is unknown.

    Source:
        Choromanski, Rowland, Sindhwani, Turner & Weller (2018), "Structured evolution with compact architectures for
        scalable policy optimization", sections 3.1 and 3.2. There all directions have the length √d or that of normal
        vectors; here the radius says how far they reach.

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        e = est.OrthogonalSmoothing()(cost, torch.ones(3), evaluations=100, key=0)
        e.gradient  # about 2, 2, 2
    """

    source: ClassVar[str] = (
        "Choromanski, Rowland, Sindhwani, Turner & Weller (2018), Structured evolution with compact architectures for "
        "scalable policy optimization"
    )
    unbiased: ClassVar[bool] = True
    elementwise: ClassVar[bool] = False  # a matrix is decomposed or scrambled
    radius: float = 0.1
    law: Law = "haar"
    form: Form = "antithetic"

    def __post_init__(self) -> None:
        check_positive("OrthogonalSmoothing", radius=self.radius)
        check_one_of("OrthogonalSmoothing", FORMS, form=self.form)
        check_one_of("OrthogonalSmoothing", tuple(_KERNELS), law=self.law)

    @property
    def target(self) -> Target:
        return Target.smoothed(_KERNELS[self.law], self.radius)

    def _design(self, at: Tensor) -> Design:
        group, unit = self._group(at), self.law in ("haar", "coordinate")
        factor = at.shape[-1] if unit else 1.0  # of unit vectors E u uᵀ = I/d
        block = max(1, BLOCK // at.numel())
        if block >= group or self.law in ("haar", "gaussian"):
            block = max(1, block // group) * group  # whole groups
        elif self.law == "hadamard":
            block = 1 << (block.bit_length() - 1)  # a power of two, and so a part of one
        return Design("radius", self.radius, self.form, factor, group, block, of_kernel=not unit)

    def _group(self, at: Tensor) -> int:
        return padded(at.shape[-1]) if self.law == "hadamard" else at.shape[-1]

    def _directions(self, query: Query, i: int, first: int, shape: tuple[int, ...]) -> Tensor:
        at, key = query.at, query.key
        if self.law == "coordinate":
            return coordinate_axes(shape, first, key.child("direction"), at)
        if self.law == "hadamard":
            return hadamard(shape, first, key.child("direction", first // self._group(at)), at)
        return orthonormal(shape, key.child("direction", i), at, lengths=self.law == "gaussian")

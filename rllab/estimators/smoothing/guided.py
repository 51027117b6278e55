"""Guided smoothing: probe mostly within the span of a few directions that are believed to matter. Also: guided ES."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rllab.checks import check_positive, take_counts
from rllab.estimate import Target
from rllab.estimators.query import Query
from rllab.estimators.smoothing.engine import Design, Smoothing
from rllab.noise import standard_normal


@dataclass(frozen=True, eq=False)
class Guide:
    """Recent surrogate gradients and an orthonormal basis of their span; see `GuidedSmoothing.remember`.

    Args:
        surrogates: (k, d) or (k, B, d), newest first.
        basis: the same shape; rows beyond the rank are zero.
        rank: () or (B,), how many rows of the basis are not.
    """

    surrogates: Tensor
    basis: Tensor
    rank: Tensor


@dataclass(frozen=True)
class GuidedSmoothing(Smoothing):
    """Estimate a direction of descent, mostly within the span of recent surrogate gradients.

        ĝ = β/(2σ²P) Σ_p ε_p (f(θ + ε_p) − f(θ − ε_p)),    ε_p ~ N(0, σ²Σ)                    2P evaluations
        Σ = (α/d) I + ((1 − α)/k) UUᵀ,    tr Σ = 1

    U is an orthonormal basis of the k recent surrogate gradients. The mean of the estimate is, with f_Σ the cost
    smoothed by N(0, σ²Σ),

        E ĝ = β Σ ∇f_Σ(θ)

    a gradient seen through Σ: it is **biased** unless Σ is a multiple of I, long within the span of U and short
    outside. Even with α = 1 it is β/d times a gradient, so learning rates are not those of `GaussianSmoothing`. The
    trace of the covariance for P = 1 on a quadratic is β² gᵀ(Σ² + Σ)g, g = ∇f.

        state = estimator.remember(None, surrogate)
        estimate = estimator(cost, at, evaluations=…, key=…, state=state)

    Args:
        sigma: overall radius σ > 0: E‖ε‖² = σ².
        alpha: α in [0, 1], how much of the variance of ε goes to the whole space instead of the span.
        beta: β > 0, a factor of the estimate.
        memory: how many surrogate gradients are remembered.

    Returns:
        An Estimate whose mean is βΣ∇f_Σ(θ), not a gradient: its target is a direction. Its `value` is the mean over the
        probes; its `state` is the one it was given. A pair shares its seed.

    Raises:
        TypeError, ValueError: `sigma` or `beta` is no positive number, `alpha` is not in [0, 1], or `memory` is no
            integer >= 1.

    Source:
        Maheswaranathan, Metz, Tucker, Choi & Sohl-Dickstein (2019), "Guided evolutionary strategies: augmenting random
        search with surrogate gradients", eqs. 3 and 4. There k is fixed; here it is the rank of what is remembered, so
        that surrogates that vanish or repeat each other do not turn into arbitrary axes, and without any, Σ = I/d.

    Example:
        import torch
        from rllab import Cost, estimators as est

        guided, cost = est.GuidedSmoothing(), Cost(lambda x: x.square().sum(-1))
        state = guided.remember(None, torch.tensor([1.0, 1.0, 0.0]))  # a surrogate of the gradient
        e = guided(cost, torch.ones(3), evaluations=100, key=0, state=state)
        e.gradient  # mostly along 1, 1, 0
    """

    source: ClassVar[str] = (
        "Maheswaranathan, Metz, Tucker, Choi & Sohl-Dickstein (2019), Guided evolutionary strategies: augmenting "
        "random search with surrogate gradients"
    )
    target: ClassVar[Target] = Target.direction(
        "βΣ∇f_Σ, a smoothed gradient seen through Σ = (α/d) I + ((1 − α)/k) UUᵀ"
    )
    unbiased: ClassVar[bool] = False
    stateful: ClassVar[bool] = True
    sigma: float = 0.1
    alpha: float = 0.5
    beta: float = 1.0
    memory: int = 1

    def __post_init__(self) -> None:
        check_positive("GuidedSmoothing", sigma=self.sigma, beta=self.beta)
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"GuidedSmoothing: alpha must be in [0, 1], got {self.alpha}")
        take_counts(self, memory=1)

    def remember(self, state: Guide | None, surrogate: Tensor) -> Guide:
        """Return the state with one more surrogate gradient, (d,) or (B, d), and the oldest one beyond `memory` gone.

        Raises:
            ValueError: if its shape is another than before, or it is not finite.
        """
        surrogate = surrogate.detach()
        if state is not None and surrogate.shape != state.surrogates.shape[1:]:
            wanted, got = tuple(state.surrogates.shape[1:]), tuple(surrogate.shape)
            raise ValueError(f"GuidedSmoothing: surrogate must be {wanted} like those before, got {got}")
        if not torch.isfinite(surrogate).all():
            raise ValueError("GuidedSmoothing: surrogate must be finite")
        recent = surrogate[None] if state is None else torch.cat((surrogate[None], state.surrogates))
        recent = recent[: self.memory]
        return Guide(recent, *_orthonormal_basis(recent))

    def _design(self, at: Tensor) -> Design:
        return Design("sigma", self.sigma, factor=self.beta)  # β/2σ² · ε = β/2σ · (ε/σ)

    def _directions(self, query: Query, i: int, first: int, shape: tuple[int, ...]) -> Tensor:
        at, guide, d = query.at, _check_state(query.state, query.at), query.at.shape[-1]
        u = standard_normal(shape, query.key.child("direction", i), at)
        if guide is None:
            return u.mul_(d**-0.5)  # Σ = I/d
        # ε/σ = √(α/d) u + √((1 − α)/k) U v,    u ~ N(0, I_d), v ~ N(0, I_k); where k = 0, Σ = I/d
        k = guide.rank.unsqueeze(-1)
        v = standard_normal((shape[0], *guide.basis.shape[:-1]), query.key.child("guide", i), at)
        inside = torch.einsum("nk...,k...d->n...d", v, guide.basis)
        alpha = torch.where(k > 0, at.new_tensor(self.alpha), 1.0)
        return u.mul_((alpha / d).sqrt()).addcmul_(inside, ((1 - alpha) / k.clamp_min(1)).sqrt())


def _orthonormal_basis(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return an orthonormal basis of the span of vectors (k, d) or (k, B, d), of that shape, and its rank, () or (B,).

    Vectors are scaled to one length before: what counts is where they point.
    """
    k, d = vectors.shape[0], vectors.shape[-1]
    rows = torch.nn.functional.normalize(vectors.movedim(0, -2).double(), dim=-1)
    _, s, v = torch.linalg.svd(rows, full_matrices=False)
    kept = s > max(k, d) * torch.finfo(vectors.dtype).eps
    basis = v * kept.unsqueeze(-1)
    basis = torch.nn.functional.pad(basis, (0, 0, 0, k - basis.shape[-2]))  # more vectors than dimensions
    return basis.movedim(-2, 0).to(vectors), kept.sum(-1)


def _check_state(state: object, at: Tensor) -> Guide | None:
    if state is None:
        return None
    if not isinstance(state, Guide):
        raise TypeError(f"GuidedSmoothing: state must be None or come from `remember`, got {type(state).__name__}")
    if state.surrogates.shape[1:] != at.shape:
        got = tuple(state.surrogates.shape[1:])
        raise ValueError(f"GuidedSmoothing: surrogates must be {tuple(at.shape)} like at, got {got}")
    return state

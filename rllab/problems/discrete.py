"""BooleanQuadratic and CategoricalPayoffs: costs of bits and choices, whose expectations are polynomials in p.

    ∂J/∂l_i = p_i (1 − p_i) ∂J/∂p_i for bits, p = σ(l)            ∂J/∂l_k = p_k (f_k − J) for a choice, p = softmax(l)

Both costs make sense between 0 and 1 too, so that relaxations have something to differentiate; `gradient` is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from scipy.special import expit, softmax
from torch import Tensor

from rllab.problems.base import Problem, vector

_RELAXED = frozenset({"value", "gradient", "jvp", "relaxed"})


@dataclass(frozen=True)
class BooleanQuadratic(Problem):
    """f(b) = Σ_i (b_i − target_i)² + bᵀWb/2, W symmetric with zero diagonal.

    The gradient of one bit with target 0.499, the default, 0.002 p (1 − p), is lost in the noise of most estimators.

    Args:
        target: one number for all bits, or one each.
        coupling: W: one number for every pair, or d rows of d numbers.
        dimension: number of bits.

    Raises:
        ValueError: `coupling` is neither a finite number nor a symmetric matrix of zero diagonal, or `target` does not
            fit.

    Source:
        Grathwohl, Choi, Wu, Roeder & Duvenaud (2018), "Backpropagation through the void: Optimizing control variates
        for black-box gradient estimation", for the default.

    Example:
        import torch
        from rllab import Bernoulli, problems

        toy, logits = problems.BooleanQuadratic(), torch.zeros(1)
        toy.expected_gradient(Bernoulli(logits))["logits"]  # 0.002/4
    """

    target: float | tuple[float, ...] = 0.499
    coupling: float | tuple[tuple[float, ...], ...] = 0.0
    dimension: int = field(default=1, kw_only=True)  # type: ignore[assignment]
    offers: ClassVar[frozenset[str]] = _RELAXED
    kernels: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self._target
        w, d = self._coupling, self.dimension
        if w.shape != (d, d) or not np.isfinite(w).all() or (w != w.T).any() or w.diagonal().any():
            raise ValueError(
                f"BooleanQuadratic: coupling must be a finite number or a symmetric matrix of dimension = {d} rows "
                f"with zero diagonal, got {self.coupling!r}"
            )

    @property
    def _target(self) -> np.ndarray:
        return vector("BooleanQuadratic: target", self.target, self.dimension)

    @property
    def _coupling(self) -> np.ndarray:
        w = np.array(self.coupling, dtype=np.float64)
        return w if w.ndim else w * (1 - np.eye(self.dimension))

    def _value(self, x: Tensor) -> Tensor:
        t, w = (torch.from_numpy(v).to(x) for v in (self._target, self._coupling))
        return ((x - t) ** 2).sum(-1) + 0.5 * (x * (x @ w)).sum(-1)

    def _gradient(self, x: Tensor) -> Tensor:
        t, w = (torch.from_numpy(v).to(x) for v in (self._target, self._coupling))
        return 2 * (x - t) + x @ w

    def _logits(self, who: str, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        d = self.dimension
        if logits.ndim not in (1, 2) or logits.shape[-1] != d:
            raise ValueError(f"{who}: logits must be ({d},) or (B, {d}), got {logits.shape}")
        p, q, t = expit(logits), expit(-logits), self._target  # q = 1 − p without the subtraction
        field_on_bit = p @ self._coupling
        # J = Σ_i p_i (1 − t_i)² + q_i t_i² + pᵀWp/2
        value = (p * (1 - t) ** 2 + q * t**2 + 0.5 * p * field_on_bit).sum(-1)
        return value, p * q * (1 - 2 * t + field_on_bit)


@dataclass(frozen=True)
class CategoricalPayoffs(Problem):
    """f(x) = Σ_i payoffs_i·x_i for n independent choices among K, x their one-hot vectors end to end.

    Args:
        payoffs: n rows of K costs; one row for a single choice.

    Raises:
        ValueError: `payoffs` are not rows of two or more finite numbers, all as long.

    Example:
        import torch
        from rllab import Categorical, problems

        problems.CategoricalPayoffs().expected_gradient(Categorical(torch.zeros(3)))["logits"]
    """

    payoffs: tuple[tuple[float, ...], ...] = ((0.3, -1.2, 0.9),)
    offers: ClassVar[frozenset[str]] = _RELAXED
    kernels: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            rows = np.array(self.payoffs, dtype=np.float64)
        except (TypeError, ValueError):  # a ragged table, or text
            rows = np.array(np.nan)
        if rows.ndim != 2 or len(rows) < 1 or len(rows[0]) < 2 or not np.isfinite(rows).all():
            raise ValueError(
                "CategoricalPayoffs: payoffs must be rows of two or more finite numbers, all as long, as in "
                f"((0.3, 1.2),), got {self.payoffs!r}"
            )

    @property
    def dimension(self) -> int:
        return len(self.payoffs) * len(self.payoffs[0])

    def _value(self, x: Tensor) -> Tensor:
        return x @ x.new_tensor(self.payoffs).flatten()

    def _gradient(self, x: Tensor) -> Tensor:
        return x.new_tensor(self.payoffs).flatten().expand_as(x).clone()

    def _logits(self, who: str, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        f = np.array(self.payoffs)
        n, k = f.shape
        shapes = [(n, k), *([(k,)] if n == 1 else [])]
        if logits.shape not in shapes and logits.shape[1:] != (n, k):
            raise ValueError(
                f"{who}: logits must be {' or '.join(map(str, shapes))} or (B, {n}, {k}), got {logits.shape}"
            )
        p = softmax(logits, axis=-1).reshape(-1, n, k)
        # p_k (f_k − J) = p_k Σ_j p_j (f_k − f_j), which keeps its digits where one p_j is almost 1
        advantage = np.einsum("bnj,nkj->bnk", p, f[:, :, None] - f[:, None, :])
        value = (p * f).sum((-2, -1))
        return value.reshape(logits.shape[:-2] if logits.ndim == 3 else ()), (p * advantage).reshape(logits.shape)

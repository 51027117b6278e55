"""Distribution: what outputs are drawn from, with the score taken by hand instead of through log p and autograd.

    s(x) = ∇_φ log p_φ(x)         E s = 0,  and  ∇_φ E f = E[f(x) s(x)]

Estimators never need the (K, d) scores themselves but sums of them weighted by costs, and their squares: `score_sum`
and `score_square_sum` give those without holding K × d numbers beside the samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor

from rllab.keys import Key


class Distribution(ABC):
    """A parametrised distribution over vectors. Subclasses are frozen dataclasses of their parameters, and final."""

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """The parameters by name; gradients come back as a dict of the same names and shapes."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: (d,), or (B, d) for B distributions at once."""

    @property
    def support_size(self) -> int | None:
        """How many different samples there are; None if not finitely many."""
        return None

    @abstractmethod
    def replace(self, **parameters: Tensor) -> Self:
        """Return the same distribution with other parameters."""

    def detach(self) -> Self:
        """Return the same distribution, cut off from autograd."""
        return self.replace(**{name: value.detach() for name, value in self.parameters.items()})

    @abstractmethod
    def draw(self, k: int, key: Key) -> tuple[Tensor, Any]:
        """Draw k samples (k, *shape), and whatever noise the score is easiest computed from."""

    def support(self, start: int = 0, stop: int | None = None) -> tuple[Tensor, Tensor]:
        """Return samples `start` to `stop` of all there are, in a fixed order: (N, *shape), and log p, (N,) or (N, B).

        The gradient of log p is the score.

        Raises:
            TypeError: if there are not finitely many.
        """
        raise TypeError(f"{type(self).__name__}.support: not a distribution over finitely many samples")

    @abstractmethod
    def score_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        """Return Σ_k w_k s(x_k) by parameter, for weights (k,) or (k, B)."""

    @abstractmethod
    def score_square_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        """Return Σ_k w_k s(x_k)² by parameter, elementwise squares."""

    @abstractmethod
    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        """Return the scores themselves, (k, *shape of the parameter)."""


def weighted_sum(w: Tensor, t: Tensor) -> Tensor:
    """Return Σ_k w_k t_k for weights (k,) and rows (k, d), or for (k, B) and (k, B, d)."""
    return torch.einsum("k,kd->d" if t.ndim == 2 else "kb,kbd->bd", w, t)


def add_into(total: dict[str, Tensor], term: dict[str, Tensor]) -> None:
    """Add sums by parameter to those already there."""
    for name, value in term.items():
        total[name] = total[name] + value if name in total else value


def uniform(shape: tuple[int, ...], key: Key, like: Tensor) -> Tensor:
    """Draw uniform numbers in [0, 1), float64 on the device of `like`.

    They are compared with probabilities: at float32's spacing of 2⁻²⁴ rare outcomes would have wrong frequencies, and
    the same key would give other outcomes in either precision.
    """
    return torch.rand(shape, generator=key.generator(), dtype=torch.float64).to(like.device)


def check_logits(name: str, logits: object, shapes: dict[int, str]) -> None:
    """Raise a ValueError in the name of `name` unless `logits` are finite floats of one of the `shapes` by rank."""
    ok = isinstance(logits, Tensor) and logits.is_floating_point() and logits.ndim in shapes and logits.numel() > 0
    if not ok or not isinstance(logits, Tensor):
        got = f"{tuple(logits.shape)} {logits.dtype}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"{name}: logits must be a floating tensor {' or '.join(shapes.values())}, got {got}")
    if not torch.isfinite(logits).all():
        raise ValueError(f"{name}: logits must be finite, got {logits[~torch.isfinite(logits)][0].item()}")

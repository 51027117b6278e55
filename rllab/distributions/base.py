"""Distribution: what outputs are drawn from, with the score taken by hand instead of through log p and autograd.

    s(x) = ∇_φ log p_φ(x)         E s = 0,  and  ∇_φ E f = E[f(x) s(x)]

Estimators never need the (K, d) scores themselves but sums of them weighted by costs, and their squares: `score_sum`
and `score_square_sum` give those without holding K × d numbers beside the samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

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

    @abstractmethod
    def replace(self, **parameters: Tensor) -> Self:
        """Return the same distribution with other parameters."""

    def detach(self) -> Self:
        """Return the same distribution, cut off from autograd."""
        return self.replace(**{name: value.detach() for name, value in self.parameters.items()})

    @abstractmethod
    def draw(self, k: int, key: Key) -> tuple[Tensor, Any]:
        """Draw k samples (k, *shape), and whatever noise the score is easiest computed from."""

    @abstractmethod
    def score_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        """Return Σ_k w_k s(x_k) by parameter, for weights (k,) or (k, B)."""

    @abstractmethod
    def score_square_sum(self, w: Tensor, x: Tensor, noise: Any) -> dict[str, Tensor]:
        """Return Σ_k w_k s(x_k)² by parameter, elementwise squares."""

    @abstractmethod
    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        """Return the scores themselves, (k, *shape of the parameter)."""

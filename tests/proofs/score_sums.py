"""Sums of scores by parameter, as tensors: what `Distribution.score_sums` gives in numpy."""

from torch import Tensor

from rllab.arrays import as_array
from rllab.distributions import Distribution


def score_sum(at: Distribution, w: Tensor, x: Tensor, noise: object) -> dict[str, Tensor]:
    """Return Σ_k w_k s(x_k) by parameter."""
    return at.as_tensors(at.score_sums(as_array(w), None, x, noise)[0])


def score_square_sum(at: Distribution, w: Tensor, x: Tensor, noise: object) -> dict[str, Tensor]:
    """Return Σ_k w_k s(x_k)² by parameter, elementwise squares."""
    return at.as_tensors(at.score_sums(None, as_array(w), x, noise)[1])

"""BatchRenorm: a batch normalised by its own mean and variance, corrected towards running ones, with both Jacobians."""

from __future__ import annotations

import torch
from torch import Tensor

from rllab.agents.buffers import Buffers

EPSILON = 1e-3  # as CrossQ's authors
R_MAX, D_MAX = 3.0, 5.0  # Ioffe (2017), section 4
MOMENTUM = 0.01  # how fast the running statistics follow


class BatchRenorm:
    """Normalise each column of a batch, x (n, h), by the statistics of that batch.

        μ_B = mean_p x_p,   σ_B² = mean_p (x_p − μ_B)² + ε,     x̃ = (x − μ_B)/σ_B,     x̂ = r x̃ + d,     y = s x̂ + t
        r = clip(σ_B/σ, 1/3, 3),   d = clip((μ_B − μ)/σ, −5, 5),   σ² = running variance + ε;   no gradient through them
        to the state:     ∂C/∂x = (s r/σ_B) [v − mean_p v − x̃ mean_p (v x̃)],     v = ∂C/∂y
        to the weights:   ∂C/∂s = Σ_p v x̂,     ∂C/∂t = Σ_p v
        running mean ← running mean + momentum (μ_B − running mean), the variance likewise
        evaluated:        y = s (x − running mean)/σ + t,  which depends on no other sample

    Without `renormalize`, r = 1 and d = 0: plain batch normalisation. Samples are coupled: a gradient reaches x_p from
    the cost of every other sample. What the methods return is written over by the next call with as many rows.

    Source: Ioffe (2017), "Batch renormalization: towards reducing minibatch dependence in batch-normalized models",
    algorithm 1; ε, and r and d switched on at once where the paper loosens their bounds bit by bit: Bhatt et al.
    (2024), "CrossQ: batch normalization in deep reinforcement learning for greater sample efficiency and simplicity".
    """

    def __init__(self) -> None:
        self._buffers = Buffers()

    def forward(self, x: Tensor, s: Tensor, t: Tensor, running: tuple[Tensor, Tensor], *, renormalize: bool) -> Tensor:
        """Return y, (n, h); the running mean and variance, (h,) each, follow."""
        (n, h), buffers = x.shape, self._buffers
        mean, variance = running
        mu = torch.mean(x, 0, out=buffers("mu", h))
        normed = torch.sub(x, mu, out=buffers("normed", n, h))
        y = torch.mul(normed, normed, out=buffers("y", n, h))
        var = torch.mean(y, 0, out=buffers("var", h))
        inverse = torch.add(var, EPSILON, out=buffers("inverse", h)).rsqrt_()
        normed.mul_(inverse)  # x̃
        scale, shift = buffers("scale", h), buffers("shift", h)  # of y in x̃: s r, and s d + t
        r, d = buffers("r", h).fill_(1.0), buffers("d", h).fill_(0.0)
        if renormalize:
            running_inverse = torch.add(variance, EPSILON, out=buffers("running_inverse", h)).rsqrt_()
            torch.reciprocal(inverse, out=r).mul_(running_inverse).clamp_(1 / R_MAX, R_MAX)
            torch.sub(mu, mean, out=d).mul_(running_inverse).clamp_(-D_MAX, D_MAX)
        torch.mul(s, r, out=scale)
        torch.addcmul(t, s, d, out=shift)
        mean.lerp_(mu, MOMENTUM)
        variance.lerp_(var, MOMENTUM)
        # y = s r x̃ + s d + t
        return torch.addcmul(shift, normed, scale, out=y)

    def backward(self, v: Tensor, s: Tensor, out: tuple[Tensor, Tensor]) -> Tensor:
        """Return ∂C/∂x, (n, h), after `forward`, for v = ∂C/∂y, (n, h), and write ∂C/∂s and ∂C/∂t, (h,), into `out`."""
        (n, h), buffers = v.shape, self._buffers
        normed, g, (to_s, to_t) = buffers("normed", n, h), buffers("to_x", n, h), out
        # Σ v,  Σ v x̃
        torch.sum(v, 0, out=to_t)
        along = torch.sum(torch.mul(v, normed, out=g), 0, out=buffers("along", h))
        # Σ v x̂ = r Σ v x̃ + d Σ v
        torch.mul(buffers("r", h), along, out=to_s).addcmul_(buffers("d", h), to_t)
        # v − mean v − x̃ mean (v x̃)
        torch.addcmul(v, normed, along, value=-1 / n, out=g).sub_(torch.mul(to_t, 1 / n, out=buffers("average", h)))
        return g.mul_(torch.mul(buffers("scale", h), buffers("inverse", h), out=buffers("outer", h)))

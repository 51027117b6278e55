"""SquashedGaussian: actions drawn from a Gaussian that tanh squashes, their log-probability, and both gradients."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rllab.agents.buffers import Buffers

LOWEST, HIGHEST = -5.0, 2.0  # of log σ, the ends of CleanRL's range; below, density has no bound, above, tanh saturates
_LOG_2, _LOG_ROOT_2_PI = math.log(2.0), 0.5 * math.log(2.0 * math.pi)
_ZERO = torch.zeros((), dtype=torch.float32)


class SquashedGaussian:
    """Squash Gaussian actions into the box, and backpropagate from actions and log-probabilities to mean and log σ.

        l = clip(log σ, −5, 2),     u = m + e^l ξ,  ξ ~ N(0, I),     a = tanh u
        log π(a | o) = Σ_j [ −ξ_j²/2 − l_j − log √(2π) − 2 (log 2 − u_j − softplus(−2 u_j)) ]
        of C = C(a) + λ log π:     ∂C/∂m = ∂C/∂u = (1 − a²) ∂C/∂a + 2 λ a,     ∂C/∂l = ∂C/∂u e^l ξ − λ

    The last term of log π is −log(1 − tanh² u), which as it stands is log 0 from |u| = 9 on in single precision. Where
    log σ is clipped no gradient goes to it. What the methods return is written over by the next call with as many rows.

    Args:
        actions: k, the components of an action.

    Source: Haarnoja et al. (2018), "Soft actor-critic algorithms and applications", appendix C. Difference: the stable
    form of the correction, log(1 − tanh² u) = 2 (log 2 − u − softplus(−2u)).
    """

    def __init__(self, actions: int):
        self._k, self._buffers = actions, Buffers()

    def forward(self, outputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions (n, k) and log π, (n,), for outputs (m, log σ), (n, 2k), and noise ξ, (n, k)."""
        n, k, buffers = len(outputs), self._k, self._buffers
        m, log_std = outputs[:, :k], outputs[:, k:]
        log_sigma = torch.clamp(log_std, LOWEST, HIGHEST, out=buffers("log_sigma", n, k))
        torch.eq(log_std, log_sigma, out=buffers("free", n, k))
        # u = m + e^l ξ,  a = tanh u
        u = torch.add(m, torch.exp(log_sigma, out=buffers("shift", n, k)).mul_(noise), out=buffers("u", n, k))
        a = torch.tanh(u, out=buffers("a", n, k))
        # −2 (log 2 − u − softplus(−2u)) − l − ξ²/2, summed over j
        terms = torch.mul(u, -2.0, out=buffers("terms", n, k))
        torch.logaddexp(terms, _ZERO, out=terms).add_(u).sub_(_LOG_2).mul_(2.0).sub_(log_sigma)
        terms.addcmul_(noise, noise, value=-0.5)
        return a, torch.sum(terms, 1, out=buffers("log_pi", n)).sub_(k * _LOG_ROOT_2_PI)

    def backward(self, slope: Tensor, weight: Tensor) -> Tensor:
        """Return ∂C/∂(m, log σ), (n, 2k), after `forward`, for slopes ∂C/∂a, (n, k), and λ, ()."""
        n, k, buffers = len(slope), self._k, self._buffers
        a, v = buffers("a", n, k), buffers("v", n, 2 * k)
        # ∂C/∂u = (1 − a²) ∂C/∂a + 2 λ a
        g = torch.mul(a, a, out=buffers("g", n, k)).neg_().add_(1.0).mul_(slope).addcmul_(a, weight, value=2.0)
        v[:, :k].copy_(g)
        # ∂C/∂l = ∂C/∂u e^l ξ − λ
        v[:, k:].copy_(g.mul_(buffers("shift", n, k)).sub_(weight).mul_(buffers("free", n, k)))
        return v

    def on_arrays(self, outputs: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return actions (…, k) for outputs (…, 2k) and noise (…, k), without buffers."""
        m, log_std = outputs[..., : self._k], outputs[..., self._k :]
        return np.tanh(m + np.exp(np.clip(log_std, LOWEST, HIGHEST)) * noise)

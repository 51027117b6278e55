"""How a sample of a Gaussian mixture moves with the parameters: all its conditional probabilities stay as they are.

    z_i = P(X_i <= x_i | x_1 … x_(i−1)) = Σ_k w_ki Φ(u_ki),    w_ki ∝ π_k Π_{j<i} N(x_j; μ_kj, s_kj²),  Σ_k w_ki = 1
    0 = dz/dφ = ∂z/∂φ + (∂z/∂x) dx/dφ,    so    ∇f · dx/dφ = −λ · ∂z/∂φ  with  (∂z/∂x)ᵀ λ = ∇f

∂z/∂x is triangular with D_i = p(x_i | x_1 … x_(i−1)) on its diagonal. From the last coordinate to the first, with
b_i = λ_i D_i, what the cost changes by if x_i moves and those behind it follow, and h_k, what it changes by, less, with
a component's log weight:

    b_i = ∂f/∂x_i + Σ_k h_k u_ki/s_ki            ĝ_μki = b_i w_k(i+1) − h_k u_ki/s_ki
    h_k ← h_k + b_i w_ki (Φ(u_ki) − z_i)/D_i     ĝ_ski = b_i w_k(i+1) u_ki − h_k (u_ki² − 1)/s_ki     ĝ_lk = −h_k

h being that of the coordinates behind i in all but the last. As weights change, probability must flow from one
component to the other through what lies between, and samples there move the faster the fewer there are: by the logits
the variance grows as fast as e^(Δ²/8) with the distance Δ of two modes in standard deviations.

Sources: Rosenblatt (1952), "Remarks on a multivariate transformation"; Graves (2016), "Stochastic backpropagation
through mixture density distributions"; Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization gradients",
section 3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rllab.distributions import GaussianMixture


def pull_back(at: GaussianMixture, x: Tensor, slope: Tensor) -> dict[str, Tensor]:
    """Return ∇f · dx/dφ by parameter, (n, *shape of the parameter), float64, for samples and slopes (n, [B], d)."""
    logits, mean, scale = (value.double() for value in at.parameters.values())
    x, slope = x.double(), slope.double()
    u = (x.unsqueeze(-2) - mean) / scale  # (n, [B], K, d)
    log_normal = -0.5 * u.square() - scale.log() - 0.5 * math.log(2 * math.pi)
    log_w = torch.log_softmax(logits, -1).expand(u.shape[:-1])
    before, log_density = [], []  # log w_ki and log D_i of each coordinate
    for i in range(x.shape[-1]):
        before.append(log_w)
        joint = log_w + log_normal[..., i]
        log_density.append(joint.logsumexp(-1, keepdim=True))
        log_w = joint - log_density[-1]
    h, by_mean, by_scale = torch.zeros_like(log_w), torch.empty_like(u), torch.empty_like(u)
    for i in reversed(range(x.shape[-1])):
        u_i, s_i = u[..., i], scale[..., i]
        after = log_w if i + 1 == x.shape[-1] else before[i + 1]
        # b_i = ∂f/∂x_i + Σ_k h_k u_ki/s_ki
        b = slope[..., i : i + 1] + (h * u_i / s_i).sum(-1, keepdim=True)
        # ∂μ_ki: b_i w_k(i+1) − h_k u_ki/s_ki            ∂s_ki: b_i w_k(i+1) u_ki − h_k (u_ki² − 1)/s_ki
        moved = b * after.exp()
        by_mean[..., i] = moved - h * u_i / s_i
        by_scale[..., i] = moved * u_i - h * (u_i * u_i - 1) / s_i
        # h_k ← h_k + b_i w_ki (Φ(u_ki) − z_i)/D_i
        h = h + b * (before[i] - log_density[i]).exp() * _above_average(u_i, before[i].exp())
    return {"logits": -h, "mean": by_mean, "scale": by_scale}


def _above_average(u: Tensor, w: Tensor) -> Tensor:
    """Return Φ(u_k) − Σ_m w_m Φ(u_m), of the probabilities above where these are less and have more digits."""
    below, above = (torch.special.erfc(v / math.sqrt(2)) / 2 for v in (-u, u))  # torch's ndtr is 1 + erf: 0 at −9
    z, q = ((w * p).sum(-1, keepdim=True) for p in (below, above))
    return torch.where(z <= q, below - z, q - above)

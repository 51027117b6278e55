"""What REBAR and RELAX share: perturbed logits z, the sample x they make, z̃ drawn anew given x, and the estimate.

    z = l + noise,   x = H(z),   z̃ ~ p(z | x)
    ĝ = (f(x) − c(z̃)) ∇_l log p(x)  +  ∇c(z)  −  (∂z̃/∂l)ᵀ ∇c(z̃)                     unbiased for ∇_l E f(x), for any c

because E[c(z̃) ∇ log p(x)] + E[(∂z̃/∂l)ᵀ ∇c(z̃)] = ∇_l E c(z̃) = ∇_l E c(z) = E ∇c(z). z̃ is a function of l, of x and
of fresh noise, so it moves with l, and cutting that dependence biases the estimate: in closed form

    bits      ∂z̃/∂l = (1 − e^−|z̃|) P(x)
    choices   (∂z̃/∂l)ᵀ h = r ⊙ h − p (r·h),   r_j = 1 − e^(z̃_j − z̃_m),   m the choice made

the second up to a number added to all z̃, which c ignores.

Sources: Tucker, Mnih, Maddison, Lawson & Sohl-Dickstein (2017), "REBAR", eq. 5 and appendix; Grathwohl et al. (2018),
"Backpropagation through the void", section 3.2 and appendix B.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rllab.distributions import Bernoulli
from rllab.estimators.query import Query
from rllab.estimators.relaxed.relaxation import Relaxable, perturbed_logits, perturbed_logits_given, rounded
from rllab.estimators.score.baselines import beside


def draw_both(query: Query, a: int, b: int, i: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return x (b − a, *shape), and z and z̃ (b − a, *shape of l) in float64, of block i; z̃ independent of z given x."""
    at = query.at
    z = perturbed_logits(at, b - a, query.key.child("sample", i))
    x = rounded(at, z)
    return x, z, perturbed_logits_given(at, x, 1, query.key.child("given", i))[0]


def pull_back_given(at: Relaxable, x: Tensor, z_given: Tensor, h: Tensor) -> Tensor:
    """Return (∂z̃/∂l)ᵀ h, (k, *shape of l), for h of that shape and dtype."""
    if isinstance(at, Bernoulli):
        # P(x) = σ(±l)
        return (-torch.expm1(-z_given.abs())).to(h) * torch.sigmoid((2 * x - 1) * at.logits) * h
    top = z_given.amax(-1, keepdim=True)
    rh = (-torch.expm1(z_given - top)).to(h) * h
    return rh - torch.softmax(at.logits, -1) * rh.sum(-1, keepdim=True)


def control(at: Relaxable, x: Tensor, z_given: Tensor, c_given: Tensor, h: Tensor, h_given: Tensor) -> Tensor:
    """Return what has no mean, −c(z̃) ∇ log p(x) + ∇c(z) − (∂z̃/∂l)ᵀ ∇c(z̃), (k, *shape of l).

    Args:
        c_given: c(z̃), (k, *batch).
        h, h_given: ∇c(z) and ∇c(z̃), (k, *shape of l).
    """
    s = at.scores(x, None)["logits"]
    return h - beside(c_given, s) * s - pull_back_given(at, x, z_given, h_given)

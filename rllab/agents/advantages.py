"""Advantages: how much more an action cost than was expected where it was taken."""

from __future__ import annotations

import torch
from torch import Tensor


def generalized_advantages(
    costs: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
    gae_lambda: float,
) -> Tensor:
    """Return the generalised advantage estimates of T steps in n environments, in costs: A > 0 is bad.

        δ_t = c_t + γ (1 − terminated_t) V(o'_t) − V(o_t)
        A_t = δ_t + γ λ (1 − over_t) A_{t+1},      over_t = terminated_t or truncated_t,  A_T = 0

    Two masks: only a termination stops the bootstrap, since an episode that is cut off would have gone on from o'_t,
    its real last observation; either stops the recursion, since the next row is of another episode. With λ = 1 this is
    the discounted cost to go minus V(o_t), with λ = 0 the error of one step.

    Args:
        costs: c_t = −reward, (T, n).
        values, next_values: V(o_t) and V(o'_t), (T, n).
        terminated, truncated: bool (T, n).
        gamma, gae_lambda: γ and λ in [0, 1].
    Returns:
        (T, n): an estimate of the cost to go of an action less that of the policy, biased by the errors of V unless
        λ = 1 and the episode ends, by termination, within the T steps.

    Source: Schulman, Moritz, Levine, Jordan & Abbeel (2016), "High-dimensional continuous control using generalized
    advantage estimation", eqs. 11–16; Pardo, Tavakoli, Levdik & Kormushev (2018), "Time limits in reinforcement
    learning", section 3, for the two masks. Difference: costs for rewards.
    """
    # δ_t = c_t + γ (1 − terminated_t) V(o'_t) − V(o_t)
    delta = costs + gamma * next_values.masked_fill(terminated, 0.0) - values
    goes_on = gamma * gae_lambda * (~(terminated | truncated)).to(delta.dtype)
    advantages, a = torch.empty_like(delta), torch.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        # A_t = δ_t + γ λ (1 − over_t) A_{t+1}
        a = torch.addcmul(delta[t], goes_on[t], a, out=advantages[t])
    return advantages

"""DiCE: a surrogate whose value is the cost and whose derivatives of every order are unbiased estimates of its own."""

from __future__ import annotations

import torch
from torch import Tensor


def magic_box(a: Tensor) -> Tensor:
    """Return □(a) = e^(a − stop(a)): exactly 1, differentiable any number of times.

    Args:
        a: any floating tensor.

    Returns:
        □(a), shaped like a; its derivative is □(a) ∂a.

    Source:
        Foerster, Farquhar, Al-Shedivat, Rocktäschel, Xing & Whiteson (2018), "DiCE: the infinitely differentiable Monte
        Carlo estimator", section 4.

    Example:
        import torch
        from rllab import estimators as est

        a = torch.tensor(2.0, requires_grad=True)
        est.magic_box(a)  # 1, and its derivative by a is 1
    """
    return torch.exp(a - a.detach())


def dice_surrogate(costs: Tensor, log_p: Tensor, baseline: Tensor | None = None) -> Tensor:
    """Return the mean cost of K samples as a scalar to differentiate, once or again.

        □(a) = e^(a − stop(a))                      1, with □' = □ a'
        S = 1/K Σ_k Σ_t [ □(a_kt) c_kt + (1 − □(log p_kt)) □(a_k,t−1) b_kt ],    a_kt = Σ_{i<=t} log p_ki

    c_t is a cost that depends on draws 1 … t, log p_t the logarithm of draw t's probability given those before, b_t a
    baseline that knows nothing of draw t. The second term is 0 and has mean 0 in every derivative; it takes variance
    out of the second derivative too, because of □(a_t−1). This is for autograd, to differentiate again; for a gradient
    with its cost and its error, use `ScoreFunction`, which is its first derivative sample by sample.

    Args:
        costs: (K,), or (K, T) of samples that are made of T draws one after the other. They may depend on parameters
            by themselves, which is then differentiated as well.
        log_p: of the draws, shaped like `costs`; the samples themselves must be detached.
        baseline: like `costs`; detached here. None for 0.

    Returns:
        S, (): its derivatives of order n estimate those of E Σ_t c_t without bias, by
        `torch.autograd.grad(S, θ, create_graph=True)`.

    Raises:
        ValueError: if shapes differ, there is no sample or draw, or `log_p` depends on no parameter.

    Source:
        Foerster, Farquhar, Al-Shedivat, Rocktäschel, Xing & Whiteson (2018), "DiCE: the infinitely differentiable Monte
        Carlo estimator", section 4; Mao, Foerster, Rocktäschel, Al-Shedivat, Farquhar & Whiteson (2019), "A baseline
        for any order gradient estimation in stochastic computation graphs", for the baseline.

    Example:
        import torch
        from rllab import Bernoulli, Key, estimators as est

        logits = torch.zeros(3, requires_grad=True)
        x, _ = Bernoulli(logits.detach()).draw(100, Key(0))
        surrogate = est.dice_surrogate(x.sum(-1).square(), Bernoulli(logits).log_prob(x))
        torch.autograd.grad(surrogate, logits)  # about 0.75, 0.75, 0.75
    """
    if costs.ndim not in (1, 2) or log_p.shape != costs.shape or costs.numel() == 0:
        raise ValueError(
            f"dice_surrogate: costs and log_p must both be (K,) or (K, T) with K, T >= 1, got {tuple(costs.shape)} and "
            f"{tuple(log_p.shape)}"
        )
    if not log_p.requires_grad:
        raise ValueError(
            "dice_surrogate: log_p must depend on parameters that require gradients, got one that does not"
        )
    if baseline is not None and baseline.shape != costs.shape:
        raise ValueError(
            f"dice_surrogate: baseline must be shaped like costs, {tuple(costs.shape)}, got {tuple(baseline.shape)}"
        )
    if costs.ndim == 1:
        costs, log_p = costs.unsqueeze(-1), log_p.unsqueeze(-1)
        baseline = None if baseline is None else baseline.unsqueeze(-1)
    a = log_p.cumsum(-1)
    total = magic_box(a) * costs
    if baseline is not None:
        # (1 − □(log p_t)) □(a_t−1) b_t
        total = total + (1 - magic_box(log_p)) * magic_box(a - log_p) * baseline.detach()
    return total.sum(-1).mean()

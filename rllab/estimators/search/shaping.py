"""Shaping: numbers in the place of n costs that say how each stands among the others, along the first dimension."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def centred_ranks(costs: Tensor) -> Tensor:
    """Return for costs (n, …) their ranks, moved and scaled to [−½, ½].

        s_k = rank_k/(n − 1) − ½,    rank_k ∈ {0, …, n − 1}, the least cost first; equal costs share their mean rank

    Source: Salimans et al. (2017), "Evolution strategies as a scalable alternative to reinforcement learning",
    section 2. Their code gives equal returns different ranks, by their order.
    """
    n = len(costs)
    return by_rank(costs, torch.arange(n, dtype=torch.float64) / max(1, n - 1) - (0.5 if n > 1 else 0.0))


def utilities(costs: Tensor) -> Tensor:
    """Return for costs (n, …) minus the utilities of natural evolution strategies: the worse half counts the same.

        s_k = 1/n − max(0, ln(n/2 + 1) − ln k) / Σ_j max(0, ln(n/2 + 1) − ln j),    k = 1 the least cost

    Equal costs share the mean of theirs.

    Source: Wierstra, Schaul, Glasmachers, Sun, Peters & Schmidhuber (2014), "Natural evolution strategies", section
    3.1.
    """
    n = len(costs)
    raw = (math.log(n / 2 + 1) - torch.arange(1, n + 1, dtype=torch.float64).log()).clamp_min(0.0)
    return by_rank(costs, 1 / n - raw / raw.sum())


def the_best(costs: Tensor, share: float) -> Tensor:
    """Return for costs (n, …) −1 for the k = max(1, round(share n)) least ones and 0 for the others.

    Costs equal to the k-th share what is left for them.
    """
    n = len(costs)
    return by_rank(costs, -(torch.arange(n) < max(1, round(share * n))).double())


def z_scores(costs: Tensor) -> Tensor:
    """Return (f − mean)/std for costs f (n, …), with the standard deviation of these n; 0 where they are all equal."""
    centred, spread = costs - costs.mean(0), costs.std(0, correction=0)
    return torch.where((costs == costs[0]).all(0) | (spread == 0), 0.0, centred / spread)


def by_rank(costs: Tensor, table: Tensor) -> Tensor:
    """Return for each of n costs (n, …) the entry of a table (n,) at its rank, equal costs the mean of their entries.

    Only comparisons decide: a strictly increasing function of the costs changes no bit of it.
    """
    rows = costs.movedim(0, -1).contiguous()
    ordered = rows.sort(-1).values
    first, last = (torch.searchsorted(ordered, rows, side=side) for side in ("left", "right"))
    until = torch.cat((table.new_zeros(1), table.cumsum(0))).to(costs.device)
    return ((until[last] - until[first]) / (last - first)).movedim(-1, 0).to(costs.dtype)

"""CriticState: what a critic has learned so far, and from what; it travels from one estimate to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rllab.critics.network import ScalarNetwork
from rllab.keys import Key

Scales = tuple[Tensor, Tensor, Tensor, Tensor]  # m_x, s_x, m_c, s_c


@dataclass(frozen=True, eq=False)
class CriticState:
    """Hold a critic as it is after some fits; nothing in it is ever written over.

        ĉ(x) = m_c + s_c · mean_e N((x − m_x)/s_x, w_e)        ∇ĉ(x) = s_c mean_e ∇N/s_x

    m and s are means and standard deviations of the points and costs in the replay, N one tanh network each for the
    members e of an ensemble. Networks have the dtype of the points, float32 for points in half precision; costs, their
    mean and their spread keep their own, so that ĉ has it too: the difference of two large costs is not lost.

    Attributes:
        hidden: widths of its networks.
        weights: (E, P), one row a member of the ensemble; None before the first fit.
        points: (N, 2, d + k), the replay: pairs of points x⁺, x⁻, each beside its context.
        costs: (N, 2).
        spent: evaluations made for it so far.
        calls, fits: how often it was updated with evaluations, and fitted to its replay.
        context: (B, k), what else the cost of each of a batch depends on; k may be 0.
        held_out: mean squared error on the last points it was updated with, before it was fitted to them, over
            their variance: 1 is as good as their mean. NaN before the second fit.
        calibration: slope of the regression of those costs on its predictions: 1 if they are right on average, below
            1 if it exaggerates. NaN likewise.
        optimizer: state of torch's Adam.
        scales: the means and standard deviations above; None before the first fit.

    Example:
        import torch
        from rllab import Cost
        from rllab.critics import Critic

        critic, cost = Critic(gradient_steps=10), Cost(lambda x: x.square().sum(-1))
        state = critic(cost, torch.ones(3), evaluations=32, key=0).state
        state.value(torch.ones(3)), state.held_out
    """

    hidden: tuple[int, ...]
    weights: Tensor | None = None
    points: Tensor | None = None
    costs: Tensor | None = None
    spent: int = 0
    calls: int = 0
    fits: int = 0
    context: Tensor | None = None
    held_out: float = float("nan")
    calibration: float = float("nan")
    optimizer: Any = None
    scales: Scales | None = None

    def value(self, at: Tensor) -> Tensor:
        """Return ĉ at points (…, d), one for each context: (…).

        Raises:
            ValueError: nothing was fitted yet, or points and context have another width than those it was fitted to.
        """
        members, (_, _, mean, scale) = self._members(at)
        return (mean + scale * members.mean(0).to(mean)).view(at.shape[:-1])

    def std(self, at: Tensor) -> Tensor:
        """Return the standard deviation of the ensemble's members at points (…, d); 0 for one member."""
        members, (_, _, _, scale) = self._members(at)
        return (scale * members.std(0, correction=0)).view(at.shape[:-1])

    def gradient(self, at: Tensor) -> Tensor:
        """Return ∇ĉ at points (…, d): (…, d)."""
        z, net, w, (_, s_x, _, s_c) = self._inputs(at)
        slope = sum((net.slope(member, z) for member in w[1:]), start=net.slope(w[0], z)) / len(w)
        return (s_c * slope / s_x)[:, : at.shape[-1]].reshape(at.shape).to(at)

    def remember(self, points: Tensor, costs: Tensor, buffer_size: int) -> CriticState:
        """Return the critic with pairs of points (2, n, …, d) and their costs (2, n, …) in its replay.

        The replay keeps the last `buffer_size` evaluations.
        """
        z, c = self._beside(points), _at_least_single(costs).reshape(2, -1).T
        z, spent = z.view(2, -1, z.shape[1]).transpose(0, 1), self.spent + costs.numel()
        if self.points is not None and self.costs is not None:
            z, c = torch.cat((self.points, z)), torch.cat((self.costs, c))
        keep = -(-buffer_size // 2)
        return replace(self, points=z[-keep:], costs=c[-keep:], spent=spent)

    def evaluate(self, points: Tensor, costs: Tensor) -> CriticState:
        """Return the critic with its errors, `held_out` and `calibration`, on costs (2, n, …) new to it."""
        if self.weights is None or costs.numel() < 2:
            return self
        c, guess = _at_least_single(costs).reshape(-1), self.value(points).reshape(-1)
        spread, around = c.var(correction=0), guess - guess.mean()
        held_out = float((guess - c).square().mean() / spread) if spread > 0 else float("nan")
        square = float(around.square().sum())
        slope = float((around * (c - c.mean())).sum()) / square if square > 0 else float("nan")
        return replace(self, held_out=held_out, calibration=slope)

    def normalised(self) -> tuple[Tensor, Tensor, Scales]:
        """Return the replay's points and costs in units of their own spread, in the points' dtype, and that spread."""
        assert self.points is not None and self.costs is not None
        flat = self.points.flatten(0, 1)
        m_x, s_x = flat.mean(0), flat.std(0, correction=0)
        m_c, s_c = self.costs.mean(), self.costs.std(correction=0)
        s_x, s_c = torch.where(s_x > 0, s_x, 1.0), torch.where(s_c > 0, s_c, 1.0)
        c = ((self.costs - m_c) / s_c).to(self.points)
        return (self.points - m_x) / s_x, c, (m_x, s_x, m_c, s_c)

    def start(self, members: int, key: Key) -> Tensor:
        """Return the weights (E, P), drawn anew before the first fit."""
        if self.weights is not None:
            return self.weights
        assert self.points is not None
        net = ScalarNetwork(self.points.shape[-1], self.hidden, self.points.dtype)
        return torch.stack([net.initial(key.child("weights", i)) for i in range(members)])

    def _beside(self, at: Tensor) -> Tensor:
        """Return points (…, d) as rows, each beside its context, (n, d + k)."""
        at = _at_least_single(at)
        if self.context is None or self.context.shape[1] == 0:
            return at.reshape(-1, at.shape[-1])
        beside = self.context.to(at).expand(*at.shape[:-1], -1)
        return torch.cat((at, beside), -1).reshape(-1, at.shape[-1] + beside.shape[-1])

    def _inputs(self, at: Tensor) -> tuple[Tensor, ScalarNetwork, Tensor, Scales]:
        if self.weights is None or self.scales is None:
            raise ValueError("Critic: nothing was fitted yet; give the critic evaluations first")
        z = self._beside(at)
        m_x, s_x, _, _ = self.scales
        if z.shape[1] != len(m_x):
            raise ValueError(f"Critic: points with their context must have {len(m_x)} numbers, got {z.shape[1]}")
        net = ScalarNetwork(z.shape[1], self.hidden, self.weights.dtype)
        return ((z - m_x) / s_x).to(self.weights), net, self.weights, self.scales

    def _members(self, at: Tensor) -> tuple[Tensor, Scales]:
        """Return each network's outputs at points (…, d), (E, n)."""
        z, net, w, scales = self._inputs(at)
        return torch.stack([net.value(member, z) for member in w]), scales


def _at_least_single(t: Tensor) -> Tensor:
    return t.float() if t.dtype in (torch.float16, torch.bfloat16) else t

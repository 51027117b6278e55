"""NormalizedCritics: two learned costs with batch normalisation, whose targets come out of the same forward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from rllab.agents.adam import Adam, Learned
from rllab.agents.buffers import Buffers
from rllab.agents.normalized_mlp import NormalizedMLP
from rllab.backprop.network import MLP
from rllab.keys import Key


class NormalizedCritics(Learned):
    """Learn Q_1 and Q_2, two normalised networks of one shape, without target networks.

        joint        (Q_i(o, a); Q_i(o', a')) = Q_i((o; o'), (a; a')),  one batch of 2n, one mean and variance
        descend      w ← Adam(∂/∂w Σ_i mean (Q_i(o, a) − y)²),  y a constant, but through the statistics of the batch
                     the gradient also reaches what was computed of (o', a')
        evaluated    Q_i with running statistics, two plain MLPs, which the actor follows

    Args:
        observations, actions: widths o and k.
        hidden: widths of the ReLU layers.
        key: the first weights are drawn from it.
        lr, beta1, max_grad_norm: of Adam.

    Attributes:
        network: the shape of the plain MLPs; `evaluated`, (2, d), are their weights at the last `fold`.
        weights, running: of the normalised ones, (2, P) and (2, 2, H); see `NormalizedMLP`.
        optimizer: Adam on both.
        errors, gradient: Q_i(o, a) − y, (2, n), and ∂/∂w, (2, P), of the last step.

    Source: Bhatt et al. (2024), "CrossQ: batch normalization in deep reinforcement learning for greater sample
    efficiency and simplicity", section 4.
    """

    def __init__(
        self,
        observations: int,
        actions: int,
        hidden: tuple[int, ...],
        *,
        key: Key,
        lr: float,
        beta1: float = 0.5,
        max_grad_norm: float | None = None,
    ):
        self.network = self.shape(observations, actions, hidden)
        self.weights, self.running = NormalizedMLP.initial(self.network, key, copies=2)
        self.evaluated = torch.zeros(2, self.network.size, dtype=torch.float32)
        self.optimizer = Adam(self.weights, lr, beta1, max_grad_norm)
        self.gradient, self._buffers = torch.zeros_like(self.weights), Buffers()
        self.errors = torch.zeros(2, 0)
        pairs = zip(self.weights, self.running, strict=True)
        self._networks = [NormalizedMLP(self.network, w, running) for w, running in pairs]
        self.fold()

    @staticmethod
    def shape(observations: int, actions: int, hidden: tuple[int, ...]) -> MLP:
        """Return the shape of either plain network."""
        return MLP((observations + actions, *hidden, 1), "relu", inputs_first=True)

    @property
    def reads(self) -> tuple[object, ...]:
        """All that a pass reads and somebody may replace: when one is another object, a record no longer holds."""
        return self.weights, self.running, self.evaluated, self.optimizer, self.optimizer.lr

    def joint(self, observations: Tensor, actions: Tensor, *, renormalize: bool) -> tuple[Tensor, Tensor]:
        """Return Q_i of the first half of a batch and of the second, (2, n) each; both written over by the next call.

        Args:
            observations, actions: (2n, o) and (2n, k), the transitions' first, then what followed on them.
            renormalize: see `BatchRenorm`.
        """
        pairs = torch.cat((observations, actions), 1, out=self._buffers("pairs", len(actions), self.network.sizes[0]))
        q = self._buffers("q", 2, len(actions))
        for row, network in zip(q, self._networks, strict=True):
            row.copy_(network.forward(pairs, renormalize=renormalize)[:, 0])
        return q[:, : len(actions) // 2], q[:, len(actions) // 2 :]

    def descend(self, y: Tensor) -> None:
        """Make one step of Adam along ∂/∂w Σ_i mean (Q_i(o, a) − y)², y (n,), after `joint`."""
        n = len(y)
        q, v = self._buffers("q", 2, 2 * n), self._buffers("v", 2 * n, 1).zero_()
        self.errors = torch.sub(q[:, :n], y, out=self._buffers("errors", 2, n))
        for errors, network, gradient in zip(self.errors, self._networks, self.gradient, strict=True):
            # ∂/∂Q_i = 2 (Q_i − y)/n for the first half, 0 for the second
            torch.mul(errors, 2 / n, out=v[:n, 0])
            network.backward(v, gradient)
        self.optimizer.step(self.gradient)

    def fold(self) -> None:
        """Bring `evaluated` up to date."""
        for network, plain in zip(self._networks, self.evaluated, strict=True):
            network.fold(plain)

    def start_at(self, cost: Tensor) -> None:
        """Let both critics begin near `cost`, (), whatever they are asked."""
        *_, (_, bias) = self.network.layers(self.weights[:, : self.network.size])
        bias.fill_(cost)

    def _kept(self) -> tuple[str, dict[str, Tensor]]:
        return "the critics'", {"weights": self.weights, "running": self.running}

    def _loaded(self) -> None:
        self.fold()

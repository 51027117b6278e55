"""TwinCritics: two learned costs to go of observation and action, and the slower copies that targets are made of."""

from __future__ import annotations

import torch
from torch import Tensor

from rllab.agents.adam import Adam, Learned
from rllab.agents.buffers import Buffers
from rllab.agents.user_network import ModuleNetwork, chain_through
from rllab.backprop.network import MLP
from rllab.keys import Key


class TwinCritics(Learned):
    """Learn Q_1 and Q_2, two networks of one shape as a population of two, with their target networks Q̄_1 and Q̄_2.

        larger       max_i Q_i(o, a)                       of two costs the larger is believed
        regress      w ← Adam(∂/∂w Σ_i mean (Q_i(o, a) − y)²)
        through      mean Q_1(o, a) and its ∂/∂a, which an actor follows
        follow       w̄ ← w̄ + τ (w − w̄)

    All of them write into buffers, so that a step made of them can be recorded.

    Args:
        observations, actions: widths o and k.
        hidden: widths of the ReLU layers.
        key: the first weights are drawn from it.
        lr, max_grad_norm: of Adam.
        networks: modules of the user's in the place of the MLPs; the second gives its first weights alone.

    Attributes:
        network: the shape of both; `weights` and `targets`, (2, d) each, are the weights of Q_i and of Q̄_i.
        optimizer: Adam on both.
        gradient: ∂/∂w, (2, d), of the last step.

    Source: Fujimoto, van Hoof & Meger (2018), "Addressing function approximation error in actor-critic methods",
    section 4.2: of returns, the smaller.
    """

    def __init__(
        self,
        observations: int,
        actions: int,
        hidden: tuple[int, ...],
        *,
        key: Key,
        lr: float,
        max_grad_norm: float | None = None,
        networks: tuple[ModuleNetwork, ModuleNetwork] | None = None,
    ):
        self.network = self.shape(observations, actions, hidden, networks)
        if networks is not None:
            self.weights = torch.stack([network.initial() for network in networks])
        elif isinstance(self.network, MLP):
            self.weights = self.network.initial_without_biases(key, copies=2)
        self.targets = self.weights.clone()
        self.optimizer = Adam(self.weights, lr, max_grad_norm=max_grad_norm)
        self.gradient = torch.zeros_like(self.weights)
        self._slopes = torch.zeros(2, 0, 1)
        self._chain = chain_through(self.network)  # both critics take turns: buffers that are warm
        self._buffers = Buffers()

    @staticmethod
    def shape(
        observations: int,
        actions: int,
        hidden: tuple[int, ...],
        networks: tuple[ModuleNetwork, ModuleNetwork] | None = None,
    ) -> MLP | ModuleNetwork:
        """Return the shape of either network, or the first of a user's."""
        if networks is not None:
            return networks[0]
        return MLP((observations + actions, *hidden, 1), "relu", inputs_first=True)

    @property
    def reads(self) -> tuple[object, ...]:
        """All that a pass reads and somebody may replace: when one is another object, a record no longer holds."""
        return self.weights, self.targets, self.optimizer, self.optimizer.lr

    def larger(self, weights: Tensor, observations: Tensor, actions: Tensor, out: Tensor) -> Tensor:
        """Return max_i Q_i(o, a) at weights (2, d), in `out`, (n,)."""
        pairs = self._paired(observations, actions)
        out.copy_(self._chain.forward(weights[0], pairs)[:, 0])
        return torch.maximum(out, self._chain.forward(weights[1], pairs)[:, 0], out=out)

    def regress(self, observations: Tensor, actions: Tensor, y: Tensor) -> None:
        """Make one step of Adam along ∂/∂w Σ_i mean (Q_i(o, a) − y)², y (n,)."""
        pairs = self._paired(observations, actions)
        self._slopes = self._buffers("slopes", 2, len(y), 1)
        for w, v, gradient in zip(self.weights, self._slopes, self.gradient, strict=True):
            # ∂/∂Q_i = 2 (Q_i − y)/n
            torch.sub(self._chain.forward(w, pairs), y.unsqueeze(1), out=v).mul_(2 / len(y))
            self._chain.backward(v, gradient, to_input=False)
        self.optimizer.step(self.gradient)

    @property
    def errors(self) -> Tensor:
        """Q_i(o, a) − y, (2, n), of the last step."""
        return self._slopes[:, :, 0] * (self._slopes.shape[1] / 2)

    def through(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean Q_1(o, a), (), and its gradient with respect to a, (n, k); written over by the next call."""
        n = len(observations)
        average = self._buffers("average", n, 1).fill_(1 / n)
        q = self._chain.forward(self.weights[0], self._paired(observations, actions))
        slope = self._chain.backward(average)
        assert slope is not None
        return torch.dot(q[:, 0], average[:, 0], out=self._buffers("cost")), slope[:, observations.shape[1] :]

    def follow(self, tau: float) -> None:
        """Move the target networks: w̄ ← w̄ + τ (w − w̄)."""
        self.targets.lerp_(self.weights, tau)

    def start_at(self, cost: Tensor) -> None:
        """Let both critics and their targets begin near `cost`, (), whatever they are asked."""
        for weights in (self.weights, self.targets):
            weights[:, -1].copy_(cost)  # the last of the weights is what is added to the output

    def _kept(self) -> tuple[str, dict[str, Tensor]]:
        return "the critics'", {"weights": self.weights, "targets": self.targets}

    def _paired(self, observations: Tensor, actions: Tensor) -> Tensor:
        n, width = len(observations), self.network.sizes[0]
        return torch.cat((observations, actions), 1, out=self._buffers("pairs", n, width))

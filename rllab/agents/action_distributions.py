"""Action distributions: what a stochastic policy draws from, with scores and entropy slopes written out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from rllab.agents.actions import BoxActions, Choices
from rllab.agents.buffers import Buffers


class ActionDistribution(ABC):
    """π(a | y, log σ) of a policy's outputs y. Subclasses are final.

    `forward` and `backward` write into buffers, so that a step made of them can be recorded; what they return is
    written over by the next call with as many rows.

    Attributes:
        outputs: numbers y of the policy, s.
        spreads: numbers log σ, which are the same for all observations, k.
    """

    def __init__(self, outputs: int, spreads: int):
        self.outputs, self.spreads = outputs, spreads
        self._buffers = Buffers()

    @abstractmethod
    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """Draw what `draw` needs, of so many actions: (*shape, s)."""

    @abstractmethod
    def draw(self, y: np.ndarray, log_std: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return actions (n, components) of outputs (n, s) and noise (n, s), as a collector takes them."""

    @abstractmethod
    def encode(self, actions: Tensor) -> Tensor:
        """Return actions (…, components) as the rows (…, s), float32, that `forward` takes."""

    @abstractmethod
    def forward(self, y: Tensor, log_std: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Return log π and the entropy H in nats, (n,) or () each, of outputs (n, s) and encoded actions (n, s)."""

    @abstractmethod
    def backward(self, u: Tensor, entropy: float) -> tuple[Tensor, Tensor]:
        """Return the slopes of Σ_i u_i log π_i + entropy · Σ_i H_i after `forward`: ∂/∂y (n, s) and ∂/∂log σ (k,)."""


class GaussianActions(ActionDistribution):
    """Draw from a normal distribution around the policy's output, in units of half the action box.

        a = y + σ ε,  ε ~ N(0, 1)^k              log π = −Σ_j (z_j²/2 + log σ_j + log(2π)/2),   z = (a − y)/σ
        ∂log π/∂y = z/σ,   ∂log π/∂log σ = z² − 1           H = Σ_j (log σ_j + (1 + log 2π)/2),   ∂H/∂log σ_j = 1

    An action may lie outside of the box: it is scored as it was drawn, and clipped where it enters the environment.

    Args:
        actions: of a Box.
    """

    def __init__(self, actions: BoxActions):
        super().__init__(actions.size, actions.size)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """Draw ε ~ N(0, 1), (*shape, k)."""
        return torch.empty(*shape, self.outputs, dtype=torch.float32).normal_(generator=generator).numpy()

    def draw(self, y: np.ndarray, log_std: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return a = y + σ ε, float32 (n, k)."""
        return y + np.exp(log_std) * noise

    def encode(self, actions: Tensor) -> Tensor:
        """Return the actions themselves."""
        return actions

    def forward(self, y: Tensor, log_std: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Return log π (n,) and H ()."""
        n, b = len(y), self._buffers
        self._inverse = torch.exp(torch.neg(log_std, out=b("inverse", self.spreads)), out=b("inverse", self.spreads))
        total = torch.sum(log_std, 0, out=b("total"))
        # z = (a − y)/σ
        self._z = torch.sub(encoded, y, out=b("z", n, self.outputs)).mul_(self._inverse)
        self._square = torch.mul(self._z, self._z, out=b("square", n, self.outputs))
        # log π = −Σ_j (z_j²/2 + log σ_j + log(2π)/2)
        log_p = torch.sum(self._square, 1, out=b("log_p", n)).mul_(-0.5).sub_(total)
        log_p.sub_(0.5 * self.outputs * math.log(2 * math.pi))
        # H = Σ_j (log σ_j + (1 + log 2π)/2)
        return log_p, torch.add(total, 0.5 * self.outputs * (1 + math.log(2 * math.pi)), out=b("entropy"))

    def backward(self, u: Tensor, entropy: float) -> tuple[Tensor, Tensor]:
        """Return u z/σ, (n, k), and Σ_i u_i (z_i² − 1) + n entropy, (k,)."""
        b, n = self._buffers, len(u)
        slope = torch.mul(self._z, u.unsqueeze(1), out=b("slope", n, self.outputs)).mul_(self._inverse)
        spread = torch.mv(self._square.sub_(1.0).t(), u, out=b("spread", self.spreads)).add_(n * entropy)
        return slope, spread


class ChosenActions(ActionDistribution):
    """Draw each component of an action by logits y_j of its own, independently of one another.

        a_j = argmax (y_j + g),  g ~ Gumbel     log π = Σ_j log softmax(y_j)[a_j],     ∂log π/∂y_j = onehot(a_j) − p_j
                                                H = −Σ_j p_j · log p_j,                ∂H/∂y_j = −p_j (log p_j + H_j)

    Args:
        choices: how many in each component.
    """

    def __init__(self, choices: Choices):
        super().__init__(choices.size, 0)
        self._counts, self._choices = choices.counts, choices

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """Draw g = −log(−log U), U ~ U(0, 1), (*shape, Σ n_j)."""
        empty = torch.empty(*shape, self.outputs, dtype=torch.float32)
        return empty.exponential_(generator=generator).log_().neg_().numpy()

    def draw(self, y: np.ndarray, log_std: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the choices, int64 (n, m), counted from 0."""
        return self._choices.greedy(y + noise)

    def encode(self, actions: Tensor) -> Tensor:
        """Return a one-hot row, (…, Σ n_j), of choices (…, m)."""
        parts = [
            torch.nn.functional.one_hot(a.squeeze(-1), count)
            for a, count in zip(actions.split(1, -1), self._counts, strict=True)
        ]
        return torch.cat(parts, -1).float()

    def forward(self, y: Tensor, log_std: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Return log π (n,) and H (n,)."""
        b, shape = self._buffers, y.shape
        self._encoded, self._log_p = encoded, b("log_p", *shape)
        for logits, out in zip(y.split(self._counts, 1), self._log_p.split(self._counts, 1), strict=True):
            torch.log_softmax(logits, 1, out=out)
        self._p = torch.exp(self._log_p, out=b("p", *shape))
        # the addends of −H: p log p
        self._terms = torch.mul(self._p, self._log_p, out=b("terms", *shape))
        log_p = torch.sum(torch.mul(encoded, self._log_p, out=b("own", *shape)), 1, out=b("score", len(y)))
        return log_p, torch.sum(self._terms, 1, out=b("entropy", len(y))).neg_()

    def backward(self, u: Tensor, entropy: float) -> tuple[Tensor, Tensor]:
        """Return u (onehot − p) − entropy · p (log p + H_j), (n, Σ n_j), and no slope of log σ."""
        b, shape = self._buffers, self._p.shape
        slope = torch.sub(self._encoded, self._p, out=b("slope", *shape)).mul_(u.unsqueeze(1))
        if entropy:
            for terms, p, out in zip(
                self._terms.split(self._counts, 1),
                self._p.split(self._counts, 1),
                slope.split(self._counts, 1),
                strict=True,
            ):
                own = torch.sum(terms, 1, keepdim=True, out=b(f"own{p.shape[1]}", len(u), 1))  # −H_j
                # −p (log p + H_j) = −p log p + p (−H_j)
                out.sub_(terms, alpha=entropy).addcmul_(p, own, value=entropy)
        return slope, b("spread", 0)


def action_distribution(actions: BoxActions | Choices) -> ActionDistribution:
    """Return the distribution that a stochastic policy draws its actions from."""
    return GaussianActions(actions) if isinstance(actions, BoxActions) else ChosenActions(actions)

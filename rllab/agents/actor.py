"""Actor: a deterministic policy that is trained through a critic, and the slower copy that targets are made of."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rllab.agents.adam import Adam, Learned
from rllab.agents.policy import Policy
from rllab.agents.user_network import chain_through, on_arrays


class Actor(Learned):
    """Act by π_w and follow a slope of the cost in the actions, with a target network π̄.

        forward      π_w(o) = tanh(MLP_w(o))
        backward     ∂C/∂w = ∂C/∂a ∂π_w/∂w
        follow       w̄ ← w̄ + τ (w − w̄)

    Args:
        policy: of a Box of actions.
        weights: w, (d,); changed in place by `optimizer`.
        lr, max_grad_norm: of Adam.

    Attributes:
        weights, targets: w and w̄, (d,) each.
        optimizer: Adam on w.
        gradient: ∂C/∂w, (d,), as `backward` left it.
    """

    def __init__(self, policy: Policy, weights: Tensor, lr: float, max_grad_norm: float | None = None):
        self.weights, self.targets = weights, weights.clone()
        self.optimizer = Adam(weights, lr, max_grad_norm=max_grad_norm)
        self._chain = chain_through(policy.network, squash=True)
        self._on_arrays = on_arrays(policy.network, weights)  # shares memory: always the current weights
        self.gradient = torch.zeros_like(weights)

    @property
    def reads(self) -> tuple[object, ...]:
        """All that a pass reads and somebody may replace: when one is another object, a record no longer holds."""
        return self.weights, self.targets, self.optimizer, self.optimizer.lr

    def act(self, o: np.ndarray) -> np.ndarray:
        """Return the action (k,) in [−1, 1] at one scaled observation (o,)."""
        return np.tanh(self._on_arrays(o))

    def forward(self, weights: Tensor, observations: Tensor) -> Tensor:
        """Return actions (n, k) in [−1, 1] at scaled observations (n, o), to be used before the next call."""
        return self._chain.forward(weights, observations)

    def backward(self, slope: Tensor) -> Tensor:
        """Return Σ_p ∂C/∂a_p ∂π/∂w, (d,), after `forward`, for slopes ∂C/∂a (n, k); written over by the next call."""
        self._chain.backward(slope, self.gradient, to_input=False)
        return self.gradient

    def follow(self, tau: float) -> None:
        """Move the target network: w̄ ← w̄ + τ (w − w̄)."""
        self.targets.lerp_(self.weights, tau)

    def _kept(self) -> tuple[str, dict[str, Tensor]]:
        return "the actor's", {"targets": self.targets}  # who made the weights keeps them

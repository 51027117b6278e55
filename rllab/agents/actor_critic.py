"""ActorCritic: a stochastic policy and a value function beside it, on one flat vector of parameters."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rllab.agents.action_distributions import action_distribution
from rllab.agents.policy import Policy
from rllab.agents.user_network import ModuleNetwork, chain_through, on_arrays
from rllab.backprop.network import MLP
from rllab.keys import Key

LAST_POLICY, LAST_VALUE = 0.01, 1.0  # gains of the last layers, as in stable-baselines3


class ActorCritic:
    """Hold π_w, log σ and V_v, two networks of the same hidden widths that share nothing.

    `forward` and `backward` write into buffers; what they return is written over by the next call with as many rows.

    Args:
        policy: the architecture of π.
        key: the first weights are drawn from it: orthogonal matrices of gain √2, of the last layer 0.01 for the policy,
            so that the first actions hardly depend on what is seen, and 1 for the value; biases 0.
        std: σ to begin with.
        value: a module of the user's in the place of V's MLP. Modules begin with their own parameters.

    Attributes:
        parameters: all of them, float32; `weights` (d,), `log_std` (k,) and `value_weights` are views of it.
        gradient: of the same size and order, written by `backward`.
        distribution: of the actions.

    Source: for the first weights, Saxe, McClelland & Ganguli (2014), "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks"; gains as in Engstrom et al. (2020), "Implementation matters in deep
    policy gradients", section 3, item 3.
    """

    def __init__(self, policy: Policy, key: Key, std: float, value: ModuleNetwork | None = None):
        self.policy, self.distribution = policy, action_distribution(policy.actions)
        network = policy.network
        self.value_network = value or MLP((len(policy.scale), *policy.hidden, 1), inputs_first=True)
        sizes = (network.size, self.distribution.spreads, self.value_network.size)
        self.parameters = torch.zeros(sum(sizes), dtype=torch.float32)
        self.gradient = torch.zeros_like(self.parameters)
        self.weights, self.log_std, self.value_weights = self.parameters.split(sizes)
        self._g_weights, self._g_log_std, self._g_value = self.gradient.split(sizes)
        self.log_std.fill_(math.log(std))
        _begin(network, self.weights, LAST_POLICY, key.child("policy"))
        _begin(self.value_network, self.value_weights, LAST_VALUE, key.child("value"))
        self._policy = chain_through(network, squash=not policy.discrete)
        self._value = chain_through(self.value_network)
        self._on_arrays = on_arrays(network, self.weights)  # shares memory: always the current weights

    def act(self, inputs: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Draw actions (n, components) at inputs (n, o) with noise (n, s), as a collector takes them."""
        y = self._on_arrays(inputs)
        y = y if self.policy.discrete else np.tanh(y)
        return self.distribution.draw(y, self.log_std.numpy(), noise)

    def values(self, inputs: Tensor) -> Tensor:
        """Return V (…) at inputs (…, o), a tensor of the caller's own."""
        return self.value_network(self.value_weights, inputs.flatten(0, -2)).view(inputs.shape[:-1])

    def log_probability(self, inputs: Tensor, encoded: Tensor) -> Tensor:
        """Return log π (n,) at inputs (n, o) of encoded actions (n, s), a tensor of the caller's own."""
        log_p, _ = self.distribution.forward(self.policy(self.weights, inputs), self.log_std, encoded)
        return log_p.clone()

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the policy's outputs (n, s) and V (n,) at inputs (n, o)."""
        return self._policy.forward(self.weights, inputs), self._value.forward(self.value_weights, inputs)[:, 0]

    def backward(self, outputs: Tensor, log_std: Tensor, values: Tensor) -> Tensor:
        """Return the gradient of what has these slopes, after `forward`: ∂/∂y (n, s), ∂/∂log σ (k,), ∂/∂V (n,)."""
        self._policy.backward(outputs, self._g_weights, to_input=False)
        self._g_log_std.copy_(log_std)
        self._value.backward(values.unsqueeze(1), self._g_value, to_input=False)
        return self.gradient

    def policy_gradient(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Return Σ_i ∂C/∂y_i ∂y_i/∂w, (d,), at inputs (n, o) and slopes (n, s), a tensor of the caller's own."""
        gradient = torch.empty_like(self.weights)
        self._policy.forward(self.weights, inputs)
        self._policy.backward(outputs, gradient, to_input=False)
        return gradient


def _begin(network: MLP | ModuleNetwork, w: Tensor, last: float, key: Key) -> None:
    """Fill w (d,) with orthogonal matrices of gain √2, of the last layer `last`, and biases 0; or a module's own."""
    if isinstance(network, ModuleNetwork):
        w.copy_(network.initial())
        return
    layers = list(network.layers(w))
    for depth, (weight, bias) in enumerate(layers):
        gain = last if depth == len(layers) - 1 else math.sqrt(2.0)
        weight.copy_(torch.nn.init.orthogonal_(torch.empty_like(weight), gain, key.child(depth).generator()))
        bias.zero_()

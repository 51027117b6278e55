"""StochasticActor: the squashed Gaussian policy of a soft actor-critic; its mean is the agent's policy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rllab.agents.buffers import Buffers
from rllab.agents.larger_cost import LargerCost
from rllab.agents.policy import Policy
from rllab.agents.saved import take
from rllab.agents.squashed import SquashedGaussian
from rllab.agents.user_network import ModuleNetwork, chain_through, on_arrays
from rllab.backprop.network import MLP
from rllab.keys import Key


class StochasticActor:
    """Draw actions a = tanh(m + σ ξ), (m, log σ) = MLP_w(o), and backpropagate slopes of cost and entropy to w.

    The network of the agent's policy, with k more outputs for log σ: without noise a = tanh m is what that policy does.

    Args:
        policy: of a Box of actions.
        mean: its weights, (d,), which this network begins with; log σ begins near 0.
        key: the first weights of log σ are drawn from it.

    Attributes:
        network: its shape.
        weights: w, (D,); `mean` is what it was when `show` was called last.
        gradient: ∂C/∂w, (D,), as `backward` left it.

    Source: Haarnoja et al. (2018), "Soft actor-critic algorithms and applications", section 4.
    """

    def __init__(self, policy: Policy, mean: Tensor, *, key: Key):
        own, self.mean = policy.network, mean
        if isinstance(own, ModuleNetwork):  # which returns both m and log σ: all weights are the policy's
            self.network, self.weights, self._own = own, mean, None
        else:
            self.network, self._own = self.shape(policy), own
            self.weights = self.network.initial_without_biases(key)
            for part, of_mean in zip(self._means(own, self.weights), _parts(own, mean), strict=True):
                part.copy_(of_mean)
        self._chain, self._gaussian = chain_through(self.network), SquashedGaussian(policy.actions.size)
        self._on_arrays = on_arrays(self.network, self.weights)  # shares memory: always the current weights
        self.gradient, self._buffers = torch.zeros_like(self.weights), Buffers()

    @staticmethod
    def shape(policy: Policy) -> MLP:
        """Return the shape of the network: twice the policy's outputs."""
        return MLP((len(policy.scale), *policy.hidden, 2 * policy.actions.size), inputs_first=True)

    @property
    def reads(self) -> tuple[object, ...]:
        """All that a pass reads and somebody may replace: when one is another object, a record no longer holds."""
        return self.weights, self.mean

    def act(self, o: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return actions (…, k) in [−1, 1] at scaled observations (…, o), drawn by noise ξ (…, k)."""
        return self._gaussian.on_arrays(self._on_arrays(o), noise)

    def sample(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions (n, k) and log π, (n,), at scaled observations (n, o), to be used before the next call."""
        return self._gaussian.forward(self._chain.forward(self.weights, observations), noise)

    def backward(self, slope: Tensor, weight: Tensor) -> Tensor:
        """Return the gradient of Σ_p [C_p(a_p) + λ log π_p], (D,), after `sample`; written over by the next call.

        Args:
            slope: ∂C/∂a, (n, k).
            weight: λ, ().
        """
        self._chain.backward(self._gaussian.backward(slope, weight), self.gradient, to_input=False)
        return self.gradient

    def descent(
        self, larger: LargerCost, critics: Tensor, observations: Tensor, noise: Tensor, price: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Differentiate what a soft actor minimises, C = mean [price log π(a|o) + max_i Q_i(o, a)], a drawn by noise.

        Args:
            larger, critics: evaluates and differentiates max_i Q_i at these weights, (2, c).
            observations, noise: scaled, (n, o), and N(0, 1), (n, k).
            price: of a unit of log π, (), in what Q is measured in.
        Returns:
            C, (), mean log π, (), and ∂C/∂w, (D,); written over by the next call.
        """
        n = len(observations)
        a, log_pi = self.sample(observations, noise)
        cost, slope = larger.through(critics, observations, a)
        mean = torch.mean(log_pi, 0, out=self._buffers("mean"))
        gradient = self.backward(slope, torch.mul(price, 1 / n, out=self._buffers("weight")))
        return torch.addcmul(cost, price, mean, out=self._buffers("cost")), mean, gradient

    def show(self) -> None:
        """Write the weights of the mean into `mean`."""
        self.of_mean(self.weights, self.mean)

    def of_mean(self, whole: Tensor, out: Tensor) -> Tensor:
        """Return the part of weights or a gradient, (D,), that belongs to m, in `out`, (d,); of a module, all."""
        if self._own is None:
            return out.copy_(whole)
        for part, of_mean in zip(_parts(self._own, out), self._means(self._own, whole), strict=True):
            part.copy_(of_mean)
        return out

    def state_dict(self) -> dict[str, Tensor]:
        """Return the weights, for a checkpoint."""
        return {"weights": self.weights}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        take("the actor's", self.state_dict(), state)
        self.show()

    def _means(self, own: MLP, whole: Tensor) -> list[Tensor]:
        """Return the views of (D,) that correspond to the policy's matrices and biases."""
        widths, network = [n for n in own.sizes[1:] for _ in range(2)], self.network
        assert isinstance(network, MLP)
        return [part[:, :n] for part, n in zip(_parts(network, whole), widths, strict=True)]


def _parts(network: MLP, w: Tensor) -> list[Tensor]:
    return [part for layer in network.layers(w) for part in layer]

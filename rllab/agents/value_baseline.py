"""ValueBaseline: what an episode is expected to cost from an observation on, learned from earlier episodes."""

from __future__ import annotations

import torch
from torch import Tensor

from rllab.agents.adam import Adam, Learned
from rllab.backprop.network import MLP, MLPChain
from rllab.keys import Key

EPOCHS, BATCH, LR = 10, 64, 1e-3  # of a fit: passes over the steps of a batch of episodes, steps a minibatch, Adam's


class ValueBaseline(Learned):
    """Predict the cost to go by a network that is fitted to each batch of episodes after that batch was learned from.

        b(o) = m + s · MLP_v(o),      v by Adam on mean (MLP_v(o) − (G − m)/s)²,      m, s: mean and deviation of G

    It never saw the actions of the batch that it is subtracted from, so it leaves the score function's mean as it is;
    fitted to the same batch it would not. Before the first fit it is 0.

    Args:
        observations: width o.
        hidden: widths of the hidden layers.
        key: the first weights are drawn from it.

    Source: Williams (1992), "Simple statistical gradient-following algorithms for connectionist reinforcement
    learning", section 4, for baselines; Sutton & Barto (2018), "Reinforcement learning: an introduction", section
    13.4, for one that depends on the state.
    """

    def __init__(self, observations: int, hidden: tuple[int, ...], key: Key):
        self.network = MLP((observations, *hidden, 1), inputs_first=True)
        self.weights = self.network.initial_without_biases(key, last=0.1)
        self.centre, self.scale = (torch.zeros((), dtype=torch.float32) for _ in range(2))
        self.optimizer = Adam(self.weights, LR)
        self._gradient, self._chain = torch.zeros_like(self.weights), MLPChain(self.network)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return b (n,) at scaled observations (n, o)."""
        with torch.no_grad():
            return self.centre + self.scale * self.network(self.weights, inputs)[:, 0]

    def fit(self, inputs: Tensor, to_go: Tensor, key: Key) -> float:
        """Fit to costs to go (n,) at scaled observations (n, o); return the mean squared error before."""
        with torch.no_grad():
            loss = (self(inputs) - to_go).square().mean().item()
            self.centre.copy_(to_go.mean())
            self.scale.copy_(to_go.std(correction=0).clamp_min(1e-6))
            y, generator = (to_go - self.centre) / self.scale, key.generator()
            for _ in range(EPOCHS):
                for picks in torch.randperm(len(y), generator=generator).split(BATCH):
                    # ∂/∂MLP of mean (MLP_v(o) − y)² = 2 (MLP_v(o) − y)/n
                    error = self._chain.forward(self.weights, inputs[picks])[:, 0] - y[picks]
                    self._chain.backward(error.mul_(2 / len(picks)).unsqueeze(1), self._gradient, to_input=False)
                    self.optimizer.step(self._gradient)
        return loss

    def _kept(self) -> tuple[str, dict[str, Tensor]]:
        own = {"weights": self.weights, "centre": self.centre, "scale": self.scale}
        return "the value baseline's", own

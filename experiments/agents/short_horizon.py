"""ShortHorizon: backpropagation through a few steps of the bicycle, and through a learned cost for those after them."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from experiments.agents.through_dynamics import Passage, ThroughDynamics

import torch
from torch import Tensor

from rllab import Key
from rllab.agents.adam import Adam, Learned
from rllab.agents.saved import check_names
from rllab.backprop.network import MLP, MLPChain
from rllab.checks import check_fraction

SQUARES = 8  # K, of the cost to go
EPOCHS, BATCH, LR = 4, 64, 2e-3  # of a fit: passes over the steps of an iteration, steps a minibatch, Adam's
LAMBDA = 0.95  # of the values' targets, as in the paper


class CostToGo(Learned):
    """Predict V(x), the mean discounted cost of the steps after state x, fitted to given values.

        V(x) = 1/K Σ_k f_k(x)²,    f = MLP_v

    What is to come costs squares of leans, so it is fitted as a mean of squares: near upright, where the bicycle is
    nearly linear, V then is a quadratic form, as the exact one is, and bicycles that fell to one side say what falling
    to the other costs. A network without this shape says that the other side is cheap, and riders go there and fall.

    Args:
        inputs: width of the scaled states.
        hidden: widths of the hidden layers.
        key: the first weights are drawn from it.

    Source: positive value functions as squares of networks: S. M. Richards, F. Berkenkamp and A. Krause (2018), "The
    Lyapunov neural network".
    """

    def __init__(self, inputs: int, hidden: tuple[int, ...], key: Key):
        self.network = MLP((inputs, *hidden, SQUARES), inputs_first=True)
        self.weights = self.network.initial_without_biases(key)
        self.optimizer = Adam(self.weights, LR)
        self._gradient, self._chain = torch.zeros_like(self.weights), MLPChain(self.network)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return V (n,) at scaled states (n, o), with its slope in them."""
        return self.network(self.weights, inputs).square().mean(1)

    @torch.no_grad()
    def fit(self, inputs: Tensor, values: Tensor, key: Key) -> float:
        """Fit to values (n,) at scaled states (n, o); return the mean squared error before."""
        loss, generator = (self(inputs) - values).square().mean().item(), key.generator()
        for _ in range(EPOCHS):
            for picks in torch.randperm(len(values), generator=generator).split(BATCH):
                # ∂/∂f of mean (V(x) − y)² = 2 (V(x) − y)/n · 2 f/K
                f = self._chain.forward(self.weights, inputs[picks])
                error = f.square().mean(1) - values[picks]
                self._chain.backward(f * (4 / f.numel() * error).unsqueeze(1), self._gradient, to_input=False)
                self.optimizer.step(self._gradient)
        return loss

    def _kept(self) -> tuple[str, dict[str, Tensor]]:
        return "the cost to go's", {"weights": self.weights}


def returns_after(passage: Passage, values: list[Tensor], gamma: float, gae_lambda: float) -> list[Tensor]:
    """Return the discounted cost of the steps after each state of a passage, H of (N,), in units of one for ever.

        G_H = V(x_H),    G_{t−1} = (1 − γ) c_t + γ ((1 − λ) V(x_t) + λ G_t),    or (1 − γ) c_t + γ where step t falls

    A fall costs 1 in every step after it, what a lean at the fall's edge does: (1 − γ) Σ γᵗ = 1 for ever.

    Args:
        passage: H steps of N bicycles.
        values: V of the states after each step, H of (N,).
        gamma: γ, the discount factor, in [0, 1).
        gae_lambda: λ: 1 takes all steps that there are, 0 one.
    """
    found, after = list[Tensor](), values[-1]
    for cost, fell, value in zip(reversed(passage.costs), reversed(passage.falls), reversed(values), strict=True):
        follows = torch.where(fell, torch.ones(()), (1.0 - gae_lambda) * value + gae_lambda * after)
        after = (1.0 - gamma) * cost + gamma * follows
        found.append(after)
    return found[::-1]


@dataclass(eq=False)
class ShortHorizon(ThroughDynamics):
    """Learn to balance by the slope of a discounted cost: H steps by the known dynamics, and those after by a network.

        ĝ = ∇_w 1/N Σ_i [(1 − γ) Σ_{t<=H} γ^{t−1} (ω_it/ω_fall)² + γ^H V(x_iH)],    w ← Adam(ĝ)
        V ← fitted to (1 − γ) c_t + γ ((1 − λ) V(x_t) + λ …) of the same steps,    λ = 0.95

    What happens after the horizon is not left out, as `TrueGradient` does, but learned, so that H can be
    short where gradients through many steps explode. The slope through the last state, ∂V/∂x_H, is that of a fitted
    network and so biased. Within a horizon a fall ends the discounted sum, at the cost of falling for ever, and the
    bicycle begins another, upright.

    Args:
        num_envs: N, bicycles side by side.
        horizon: H, steps through which the gradient is taken.
        lr: learning rate of Adam, of the policy.
        gamma: γ, the discount factor, in [0, 1).

    Raises:
        ValueError: an argument is out of its range, or the environment is another, or shows not all of its state.

    Source: J. Xu et al. (2022), "Accelerated policy learning with parallel differentiable simulation", with values
    fitted to what the network said before the iteration in place of a slowly moving copy of it.

    Example:
        from experiments.agents.short_horizon import ShortHorizon

        agent = ShortHorizon("rllab_envs:rllab/BicycleBalance-v0", observation_scale=(0.1, 0.3, 0.3, 3.0))
        rows = agent.learn(steps=4096)
    """

    columns: ClassVar[tuple[str, ...]] = (*ThroughDynamics.columns, "value_loss")

    _: KW_ONLY
    gamma: float = 0.98

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_fraction(self._name, below=True, gamma=self.gamma)

    def _start(self) -> None:
        super()._start()
        self.value = CostToGo(len(self.policy.scale), self.hidden, self.key.child("value"))

    def _values(self, states: list[Tensor]) -> list[Tensor]:
        """Return V of lists of states (N, 4)."""
        return [self.value(x * torch.from_numpy(self.policy.shrink)) for x in states]

    def _objective(self, passage: Passage) -> Tensor:
        """Return the mean discounted cost of the bicycles, and of those that begin again within the horizon."""
        last = self._values([passage.end])
        # only V of the end counts where λ = 1; where the last step fell, not even that
        after = returns_after(passage, last * len(passage.costs), self.gamma, 1.0)
        total = after[0].sum()
        for fell, cost in zip(passage.falls[:-1], after[1:], strict=True):
            total = total + cost[fell].sum()
        return total / self.num_envs

    @torch.no_grad()
    def _learn_from(self, passage: Passage) -> None:
        """Fit V to what the steps cost, and to what V itself said of the states after them."""
        values = self._values([*passage.starts[1:], passage.end])
        targets = torch.cat(returns_after(passage, values, self.gamma, LAMBDA)).detach()
        inputs = torch.cat([*passage.starts]).detach() * torch.from_numpy(self.policy.shrink)
        self.diagnostics["value_loss"] = self.value.fit(inputs, targets, self.key.child("fit", self.spent.updates))

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "value": self.value.state_dict()}

    def _restore(self, state: dict[str, Any]) -> None:
        super()._restore({name: kept for name, kept in state.items() if name != "value"})
        self.value.load_state_dict(check_names("state", state, {"optimizer", "states", "lengths", "value"})["value"])

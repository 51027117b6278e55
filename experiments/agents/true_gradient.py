"""TrueGradient: backpropagation through the bicycle itself. What a learner could do that knew the dynamics."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.agents.through_dynamics import Passage, ThroughDynamics

import torch
from torch import Tensor


@dataclass(eq=False)
class TrueGradient(ThroughDynamics):
    """Learn to balance by the slope of a smooth cost, through H steps of the known dynamics of a bicycle.

        ĝ = ∇_w 1/(N H) Σ_i Σ_{t<=H} (ω_it/ω_fall)²,    x_{t+1} = f(x_t, tanh(MLP_w(x_t)), noise_t),    w ← Adam(ĝ)

    It knows what no other learner here is told: f, the state, and a cost with a slope. Time upright has none, so that
    its gradient through f is 0; the lean squared stands in for it, and a rider who keeps that small falls late. An
    iteration goes on from where the one before ended, without its gradient: the horizon is short, so that the product
    of H Jacobians, which grows as e^(4.7 H/100) here, stays small. A bicycle that falls begins again upright.

    Args:
        num_envs: N, bicycles side by side.
        horizon: H, steps through which the gradient is taken.
        lr: learning rate of Adam.

    Raises:
        ValueError: an argument is out of its range, or the environment is another, or shows not all of its state.

    Source: backpropagation through time, truncated: R. J. Williams and J. Peng (1990), "An efficient gradient-based
    algorithm for on-line training of recurrent network trajectories"; in simulators: J. Xu et al. (2022), "Accelerated
    policy learning with parallel differentiable simulation", here without their value function, which
    `ShortHorizon` has.

    Example:
        from experiments.agents.true_gradient import TrueGradient

        agent = TrueGradient("rllab_envs:rllab/BicycleBalance-v0", observation_scale=(0.1, 0.3, 0.3, 3.0))
        rows = agent.learn(steps=4096)
    """

    def _objective(self, passage: Passage) -> Tensor:
        """Return what the gradient is of: the mean cost of a step."""
        return sum((cost.mean() for cost in passage.costs), start=torch.zeros(())) / len(passage.costs)

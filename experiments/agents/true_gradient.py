"""TrueGradient: backpropagation through the bicycle itself. What a learner could do that knew the dynamics."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from rllab import Key
from rllab.agents.adam import Adam
from rllab.agents.base import Agent
from rllab.agents.saved import check_names, take
from rllab.checks import as_count, check_positive
from rllab_envs.bicycle.env import BicycleBalanceEnv
from rllab_envs.bicycle.task import BicycleBalance


@dataclass(eq=False)
class TrueGradient(Agent):
    """Learn to balance by the slope of a smooth cost, through H steps of the known dynamics of `BicycleBalance-v0`.

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
        ValueError: an argument is out of its range, or the environment is another, or has no rates.

    Source: backpropagation through time, truncated: R. J. Williams and J. Peng (1990), "An efficient gradient-based
    algorithm for on-line training of recurrent network trajectories"; in simulators: J. Xu et al. (2022), "Accelerated
    policy learning with parallel differentiable simulation", here without their value function.

    Example:
        from experiments.agents.true_gradient import TrueGradient

        agent = TrueGradient("rllab_envs:rllab/BicycleBalance-v0", observation_scale=(0.1, 0.3, 0.3, 3.0))
        rows = agent.learn(steps=4096)
    """

    columns: ClassVar[tuple[str, ...]] = ("grad_norm",)
    takes_choices: ClassVar[bool] = False
    normalizes: ClassVar[bool] = False
    takes_networks: ClassVar[bool] = False

    _: KW_ONLY
    num_envs: int = 16
    horizon: int = 16
    lr: float = 0.01

    def _check_arguments(self) -> None:
        check_positive(self._name, lr=self.lr)
        self.num_envs = as_count(self._name, "num_envs", self.num_envs)
        self.horizon = as_count(self._name, "horizon", self.horizon)
        env = self.maker().unwrapped
        if not isinstance(env, BicycleBalanceEnv) or len(self.policy.scale) != 4:
            raise ValueError(f"{self._name}: environment must be BicycleBalance-v0 with rates, got {self._called()}")
        assert isinstance(env.task, BicycleBalance)
        self._task = env.task

    def _start(self) -> None:
        self.optimizer = Adam(self.weights, self.lr, max_grad_norm=1.0)
        self.states = torch.zeros(self.num_envs, 4)
        self.lengths = torch.zeros(self.num_envs, dtype=torch.int64)

    def _iterate(self, limit: int) -> list[float]:
        if self.num_envs * self.horizon > limit:
            return []
        fall, shrink = self._task.parameters.fall_angle, torch.from_numpy(self.policy.shrink)
        noise = self._noise(self.key.child("noise", self.spent.updates))
        w = self.weights.detach().requires_grad_()
        layers, cost, returns = self.policy.layers(w), torch.zeros(()), list[float]()
        x: Any = self.states
        for noise_t in noise:
            x = self._task.dynamics(x, self.policy(layers, x * shrink), noise_t)
            # (ω/ω_fall)², of a fall a little above 1
            cost = cost + ((x[:, 0] / fall) ** 2).mean()
            over = x[:, 0].detach().abs() > fall
            self.lengths += 1
            if over.any():
                returns += self.lengths[over].double().tolist()
                self.lengths[over] = 0
                x = torch.where(over[:, None], torch.zeros(()), x)
        (gradient,) = torch.autograd.grad(cost / self.horizon, w)
        self.diagnostics["grad_norm"] = float(gradient.norm())
        self.optimizer.step(gradient)
        self.states = x.detach()
        self.spent.steps += self.num_envs * self.horizon
        self.spent.episodes += len(returns)
        self.spent.updates += 1
        return returns

    def _noise(self, key: Key) -> Tensor:
        """Draw the noise on the displacement in m, (H, N)."""
        drawn = torch.rand(self.horizon, self.num_envs, generator=key.generator())
        return (2.0 * drawn - 1.0) * self._task.noise_amplitude

    def _state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "states": self.states, "lengths": self.lengths}

    def _restore(self, state: dict[str, Any]) -> None:
        check_names("state", state, {"optimizer", "states", "lengths"})
        self.optimizer.load_state_dict(state["optimizer"])
        names = ("states", "lengths")
        take("state", {name: getattr(self, name) for name in names}, {name: state[name] for name in names})

"""ThroughDynamics: riding some steps on the bicycle's own dynamics, and stepping along the slope of what they cost."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
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
from rllab_envs.whipple.env import WhippleBicycleEnv
from rllab_envs.whipple.task import WhippleBicycle


@dataclass(frozen=True)
class Passage:
    """Say what H steps of N bicycles came to, all with their gradient in the policy's weights.

    Attributes:
        starts: states that a step was made from, H of (N, 4): after a fall the upright one.
        costs: (ω/ω_fall)² after each step, H of (N,): of a fall a little above 1.
        falls: whether a step ended in a fall, H of (N,) bool.
        end: states after the last step, (N, 4).
        lengths: of the episodes that ended, in steps.
    """

    starts: Sequence[Tensor]
    costs: Sequence[Tensor]
    falls: Sequence[Tensor]
    end: Tensor
    lengths: list[float]


@dataclass(eq=False)
class ThroughDynamics(Agent):
    """Learn to balance by the slope of a smooth cost, backpropagated through H steps of a bicycle's dynamics.

    The bicycle is that of `BicycleBalance-v0` or of `WhippleBicycle-v0`, all of whose state is observed. An iteration
    goes on from where the one before ended, without its gradient. A bicycle that falls begins again upright.
    Subclasses say which cost.

    Args:
        num_envs: N, bicycles side by side.
        horizon: H, steps through which the gradient is taken.
        lr: learning rate of Adam.
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
        task = env.task if isinstance(env, BicycleBalanceEnv | WhippleBicycleEnv) else None
        if not isinstance(task, BicycleBalance | WhippleBicycle) or len(self.policy.scale) != 4:
            known = "BicycleBalance-v0 or WhippleBicycle-v0, observed at once and with rates"
            raise ValueError(f"{self._name}: environment must be {known}, got {self._called()}")
        self._task = task
        # a handlebar that is turned this far is a fall too; the other bicycle's is only held there
        self._stop = task.parameters.stop if isinstance(task, WhippleBicycle) else math.inf

    def _start(self) -> None:
        self.optimizer = Adam(self.weights, self.lr, max_grad_norm=1.0)
        self.states = torch.zeros(self.num_envs, 4)
        self.lengths = torch.zeros(self.num_envs, dtype=torch.int64)

    def _iterate(self, limit: int) -> list[float]:
        if self.num_envs * self.horizon > limit:
            return []
        w = self.weights.detach().requires_grad_()
        passage = self._passage(w, self._noise(self.key.child("noise", self.spent.updates)))
        (gradient,) = torch.autograd.grad(self._objective(passage), w)
        self.diagnostics["grad_norm"] = float(gradient.norm())
        self.optimizer.step(gradient)
        self._learn_from(passage)
        self.states = passage.end.detach()
        self.spent.steps += self.num_envs * self.horizon
        self.spent.episodes += len(passage.lengths)
        self.spent.updates += 1
        return passage.lengths

    def _passage(self, w: Tensor, noise: Tensor) -> Passage:
        """Ride on from `states` with weights w (d,), under noise (H, N)."""
        fall, shrink = self._task.parameters.fall_angle, torch.from_numpy(self.policy.shrink)
        layers, x = self.policy.layers(w), self.states
        starts, costs, falls, lengths = list[Tensor](), list[Tensor](), list[Tensor](), list[float]()
        for noise_t in noise:
            starts.append(x)
            x = self._task.dynamics(x, self.policy(layers, x * shrink), noise_t)
            assert isinstance(x, Tensor)  # as what it was given
            costs.append((x[:, 0] / fall) ** 2)
            falls.append((x[:, 0].detach().abs() > fall) | (x[:, 2].detach().abs() > self._stop))
            self.lengths += 1
            if falls[-1].any():
                lengths += self.lengths[falls[-1]].double().tolist()
                self.lengths[falls[-1]] = 0
                x = torch.where(falls[-1][:, None], torch.zeros(()), x)
        return Passage(starts, costs, falls, x, lengths)

    @abstractmethod
    def _objective(self, passage: Passage) -> Tensor:
        """Return what the gradient is of."""

    def _learn_from(self, passage: Passage) -> None:
        """Learn something else from the same steps, where there is something."""

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

"""Policy: what every agent here learns and is judged by, whatever way it gets its gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from gymnasium import Env, Space
from torch import Tensor

from rllab.agents.actions import BoxActions, Choices, actions_of
from rllab.agents.observations import Observations
from rllab.agents.user_network import ModuleNetwork
from rllab.backprop.network import MLP, Layers
from rllab.checks import as_widths
from rllab.keys import Key

LAST = 0.1  # factor on the last layer's initial weights: the first policies act gently, far from where tanh saturates


@dataclass(frozen=True)
class Policy:
    """Act by a network: a deterministic policy, or the centre of a stochastic one.

        ā = tanh(MLP_w(o / scale)) ∈ [−1, 1]^k, rescaled to the action box  (choices: logits MLP_w(o / scale))

    Args:
        scale: what each number of an observation is divided by, (o,): fixed, never learned from data.
        actions: what the outputs become.
        hidden: widths of the hidden layers; () makes the policy linear.
        module: a network of the user's in the place of the MLP; outputs beyond those of the actions are not of the
            policy: a soft actor's log σ.

    Example:
        import torch
        from rllab.agents.actions import BoxActions
        from rllab.agents.policy import Policy

        policy = Policy(scale=(1.0, 8.0), actions=BoxActions((-2.0,), (2.0,)), hidden=(32,))
        actions = policy(policy.initial(key=0), torch.zeros(5, 2))  # (5, 1)
    """

    scale: tuple[float, ...]
    actions: BoxActions | Choices
    hidden: tuple[int, ...] = (64, 64)
    module: ModuleNetwork | None = None

    @classmethod
    def for_spaces(
        cls,
        who: str,
        observations: Space,
        actions: Space,
        hidden: Sequence[int],
        scale: Sequence[float] | None,
        module: ModuleNetwork | None = None,
    ) -> Policy:
        """Make the policy of an environment.

        Args:
            scale: None divides by the bounds of the observation space where it has any.
        Raises:
            ValueError: a space is of another kind, `scale` has another length, or a width is below 1; in the name of
                `who`.
        """
        encoder = Observations(who, observations)
        if module is None:
            encoder.check_flat("give a network of your own, actor=…")
        if scale is None:
            scale = [float(b) if 0 < b < 1e6 else 1.0 for b in encoder.bounds()]
        if len(scale) != encoder.size or not all(0 < s < math.inf for s in scale):
            raise ValueError(f"{who}: observation_scale must be {encoder.size} positive numbers, got {scale}")
        return cls(tuple(scale), actions_of(who, actions), as_widths(who, "hidden", hidden), module)

    @cached_property
    def network(self) -> MLP | ModuleNetwork:
        if self.module is not None:
            return self.module
        return MLP((len(self.scale), *self.hidden, self.actions.size), inputs_first=True)

    @cached_property
    def discrete(self) -> bool:
        """Whether outputs are logits of choices; if not, they are of a box."""
        return isinstance(self.actions, Choices)

    @property
    def size(self) -> int:
        """Number of weights, d."""
        return self.network.size

    def initial(self, key: Key | int) -> Tensor:
        """Draw the first weights, float32 (d,); a module has its own."""
        if isinstance(self.network, ModuleNetwork):
            return self.network.initial()
        return self.network.initial_without_biases(key, last=LAST)

    def layers(self, w: Tensor) -> Layers | Tensor:
        """Return the layers of weights w, views of them, for many calls at the same weights; of a module w itself."""
        if isinstance(self.network, ModuleNetwork):
            return w.detach()
        return list(self.network.layers(w))

    def scaled(self, observations: np.ndarray) -> np.ndarray:
        """Return observations (…, o) over `scale`, float32."""
        return np.asarray(observations * self.shrink, np.float32)

    def inputs(self, observations: np.ndarray) -> Tensor:
        """Return scaled observations as a tensor, (n, o)."""
        return torch.from_numpy(self.scaled(observations))

    def __call__(self, w: Tensor | Layers, inputs: Tensor) -> Tensor:
        """Return actions in [−1, 1] (or logits), (n, k), for weights (d,) or their `layers` and scaled observations."""
        network = self.network
        if isinstance(network, ModuleNetwork):
            assert isinstance(w, Tensor)  # as `layers` gives it
            y = network(w, inputs)[..., : self.actions.size]
        else:
            y = network(w, inputs)
        return y if self.discrete else torch.tanh(y)

    def population(self, w: Tensor | Layers, inputs: Tensor) -> Tensor:
        """Return the output of n policies, weights (n, d), each at its own scaled observation, (n, o)."""
        return self(w, inputs.unsqueeze(1)).squeeze(1)

    def to_environment(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs (…, k) into the environment's actions: the box is stretched, of logits the largest is taken."""
        actions = self.actions
        return actions.to_environment(outputs if isinstance(actions, BoxActions) else actions.greedy(outputs))

    @cached_property
    def shrink(self) -> np.ndarray:
        """What observations are multiplied by, 1 / `scale`, float32 (o,)."""
        return (1.0 / np.array(self.scale)).astype(np.float32)


def check_alike(who: str, observations: Observations, policy: Policy, env: Env) -> None:
    """Raise a ValueError if an environment, which is closed, sees or does something else than a policy was made for."""
    others = Observations(who, env.observation_space), actions_of(who, env.action_space)
    env.close()
    if others[0].layout() != observations.layout() or others[1] != policy.actions:
        raise ValueError(
            f"{who}: environment_arguments must leave observations and actions as they were in learning, got "
            f"{env.observation_space} and {env.action_space}"
        )

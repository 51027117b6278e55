"""Policy: what every agent here learns and is judged by, whatever way it gets its gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor

from rllab.backprop.network import MLP, Layers
from rllab.checks import check_widths
from rllab.keys import Key

LAST = 0.1  # factor on the last layer's initial weights: the first policies act gently, far from where tanh saturates
EXACT = 2**53  # integers up to here are float64 numbers


@dataclass(frozen=True)
class Policy:
    """Act by a network: a deterministic policy, or the centre of a stochastic one.

        ā = tanh(MLP_w(o / scale)) ∈ [−1, 1]^k, rescaled to the action box  (discrete actions: logits MLP_w(o / scale))

    Args:
        scale: what each observation is divided by, (o,): a fixed number, never learned from data.
        hidden: widths of the hidden layers; () makes the policy linear.
        low, high: bounds of the action box, (k,); None for discrete actions.
        choices: number of discrete actions; None for a box.
        dtype: of the actions of a box; those of integers are rounded to the nearest.

    Example:
        import torch
        from rllab.agents.policy import Policy

        policy = Policy(scale=(1.0, 8.0), hidden=(32,), low=(-2.0,), high=(2.0,))
        actions = policy(policy.initial(key=0), torch.zeros(5, 2))  # (5, 1)
    """

    scale: tuple[float, ...]
    hidden: tuple[int, ...] = (64, 64)
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    choices: int | None = None
    dtype: str = "float32"

    @classmethod
    def for_spaces(
        cls, who: str, observations: Space, actions: Space, hidden: Sequence[int], scale: Sequence[float] | None
    ) -> Policy:
        """Make the policy of an environment.

        Args:
            scale: None divides by the bounds of the observation space where it has any.
        Raises:
            ValueError: a space is of another kind, `scale` has another length, or a width is below 1; in the name of
                `who`.
        """
        check_widths(who, hidden=hidden)
        if not isinstance(observations, spaces.Box) or observations.shape is None or len(observations.shape) != 1:
            raise ValueError(
                f"{who}: the environment's observations must be a Box of one dimension, got {observations}"
            )
        if scale is None:
            bound = np.maximum(np.abs(observations.low.astype(float)), np.abs(observations.high.astype(float)))
            scale = [float(b) if 0 < b < 1e6 else 1.0 for b in bound]
        if len(scale) != observations.shape[0] or not all(0 < s < math.inf for s in scale):
            raise ValueError(f"{who}: observation_scale must be {observations.shape[0]} positive numbers, got {scale}")
        scale = tuple(scale)
        if isinstance(actions, spaces.Discrete) and actions.start == 0:
            return cls(scale, tuple(hidden), choices=int(actions.n))
        if isinstance(actions, spaces.Box) and len(actions.shape) == 1 and actions.is_bounded():
            low, high = tuple(actions.low.tolist()), tuple(actions.high.tolist())
            if actions.dtype.kind == "f" or max(map(abs, low + high)) <= EXACT:
                return cls(scale, tuple(hidden), low, high, dtype=actions.dtype.name)
        raise ValueError(f"{who}: the environment's actions must be a bounded Box or Discrete, got {actions}")

    @cached_property
    def network(self) -> MLP:
        outputs = self.choices if self.low is None else len(self.low)
        assert outputs is not None
        return MLP((len(self.scale), *self.hidden, outputs), inputs_first=True)

    @property
    def size(self) -> int:
        """Number of weights, d."""
        return self.network.size

    def initial(self, key: Key | int) -> Tensor:
        """Draw the first weights, float32 (d,)."""
        return self.network.initial_without_biases(key, last=LAST)

    def layers(self, w: Tensor) -> Layers:
        """Return the layers of weights w, views of them, for many calls at the same weights."""
        return list(self.network.layers(w))

    def scaled(self, observations: np.ndarray) -> np.ndarray:
        """Return observations (…, o) over `scale`, float32."""
        return np.asarray(observations * self._shrink, np.float32)

    def inputs(self, observations: np.ndarray) -> Tensor:
        """Return scaled observations as a tensor, (n, o)."""
        return torch.from_numpy(self.scaled(observations))

    def __call__(self, w: Tensor | Layers, inputs: Tensor) -> Tensor:
        """Return actions in [−1, 1] (or logits), (n, k), for weights (d,) or their `layers` and scaled observations."""
        y = self.network(w, inputs)
        return y if self.choices is not None else torch.tanh(y)

    def population(self, w: Tensor | Layers, inputs: Tensor) -> Tensor:
        """Return the output of n policies, weights (n, d), each at its own scaled observation, (n, o)."""
        return self(w, inputs.unsqueeze(1)).squeeze(1)

    def to_environment(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs (n, k) into the environment's actions: the box is stretched, of logits the largest is taken."""
        if self.choices is not None:
            return outputs.argmax(-1)
        actions = self._middle + self._half * outputs  # in float64, which may leave the box by a rounding
        if self._whole:
            np.rint(actions, out=actions)
        return np.minimum(np.maximum(actions, self._low), self._high).astype(self.dtype)

    @cached_property
    def _shrink(self) -> np.ndarray:
        return (1.0 / np.array(self.scale)).astype(np.float32)

    @cached_property
    def _whole(self) -> bool:
        return np.dtype(self.dtype).kind in "iub"

    @cached_property
    def _low(self) -> np.ndarray:
        return np.array(self.low, np.float64)

    @cached_property
    def _high(self) -> np.ndarray:
        return np.array(self.high, np.float64)

    @cached_property
    def _middle(self) -> np.ndarray:
        return 0.5 * (self._low + self._high)

    @cached_property
    def _half(self) -> np.ndarray:
        return 0.5 * (self._high - self._low)

"""Actions: how the outputs of a policy become what an environment takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor

from rllab.array_policy import ActionLayout

EXACT = 2**53  # integers up to here are float64 numbers


@dataclass(frozen=True)
class BoxActions:
    """Stretch outputs ā ∈ [−1, 1]^k over a bounded box.

        a = (low + high)/2 + (high − low)/2 · ā,  clipped to the box, and rounded to the nearest if it is of integers

    Args:
        low, high: bounds, (k,).
        dtype: of the box.
        shape: of one action, k numbers in all; None is (k,).
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    dtype: str = "float32"
    shape: tuple[int, ...] | None = None

    numbers: ClassVar[type] = np.float32  # what a learner keeps an action as

    @property
    def size(self) -> int:
        """Outputs of the policy, k."""
        return len(self.low)

    @property
    def components(self) -> int:
        """Numbers in an action as a learner keeps it, k."""
        return len(self.low)

    def to_environment(self, outputs: np.ndarray) -> np.ndarray:
        """Return actions (…, *shape) of outputs (…, k)."""
        actions = self._middle + self._half * outputs  # in float64, which may leave the box by a rounding
        if self._whole:
            np.rint(actions, out=actions)
        actions = np.minimum(np.maximum(actions, self._low), self._high).astype(self.dtype)
        return actions if self.shape is None else actions.reshape((*actions.shape[:-1], *self.shape))

    def layout(self) -> ActionLayout:
        """Say in plain values how outputs become actions."""
        return ActionLayout(self.dtype, (self.size,) if self.shape is None else self.shape, self.low, self.high)

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


@dataclass(frozen=True)
class Choices:
    """Choose in m components at once, each by logits of its own, independently of one another.

        π(a | z) = Π_j softmax(z_j)[a_j],     log π = Σ_j log softmax(z_j)[a_j],     H = Σ_j H(softmax(z_j))

    Discrete is one component, MultiDiscrete several, MultiBinary several of two choices each.

    Args:
        counts: choices n_j in each component, (m,).
        starts: the number that an environment gives to the first choice of each, (m,); None is 0 for all.
        dtype: of an environment's action.
        shape: of an environment's action, m numbers in all.
    """

    counts: tuple[int, ...]
    starts: tuple[int, ...] | None = None
    dtype: str = "int64"
    shape: tuple[int, ...] = ()

    numbers: ClassVar[type] = np.int64  # what a learner keeps an action as

    @property
    def size(self) -> int:
        """Outputs of the policy, Σ_j n_j."""
        return sum(self.counts)

    @property
    def components(self) -> int:
        """Numbers in an action as a learner keeps it, m."""
        return len(self.counts)

    def greedy(self, logits: np.ndarray) -> np.ndarray:
        """Return the most probable choices (…, m), counted from 0, of logits (…, Σ n_j)."""
        if len(self.counts) == 1:
            return logits.argmax(-1)[..., None]
        return np.stack([z.argmax(-1) for z in np.split(logits, np.cumsum(self.counts)[:-1], -1)], -1)

    def to_environment(self, chosen: np.ndarray) -> np.ndarray:
        """Return the environment's actions (…, *shape) of choices (…, m), counted from 0; always a new array."""
        actions = chosen.astype(self.dtype) if self.starts is None else (chosen + self.starts).astype(self.dtype)
        return actions.reshape((*chosen.shape[:-1], *self.shape))

    def layout(self) -> ActionLayout:
        """Say in plain values how outputs become actions."""
        starts = self.starts or (0,) * self.components
        return ActionLayout(self.dtype, self.shape, counts=self.counts, starts=starts)

    def draw(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """Draw choices (n, m), int64, counted from 0, at logits (n, Σ n_j)."""
        with torch.no_grad():
            drawn = [torch.multinomial(z.softmax(-1), 1, generator=generator) for z in logits.split(self.counts, -1)]
            return torch.cat(drawn, -1)

    def log_probability(self, logits: Tensor, chosen: Tensor) -> Tensor:
        """Return log π, (…), of logits (…, Σ n_j) and choices (…, m)."""
        # log π = Σ_j log softmax(z_j)[a_j]
        parts = zip(logits.split(self.counts, -1), chosen.split(1, -1), strict=True)
        return torch.cat([z.log_softmax(-1).gather(-1, a) for z, a in parts], -1).sum(-1)

    def entropy(self, logits: Tensor) -> Tensor:
        """Return H, (…), in nats, of logits (…, Σ n_j)."""
        # H = −Σ_j Σ_a p log p
        logs = [z.log_softmax(-1) for z in logits.split(self.counts, -1)]
        return -torch.cat([log_p.exp() * log_p for log_p in logs], -1).sum(-1)


def actions_of(who: str, space: Space) -> BoxActions | Choices:
    """Say how a policy acts in a space.

    Raises:
        ValueError: the space is unbounded, of integers that are no float64 numbers, or of another kind; in the name of
            `who`.
    """
    if isinstance(space, spaces.Box) and space.is_bounded() and space.dtype.kind in "fiub":
        low, high = (tuple(bound.reshape(-1).tolist()) for bound in (space.low, space.high))
        if space.dtype.kind == "f" or max(map(abs, low + high)) <= EXACT:
            return BoxActions(low, high, space.dtype.name, None if len(space.shape) == 1 else space.shape)
    if isinstance(space, spaces.Discrete):
        starts = None if space.start == 0 else (int(space.start),)
        return Choices((int(space.n),), starts, space.dtype.name)  # pyright: ignore[reportOptionalMemberAccess]
    if isinstance(space, spaces.MultiDiscrete):
        starts = tuple(space.start.reshape(-1).tolist()) if space.start.any() else None
        return Choices(tuple(space.nvec.reshape(-1).tolist()), starts, space.dtype.name, space.shape)
    if isinstance(space, spaces.MultiBinary):
        return Choices((2,) * int(np.prod(space.shape)), None, np.dtype(space.dtype).name, space.shape)
    raise ValueError(
        f"{who}: the environment's actions must be a bounded Box, Discrete, MultiDiscrete or MultiBinary, got {space}"
    )

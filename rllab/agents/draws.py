"""Draws: all random numbers of a block of steps of an off-policy learner, drawn at once."""

from __future__ import annotations

import torch
from torch import Tensor

from rllab.keys import Key


class Draws:
    """Draw what so many steps need, each stream from a key of its own.

    Args:
        key: of the block.
        steps: in the block, T.
        updates: at most, U.
        actions: components of an action, k.
        batch_size: transitions a minibatch, n.
        noises: numbers of noise for each transition of a minibatch, m.

    Attributes:
        uniform: U(−1, 1), (T, k), a numpy array: actions of the steps before learning starts.
        normal: N(0, 1), (T, k), a numpy array: the noise on actions.
        picks: U[0, 1), float64 (U, n): which transitions of the replay are in each minibatch.
        noise: N(0, 1), (U, n, m): the noise of each update, of actions that it draws.
    """

    def __init__(self, key: Key, *, steps: int, updates: int, actions: int, batch_size: int, noises: int):
        def draw(stream: str, *shape: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, torch.Generator]:
            return torch.empty(shape, dtype=dtype), key.child(stream).generator()

        empty, generator = draw("warmup", steps, actions)
        self.uniform = empty.uniform_(-1.0, 1.0, generator=generator).numpy()
        empty, generator = draw("exploration", steps, actions)
        self.normal = empty.normal_(generator=generator).numpy()
        empty, generator = draw("minibatch", updates, batch_size, dtype=torch.float64)
        self.picks = empty.uniform_(generator=generator)
        empty, generator = draw("smoothing", updates, batch_size, noises)
        self.noise = empty.normal_(generator=generator)

"""Uniform noise for a batch of environments, each with a random stream of its own."""

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import DTypeLike

BLOCK = 256  # numbers drawn at once: 1.5 episodes of an untrained rider, and few calls per step for a trained one
GROUP = 32  # environments whose blocks are transposed at once: 64 kB, which stays in the cache


class UniformNoise:
    """Draw w ~ U(−a, a), one number per step and environment, each environment from its own stream.

    An environment draws blocks of `BLOCK` numbers, w = 2a u − a with u uniform on [0, 1), and begins a fresh block with
    every episode, so what it draws does not depend on the other environments, on how many there are, or on when their
    episodes end.

    Args:
        num_envs: n.
        amplitude: a, in the unit of what the noise is added to; 0: nothing is drawn.
        dtype: of w, which is drawn in float64 whatever it is.
    """

    def __init__(self, num_envs: int, amplitude: float, dtype: DTypeLike = np.float64) -> None:
        self.amplitude = amplitude
        self.generators: list[np.random.Generator | None] = [None] * num_envs
        # A ring of `BLOCK` steps in which one step's numbers lie side by side. Environments that began at different
        # times come to the end of their blocks at different places of it: `_due` holds each one's place, −1 for one
        # that draws nothing.
        self._ring = np.zeros((BLOCK if amplitude > 0.0 else 1, num_envs), dtype)
        self._due = np.full(num_envs, -1, np.int16)
        self._any_due = np.zeros(len(self._ring), np.bool_)  # by place, whether one may be due there
        self._at = 0

    def seed(self, environment: int, seed: int | None) -> None:
        """Give an environment the stream of `gymnasium.Env.reset(seed=seed)`; None keeps the one it has, if any."""
        if seed is not None or self.generators[environment] is None:
            self.generators[environment], _ = seeding.np_random(seed)

    def streams(self, which: np.ndarray) -> list[np.random.Generator]:
        """Return the random streams of the environments of an index array.

        Raises:
            RuntimeError: if one of them was never seeded.
        """
        found = [generator for i in which if (generator := self.generators[i]) is not None]
        if len(found) < len(which):
            raise RuntimeError("UniformNoise: every environment must be seeded before it starts")
        return found

    def begin(self, which: np.ndarray) -> None:
        """Let the environments of an index array begin a fresh block at the next `take`."""
        self._due[which] = self._at
        self._any_due[self._at] = True

    def pause(self, which: np.ndarray) -> None:
        """Let the environments of an index array draw nothing until `begin`."""
        self._due[which] = -1

    def take(self) -> np.ndarray:
        """Return this step's noise, (n,): valid until the next call, not to be written to."""
        if self.amplitude == 0.0:
            return self._ring[0]
        if self._any_due[self._at]:
            due = np.flatnonzero(self._due == self._at)
            self._any_due[self._at] = due.size > 0
            if due.size:
                self._fill(due)
        noise = self._ring[self._at]
        self._at = (self._at + 1) % BLOCK
        return noise

    def _fill(self, which: np.ndarray) -> None:
        at, tile = self._at, np.empty((min(GROUP, which.size), BLOCK))
        for first in range(0, which.size, GROUP):
            some = which[first : first + GROUP]
            drawn = tile[: some.size]
            for k, generator in enumerate(self.streams(some)):
                generator.random(out=drawn[k])
            # w = 2a u − a
            drawn *= 2.0 * self.amplitude
            drawn -= self.amplitude
            # neighbours as a slice, which numpy copies faster than a list of indices
            where = slice(some[0], some[-1] + 1) if some[-1] - some[0] == some.size - 1 else some
            self._ring[at:, where] = drawn.T[: BLOCK - at]
            self._ring[:at, where] = drawn.T[BLOCK - at :]

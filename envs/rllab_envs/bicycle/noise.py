"""Noise on the rider's displacement: w ~ U(−a, a) metres, one number per step and row, each row from its own stream.

A row draws blocks of `BLOCK` numbers, w = 2a u − a with u uniform on [0, 1), and begins a fresh block with every
episode, so what it draws does not depend on the other rows, on how many there are, or on when they fall.
"""

import numpy as np
from gymnasium.utils import seeding

BLOCK = 256  # numbers drawn at once: 1.5 episodes of an untrained rider, and few calls per step for a trained one
GROUP = 32  # rows turned from row-major to time-major at once: 64 kB, which stays in the cache


class RowNoise:
    """Noise of n rows, kept time-major in a ring of `BLOCK` steps: one step's numbers lie side by side.

    Rows that began at different times come to the end of their blocks at different places of the ring: `_due` holds
    each row's place, −1 for a row that draws nothing.
    """

    def __init__(self, rows: int, amplitude: float) -> None:
        self.amplitude = amplitude  # a, in metres; 0: nothing is drawn
        self.generators: list[np.random.Generator | None] = [None] * rows
        self._ring = np.zeros((BLOCK if amplitude > 0.0 else 1, rows))
        self._due = np.full(rows, -1, np.int16)
        self._place = 0

    def seed(self, row: int, seed: int | None) -> None:
        """Give a row the stream of `gymnasium.Env.reset(seed=seed)`; None keeps the one it has, if any."""
        if seed is not None or self.generators[row] is None:
            self.generators[row], _ = seeding.np_random(seed)

    def begin(self, rows: np.ndarray) -> None:
        """Let the rows of an index array begin a fresh block at the next `take`; each must have a generator by then."""
        self._due[rows] = self._place

    def pause(self, rows: np.ndarray) -> None:
        """Let the rows of an index array draw nothing until `begin`."""
        self._due[rows] = -1

    def take(self) -> np.ndarray:
        """Return this step's noise, (rows,) m: valid until the next call, not to be written to."""
        if self.amplitude == 0.0:
            return self._ring[0]
        due = np.flatnonzero(self._due == self._place)
        if due.size:
            self._fill(due)
        noise = self._ring[self._place]
        self._place = (self._place + 1) % BLOCK
        return noise

    def _fill(self, rows: np.ndarray) -> None:
        place, tile = self._place, np.empty((min(GROUP, rows.size), BLOCK))
        for first in range(0, rows.size, GROUP):
            some = rows[first : first + GROUP]
            drawn = tile[: some.size]
            for k, row in enumerate(some):
                generator = self.generators[row]
                assert generator is not None
                generator.random(out=drawn[k])
            # w = 2a u − a
            drawn *= 2.0 * self.amplitude
            drawn -= self.amplitude
            # neighbouring rows as a slice, which numpy copies faster than a list of rows
            where = slice(some[0], some[-1] + 1) if some[-1] - some[0] == some.size - 1 else some
            self._ring[place:, where] = drawn.T[: BLOCK - place]
            self._ring[:place, where] = drawn.T[BLOCK - place :]

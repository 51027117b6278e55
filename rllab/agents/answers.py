"""Answers: the one place where what environments give is checked, and becomes arrays of the caller's own."""

from __future__ import annotations

import numpy as np
from gymnasium import Space

from rllab.agents.observations import Observations, as_array

LARGEST = float(np.finfo(np.float32).max)  # learners compute in float32, where anything larger is infinite


class Answers:
    """Turn what an environment answers into arrays of the caller's own, or refuse it.

    Args:
        who: the agent, for errors.
        environment: its name, for errors.
        space: of one observation.
    """

    def __init__(self, who: str, environment: str, space: Space):
        self._must, self._encoder = f"{who}: environment {environment} must give", Observations(who, space)

    def observations(self, answer: object, n: tuple[int, ...], live: np.ndarray | None, t: int) -> np.ndarray:
        """Return observations (*n, o) of the environments `live`, or of all, at step t: finite numbers."""
        o = self._encoder.encode(answer, n)
        if o is None:
            wanted = self._encoder.wanted(n)
            raise ValueError(f"{self._must} observations of {wanted}, got {short(answer)} at step {t}")
        o = o if live is None else o[live]
        self._check_finite("observations", o, t)
        return o

    def rewards(self, answer: object, n: int, live: np.ndarray | None, t: int) -> np.ndarray:
        """Return a finite reward, float64, for each environment of `live`, or of all n."""
        r = self._one_each("rewards", "numbers", "fiub", answer, n, live, t).astype(np.float64)
        self._check_finite("rewards", r, t)
        return r

    def flags(self, name: str, answer: object, n: int, live: np.ndarray | None, t: int) -> np.ndarray:
        """Return a truth value for each environment of `live`, or of all n, given as such or as 0 and 1."""
        flags = self._one_each(f"{name} flags", "True or False", "biu", answer, n, live, t)
        if flags.dtype.kind != "b" and not ((flags == 0) | (flags == 1)).all():
            raise ValueError(f"{self._must} {name} flags that are True or False, got {short(answer)} at step {t}")
        return flags.astype(bool)

    def _one_each(
        self, name: str, kind: str, kinds: str, answer: object, n: int, live: np.ndarray | None, t: int
    ) -> np.ndarray:
        given = as_array(answer)
        if given.dtype.kind not in kinds or given.size != n:
            each = "" if n == 1 else f", {n} of them"
            raise ValueError(f"{self._must} {name} that are {kind}{each}, got {short(answer)} at step {t}")
        given = given.reshape(n)
        return given if live is None else given[live]

    def _check_finite(self, name: str, values: np.ndarray, t: int) -> None:
        if not float(np.abs(values).max()) <= LARGEST:
            bad = values[~(np.abs(values) <= LARGEST)][0]
            raise ValueError(f"{self._must} {name} that are finite in single precision, got {bad} at step {t}")


def short(answer: object) -> str:
    """Return a text of 60 letters at most, and the shape of an array."""
    shape = f" of shape {answer.shape}" if isinstance(answer, np.ndarray) and answer.size > 1 else ""
    return f"{answer!r:.60}{shape}"

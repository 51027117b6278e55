"""Observations: what an environment shows, of whatever space, as one row of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from rllab.array_policy import Part

IMAGE = 1024  # numbers in the largest image that is flattened: 32 × 32 grey
WIDEST = 100_000  # numbers in the widest observation
Path = tuple[str | int, ...]


class Observations:
    """Encode observations as rows of numbers, for one environment or for n side by side.

    A Box of any shape is flattened; Discrete, MultiDiscrete and MultiBinary become one-hot (a binary digit is one
    number); the parts of Dict and Tuple follow one another, in the order of the space. These are the rows of
    `gymnasium.spaces.utils.flatten`, save that a Box alone keeps its dtype.

    Args:
        who: the agent, for errors.
        space: of one observation.

    Attributes:
        size: o, numbers in a row.

    Raises:
        ValueError: the space, or a part of it, is of another kind, or it is wider than 100,000.
    """

    def __init__(self, who: str, space: Space):
        self.who, self.space, self.parts = who, space, list(_parts(space))
        for _, part in self.parts:
            if not isinstance(part, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
                raise ValueError(
                    f"{who}: observations must be Box, Discrete, MultiDiscrete, MultiBinary, or Dict and Tuple of "
                    f"them, got {part}"
                )
        self.size = sum(_width(part) for _, part in self.parts)
        if not 0 < self.size <= WIDEST:
            raise ValueError(f"{who}: observations must be of 1 to {WIDEST:,} numbers, got {self.size:,} in {space}")
        self._box = space if isinstance(space, spaces.Box) else None

    def check_flat(self, otherwise: str) -> None:
        """Raise a ValueError if there is an image of more than 1,024 numbers, which a network of ours would flatten.

        Args:
            otherwise: what else the user may do than make it smaller, for the error.
        """
        for _, part in self.parts:
            image = isinstance(part, spaces.Box) and len(part.shape) == 3 and part.dtype == np.uint8
            if image and _width(part) > IMAGE:
                raise ValueError(
                    f"{self.who}: images must be of at most {IMAGE:,} numbers to be flattened, got {part.shape}: make "
                    "them smaller by wrappers (gymnasium.wrappers.GrayscaleObservation, ResizeObservation), or "
                    f"{otherwise}"
                )

    def bounds(self) -> np.ndarray:
        """Return the largest absolute value of each number in a row, (o,); 1 for what is one-hot."""
        return np.concatenate(
            [
                np.maximum(np.abs(part.low.astype(float)), np.abs(part.high.astype(float))).reshape(-1)
                if isinstance(part, spaces.Box)
                else np.ones(_width(part))
                for _, part in self.parts
            ]
        )

    def rows(self, given: object) -> np.ndarray:
        """Return observations that a user gives, as a policy takes them: n as (n, o), one as (o,).

        Raises:
            ValueError: they are no observations of the space, or no finite numbers; in the name of `who`.
        """
        lead = self.lead(given)
        rows = None if lead is None else self.encode(given, lead)
        if rows is None:
            got = as_array(given)
            shown = f"{got.shape} {got.dtype}" if got.dtype != object else f"{given!r:.60}"
            raise ValueError(f"{self.who}: observations must be {self.wanted(())}, one or n of them, got {shown}")
        if not np.isfinite(rows).all():
            raise ValueError(f"{self.who}: observations must be finite, got {rows[~np.isfinite(rows)][0]}")
        return rows

    def lead(self, answer: object) -> tuple[int, ...] | None:
        """Return () for one observation and (n,) for n side by side; None if it is neither."""
        path, part = self.parts[0]
        values = as_array(_at(answer, path))
        rank = values.ndim - len(part.shape or ())
        return values.shape[:rank] if rank in (0, 1) else None

    def encode(self, answer: object, lead: tuple[int, ...]) -> np.ndarray | None:
        """Return rows (*lead, o); None if the answer is no such observation.

        Args:
            answer: one observation, or n of them in the form of `gymnasium.vector.utils.batch_space`.
            lead: () for one, (n,) for n.
        """
        if self._box is not None:
            return _encoded(self._box, answer, lead)
        columns = []
        for path, part in self.parts:
            encoded = _encoded(part, _at(answer, path), lead)
            if encoded is None:
                return None
            columns.append(encoded)
        return np.concatenate(columns, -1)

    def layout(self) -> tuple[Part, ...]:
        """Say in plain values where the parts of an observation lie, and how they become numbers."""
        return tuple(Part(path, tuple(part.shape or ()), *_choices(part)) for path, part in self.parts)

    def wanted(self, lead: tuple[int, ...]) -> str:
        """Say what an observation must be."""
        if self._box is not None:
            return f"numbers {(*lead, *self._box.shape)}"
        return f"{self.space}" + (f", {lead[0]} of them" if lead else "")


def as_array(answer: object) -> np.ndarray:
    """Return an array of what it is given; one of None if it cannot be made one."""
    try:
        return np.asarray(answer)
    except (TypeError, ValueError, RuntimeError):  # a ragged list, a tensor with a gradient
        return np.array(None)


def _parts(space: Space, path: Path = ()) -> Iterator[tuple[Path, Space]]:
    """Yield the spaces that Dict and Tuple are made of, each with the names that lead to it."""
    if isinstance(space, spaces.Dict):
        inner: Any = space.spaces.items()
    elif isinstance(space, spaces.Tuple):
        inner = enumerate(space.spaces)
    else:
        yield path, space
        return
    for name, part in inner:
        yield from _parts(part, (*path, name))


def _at(answer: object, path: Path) -> object:
    """Return the part of an answer that a path leads to; None if there is none."""
    for name in path:
        if isinstance(answer, Mapping):
            answer = answer.get(name)
        elif isinstance(answer, tuple | list) and isinstance(name, int) and name < len(answer):
            answer = answer[name]
        else:
            return None
    return answer


def _width(part: Space) -> int:
    if isinstance(part, spaces.Discrete):
        return int(part.n)
    if isinstance(part, spaces.MultiDiscrete):
        return int(part.nvec.sum())
    return int(np.prod(part.shape or ()))


def _encoded(part: Space, answer: object, lead: tuple[int, ...]) -> np.ndarray | None:
    """Return (*lead, width) numbers of a space that has no parts; None if the answer is not of it."""
    values = as_array(answer)
    kind = values.dtype.kind
    if values.shape != (*lead, *part.shape):  # pyright: ignore[reportOptionalIterable] - these spaces have a shape
        return None
    if isinstance(part, spaces.Box):
        if kind not in "fiu" and not (kind == "b" and part.dtype.kind == "b"):
            return None
        return values if len(part.shape) == 1 else values.reshape(*lead, -1)
    if kind not in "iub":
        return None
    if isinstance(part, spaces.MultiBinary):
        return values.reshape(*lead, -1).astype(np.float32) if ((values == 0) | (values == 1)).all() else None
    counts, starts = (np.array(each) for each in _choices(part))
    indices = values.reshape(*lead, -1).astype(np.int64) - starts
    if not ((indices >= 0) & (indices < counts)).all():
        return None
    row = np.zeros((*lead, int(counts.sum())), np.float32)
    np.put_along_axis(row, indices + (np.cumsum(counts) - counts), 1.0, -1)
    return row


def _choices(part: Space) -> tuple[tuple[int, ...] | None, tuple[int, ...]]:
    """Return how many choices there are in each component of a space, and what the first is called; None: numbers."""
    if isinstance(part, spaces.Discrete):
        return (int(part.n),), (int(part.start),)
    if isinstance(part, spaces.MultiDiscrete):
        return tuple(part.nvec.reshape(-1).tolist()), tuple(part.start.reshape(-1).tolist())
    return None, ()

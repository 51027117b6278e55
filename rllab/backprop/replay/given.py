"""Given: the tensors that a pass reads, the same ones time after time, whatever its caller hands in."""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_

from torch import Tensor


class Given:
    """Tensors from a caller: read where they are while he gives the same ones, else copied to a place of their own.

    Attributes:
        tensors: what the pass reads, detached.
    """

    def __init__(self, given: Sequence[Tensor]):
        self._seen, self._own = tuple(given), False
        self.tensors = [t.detach() for t in given]

    def fit(self, given: Sequence[Tensor]) -> bool:
        """Whether these can be put in place of those before."""
        if len(given) != len(self._seen):
            return False
        return all(map(is_, given, self._seen)) or all(map(_alike, given, self.tensors))

    def take(self, given: Sequence[Tensor]) -> bool:
        """Take these; return whether `tensors` are still the same ones, their numbers alone new."""
        if self._own:
            for own, t in zip(self.tensors, given, strict=True):
                own.copy_(t.detach() if t.requires_grad else t)
            return True
        if all(map(is_, given, self._seen)):
            return True
        # others are given: more will come, so that from now on they are copied
        self.tensors, self._own = [t.detach().clone() for t in given], True
        return False


def _alike(new: Tensor, old: Tensor) -> bool:
    return new.shape == old.shape and new.dtype == old.dtype and new.device == old.device

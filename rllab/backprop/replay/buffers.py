"""Input buffers: the tensors that a pass reads, the same ones time after time, whatever its caller hands in."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


class InputBuffers:
    """Tensors from a caller, read where they are while he gives the same memory, else copied to memory of their own.

    Attributes:
        tensors: what the pass reads, detached.
    """

    def __init__(self, given: Sequence[Tensor]):
        self.tensors, self._own = [t.detach() for t in given], False
        self._places = _places(given)  # nobody else's while `tensors` hold them

    def take(self, given: Sequence[Tensor]) -> bool:
        """Take tensors of the same shapes; return whether `tensors` are the same ones, their numbers alone new."""
        if self._own:
            for own, t in zip(self.tensors, given, strict=True):
                own.copy_(t.detach() if t.requires_grad else t)
            return True
        if _places(given) == self._places:
            return True
        # others are given: more will come, so that from now on they are copied
        self.tensors, self._own = [t.detach().clone() for t in given], True
        return False


def _places(tensors: Sequence[Tensor]) -> list[tuple[int, tuple[int, ...]]]:
    """Return where in memory tensors of known shapes are."""
    return [(t.data_ptr(), t.stride()) for t in tensors]

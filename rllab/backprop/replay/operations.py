"""Operations: what a function asks torch to do, recorded, so that it is done again without the function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import is_
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode


class Operations(TorchFunctionMode):
    """Records what torch is asked to do.

    A function of fixed tensors that does nothing but write into them, through views of them, is a list of torch's own
    functions with all their arguments.

    Attributes:
        made: the operations that wrote, bound to their arguments.
        only_write: whether all others made views or told shapes, so that `made` does again all that was done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: list[partial] = []
        self.only_write = True

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if _writes(func, result, args, kwargs.get("out")):
            self.made.append(partial(func, *args, **kwargs))
        elif not (_tells_shapes(func, result) or _views(result, args)):
            self.only_write = False
        return result


class Recorded:
    """A function whose arguments are the same objects time after time, their numbers changing.

    Its second call in a row with these is recorded; later ones make the operations again, if it does nothing else.
    It must depend on nothing but its arguments and buffers of its own, and return nothing.
    """

    def __init__(self, function: Callable[..., None]):
        self._function = function
        self._arguments: tuple = ()
        self._made: list[partial] | None = None
        self._tried = False

    def __call__(self, *arguments: Any) -> None:
        if len(arguments) != len(self._arguments) or not all(map(is_, arguments, self._arguments)):
            self._arguments, self._made, self._tried = arguments, None, False
            self._function(*arguments)
        elif self._made is not None:
            for operation in self._made:
                operation()
        elif self._tried:
            self._function(*arguments)
        else:
            self._tried = True
            with Operations() as operations:
                self._function(*arguments)
            self._made = operations.made if operations.only_write else None


def same(new: Any, old: Any) -> bool:
    """Return whether these are the same tensors, not tensors of the same numbers."""
    if type(new) is tuple and type(old) is tuple:
        return len(new) == len(old) and all(map(is_, new, old))
    return new is old


def _writes(func: Any, result: Any, args: tuple, out: Any) -> bool:
    if result is None:
        return func.__name__ == "_fused_adam_"
    return same(result, out) or (len(args) > 0 and result is args[0])


def _tells_shapes(func: Any, result: Any) -> bool:
    if isinstance(result, Tensor):
        return False
    return func.__name__ in ("__get__", "__len__", "dim", "size", "numel", "is_floating_point")


def _views(result: Any, args: tuple) -> bool:
    """Whether a result is a view, or several, of one of the arguments."""
    parts = result if isinstance(result, tuple | list) else (result,)
    memory = {arg.untyped_storage().data_ptr() for arg in args if isinstance(arg, Tensor)}
    return all(isinstance(t, Tensor) and t.untyped_storage().data_ptr() in memory for t in parts)

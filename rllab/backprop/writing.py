"""Writing: that a module's methods write into none of their arguments, and over all that `out` held."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

from rllab.backprop.evaluation import FAILURES, blamed, compute, gather
from rllab.backprop.module import State, Weights, outputs
from rllab.backprop.order import Block
from rllab.backprop.wiring import Wiring
from rllab.keys import Key
from rllab.noise import standard_normal

Values = Mapping[str, Tensor]
_FAILED = object()  # in place of what a method would have returned


def check_writing(wiring: Wiring, observed: Sequence[Tensor], flat: Tensor) -> None:
    """Raise a ValueError that names the first block with a method that writes where it must not, or not over `out`.

    None may write into z, w, v or y, and what they make must not depend on what `out` held. All are called on copies,
    so that what was given stays as it was. A product that fails without `out` is left to the engines.
    """
    values, weights = wiring.observe(observed), wiring.split(flat)
    with torch.no_grad():
        for block in wiring.blocks:
            read, w = {name: values[name].clone() for name in block.reads}, [t.clone() for t in weights[block.name]]
            with _unwritten(block, "_forward", z=gather(read, block.reads), w=w):
                computed = compute(block, read, w)
            values.update({name: t.clone() for name, t in computed.items()})
            _check_forward(block, values, w)
            if block.module.differentiable and all(t.is_floating_point() for t in computed.values()):
                _check_products(block, values, w)


def _check_forward(block: Block, values: Values, w: Weights) -> None:
    z, forward = _state(block, values), block.module._forward
    left = forward(_state(block, values, shift=1), w)
    _check_over(block, values, "_forward", forward(z, w), left, z=z, w=w)


def _check_products(block: Block, values: Values, w: Weights) -> None:
    module, z, other_z = block.module, _state(block, values), _state(block, values, shift=1)
    y, other_y = module._forward(z, w), module._forward(other_z, w)
    v, other_v = _random(block, y, "v"), _random(block, y, "other v")
    product = _fresh(block, "_vjp_state", None, v=v, z=z, w=w, y=y)
    if product is not _FAILED:
        left = module._vjp_state(other_v, other_z, w, other_y)
        _check_over(block, values, "_vjp_state", product, left, v=v, z=z, w=w, y=y)
    if not module.size:
        return
    written = [torch.zeros_like(t) for t in w]
    # a list of its own: a method that puts other tensors into it has not written into these
    if _fresh(block, "_vjp_weights", list(written), v=v, z=z, w=w, y=y) is None:
        left = [torch.full_like(t, math.nan) for t in w]  # in a graph, `out` may be memory that nobody wrote
        _check_over(block, values, "_vjp_weights", written, left, v=v, z=z, w=w, y=y)


def _state(block: Block, values: Values, shift: int = 0) -> State:
    """Return copies of what a block reads, the samples moved on by so many rows."""
    return gather({name: values[name].roll(shift, 0) for name in block.reads}, block.reads)


def _random(block: Block, y: State, name: str) -> State:
    """Return one random tensor for each of a block's outputs."""
    key = Key(0).child(block.name, name)
    vs = [standard_normal(tuple(t.shape), key.child(k), t) for k, t in enumerate(outputs(block.module, y))]
    return tuple(vs) if block.module.outputs > 1 else vs[0]


def _fresh(block: Block, method: str, out: Weights | None, **arguments: State) -> object:
    """Return what a method returns, or that it failed."""
    with _unwritten(block, method, **arguments), suppress(*FAILURES):
        return getattr(block.module, method)(*arguments.values(), out)
    return _FAILED


def _check_over(block: Block, values: Values, method: str, fresh: State, left: State, **arguments: State) -> None:
    """Raise a ValueError unless a method that is given, as `out`, what is left of another call makes what it made."""
    writes = method == "_vjp_weights"  # and returns nothing
    with _unwritten(block, method, **arguments):
        try:
            made = getattr(block.module, method)(*arguments.values(), list(left) if writes else left)
        except FAILURES as error:
            raise blamed(block, values, error, back=method != "_forward") from error
    if not _alike(left if writes else made, fresh):
        raise ValueError(
            f"Graph: block {block.name!r} ({type(block.module).__name__}): what {method} makes depends on what `out` "
            "held before, the numbers of an earlier call; it must write over all of `out`, never add to it"
        )


@contextmanager
def _unwritten(block: Block, method: str, **arguments: State) -> Iterator[None]:
    """Raise a ValueError if a tensor among the arguments was written into meanwhile."""
    tensors = [(name, t) for name, given in arguments.items() for t in _tensors(given)]
    before = [(t._version, t.clone()) for _, t in tensors]  # torch counts what it writes, but not what numpy does
    yield
    for (name, t), (version, held) in zip(tensors, before, strict=True):
        if t._version != version or not torch.equal(t.nan_to_num(), held.nan_to_num()):
            raise ValueError(
                f"Graph: block {block.name!r} ({type(block.module).__name__}) writes into its argument {name} in "
                f"{method}; another block may need what stood there: it must return a new tensor, or write into `out`"
            )


def _tensors(given: State) -> Sequence[Tensor]:
    return given if isinstance(given, tuple | list) else (given,)


def _alike(made: State, fresh: State) -> bool:
    """Return whether two results hold the same numbers, but for rounding."""
    if isinstance(fresh, tuple | list):
        return isinstance(made, tuple | list) and len(made) == len(fresh) and all(map(_alike, made, fresh))
    if not isinstance(fresh, Tensor) or not isinstance(made, Tensor):
        return made is fresh
    if made.shape != fresh.shape or made.dtype != fresh.dtype:
        return False
    if not fresh.numel() or not fresh.is_floating_point():
        return torch.equal(made, fresh)
    rounding = 1e-9 * float(fresh.nan_to_num(0, 0, 0).abs().max())
    return torch.allclose(made, fresh, rtol=0, atol=rounding, equal_nan=True)

"""Writing: the rule that a module's methods write into none of their arguments, checked at one call of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

from rllab.backprop.evaluation import FAILURES, compute, gather
from rllab.backprop.module import State, Weights, outputs
from rllab.backprop.order import Block
from rllab.backprop.wiring import Wiring
from rllab.keys import Key
from rllab.noise import standard_normal


def check_writing(wiring: Wiring, observed: Sequence[Tensor], flat: Tensor) -> None:
    """Raise a ValueError that names the first block whose `_forward` or products write into z, w, v or y.

    All are called on copies, so that what was given stays as it was. A product that fails is left to the engines.
    """
    values, weights = wiring.observe(observed), wiring.split(flat)
    with torch.no_grad():
        for block in wiring.blocks:
            read, w = {name: values[name].clone() for name in block.reads}, [t.clone() for t in weights[block.name]]
            with _unwritten(block, "_forward", z=gather(read, block.reads), w=w):
                computed = compute(block, read, w)
            values.update({name: t.clone() for name, t in computed.items()})
            if block.module.differentiable and all(t.is_floating_point() for t in computed.values()):
                _check_products(block, values, w)


def _check_products(block: Block, values: Mapping[str, Tensor], w: Weights) -> None:
    module = block.module
    z = gather({name: values[name].clone() for name in block.reads}, block.reads)
    y = module._forward(z, w)
    vs = [standard_normal(tuple(t.shape), Key(0).child(block.name, k), t) for k, t in enumerate(outputs(module, y))]
    v = tuple(vs) if module.outputs > 1 else vs[0]
    with _unwritten(block, "_vjp_state", v=v, z=z, w=w, y=y), suppress(*FAILURES):
        module._vjp_state(v, z, w, y)
    if module.size:
        with _unwritten(block, "_vjp_weights", v=v, z=z, w=w, y=y), suppress(*FAILURES):
            module._vjp_weights(v, z, w, y, [torch.empty_like(t) for t in w])


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

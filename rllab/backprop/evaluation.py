"""Evaluation: variables from those below them, block by block, and errors that say which block could not compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from rllab.backprop.module import State, Weights, outputs
from rllab.backprop.order import Block, Variable
from rllab.backprop.wiring import Wiring
from rllab.keys import Key

FAILURES = (ValueError, TypeError, RuntimeError, IndexError, AttributeError)  # what torch and modules raise
NO_WEIGHTS = ("list index out of range", "not enough values to unpack")  # what python says of w[0] or (a,) = w
LISTED = ("'list' object", "not list", "concatenate list", "converted to an index")  # of out.copy_(…), w * z or w + z
NOTHING = "'NoneType' object has no attribute"  # of out.copy_(…) where there is no `out` yet


def initial(block: Block, key: Key) -> Tensor:
    """Return the weights (d,) that a block begins with.

    Raises:
        ValueError: its module's `initial` returned something else.
    """
    w, size = block.module.initial(key), block.module.size
    if not isinstance(w, Tensor) or w.shape != (size,):
        got = f"a tensor {tuple(w.shape)}" if isinstance(w, Tensor) else repr(w)
        who = f"block {block.name!r} ({type(block.module).__name__})"
        raise ValueError(f"Graph: {who}: initial must return its weights as one flat tensor ({size},), got {got}")
    return w


def forward(blocks: Sequence[Block], values: dict[str, Tensor], w: Mapping[str, Weights]) -> None:
    """Add to the values that are there those that these blocks compute."""
    for block in blocks:
        values.update(compute(block, values, w[block.name]))


def compute(block: Block, values: Mapping[str, Tensor], w: Weights) -> dict[str, Tensor]:
    """Return the variables that a block computes from the values that are there."""
    z = gather(values, block.reads)
    try:
        block.module._check_call(z, w)
        return dict(zip(block.computes, outputs(block.module, block.module._forward(z, w)), strict=True))
    except FAILURES as error:
        raise blamed(block, values, error) from error


def gather(values: Mapping[str, Tensor], names: tuple[str, ...]) -> State:
    """Return a block's state: one tensor, or a tuple of several."""
    return values[names[0]] if len(names) == 1 else tuple([values[name] for name in names])


def check_costs(wiring: Wiring, values: Mapping[str, Tensor]) -> list[Tensor]:
    """Return the costs.

    Raises:
        ValueError: one is not a number for each sample, or there are no samples.
    """
    first = next(iter(wiring.inputs))
    n = len(values[first])
    if n == 0:
        raise ValueError(f"Graph: input {first!r} must hold at least one sample, got none")
    for name in wiring.costs:
        if values[name].shape != (n,):
            got = tuple(values[name].shape)
            raise ValueError(f"Graph: cost, {wiring.variables[name]}, must be ({n},), one number a sample, got {got}")
    return [values[name] for name in wiring.costs]


def check_kinds(block: Block, values: Mapping[str, Tensor], variables: Mapping[str, Variable]) -> None:
    """Raise a ValueError if a continuous variable that a block computed is integers, or the other way round."""
    for name in block.computes:
        if values[name].is_floating_point() is variables[name].discrete:
            kind = "discrete" if variables[name].discrete else "continuous"
            raise ValueError(f"Graph: {variables[name]} is {kind}, yet {block.module} returned {values[name].dtype}")


def blamed(block: Block, values: Mapping[str, Tensor], error: Exception, *, back: bool = False) -> ValueError:
    """Return an error that says which block could not compute, or not go back, from which variables."""
    read, computed = (_shown(values, names) for names in (block.reads, block.computes))
    does = f"pass the gradient of {computed} back to {read}" if back else f"compute {list(block.computes)} from {read}"
    unpacked = str(error).startswith(NO_WEIGHTS) and not block.module.shapes
    hint = "; it has no weights, as it says no `shapes`" * unpacked
    if block.module.shapes and any(said in str(error) for said in LISTED):
        hint = "; w, and the out of _vjp_weights, are lists with one tensor for each weight: out[0].copy_(…), w[0] * z"
    if str(error).startswith(NOTHING):
        hint = "; out is None in a first call of _forward and of _vjp_state"
    return ValueError(f"Graph: block {block.name!r} ({type(block.module).__name__}) cannot {does}: {error}{hint}")


def _shown(values: Mapping[str, Tensor], names: Sequence[str]) -> str:
    return ", ".join(f"{n!r} {tuple(values[n].shape)} {values[n].dtype}" for n in names if n in values)

"""Wiring: a graph without its weights, frozen: blocks in order, inputs, outputs, costs, and the plan of a pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from rllab.backprop.module import Weights
from rllab.backprop.order import Block, Variable, check_names, in_order, needed_for, overwriting, variables_of, wanting


@dataclass(frozen=True)
class PassPlan:
    """What a pass over a graph does.

    Attributes:
        run: the blocks it computes.
        path: those of them on which the costs depend.
        asked: the variables whose gradients it returns, besides those of weights.
        wanted: the continuous variables whose gradients it computes.
        over: the blocks that write their output over what they read, since nobody else wants it.
    """

    run: list[Block]
    path: list[Block]
    asked: tuple[str, ...]
    wanted: set[str]
    over: set[str]


@dataclass(frozen=True, eq=False)
class Wiring:
    """Blocks between variables, as evaluation and every engine read them.

    Args:
        blocks: in an order in which each reads only what is there.
        inputs: the observed variables in the order of the arguments, and whether each is discrete.
        outputs, costs: variables.
    """

    blocks: tuple[Block, ...]
    inputs: Mapping[str, bool]
    outputs: tuple[str, ...]
    costs: tuple[str, ...]
    _plans: dict[tuple[str, ...], PassPlan] = field(default_factory=dict, repr=False)

    @cached_property
    def variables(self) -> dict[str, Variable]:
        """Each by name: observed or computed, continuous or discrete."""
        return variables_of(self.blocks, self.inputs)

    @cached_property
    def owners(self) -> dict[str, Block]:
        """The blocks whose weights are their own, by name, in the order of the flat vector."""
        return {block.name: block for block in self.blocks if block.shares is None}

    @cached_property
    def size(self) -> int:
        """Number of weights, d."""
        return sum(block.module.size for block in self.owners.values())

    @cached_property
    def _shapes(self) -> dict[str, tuple[tuple[int, ...], ...]]:
        return {name: tuple(block.module.shapes.values()) for name, block in self.owners.items()}

    def split(self, w: Tensor) -> dict[str, Weights]:
        """Return views of the flat vector w (d,) for each block, in the shapes of its module's weights."""
        if w.shape != (self.size,):
            raise ValueError(f"Graph: weights must be {(self.size,)}, got {tuple(w.shape)}")
        sizes = [math.prod(shape) for shapes in self._shapes.values() for shape in shapes]
        parts = iter(w.split(sizes) if sizes else ())
        own = {name: [next(parts).view(shape) for shape in shapes] for name, shapes in self._shapes.items()}
        return {block.name: own[block.shares or block.name] for block in self.blocks}

    def flat_parts(self, w: Tensor) -> dict[str, Tensor]:
        """Return the part of each block that has weights of its own, of a vector (d,) or of rows (n, d)."""
        sizes = {name: block.module.size for name, block in self.owners.items()}
        parts = w.split(list(sizes.values()), -1) if sizes else ()
        return {name: part for (name, size), part in zip(sizes.items(), parts, strict=True) if size}

    def observe(self, observed: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the inputs by name.

        Raises:
            ValueError: there are too few or too many, or one is not what the graph was told it would be.
        """
        if len(observed) != len(self.inputs):
            raise ValueError(f"Graph: inputs must be {tuple(self.inputs)}, got {len(observed)} tensors")
        values = dict(zip(self.inputs, observed, strict=True))
        self.check_inputs(values)
        return values

    def check_inputs(self, values: Mapping[str, Tensor]) -> None:
        """Raise a ValueError unless inputs are tensors, sample first, of integers where they are discrete."""
        for name, t in values.items():
            if not isinstance(t, Tensor) or t.ndim == 0 or t.is_floating_point() is self.inputs[name]:
                kind = "integers" if self.inputs[name] else "floating point"
                got = f"{tuple(t.shape)} {t.dtype}" if isinstance(t, Tensor) else repr(t)
                raise ValueError(f"Graph: input {name!r} must be a tensor of {kind}, sample first, got {got}")

    def plan(self, asked: tuple[str, ...]) -> PassPlan:
        """Return what a pass does that gives the gradients of weights and of the variables asked for.

        Raises:
            ValueError: a block lies on its way that has no gradient.
        """
        if asked not in self._plans:
            wanted = self.check_passable(asked)
            run = needed_for(self.blocks, (*self.costs, *asked))
            over = overwriting(run, (*self.costs, *self.inputs))
            self._plans[asked] = PassPlan(run, needed_for(self.blocks, self.costs), asked, wanted, over)
        return self._plans[asked]

    def check_passable(self, asked: tuple[str, ...]) -> set[str]:
        """Return the continuous variables through which a gradient passes that is asked for.

        Raises:
            ValueError: a variable asked for is none, or discrete, or a block lies on the way that has no gradient.
        """
        for name in asked:
            if name not in self.variables or self.variables[name].discrete:
                got = f"{self.variables[name]}, which is discrete" if name in self.variables else repr(name)
                raise ValueError(f"Graph.backward: variables must be continuous variables of the graph, got {got}")
        live = wanting(self.blocks, asked)
        for block in needed_for(self.blocks, self.costs):
            if not block.module.differentiable and (block.module.size or live & set(block.reads)):
                below = next((repr(name) for name in block.reads if name in live), "its weights")
                raise ValueError(f"Graph.backward: no gradient passes block {block.name!r} to {below}")
        return {name for name in live if not self.variables[name].discrete}


def wired(
    blocks: Sequence[Block], inputs: Mapping[str, bool], output: str | Sequence[str], cost: str | Sequence[str]
) -> Wiring:
    """Return the wiring of blocks in whatever order.

    Raises:
        TypeError: `inputs` are names alone.
        ValueError: names are used twice or by nobody, wires do not fit modules, or blocks form a circle.
    """
    if not isinstance(inputs, Mapping):
        raise TypeError(
            f"Graph: inputs must say of each name whether it is discrete, as {{'x': False, 'y': True}}, got {inputs!r}"
        )
    check_names(blocks, inputs)
    outputs, costs = ((names,) if isinstance(names, str) else tuple(names) for names in (output, cost))
    wiring = Wiring(tuple(in_order(blocks, inputs)), dict(inputs), outputs, costs)
    unknown = [name for name in (*outputs, *costs) if name not in wiring.variables]
    if unknown or not outputs or not costs:
        raise ValueError(f"Graph: output and cost must be variables, got {output!r} and {cost!r}")
    return wiring

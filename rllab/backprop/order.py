"""Order: blocks between variables, each after those whose variables it reads, and what can be read off that alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rllab.backprop.module import Module


@dataclass(frozen=True)
class Block:
    """A module, the variables it reads and the variables it computes.

    Args:
        shares: name of another block, of an equal module, whose weights this one uses as its own (L18).
        name: of the block; its weights are found by it.
        module: what it computes.
        reads, computes: names of variables, one for each of the module's states in and out.

    Example:
        from rllab import backprop as bp

        blocks = [bp.Block("linear", bp.Linear(3, 2), ("x",), ("s",))]
        blocks.append(bp.Block("distance", bp.SquaredDistance(), ("s", "y"), ("C",)))
        net = bp.Graph(blocks, {"x": False, "y": False}, output="s", cost="C", key=0)
    """

    name: str
    module: Module
    reads: tuple[str, ...]
    computes: tuple[str, ...]
    shares: str | None = None


@dataclass(frozen=True)
class Variable:
    """A variable's name, whether it is observed or computed, continuous or discrete (L10), and by which block.

    Args:
        name: of the variable.
        observed: whether it is an input, else a block computes it.
        discrete: whether its values are integers, with respect to which there is no gradient.
        block: name of the block that computes it; None for an input.

    Example:
        from rllab import backprop as bp

        [name for name, v in bp.mlp((3, 4, 2)).variables.items() if not v.observed]  # s1, z1, s2, C
    """

    name: str
    observed: bool
    discrete: bool
    block: str | None = None

    def __str__(self) -> str:
        return f"input {self.name!r}" if self.observed else f"variable {self.name!r} of block {self.block!r}"


def variables_of(blocks: Sequence[Block], inputs: Mapping[str, bool]) -> dict[str, Variable]:
    """Return all variables by name, for blocks in order; what a block hands on is discrete where what it reads is."""
    variables = {name: Variable(name, True, discrete) for name, discrete in inputs.items()}
    for block in blocks:
        handed_on = block.module.passes_on and any(variables[name].discrete for name in block.reads)
        discrete = block.module.discrete or handed_on
        variables |= {name: Variable(name, False, discrete, block.name) for name in block.computes}
    return variables


def check_names(blocks: Sequence[Block], inputs: Mapping[str, bool]) -> None:
    """Raise a ValueError unless names are used once, wires fit their modules and shared weights fit."""
    names, by_name = set(inputs), {block.name: block for block in blocks}
    for block in blocks:
        if (len(block.reads), len(block.computes)) != (block.module.inputs, block.module.outputs):
            raise ValueError(
                f"Graph: block {block.name!r} reads {len(block.reads)} and computes {len(block.computes)} variables, "
                f"its module {block.module.inputs} and {block.module.outputs}"
            )
        new = (block.name, *block.computes)
        if taken := [name for k, name in enumerate(new) if name in names or name in new[:k]]:
            raise ValueError(f"Graph: block {block.name!r} takes names that are in use: {taken}")
        names |= set(new)
        if block.shares is not None:
            _check_shared(block, block.shares, by_name)


def _check_shared(block: Block, shares: str, by_name: Mapping[str, Block]) -> None:
    """Raise a ValueError unless the block whose weights are shared has weights of its own, and they fit."""
    other, who = by_name.get(shares), f"Graph: shares of block {block.name!r}"
    if other is None or other.shares is not None:
        own = [b.name for b in by_name.values() if b.shares is None and b.module.size]
        raise ValueError(f"{who} must be a block that has weights of its own, one of {own}, got {shares!r}")
    if other.module != block.module:
        raise ValueError(
            f"{who} must be a block of an equal module, {block.module}, got {other.name!r}, whose module is "
            f"{other.module}"
        )


def in_order(blocks: Sequence[Block], inputs: Iterable[str]) -> list[Block]:
    """Return the blocks so that each reads only what is there; in the order given, where that is one.

    Raises:
        ValueError: a variable is missing, or blocks depend on each other in a circle.
    """
    known, waiting, ordered = set(inputs), list(blocks), []
    made_by = {name: block for block in blocks for name in block.computes}
    for block in blocks:
        if missing := [name for name in block.reads if name not in known and name not in made_by]:
            raise ValueError(f"Graph: block {block.name!r} reads {missing}, which nobody computes")
    while waiting:
        ready = next((block for block in waiting if known.issuperset(block.reads)), None)
        if ready is None:
            raise ValueError(f"Graph: blocks depend on each other in a circle: {_circle(waiting[0], known, made_by)}")
        waiting.remove(ready)
        ordered.append(ready)
        known |= set(ready.computes)
    return ordered


def _circle(start: Block, known: set[str], made_by: dict[str, Block]) -> str:
    """Follow what each block waits for until one comes again."""
    path = [start]
    while path[-1] not in path[:-1]:
        path.append(made_by[next(name for name in path[-1].reads if name not in known)])
    return " <- ".join(repr(block.name) for block in path[path.index(path[-1]) :])


def needed_for(blocks: Sequence[Block], names: Collection[str]) -> list[Block]:
    """Return the blocks, of those in order, on which the variables `names` depend."""
    wanted, needed = set(names), []
    for block in reversed(blocks):
        if wanted & set(block.computes):
            wanted |= set(block.reads)
            needed.append(block)
    return needed[::-1]


def overwriting(run: Sequence[Block], kept: Iterable[str]) -> set[str]:
    """Return the blocks, of those that are run, that may write over what they read, where it is not to be kept."""
    readers = Counter(name for block in run for name in block.reads)
    read_again = {name for block in run for name in block.computes if block.module.reads_output} | set(kept)
    return {
        block.name
        for block in run
        if block.module.in_place and readers[block.reads[0]] == 1 and block.reads[0] not in read_again
    }


def wanting(blocks: Sequence[Block], asked: Iterable[str]) -> set[str]:
    """Return the variables through which a gradient passes: of those asked for, and of weights."""
    live = set(asked)
    for block in blocks:
        if block.module.size or live & set(block.reads):
            live |= set(block.computes)
    return live

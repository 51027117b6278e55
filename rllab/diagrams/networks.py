"""Networks drawn number by number, each weight a box on its own edge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from rllab.backprop.graph import Graph
from rllab.backprop.joins import Concatenate, Copy
from rllab.backprop.layers import Flatten, Linear, NearestRow
from rllab.backprop.losses import CrossEntropy
from rllab.backprop.order import Block, needed_for
from rllab.backprop.pointwise import Pointwise
from rllab.diagrams.diagram import Diagram, Edge, Node
from rllab.diagrams.graphs import draw_diagram
from rllab.diagrams.layout import Layout
from rllab.diagrams.names import is_letter, symbol
from rllab.diagrams.shapes import Direction


def draw_units(
    graph: Graph,
    path: str | os.PathLike[str],
    *,
    params: bool = True,
    costs: bool = False,
    direction: Direction = "up",
    labels: Mapping[str, str] | None = None,
) -> Layout:
    """Draw a graph unit by unit, on inputs (n, width), and return what is where.

        s[i] = Σ_{j ∈ UP(i)} w[i, j] z[j]        z[i] = h(s[i])                                          (L56, L58, L59)

    Args:
        path: ends in .svg or .png.
        params: draw a box for each weight of linear layers, and biases; `draw_graph` shows what other modules learn.
        costs: draw the costs too.
        direction: in which the numbers flow.
        labels: TeX to write instead at some of the drawn nodes, by name.
        graph: of plain layers.

    Returns:
        The layout: where each node was drawn.

    Raises:
        ValueError: if the width of a variable does not follow from the modules.

    Source: LeCun (2020), NYU Deep Learning, week 2, figures 4, 5 and 7.

    Example:
        import tempfile
        from rllab import backprop as bp
        from rllab import diagrams

        with tempfile.TemporaryDirectory() as folder:
            diagrams.draw_units(bp.mlp((3, 2)), f"{folder}/units.svg")
    """
    diagram = units_diagram(graph, params=params, costs=costs).relabelled(labels or {})
    return draw_diagram(diagram, path, direction)


def count_layers(graph: Graph, by: Literal["pairs", "variables"]) -> int:
    """Return how deep the way to the output is: in pairs of a linear and a pointwise block, or in variables.

    A pair may lack its pointwise half. Variables are the input, what each pair computes, and so one more than pairs.

    Args:
        graph: whose blocks are counted, from its inputs to its output.
        by: "pairs" or "variables".

    Returns:
        The number of either on the longest way.

    Raises:
        ValueError: `by` is neither of the two.

    Example:
        from rllab import backprop as bp
        from rllab import diagrams

        diagrams.count_layers(bp.mlp((3, 4, 2)), by="pairs")  # 2
    """
    if by not in ("pairs", "variables"):
        raise ValueError(f"count_layers: by must be 'pairs' or 'variables', got {by!r}")
    depth = dict.fromkeys(graph.inputs, 0)
    for block in needed_for(graph.blocks, graph.outputs):
        deep = max(depth[name] for name in block.reads) + isinstance(block.module, Linear)
        depth |= dict.fromkeys(block.computes, deep)
    return max(depth[name] for name in graph.outputs) + (by == "variables")


def units_diagram(graph: Graph, *, params: bool = True, costs: bool = False) -> Diagram:
    """Return what `draw_units` draws before anything has a place."""
    blocks = graph.blocks if costs else needed_for(graph.blocks, graph.outputs)
    maker = _Units(graph, _widths(graph), params)
    for block in blocks:
        maker.add(block)
    return Diagram(tuple(maker.nodes.values()), tuple(maker.edges))


class _Units:
    def __init__(self, graph: Graph, widths: dict[str, int], params: bool):
        self.graph, self.widths, self.params = graph, widths, params
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.wires: dict[str, list[str]] = {}  # by variable: the node that holds each of its numbers
        readers = {name: [b for b in graph.blocks if name in b.reads] for name in graph.variables}
        self.hidden = {  # sums that nothing but pointwise functions read
            name
            for name, blocks in readers.items()
            if blocks and all(isinstance(b.module, Pointwise) for b in blocks) and name not in graph.outputs
        }

    def add(self, block: Block) -> None:
        for name in block.reads:
            if name in self.graph.inputs and name not in self.wires:
                self.wires[name] = self._variables(name, [None] * self._width(name))
        reads = [wire for name in block.reads for wire in self.wires[name]]
        module = block.module
        if isinstance(module, Concatenate | Flatten):
            self.wires[block.computes[0]] = reads
        elif isinstance(module, Copy):
            self.wires |= dict.fromkeys(block.computes, reads)
        elif isinstance(module, Linear):
            sums = [self._sum(block, i, reads) for i in range(module.fan_out)]
            name = block.computes[0]
            self.wires[name] = sums if name in self.hidden else self._variables(name, sums)
        elif isinstance(module, Pointwise):
            label = type(module).__name__ if not is_letter(block.name) else symbol(block.name)
            label = label if is_letter(block.name) else rf"\mathrm{{{label}}}"
            made = [self._node(f"{block.name}[{i}]", "function", label, [wire]) for i, wire in enumerate(reads)]
            self.wires[block.computes[0]] = self._variables(block.computes[0], made)
        else:
            kind = "cost" if set(block.computes) & set(self.graph.costs) else "function"
            whole = self._node(block.name, kind, symbol(block.name), reads)
            if kind == "function":
                for name in block.computes:
                    self.wires[name] = self._variables(name, [whole] * self._width(name))

    def _width(self, name: str) -> int:
        if name not in self.widths:
            raise ValueError(f"draw_units: the width of {name!r} does not follow from the modules")
        return self.widths[name]

    def _node(self, name: str, kind: str, label: str, reads: list[str], discrete: bool = False) -> str:
        self.nodes[name] = Node(name, kind, label, discrete)  # type: ignore[arg-type]
        self.edges += [Edge(tail, name) for tail in reads]
        return name

    def _variables(self, name: str, made_by: list[str] | list[None]) -> list[str]:
        variable, alone = self.graph.variables[name], len(made_by) == 1
        kind = "observed" if variable.observed else "computed"
        names = [name if alone else f"{name}[{i}]" for i in range(len(made_by))]
        for i, (one, source) in enumerate(zip(names, made_by, strict=True)):
            label = symbol(name) if alone else f"{symbol(name)}[{i}]"
            self._node(one, kind, label, [source] if source else [], variable.discrete)
        return names

    def _sum(self, block: Block, i: int, reads: list[str]) -> str:
        """Make one sum and the weights on the edges into it."""
        name, terms = f"{block.name}[{i}]", []
        for j, wire in enumerate(reads):
            owner = block.shares or block.name
            index = f"{i}{j}" if max(len(reads), block.module.shapes["weight"][0]) <= 10 else f"{i},{j}"
            weight = f"w {owner}[{i},{j}]" + (f" in {block.name}" if block.shares else "")
            terms.append(self._node(weight, "weight", f"w_{{{index}}}", [wire]) if self.params else wire)
        if self.params and "bias" in block.module.shapes:
            terms.append(self._node(f"b {name}", "parameter", f"b_{{{i}}}", []))
        return self._node(name, "sum", r"\Sigma", terms)


def _widths(graph: Graph) -> dict[str, int]:
    """Return the width of each variable for which it follows from the modules."""
    widths: dict[str, int] = {}
    before = -1
    while len(widths) > before:
        before = len(widths)
        for block in graph.blocks:
            module, (first, *_) = block.module, block.computes
            if isinstance(module, Linear):
                widths |= {block.reads[0]: module.fan_in, first: module.fan_out}
            elif isinstance(module, NearestRow):
                widths |= {block.reads[0]: module.width, first: 1}
            elif isinstance(module, Concatenate):
                _of_parts(widths, block)
            elif not isinstance(module, Flatten):
                same = [n for n in (*block.reads, *block.computes) if n not in graph.costs]
                if isinstance(module, CrossEntropy):
                    widths[block.reads[1]] = 1
                    same = [block.reads[0]]
                known = {widths[name] for name in same if name in widths}
                if len(known) == 1:
                    widths |= dict.fromkeys(same, known.pop())
    return widths


def _of_parts(widths: dict[str, int], block: Block) -> None:
    """Infer the width of a concatenation from its parts, or of the one unknown part from the others."""
    whole, parts = block.computes[0], block.reads
    unknown = [name for name in parts if name not in widths]
    if not unknown:
        widths[whole] = sum(widths[name] for name in parts)
    elif whole in widths:
        rest = widths[whole] - sum(widths[name] for name in parts if name in widths)
        if rest == len(unknown) or len(unknown) == 1:
            widths |= dict.fromkeys(unknown, rest // len(unknown))

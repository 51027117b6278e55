"""Diagram: a graph as the lecture draws it, before anything has a place: nodes of a kind, and edges between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from rllab.backprop.graph import Graph
from rllab.backprop.order import Block
from rllab.diagrams.names import function_symbol, is_letter, symbol, weight_symbols

Kind = Literal[
    "observed", "computed", "parameter", "function", "cost", "average", "box",  # as values flow
    "gradient", "multiplier", "cost_twin", "box_twin", "one",  # as gradients flow
    "weight", "sum",  # of a drawing unit by unit
]  # fmt: skip


@dataclass(frozen=True)
class Node:
    """What is drawn in one place.

    Args:
        label: TeX without dollar signs, in the shape or beside it.
        discrete: whether a variable holds integers.
        beside: for the twin: the node in whose layer, or so many layers above which, it stands.
        derivative: for a function: TeX of what it is called in a derivative, "f" or "s_1".
    """

    name: str
    kind: Kind
    label: str = ""
    discrete: bool = False
    beside: tuple[str, int] | None = None
    derivative: str = ""


@dataclass(frozen=True)
class Edge:
    """An arrow, in the direction in which numbers flow."""

    tail: str
    head: str


@dataclass(frozen=True)
class Diagram:
    """Nodes and edges; a node reads in the order of its edges.

        observed ●   computed ○   discrete ◆ ◇   weights ⊙   function: a block, round on the easy side
        cost: a square   average, black box: blocks   and, in the twin, gradients and what they are multiplied by

    Source: LeCun (2020), NYU Deep Learning, week 2, "Introduction to gradient descent and backpropagation", figures 1
    to 9.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def count(self, kind: Kind) -> int:
        return sum(node.kind == kind for node in self.nodes)

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def reads(self, name: str) -> list[str]:
        """Return the tails of the edges into a node."""
        return [edge.tail for edge in self.edges if edge.head == name]

    def read_by(self, name: str) -> list[str]:
        """Return the heads of the edges out of a node."""
        return [edge.head for edge in self.edges if edge.tail == name]

    def relabelled(self, labels: Mapping[str, str]) -> Diagram:
        """Return the same with other labels for some nodes, TeX without dollar signs.

        Raises:
            ValueError: if there is no node of such a name.
        """
        if unknown := set(labels) - {node.name for node in self.nodes}:
            raise ValueError(f"draw_graph: labels must name drawn nodes, got {sorted(unknown)}")
        return replace(self, nodes=tuple(replace(n, label=labels.get(n.name, n.label)) for n in self.nodes))


def diagram_of(graph: Graph, *, params: bool = False) -> Diagram:
    """Return the diagram of a graph, one node for each block and variable, save the cost's that nobody reads.

    Args:
        params: whether weights are nodes too, one for each block that has its own: "w BLOCK".
    """
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    weights, read = weight_symbols(graph.blocks), {name for block in graph.blocks for name in block.reads}
    for block in graph.blocks:
        owner = block.shares or block.name
        reads = list(block.reads)
        for name in block.reads:
            nodes.setdefault(name, _variable(graph, name))
        if params and owner in weights:
            reads.append(f"w {owner}")
            nodes.setdefault(reads[-1], Node(reads[-1], "parameter", weights[owner]))
        nodes[block.name] = _function(graph, block, weights.get(owner))
        edges += [Edge(name, block.name) for name in reads]
        for name in block.computes:
            if name in read or name not in graph.costs:
                nodes[name] = _variable(graph, name)
                edges.append(Edge(block.name, name))
    for name in graph.inputs:
        nodes.setdefault(name, _variable(graph, name))  # nobody reads it
    if len(graph.costs) > 1:
        made_by = {name: block.name for block in graph.blocks for name in block.computes}
        nodes["sum of costs"] = Node("sum of costs", "average", "+")
        nodes["L"] = Node("L", "computed", "L")
        edges += [Edge(name if name in nodes else made_by[name], "sum of costs") for name in graph.costs]
        edges.append(Edge("sum of costs", "L"))
    return Diagram(tuple(nodes.values()), tuple(edges))


def stacked(graph: Graph, samples: int) -> Diagram:
    """Return copies of a graph, one a sample, that share all weights, under an average and the loss L(S, w) (L18)."""
    if samples < 1:
        raise ValueError(f"draw_graph: samples must be >= 1, got {samples}")
    once = diagram_of(graph, params=True)
    if len(graph.costs) > 1:
        raise ValueError("draw_graph: samples are stacked for graphs of one cost")
    shared = {node.name for node in once.nodes if node.kind == "parameter"}
    nodes = [node for node in once.nodes if node.name in shared]
    edges: list[Edge] = []
    top = next(node.name for node in once.nodes if node.name == graph.cost or graph.cost in _block(graph, node.name))
    for p in range(samples):
        for node in once.nodes:
            if node.name not in shared:
                nodes.append(replace(node, name=f"{node.name}[{p}]", label=_copy_label(node, p)))
        for e in once.edges:
            edges.append(Edge(e.tail if e.tail in shared else f"{e.tail}[{p}]", f"{e.head}[{p}]"))
        edges.append(Edge(f"{top}[{p}]", "average"))
    loss = Node("L(S, w)", "computed", r"L(S,\,w)" if shared else "L(S)")
    nodes += [Node("average", "average", r"\mathrm{average}"), loss]
    return Diagram(tuple(nodes), (*edges, Edge("average", loss.name)))


def isolated(graph: Graph, block: str) -> Diagram:
    """Return one block as it is, and the rest of the network as black boxes below and above it (L60).

    What the block depends on is in the box below, all other blocks in the one above, which ends in the cost.
    """
    by_name = {b.name: b for b in graph.blocks}
    if block not in by_name:
        raise ValueError(f"draw_graph: isolate must name a block, got {block!r}")
    lower, wanted = set(), set(by_name[block].reads)
    for b in reversed(graph.blocks):
        if wanted & set(b.computes):
            lower.add(b.name)
            wanted |= set(b.reads)
    inside = {b.name: "rest below" if b.name in lower else "rest above" for b in graph.blocks if b.name != block}
    made_by = {name: inside.get(b.name, block) for b in graph.blocks for name in b.computes}
    full = diagram_of(graph)
    nodes = {full.node(block).name: full.node(block)}
    if lower:
        nodes["rest below"] = Node("rest below", "box", r"\mathrm{rest\ of\ the\ network}")
    if "rest above" in inside.values():
        nodes["rest above"] = Node("rest above", "box", r"\mathrm{rest,\ up\ to\ the\ cost}")
    edges: Counter[Edge] = Counter()
    for b in graph.blocks:
        here = inside.get(b.name, block)
        for name in b.reads:
            if name in graph.inputs or block in (here, made_by[name]):
                nodes.setdefault(name, full.node(name))
                edges[Edge(name, here)] += 1
                if name not in graph.inputs:
                    edges[Edge(made_by[name], name)] += 1
            elif made_by[name] != here:
                edges[Edge(made_by[name], here)] += 1  # past the block
    ordered = sorted(nodes.values(), key=lambda n: n.name == "rest above")
    return Diagram(tuple(ordered), tuple(edges))


def _block(graph: Graph, name: str) -> tuple[str, ...]:
    return next((b.computes for b in graph.blocks if b.name == name), ())


def _copy_label(node: Node, p: int) -> str:
    if node.kind in ("observed", "computed"):
        return f"{node.label}[{p}]"
    if node.label.startswith(r"\mathrm"):
        return node.label
    return node.label.split("(")[0]  # of G(x, w) the G: its arguments are drawn


def _variable(graph: Graph, name: str) -> Node:
    variable = graph.variables[name]
    return Node(name, "observed" if variable.observed else "computed", symbol(name), variable.discrete)


def _function(graph: Graph, block: Block, weights: str | None) -> Node:
    kind = "cost" if set(block.computes) & set(graph.costs) else "function"
    derivative = symbol(block.name if is_letter(block.name) else block.computes[0])
    return Node(block.name, kind, function_symbol(block, weights), derivative=derivative)

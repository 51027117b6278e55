"""Twin: the derivative network of a diagram, its arrows reversed, each function a multiplication by its derivative."""

from __future__ import annotations

from dataclasses import dataclass, field

from rllab.diagrams.diagram import Diagram, Edge, Node

_VARIABLES = ("observed", "computed", "parameter")


def with_twin(forward: Diagram, slopes: dict[str, str], cost: str = "C", top: str | None = None) -> Diagram:
    """Return a diagram and its twin.

        1 ─▶ C ─▶ ∂C/∂z_g ─▶ × ∂g/∂z_f ─▶ ∂C/∂z_f ─▶ × ∂f/∂x ─▶ ∂C/∂x
                         └─▶ × ∂g/∂w_g ─▶ ∂C/∂w_g                          several arrows into one gradient are added

    Args:
        slopes: TeX of h′(s) for the pointwise functions, by name.
        cost: TeX of what is differentiated.
        top: the variable that is differentiated, if it is drawn.

    Source: LeCun (2020), NYU Deep Learning, week 2, figures 6, 8 and 9 (L60, L80, L81).
    """
    twin = _Twin(forward, slopes, cost)
    if top is not None:
        twin.feed(top)
    twin.build()
    return Diagram((*forward.nodes, *twin.nodes.values()), (*forward.edges, *twin.edges))


@dataclass
class _Twin:
    forward: Diagram
    slopes: dict[str, str]
    cost: str
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def feed(self, top: str) -> None:
        self._into(top, self._one(top))

    def build(self) -> None:
        for node in self._topdown():
            if node.kind in _VARIABLES:
                continue
            if node.kind == "average":
                self._average(node)
            elif node.kind == "function":
                self._function(node)
            else:
                self._whole(node)

    def _topdown(self) -> list[Node]:
        """Return the nodes, each after all that read it."""
        left = {node.name: len(self.forward.read_by(node.name)) for node in self.forward.nodes}
        ready, ordered = [node for node in self.forward.nodes if not left[node.name]], []
        while ready:
            ordered.append(node := ready.pop(0))
            for name in self.forward.reads(node.name):
                left[name] -= 1
                if not left[name]:
                    ready.append(self.forward.node(name))
        return ordered

    def _fed_by(self, node: Node) -> list[str]:
        """Return the gradients of what a node computes."""
        return [name for name in map(_gradient_name, self.forward.read_by(node.name)) if name in self.nodes]

    def _one(self, beside: str) -> str:
        """Return the 1 that is fed at the top, made where it is first needed."""
        self.nodes.setdefault("1", Node("1", "one", "1", beside=(beside, 1)))
        return "1"

    def _average(self, node: Node) -> None:
        """Feed what is averaged; a sum of costs hands the 1 on."""
        costs, name = self.forward.reads(node.name), f"*d{node.name}"
        if node.label == "+":
            top = self._one(node.name)
        else:
            self.nodes[name] = Node(name, "multiplier", rf"\times\,1/{len(costs)}", beside=(node.name, 0))
            self.edges.append(Edge(self._one(node.name), name))
            top = name
        for below in costs:
            if self.forward.node(below).kind in _VARIABLES:
                self._into(below, top)
            else:
                self._copy(self.forward.node(below), [top])

    def _whole(self, node: Node) -> None:
        """Hand on a cost's, or a black box's, gradients as one block."""
        if _twin_name(node.name) in self.nodes:
            return  # fed by the average
        fed = self._fed_by(node) + [n for n in map(_twin_name, self.forward.read_by(node.name)) if n in self.nodes]
        if fed:
            self._copy(node, fed)
        elif not self.forward.read_by(node.name):
            self._copy(node, [self._one(node.name)])

    def _copy(self, node: Node, fed: list[str]) -> None:
        name = _twin_name(node.name)
        kind = "cost_twin" if node.kind == "cost" else "box_twin"
        self.nodes[name] = Node(name, kind, node.label, beside=(node.name, 0))
        self.edges += [Edge(tail, name) for tail in fed]
        for below in dict.fromkeys(self.forward.reads(node.name)):
            if self.forward.node(below).kind in _VARIABLES:
                self._into(below, name)

    def _function(self, node: Node) -> None:
        """Multiply by the derivative in each of what a function reads."""
        fed = self._fed_by(node)
        for below in dict.fromkeys(self.forward.reads(node.name)) if fed else ():
            z = self.forward.node(below)
            if z.discrete:
                continue
            name = f"*d{node.name}/d{below}"
            slope = self.slopes.get(node.name) or rf"\partial {node.derivative}/\partial {z.label}"
            self.nodes[name] = Node(name, "multiplier", rf"\times\,{slope}", beside=(node.name, 0))
            self.edges += [Edge(tail, name) for tail in fed]
            self._into(below, name)

    def _into(self, below: str, tail: str) -> None:
        z, name = self.forward.node(below), _gradient_name(below)
        if not z.discrete:
            label = rf"\partial {self.cost}/\partial {z.label}"
            self.nodes.setdefault(name, Node(name, "gradient", label, beside=(below, 0)))
            self.edges.append(Edge(tail, name))


def _gradient_name(variable: str) -> str:
    return f"dC/d{variable}"


def _twin_name(name: str) -> str:
    return f"d{name}"

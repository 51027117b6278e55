"""Layout: a place for every node, label and edge of a diagram, such that nothing lies on anything else."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from rllab.diagrams.diagram import Diagram, Kind, Node
from rllab.diagrams.layers import Name, arranged, heights_of
from rllab.diagrams.places import places_of
from rllab.diagrams.ports import most_ports, ports_of
from rllab.diagrams.routes import Route, ends_of, fans_of, route_of
from rllab.diagrams.shapes import GAP, Direction, Measure, Point, Shape, shape_of

NEAR, STEEP, FAR = 25.0, 0.4, 60.0  # points between bands: at least, per point aside, at most
MARGIN, HALVES = 6.0, 34.0  # around all; between forward half and twin


@dataclass(frozen=True)
class Rect:
    left: float
    bottom: float
    right: float
    top: float

    @property
    def centre(self) -> Point:
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2


@dataclass(frozen=True)
class Placed:
    """A node, the box of its shape and the box of its label, in the shape or beside it; None if it has none."""

    node: Node
    box: Rect
    label: Rect | None
    font: float


@dataclass(frozen=True)
class Layout:
    """Where everything is, in points from the lower left corner."""

    nodes: tuple[Placed, ...]
    routes: tuple[Route, ...]
    width: float
    height: float
    direction: Direction
    crossings: int


def laid_out(diagram: Diagram, measure: Measure, direction: Direction = "up") -> Layout:
    """Return the layout of a diagram; the twin, if there is one, stands beside the forward half.

    Each layer is a band as thick as its thickest node. Edges bend only between bands and pass a band straight, at a
    place kept free for them, so no edge can meet a box or a label.
    """
    height = heights_of(diagram)
    halves = [[n for n in diagram.nodes if (n.beside is None) is forward] for forward in (True, False)]
    ports = most_ports(diagram, height)
    shapes = {n.name: shape_of(n, measure, ports[n.name], direction) for n in diagram.nodes}
    extents = {n.name: _across(shapes[n.name], direction, n.kind) for n in diagram.nodes}
    place: dict[Name, float] = {}
    attached: dict[int, tuple[list[Name], Point]] = {}  # by edge: chain, and where at both ends
    crossings, start = 0, 0.0
    for nodes in filter(None, halves):
        layered = arranged(diagram, nodes, height)
        offsets, trunks = ports_of(layered, diagram, shapes, direction)
        found = places_of(layered, extents, offsets, trunks)
        room = {name: extents[name] if isinstance(name, str) else (0.0, 0.0) for name in found}
        shift = start - min(u - room[name][0] for name, u in found.items())
        place |= {name: u + shift for name, u in found.items()}
        start = max(u + shift + room[name][1] for name, u in found.items()) + HALVES
        crossings += layered.crossings
        own = {n.name for n in nodes}
        mine = [i for i, edge in enumerate(diagram.edges) if edge.tail in own and edge.head in own]
        attached |= {i: both for i, both in zip(mine, zip(layered.chains, offsets, strict=True), strict=True)}
    bands = _bands(height, shapes, attached, place, direction)
    to = _mapping(direction, start - HALVES, bands[-1][1])
    placed = tuple(
        _placed(n, shapes[n.name], place[n.name], bands[height[n.name]], direction, to) for n in diagram.nodes
    )
    routes, chains = [], [chain for chain, _ in attached.values()]
    counts = Counter(chain[0] for chain in chains), Counter(chain[-1] for chain in chains)
    fan = fans_of(diagram, attached, place, bands, height, shapes)
    for i, edge in enumerate(diagram.edges):
        chain, offsets = attached[i]
        ends = ends_of(diagram, chain, place, bands, height, shapes, counts, direction)
        ends[1] = replace(ends[1], angle=fan.get(i))
        routes.append(route_of(edge, chain, offsets, place, bands, ends, to))
    across, along = start - HALVES + 2 * MARGIN, bands[-1][1] + 2 * MARGIN
    size = (across, along) if direction == "up" else (along, across)
    return Layout(placed, tuple(routes), *size, direction, crossings)


def _mapping(direction: Direction, across: float, along: float) -> Callable[[float, float], Point]:
    """Return the map from (across, along) to the page."""
    if direction == "up":
        return lambda u, v: (MARGIN + u, MARGIN + v)
    return lambda u, v: (MARGIN + v, MARGIN + across - u)


def _across(shape: Shape, direction: Direction, kind: Kind) -> tuple[float, float]:
    """Return how far a node and its label reach to both sides across; weights may stand closer than others."""
    half = (shape.width if direction == "up" else shape.height) / 2 - (5.0 if kind == "weight" else 0.0)
    if not shape.beside or not shape.text[0]:
        return half, half
    if direction == "up":
        return half, half + GAP + shape.text[0]
    return half + GAP + _descent(shape) + shape.text[1], half


def _along(shape: Shape, direction: Direction) -> float:
    """Return the thickness of a node and its label."""
    if direction == "right":
        return max(shape.width, shape.text[0]) if shape.beside else shape.width
    _, above, below = shape.text
    return max(shape.height, 2 * (above - shape.baseline), 2 * (below + shape.baseline))


def _descent(shape: Shape) -> float:
    """Return what is left below the line of a label above a circle, the same for labels with and without an index."""
    return max(shape.text[2], 0.3 * shape.font)


def _bands(
    height: dict[str, int],
    shapes: dict[str, Shape],
    attached: dict[int, tuple[list[Name], Point]],
    place: dict[Name, float],
    direction: Direction,
) -> list[Point]:
    """Return where each layer begins and ends along: further apart where edges go far aside between them."""
    thick = [0.0] * (max(height.values()) + 1)
    aside = [0.0] * len(thick)
    for name, k in height.items():
        thick[k] = max(thick[k], _along(shapes[name], direction))
    for chain, (low, high) in attached.values():
        first = height[str(chain[0])]
        at = [place[name] for name in chain]
        at[0], at[-1] = at[0] + low, at[-1] + high
        for k, (a, b) in enumerate(itertools.pairwise(at)):
            aside[first + k] = max(aside[first + k], abs(a - b))
    bands, v = [], 0.0
    for t, a in zip(thick, aside, strict=True):
        bands.append((v, v + t))
        v += t + min(FAR, NEAR + STEEP * max(0.0, a - NEAR))
    return bands


def _placed(
    node: Node, shape: Shape, u: float, band: Point, direction: Direction, to: Callable[[float, float], Point]
) -> Placed:
    x, y = to(u, (band[0] + band[1]) / 2)
    box = Rect(x - shape.width / 2, y - shape.height / 2, x + shape.width / 2, y + shape.height / 2)
    if not node.label:
        return Placed(node, box, None, shape.font)
    w, above, below = shape.text
    line = y - shape.baseline
    if shape.beside and direction == "up":
        x += shape.width / 2 + GAP + w / 2
    elif shape.beside:
        line = y + shape.height / 2 + GAP + _descent(shape)
    return Placed(node, box, Rect(x - w / 2, line - below, x + w / 2, line + above), shape.font)

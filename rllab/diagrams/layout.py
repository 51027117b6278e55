"""Layout: a place for every node, label and edge of a diagram, such that nothing lies on anything else.

Each layer is a band as thick as its thickest node. Edges bend only between bands and pass a band straight, at a place
kept free for them, so no edge can meet a box or a label.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from rllab.diagrams.diagram import Diagram, Edge, Kind, Node
from rllab.diagrams.layers import Layered, Name, arranged, heights_of
from rllab.diagrams.places import places_of
from rllab.diagrams.shapes import ARROW, CIRCLES, GAP, HEADS, PORT, TURN, Direction, Measure, Shape, reach, shape_of

NEAR, STEEP, FAR = 25.0, 0.4, 60.0  # points between bands: at least, per point aside, at most
FAN, THIN = math.radians(40), 4.0  # from the vertical at most; of a band that is thicker than a circle, beside it
MARGIN, HALVES = 6.0, 34.0  # around all; between forward half and twin
Point = tuple[float, float]


@dataclass(frozen=True)
class Rect:
    left: float
    bottom: float
    right: float
    top: float

    @property
    def centre(self) -> Point:
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def overlaps(self, other: Rect) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def holds(self, point: Point) -> bool:
        """Whether a point lies inside, not on the border."""
        return self.left < point[0] < self.right and self.bottom < point[1] < self.top


@dataclass(frozen=True)
class Placed:
    """A node, the box of its shape and the box of its label, in the shape or beside it; None if it has none."""

    node: Node
    box: Rect
    label: Rect | None
    font: float


@dataclass(frozen=True)
class Route:
    """An edge as cubic Bézier curves one after the other, four points each; its head is the last point."""

    edge: Edge
    curves: tuple[tuple[Point, Point, Point, Point], ...]

    def points(self, each: int = 12) -> list[Point]:
        """Return points along the edge, `each` a curve."""
        found = []
        for p in self.curves:
            for k in range(each + 1):
                t = k / each
                b = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
                found.append((sum(w * q[0] for w, q in zip(b, p, strict=True)),
                              sum(w * q[1] for w, q in zip(b, p, strict=True))))  # fmt: skip
        return found


@dataclass(frozen=True)
class Layout:
    """Where everything is, in points from the lower left corner."""

    nodes: tuple[Placed, ...]
    routes: tuple[Route, ...]
    width: float
    height: float
    direction: Direction
    crossings: int

    def placed(self, name: str) -> Placed:
        return next(placed for placed in self.nodes if placed.node.name == name)


def laid_out(diagram: Diagram, measure: Measure, direction: Direction = "up") -> Layout:
    """Return the layout of a diagram; the twin, if there is one, stands beside the forward half."""
    height = heights_of(diagram)
    halves = [[n for n in diagram.nodes if (n.beside is None) is forward] for forward in (True, False)]
    ports = _most_ports(diagram, height)
    shapes = {n.name: shape_of(n, measure, ports[n.name], direction) for n in diagram.nodes}
    extents = {n.name: _across(shapes[n.name], direction, n.kind) for n in diagram.nodes}
    place: dict[Name, float] = {}
    attached: dict[int, tuple[list[Name], Point]] = {}  # by edge: chain, and where at both ends
    crossings, start = 0, 0.0
    for nodes in filter(None, halves):
        layered = arranged(diagram, nodes, height)
        offsets, trunks = _ports(layered, diagram, shapes, direction)
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
    fan = _fans(diagram, attached, place, bands, height, shapes)
    for i, edge in enumerate(diagram.edges):
        chain, offsets = attached[i]
        ends = _ends(diagram, chain, place, bands, height, shapes, counts, direction)
        ends[1] = replace(ends[1], angle=fan.get(i))
        routes.append(_route(edge, chain, offsets, place, bands, ends, to))
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


def _most_ports(diagram: Diagram, height: dict[str, int]) -> dict[str, int]:
    most = {}
    for node in diagram.nodes:
        sides = [diagram.reads(node.name), diagram.read_by(node.name)]
        weights = [2 * len(side) - 1 if len(side) == 2 else len(side) for side in sides]  # one may sit in the middle
        most[node.name] = max(1, *weights)
    return most


def _ports(
    layered: Layered, diagram: Diagram, shapes: dict[str, Shape], direction: Direction
) -> tuple[list[Point], list[float]]:
    """Return for each chain where it is attached at its low and high ends, and how much it is a trunk."""
    order = {name: i for row in layered.layers for i, name in enumerate(row)}
    depth: dict[Name, int] = {}
    lower: dict[Name, list[int]] = {}
    upper: dict[Name, list[int]] = {}
    for i, chain in enumerate(layered.chains):
        lower.setdefault(chain[-1], []).append(i)
        upper.setdefault(chain[0], []).append(i)
    for row in layered.layers:
        for name in row:
            depth[name] = 1 + max((depth[layered.chains[i][0]] for i in lower.get(name, ())), default=-1)
    low, high, trunks = ([0.0] * len(layered.chains) for _ in range(3))
    for name, chains in lower.items():
        deepest = max(depth[layered.chains[i][0]] for i in chains)
        trunk = [i for i in chains if depth[layered.chains[i][0]] == deepest]
        node = diagram.node(str(name))
        if node.kind != "sum" and deepest <= (node.beside is not None):  # all end at once: the first goes straight
            trunk = trunk[:1]
        for i in trunk:
            trunks[i] = 1.0 if len(trunk) == 1 else 0.04
        _spread(chains, trunk, high, {i: order[layered.chains[i][-2]] for i in chains}, shapes[str(name)], direction)
    for name, chains in upper.items():
        straight = [i for i in chains if trunks[i] == 1.0]
        for i in straight if len(straight) > 1 else ():
            trunks[i] = 0.3  # not all of them can be
        _spread(chains, chains, low, {i: order[layered.chains[i][1]] for i in chains}, shapes[str(name)], direction)
    return list(zip(low, high, strict=True)), trunks


def _spread(
    chains: list[int], trunk: list[int], into: list[float], at: dict[int, int], shape: Shape, direction: Direction
) -> None:
    """Write where edges are attached to one side of a node: one trunk in the middle, else all evenly."""
    if shape.beside:
        return  # circles take all in the middle
    across = shape.width if direction == "up" else shape.height
    ordered = sorted(chains, key=at.__getitem__)
    middle = ordered.index(trunk[0]) if len(trunk) == 1 else (len(ordered) - 1) / 2
    furthest = max(middle, len(ordered) - 1 - middle)
    step = min(PORT, (across / 2 - 7) / furthest) if furthest else 0.0
    for k, i in enumerate(ordered):
        into[i] = (k - middle) * step


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


def _route(
    edge: Edge,
    chain: list[Name],
    offsets: Point,
    place: dict[Name, float],
    bands: list[Point],
    ends: list[_End],
    to: Callable[[float, float], Point],
) -> Route:
    """Return an edge's curves: straight through bands, bent between them."""
    upward = edge.tail == chain[0]
    low, high = ends
    first = low.layer
    start, stop = (end.place + offset for end, offset in zip(ends, offsets, strict=True))
    knots = [start, *[place[name] for name in chain[1:-1]], stop]
    stops: list[Point] = []  # (across, along): where a straight piece ends and a bend begins, and the other way round
    begin, finish = low.at(offsets[0], 1.0, front=upward), high.at(offsets[1], -1.0, front=not upward)
    if not low.fans:
        stops += [begin, (start, max(bands[first][1], begin[1] + (0.0 if upward else ARROW)))]
    else:
        stops.append(low.aside(knots[1], 1.0, bands[first + 1][0]))
    for k, u in enumerate(knots[1:-1], start=first + 1):
        stops += [(u, bands[k][0]), (u, bands[k][1])]
    if not high.fans:
        stops += [(stop, min(bands[high.layer][0], finish[1] - (ARROW if upward else 0.0))), finish]
    else:
        stops.append(high.aside(knots[-2], -1.0, bands[high.layer - 1][1]))
    curves = []
    for k, ((u, v), (u2, v2)) in enumerate(itertools.pairwise(stops)):
        third = (v2 - v) * (0.45 if abs(u - u2) > 0.01 else 1 / 3)
        if v2 <= v:
            continue
        out = low.slope(u) if low.fans and k == 0 else 0.0
        into = high.slope(u2) if high.fans and k == len(stops) - 2 else 0.0
        curves.append((to(u, v), to(u + third * out, v + third), to(u2 + third * into, v2 - third), to(u2, v2)))
    if not upward:
        curves = [curve[::-1] for curve in curves[::-1]]
    return Route(edge, tuple(curves))


@dataclass(frozen=True)
class _End:
    """A node as edges see it: where it stands, and whether they fan out from its circle instead of sharing a stem."""

    kind: Kind
    along: float
    across: float
    place: float
    layer: int
    middle: float
    fans: bool
    angle: float | None = None  # from the vertical, at which this edge meets it; else that of where it comes from

    def at(self, offset: float, sign: float, *, front: bool) -> Point:
        """Return the point of the outline above (1) or below (−1) the centre."""
        far = reach(self.kind, self.along, self.across, offset, front=front)
        return self.place + offset, self.middle + sign * far

    def aside(self, towards: float, sign: float, edge: float) -> Point:
        """Return the point of a circle in the direction of another place, but not far from the vertical."""
        angle = self.angle
        if angle is None:
            angle = max(-FAN, min(FAN, math.atan2(towards - self.place, abs(edge - self.middle))))
        r = self.along / 2
        return self.place + r * math.sin(angle), self.middle + sign * r * math.cos(angle)

    def slope(self, u: float) -> float:
        """Return across over along, outwards, at a point of the circle."""
        x = (u - self.place) / (self.along / 2)
        return x / math.sqrt(1 - x * x)


def _fans(
    diagram: Diagram,
    attached: dict[int, tuple[list[Name], Point]],
    place: dict[Name, float],
    bands: list[Point],
    height: dict[str, int],
    shapes: dict[str, Shape],
) -> dict[int, float]:
    """Return the angle at which each edge meets its sum: where it comes from, but arrowheads beside each other."""
    into: dict[str, list[int]] = {}
    for i, (chain, _) in attached.items():
        if diagram.node(str(chain[-1])).kind == "sum":
            into.setdefault(str(chain[-1]), []).append(i)
    angles: dict[int, float] = {}
    for name, edges in into.items():
        from_ = {i: place[attached[i][0][-2]] - place[name] for i in edges}
        ordered, k = sorted(edges, key=from_.__getitem__), height[name]
        away = sum(bands[k]) / 2 - bands[k - 1][1]
        step = HEADS / (shapes[name].width / 2 + ARROW)
        found = [math.atan2(from_[i], away) for i in ordered]
        for j in range(len(found)):  # each to the right of those before it …
            found[j] = max(found[j], found[j - 1] + step if j else -TURN)
        for j in reversed(range(len(found))):  # … and to the left of those after it
            found[j] = min(found[j], found[j + 1] - step if j + 1 < len(found) else TURN)
        angles |= dict(zip(ordered, found, strict=True))
    return angles


def _ends(
    diagram: Diagram,
    chain: list[Name],
    place: dict[Name, float],
    bands: list[Point],
    height: dict[str, int],
    shapes: dict[str, Shape],
    counts: tuple[Counter[Name], Counter[Name]],
    direction: Direction,
) -> list[_End]:
    found = []
    for name, many in ((str(chain[0]), counts[0]), (str(chain[-1]), counts[1])):
        shape, kind = shapes[name], diagram.node(name).kind
        sizes = (shape.height, shape.width) if direction == "up" else (shape.width, shape.height)
        bottom, top = bands[height[name]]
        fans = kind in CIRCLES and many[name] > 1 and top - bottom <= sizes[0] + 2 * THIN
        found.append(_End(kind, *sizes, place[name], height[name], (bottom + top) / 2, fans))
    return found

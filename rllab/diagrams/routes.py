"""Routes: the curves of edges, straight through bands and bent between them, and how they meet their nodes."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from rllab.diagrams.diagram import Diagram, Edge, Kind
from rllab.diagrams.layers import Name
from rllab.diagrams.shapes import ARROW, CIRCLES, HEADS, TURN, Direction, Point, Shape, reach

FAN, THIN = math.radians(40), 4.0  # from the vertical at most; of a band that is thicker than a circle, beside it


@dataclass(frozen=True)
class Route:
    """An edge as cubic Bézier curves one after the other, four points each; its head is the last point."""

    edge: Edge
    curves: tuple[tuple[Point, Point, Point, Point], ...]


@dataclass(frozen=True)
class End:
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


def route_of(
    edge: Edge,
    chain: list[Name],
    offsets: Point,
    place: dict[Name, float],
    bands: list[Point],
    ends: list[End],
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


def fans_of(
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


def ends_of(
    diagram: Diagram,
    chain: list[Name],
    place: dict[Name, float],
    bands: list[Point],
    height: dict[str, int],
    shapes: dict[str, Shape],
    counts: tuple[Counter[Name], Counter[Name]],
    direction: Direction,
) -> list[End]:
    found = []
    for name, many in ((str(chain[0]), counts[0]), (str(chain[-1]), counts[1])):
        shape, kind = shapes[name], diagram.node(name).kind
        sizes = (shape.height, shape.width) if direction == "up" else (shape.width, shape.height)
        bottom, top = bands[height[name]]
        fans = kind in CIRCLES and many[name] > 1 and top - bottom <= sizes[0] + 2 * THIN
        found.append(End(kind, *sizes, place[name], height[name], (bottom + top) / 2, fans))
    return found

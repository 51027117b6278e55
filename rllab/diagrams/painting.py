"""Paint: a layout as SVG or PNG, the same bytes each time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from rllab.diagrams.layout import Layout, Placed, Rect
from rllab.diagrams.routes import Route
from rllab.diagrams.shapes import ARROW, CAP, CIRCLES, ROUND, TWIN, Measure, Point, Text
from rllab.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Fills are told apart in grey as well: 88 %, 62 %, 93 % and 25 % of white.
INK, PAPER = "#1A1A1A", "#FFFFFF"
FILLS = {
    "function": "#CFE3F5",
    "average": "#CFE3F5",
    "cost": "#EE8A80",
    "cost_twin": "#EE8A80",
    "multiplier": "#F6EBCB",
    "box": "#404040",
    "box_twin": "#404040",
    "weight": "#FFFFFF",
    "sum": "#CFE3F5",
    "observed": INK,
}
STYLE: dict = {
    "svg.hashsalt": "rllab",
    "svg.fonttype": "path",
    "mathtext.fontset": "stix",
    "font.family": ["STIXGeneral"],
    "path.simplify": False,
}
DPI, LINE, HEAD = 200, 1.0, 2.6  # pixels an inch; points: line width, half width of an arrowhead


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        yield


def text_measure() -> Measure:
    """Return the function that says how large TeX will be in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    @cache
    def measure(label: str, size: float) -> Text:
        with _style():
            box = TextPath((0, 0), f"${label}$", size=size, prop=FontProperties(family="STIXGeneral")).get_extents()
        return math.ceil(2 * box.width) / 2, box.y1, -box.y0

    return measure


def paint(layout: Layout, path: Path) -> None:
    """Write a layout as the suffix of `path` says, whole or not at all.

    Raises:
        ValueError: if it is neither .svg nor .png.
    """
    from matplotlib.figure import Figure

    if path.suffix not in (".svg", ".png"):
        raise ValueError(f"draw_graph: path must end in .svg or .png, got {path.name!r}")
    with _style():
        figure = Figure(figsize=(layout.width / 72, layout.height / 72), facecolor=PAPER)
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, layout.width), ylim=(0, layout.height))
        ax.axis("off")
        for route in layout.routes:
            _paint_route(ax, route)
        for placed in layout.nodes:
            _paint_node(ax, placed, layout.direction)
        drawn = BytesIO()
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(drawn, format=path.suffix[1:], dpi=DPI, metadata=metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, drawn.getvalue())


def _paint_route(ax: Axes, route: Route) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Outline

    tip, before = route.curves[-1][3], route.curves[-1][2]
    length = math.dist(tip, before)
    dx, dy = (tip[0] - before[0]) / length, (tip[1] - before[1]) / length
    points, codes = [route.curves[0][0]], [Outline.MOVETO]
    for curve in route.curves:
        points += curve[1:]
        codes += [Outline.CURVE4] * 3
    back = (tip[0] - 0.8 * ARROW * dx, tip[1] - 0.8 * ARROW * dy)  # the line ends inside the head
    if len(route.curves) > 1 or points[-2] != before:
        points[-1] = back
    ax.add_patch(PathPatch(Outline(points, codes), fill=False, edgecolor=INK, linewidth=LINE, capstyle="butt"))
    base = (tip[0] - ARROW * dx, tip[1] - ARROW * dy)
    corners = [tip, (base[0] - HEAD * dy, base[1] + HEAD * dx), (base[0] + HEAD * dy, base[1] - HEAD * dx)]
    ax.add_patch(Polygon(corners, closed=True, facecolor=INK, edgecolor="none"))


def _paint_node(ax: Axes, placed: Placed, direction: str) -> None:
    from matplotlib.patches import Circle, PathPatch
    from matplotlib.path import Path as Outline

    node, box = placed.node, placed.box
    x, y = box.centre
    look = {"facecolor": FILLS.get(node.kind, PAPER), "edgecolor": INK, "linewidth": LINE}
    if node.kind in CIRCLES:
        r = (box.right - box.left) / 2
        if node.discrete:
            corners = [(x, y - r), (x + r, y), (x, y + r), (x - r, y), (x, y - r)]
            ax.add_patch(PathPatch(Outline(corners, closed=True), **look))
        else:
            ax.add_patch(Circle((x, y), r, **look))
        if node.kind == "parameter":
            ax.add_patch(Circle((x, y), r / 3, facecolor=INK, edgecolor="none"))
        if node.kind == "gradient":
            ax.add_patch(Circle((x, y), r / 1.75, fill=False, edgecolor=INK, linewidth=0.7 * LINE))
    elif node.kind != "one":
        points, codes = _outline(node.kind, box, direction)
        ax.add_patch(PathPatch(Outline(points, codes), joinstyle="round", **look))
    if placed.label is not None:
        _paint_label(ax, placed)


def _paint_label(ax: Axes, placed: Placed) -> None:
    """Put the ink of the label into its box."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    assert placed.label is not None
    prop = FontProperties(family="STIXGeneral")
    path = TextPath((0, 0), f"${placed.node.label}$", size=placed.font, prop=prop)
    ink, (x, y) = path.get_extents(), placed.label.centre
    shift = Affine2D().translate(x - (ink.x0 + ink.x1) / 2, y - (ink.y0 + ink.y1) / 2)
    color = PAPER if placed.node.kind in ("box", "box_twin") else INK
    ax.add_patch(PathPatch(path.transformed(shift), facecolor=color, edgecolor="none", linewidth=0))


def _outline(kind: str, box: Rect, direction: str) -> tuple[list[Point], list]:
    """Return the outline of a block: flat where numbers enter, round or pointed where they leave."""
    from matplotlib.path import Path as Outline

    x, y = box.centre
    along, across = (box.top - box.bottom) / 2, (box.right - box.left) / 2
    if direction == "right":
        along, across = across, along
    sign = -1.0 if kind in TWIN else 1.0

    def at(u: float, v: float) -> Point:
        return (x + u, y + sign * v) if direction == "up" else (x + sign * v, y - u)

    if kind in ROUND:
        k = 0.5523  # a quarter of an ellipse as a Bézier curve
        neck = along - CAP
        points = [at(-across, -along), at(across, -along), at(across, neck)]
        points += [at(across, neck + k * CAP), at(k * across, along), at(0, along)]
        points += [at(-k * across, along), at(-across, neck + k * CAP), at(-across, neck), at(-across, -along)]
        codes = [Outline.MOVETO, *[Outline.LINETO] * 2, *[Outline.CURVE4] * 6, Outline.CLOSEPOLY]
        return points, codes
    corners = [(-across, -along), (across, -along), (across, along), (-across, along)]
    if kind == "cost_twin":
        corners[2:] = [(across, along - CAP), (0, along), (-across, along - CAP)]
    points = [at(u, v) for u, v in (*corners, corners[0])]
    return points, [Outline.MOVETO, *[Outline.LINETO] * (len(points) - 2), Outline.CLOSEPOLY]

"""Shapes: how large each kind of node is, where its label stands and where arrows touch it. Lengths in points, 1/72 in.

Along means the way the numbers flow, across means at right angles to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rllab.diagrams.diagram import Kind, Node

Point = tuple[float, float]
Text = tuple[float, float, float]  # width, and height above and below the baseline, of the ink
Measure = Callable[[str, float], Text]  # of (TeX without dollar signs, font size)
Direction = Literal["up", "right"]

FONT, SMALL = 12.0, 9.0  # points, inside shapes and beside variables; inside the boxes of single weights
CIRCLE, SUM, HEIGHT, PORT, PADDING, GAP = 11.0, 17.0, 26.0, 13.0, 8.0, 4.0
WIDEST = 64.0  # a square with more in it is a rectangle
ARROW, HEADS = 7.0, 6.2  # points: an arrowhead, and from one to the next where both end on a sum
TURN, SPREAD = math.radians(60), math.radians(86)  # arrows meet a sum so far from the vertical; what all of them take
CAP = 9.0  # how far the round, or pointed, side stands out
ROUND: tuple[Kind, ...] = ("function", "average", "multiplier")
CIRCLES: tuple[Kind, ...] = ("observed", "computed", "parameter", "gradient", "sum")
TWIN: tuple[Kind, ...] = ("gradient", "multiplier", "cost_twin", "box_twin", "one")


@dataclass(frozen=True)
class Shape:
    """Size of a node's box and of its label; `beside` if the label stands outside of the box."""

    width: float
    height: float
    text: Text
    beside: bool
    font: float = FONT

    @property
    def baseline(self) -> float:
        """How far below its middle a label's line stands."""
        return 0.25 * self.font


def shape_of(node: Node, measure: Measure, ports: int, direction: Direction) -> Shape:
    """Return the size a node needs for its label and for so many arrows on one side."""
    font = SMALL if node.kind == "weight" else FONT
    text = measure(node.label, font) if node.label else (0.0, 0.0, 0.0)
    if node.kind in CIRCLES:
        size = max(SUM, 2 * (HEADS * (ports - 1) / SPREAD - ARROW)) if node.kind == "sum" else CIRCLE
        return Shape(size, size, text, beside=node.kind != "sum", font=font)
    if node.kind in ("one", "weight"):
        return Shape(text[0] + 6, 2 * font * 0.75, text, beside=False, font=font)
    width, height = text[0] + 2 * PADDING, HEIGHT
    side = max(text[0] + 1.5 * PADDING, HEIGHT + PADDING, 2 * PADDING + (ports - 1) * PORT)
    if node.kind == "cost" and side < WIDEST:
        return Shape(side, side, text, beside=False)
    if direction == "up":
        width = max(width, 2 * PADDING + (ports - 1) * PORT)
        height += CAP * 0.5 * (node.kind in (*ROUND, "cost_twin"))
    else:
        height = max(height, 2 * PADDING + (ports - 1) * PORT / 2)
        width += CAP * 0.8 * (node.kind in (*ROUND, "cost_twin"))
    return Shape(max(width, HEIGHT), height, text, beside=False)


def reach(kind: Kind, along: float, across: float, offset: float, *, front: bool) -> float:
    """Return how far from its centre, along, the outline lies, `offset` beside the centre.

    Args:
        along, across: the box's sizes.
        front: on the side where numbers come out.
    """
    x = min(1.0, abs(offset) / (across / 2))
    if kind in CIRCLES:
        return along / 2 * math.sqrt(1 - x * x)
    if front and kind in ROUND:
        return along / 2 - CAP * (1 - math.sqrt(1 - x * x))
    if front and kind == "cost_twin":
        return along / 2 - CAP * x
    return along / 2

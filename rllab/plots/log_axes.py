"""Logarithmic axes whose numbers can be read, however few decades they show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 2.0  # decades, up to which numbers between the powers of ten are written
FEWEST = 0.4  # up to which all that have a tick are
PLAIN = (1e-3, 1e5)  # within which a number is written without a power of ten


def set_log(ax: Axes, which: Literal["x", "y"], nonpositive: Literal["mask", "clip"] = "clip") -> None:
    """Make an axis logarithmic: powers of ten have numbers, over few decades so have twos and fives.

    matplotlib writes 2×10¹, 3×10¹, 4×10¹ and 6×10¹ over few decades, which overlap.

    Args:
        ax: what is drawn on.
        which: "x" or "y".
        nonpositive: what becomes of numbers that are not positive, as for matplotlib.
    """
    from matplotlib.ticker import FuncFormatter

    (ax.set_xscale if which == "x" else ax.set_yscale)("log", nonpositive=nonpositive)
    axis = ax.xaxis if which == "x" else ax.yaxis

    def name(value: float, position: int | None = None) -> str:
        return named(value, *sorted(axis.get_view_interval()))

    axis.set_major_formatter(FuncFormatter(name))
    axis.set_minor_formatter(FuncFormatter(name))


def named(value: float, low: float, high: float) -> str:
    """Return what is written at a tick of an axis from low to high, "" for nothing."""
    if value <= 0 or not 0 < low < high:
        return ""
    exponent = math.floor(math.log10(value) + 1e-9)
    digit, decades = value / 10.0**exponent, math.log10(high / low)
    if abs(digit - 1) < 1e-6:
        return _number(value, exponent)
    if decades <= FEWEST or (decades <= FEW and min(abs(digit - 2), abs(digit - 5)) < 1e-6):
        return _number(value, exponent)
    return ""


def _number(value: float, exponent: int) -> str:
    if PLAIN[0] <= value <= PLAIN[1] * (1 + 1e-9):
        return f"{value:,.6g}"
    digits = value / 10.0**exponent
    factor = "" if abs(digits - 1) < 1e-6 else rf"{digits:g}\times"
    return rf"$\mathdefault{{{factor}10^{{{exponent}}}}}$"

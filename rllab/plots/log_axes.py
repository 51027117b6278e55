"""Logarithmic axes whose numbers can be read, however few decades they show."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

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
    (ax.set_xscale if which == "x" else ax.set_yscale)("log", nonpositive=nonpositive)
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_formatter(_names_of(axis))
    axis.set_minor_formatter(_names_of(axis))


@contextmanager
def readable_log_axes(figure: Figure) -> Iterator[None]:
    """Meanwhile give logarithmic axes that have matplotlib's own numbers those of `set_log`."""
    from matplotlib.ticker import LogFormatterSciNotation

    before = []
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) if axis.get_scale() == "log"):
        for ticker in (axis.major, axis.minor):
            if type(ticker.formatter) is LogFormatterSciNotation:
                before.append((ticker, ticker.formatter))
                ticker.formatter = _names_of(axis)
    try:
        yield
    finally:
        for ticker, formatter in before:
            ticker.formatter = formatter


def _names_of(axis: Axis) -> FuncFormatter:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, position=None: named(value, *sorted(axis.get_view_interval())))


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

"""Drawings of a `Report`: cosine, bias, variance, error or signal to noise against the evaluations spent."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from rllab.plots.log_axes import set_log
from rllab.plots.names import name_lines
from rllab.plots.styles import as_label, panels, style, variant_styles
from rllab.quality.report import GIVEN, Report, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Quantity = Literal["cosine", "bias", "variance", "mse", "snr"]

LABELS = {
    "cosine": "cosine to the truth (mean; band: 10 % to 90 % of the estimates, no interval of the mean)",
    "bias": "norm of the bias (band: 95 % interval; hollow: 95 % upper limit)",
    "variance": "variance (trace of the covariance; band: 95 % interval)",
    "mse": "mean squared error (band: 95 % interval)",
    "snr": "signal to noise, ‖E ĝ‖² / variance (band: 95 % interval)",
}
ALONE = ("variance", "snr")  # of the estimates, whatever they are held to


def quality(report: Report, quantity: Quantity, ax: Axes | None = None) -> Axes:
    """Draw a quantity against the evaluations really spent, one line an estimator and truth; return the axes.

    A name says what the line is held to, "vs ∇f"; where the gradient itself was given as truth, the axis does. Up to
    five lines are named at their ends, more in a legend below. What cannot be drawn is a gap, and its name says why: a
    budget that is too small, a truth that is unknown, a number that a logarithmic axis cannot show. With the variance
    comes the squared bias, as a thin line, where zero is outside its interval.

    Args:
        report: what `measure_quality` returned.
        quantity: "cosine", "bias", "variance", "mse" (mean squared error) or "snr" (signal to noise).
        ax: to draw on; None for a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: if the quantity is none of the five, or no row has it: a direction has no bias, say.

    Example:
        import torch
        from rllab import estimators as est, measure_quality, plots, problems

        at = torch.full((3,), 0.4)
        report = measure_quality(est.SPSA(), problems.Quadratic(dimension=3), at=at, budgets=[4, 8], repeats=20, key=0)
        ax = plots.quality(report, "variance")
    """
    if quantity not in LABELS:
        raise ValueError(f"quality: quantity must be one of {tuple(LABELS)}, got {quantity!r}")
    if not any(_drawable(row, quantity) for row in report.rows):
        why = sorted({f"{row['estimator']}: {_gap(row, quantity)}" for row in report.rows})
        raise ValueError(f"quality: no {quantity} to draw: {'; '.join(why) or 'there are no rows'}")
    if ax is None:
        _, (ax,) = panels(width=8.0)
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in report.rows:
        lines.setdefault((row["estimator"], row["truth"]), []).append(row)
    truths = Counter(name for name, _ in lines)
    styles = {name: iter(looks) for name, looks in variant_styles(truths).items()}
    with style():
        set_log(ax, "x")
        if quantity != "cosine":
            set_log(ax, "y")
        for (name, truth), rows in lines.items():
            how = next(styles[name])
            label = name if quantity in ALONE or truth == GIVEN else f"{name} vs {truth}"
            _draw(ax, rows, quantity, how, label)
        ax.set_xlabel("evaluations spent on an estimate")
        what = LABELS[quantity].partition(" (")[0]
        if quantity not in ALONE and any(truth == GIVEN for _, truth in lines):  # all are held to it then
            what = f"{what.removesuffix(' to the truth')}\nagainst the gradient that was given as truth"
        ax.set_ylabel(what)
        title = LABELS[quantity].partition("(")[2].rstrip(")") + ("; thin: squared bias" * (quantity == "variance"))
    return name_lines(ax, title)


def _draw(ax: Axes, rows: list[Row], quantity: str, how: Any, label: str) -> None:
    gaps: dict[str, list[str]] = {}
    for row in rows:
        if not _drawable(row, quantity):
            gaps.setdefault(_gap(row, quantity), []).append(str(row["budget"]))
    notes = [f"{why} at {', '.join(budgets)}" if len(budgets) < len(rows) else why for why, budgets in gaps.items()]
    label = as_label("; ".join([label, *notes]))
    drawn = [row for row in rows if row["affordable"]]
    x = [row["evaluations"] for row in drawn]
    y, low, high = ([_number(row, name, quantity) for row in drawn] for name in _columns(quantity))
    limit = [math.nan] * len(x)
    if quantity == "bias":  # where zero is within the interval there is only an upper limit
        limit = [math.nan if at > 0 else top for at, top in zip(low, high, strict=True)]
        y, low, high = ([v if at > 0 else math.nan for v, at in zip(part, low, strict=True)] for part in (y, low, high))
    # the name is that of what is drawn: a line, else limits, else nothing, which shows no line that one would look for
    line, hollow = (any(not math.isnan(v) for v in part) for part in (y, limit))
    named: dict[str, Any] = {"label": label}
    if hollow:
        look: dict[str, Any] = {"linestyle": "", "marker": how.marker, "markerfacecolor": "none"}
        ax.plot(x, limit, color=how.color, **look, **({} if line else named))
    if line or not hollow:
        look = {"linestyle": how.linestyle, "marker": how.marker} if line else {"linestyle": "none", "marker": "none"}
        ax.plot(x, y, color=how.color, **look, **named)
    ax.fill_between(x, low, high, color=how.color, alpha=0.18, linewidth=0)
    for i in _alone(x, y):  # where a band has no width
        ax.vlines(x[i], low[i], high[i], color=how.color, alpha=0.5)
    if quantity == "variance":
        squares = [row["bias"] ** 2 if row["bias"] is not None and row["bias_low"] > 0 else math.nan for row in drawn]
        ax.plot(x, squares, color=how.color, linewidth=0.7, marker=how.marker, markersize=2.5)


def _alone(x: list[float], y: list[float]) -> list[int]:
    """Return the places of points that no neighbour at another x makes a band of some width with."""
    there = [not math.isnan(v) for v in y]

    def joined(i: int, j: int) -> bool:
        return 0 <= j < len(x) and there[j] and x[j] != x[i]

    return [i for i in range(len(x)) if there[i] and not (joined(i, i - 1) or joined(i, i + 1))]


def _columns(quantity: str) -> tuple[str, str, str]:
    low, high = ("p10", "p90") if quantity == "cosine" else ("low", "high")
    return quantity, f"{quantity}_{low}", f"{quantity}_{high}"


def _number(row: Row, name: str, quantity: str) -> float:
    """Return what is drawn for a column: NaN, which draws nothing, where there is none, or the axis cannot show it."""
    value = row[name]
    if value is None or not math.isfinite(value) or (value <= 0 and quantity != "cosine"):
        return math.nan
    return value


def _drawable(row: Row, quantity: str) -> bool:
    values = [_number(row, name, quantity) for name in _columns(quantity)]
    if quantity == "bias":
        return values[2] > 0  # at least an upper limit
    return not math.isnan(values[0])


def _gap(row: Row, quantity: str) -> str:
    """Say why a row has nothing to draw."""
    if not row["affordable"]:
        return row["why"]
    value = row[quantity]
    if value is None:
        return row["why"] or f"no {quantity}"
    if math.isinf(value):
        return "no noise"
    return f"{quantity} is {value:g}"

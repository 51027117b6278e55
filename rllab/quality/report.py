"""Report: what was measured of estimators, one row an estimator and budget: as rows, and as a table.

The columns are explained at `rllab.measure_quality`; `rllab.plots.quality` draws a report.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rllab.tables import table

Row = dict[str, Any]


@dataclass
class Report:
    """Rows of measured quality, in the order in which they were measured."""

    rows: list[Row] = field(default_factory=list)

    def __str__(self) -> str:
        head = ["estimator", "truth", "budget", "evaluations", "bias", "variance", "mse/‖truth‖²", "cosine", "snr"]
        return table(head, map(_line, self.rows))


def _line(row: Row) -> list[object]:
    name, truth, budget = row["estimator"], row["truth"], row["budget"]
    if not row["affordable"]:
        return [name, truth, budget, "", row["why"], "", "", "", ""]
    bias = "none" if row["bias"] is None else f"{row['bias']:.3g} [{row['bias_low']:.2g}, {row['bias_high']:.2g}]"
    numbers = [_short(row[column]) for column in ("variance", "relative_mse", "cosine", "snr")]
    return [name, truth, budget, row["evaluations"], bias, *numbers]


def _short(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"

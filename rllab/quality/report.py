"""Report: what was measured of estimators, one row an estimator and budget: as rows, and as a table.

The columns are explained at `rllab.measure_quality`; `rllab.plots.quality` draws a report.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rllab.files import write_atomically
from rllab.tables import shortened, table

Row = dict[str, Any]

FORMAT = "rllab quality 1"
GIVEN = "given"  # the truth of rows that were held to a gradient of the user's
NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}  # JSON has no such numbers


@dataclass
class Report:
    """Rows of measured quality, in the order in which they were measured.

    Args:
        rows: a dict for each estimator and budget; its columns are explained at `measure_quality`.

    Example:
        import tempfile, torch
        from rllab import estimators as est, measure_quality, problems
        from rllab.quality import Report

        at = torch.full((3,), 0.4)
        report = measure_quality(est.SPSA(), problems.Quadratic(dimension=3), at=at, budgets=[4], repeats=20, key=0)
        with tempfile.TemporaryDirectory() as folder:
            report.save(f"{folder}/spsa.quality.json")  # a name of this ending enters the page of `rllab report`
            again = Report.load(f"{folder}/spsa.quality.json")
    """

    rows: list[Row] = field(default_factory=list)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all rows to one JSON file, which `load` reads back to the last bit; return its path.

        Raises:
            OSError: it cannot be written; an older file of that name is then as it was.
        """
        rows = [{name: _storable(value) for name, value in row.items()} for row in self.rows]
        return _written(path, json.dumps({"format": FORMAT, "rows": rows}, indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Report:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, or something else.
        """
        try:
            found = json.loads(Path(path).read_bytes())
        except ValueError as error:
            raise ValueError(f"Report.load: {path} is not JSON: {error}") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("rows"), list):
            got = found.get("format") if isinstance(found, dict) else type(found).__name__
            raise ValueError(f"Report.load: {path} must be of the format {FORMAT!r}, got {got!r:.60}")
        return cls(
            [{name: NONFINITE.get(v, v) if isinstance(v, str) else v for name, v in r.items()} for r in found["rows"]]
        )

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write all rows as CSV, a line each under the names of the columns, for other programs; return its path.

        What is None, a quantity that there is not, is an empty field.

        Raises:
            OSError: it cannot be written.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(name for row in self.rows for name in row)))
        writer.writeheader()
        writer.writerows(self.rows)
        return _written(path, text.getvalue())

    def __str__(self) -> str:
        head = ["estimator", "truth", "budget", "evaluations", "kind", "bias"]
        head += ["variance", "mse/‖truth‖²", "cosine", "snr"]
        names = shortened([row["estimator"] for row in self.rows])
        return table(head, map(_line, self.rows, names))


def _line(row: Row, name: str) -> list[object]:
    truth, budget = row["truth"], row["budget"]
    if row["bias"] is None and row["cosine"] is not None:  # a direction
        truth += ", by its cosine only"
    if not row["affordable"]:
        return [name, truth, budget, "", row["kind"], row["why"], "", "", "", ""]
    bias, error, cosine = (with_interval(row, column) for column in ("bias", "relative_mse", "cosine"))
    variance, snr = (_short(row[column]) for column in ("variance", "snr"))
    return [name, truth, budget, row["evaluations"], row["kind"], bias, variance, error, cosine, snr]


def with_interval(row: Row, quantity: str) -> str:
    """Return a measured quantity and its 95 % interval as a table shows them: "0.42 [0.4, 0.44]"."""
    value, low, high = (row.get(f"{quantity}{end}") for end in ("", "_low", "_high"))
    if value is None or low is None or high is None:  # also: of a report that an earlier version wrote
        return _short(value)
    return f"{value:.3g} [{low:.2g}, {high:.2g}]"


def _short(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _storable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _written(path: str | os.PathLike[str], text: str) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)
    return path

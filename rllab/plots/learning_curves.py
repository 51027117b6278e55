"""Learning curves: the median over seeds of each method's runs, with its interval and every seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rllab.keys import Key
from rllab.plots.styles import MethodStyle, as_label, style, variant_styles
from rllab.runs.record import Record
from rllab.runs.statistics import curve_of, median_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = "steps-post"  # a value holds until the next row; between them nothing was measured
AXES = {"steps": "environment steps", "evaluations": "evaluations of the cost", "seconds": "wall seconds"}

LEGEND = "median and 95 % bootstrap band over seeds; faint: every seed"


@dataclass(frozen=True)
class Group:
    """Runs that differ by their seeds alone.

    Args:
        method: `config["method"]`.
        name: the method, and what sets this group apart from others of the same method.
        variant: 0 for the first group of the method, 1 for the next.
    """

    method: str
    name: str
    variant: int
    records: list[Record]


def group_runs(records: Sequence[Record]) -> list[Group]:
    """Put runs of one configuration together, in the order in which they come.

    Raises:
        ValueError: if a run has no `config["method"]`, or one seed stands twice for the same configuration: counting it
            as two would make an interval too narrow.
    """
    methods: dict[str, list[tuple[dict[str, Any], list[Record]]]] = {}
    for record in records:
        method = record.config.get("method")
        if not isinstance(method, str):
            raise ValueError(f'curves: config["method"] must name the method, got {method!r} in {record.folder}')
        config = dict(_flat({name: value for name, value in record.config.items() if name != "seed"}))
        variants = methods.setdefault(method, [])
        same = next((runs for other, runs in variants if other == config), None)
        if same is None:
            variants.append((config, [record]))
            continue
        twin = next((other for other in same if other.seed == record.seed), None)
        if twin is not None:
            raise ValueError(f"curves: {record.folder} and {twin.folder} are one run, {method} with seed {record.seed}")
        same.append(record)
    groups = []
    for method, variants in methods.items():
        fields = sorted({name for config, _ in variants for name in config})
        differing = [name for name in fields if any(v.get(name) != variants[0][0].get(name) for v, _ in variants)]
        for i, (config, runs) in enumerate(variants):
            what = [f"{name} = {config.get(name, 'absent')}" for name in differing]
            groups.append(Group(method, ", ".join([method, *what]), i, runs))
    return groups


def curves(
    ax: Axes,
    records: Sequence[Record],
    x: str = "steps",
    y: str = "evaluation",
    *,
    key: Key | int = 0,
    label: str | None = None,
    names: Mapping[str, str] | None = None,
    log: bool = False,
) -> Axes:
    """Draw each method's median over seeds, its 95 % bootstrap band, and every seed faintly.

    A run counts from its first row to its last: median and band end where fewer than half of a method's runs remain,
    and a single run has no band. Runs that did not finish are drawn, and the legend says how many they are, and where
    there is no median, and so no line, why. Groups of one method with different configurations are drawn apart, in its
    colour.

    A value is held until the next row, as between them nothing was measured.

    Args:
        ax: what is drawn on.
        records: runs whose configuration names their method.
        x: column of the rows along the horizontal axis.
        y: column along the vertical one.
        key: of the bootstrap.
        label: what y is, with its unit; by default the column's name.
        names: how the legend calls the methods; by default by their own names.
        log: draw x on a logarithmic axis.

    Returns:
        ax.

    Raises:
        ValueError: if no row has both columns, naming the columns there are; and as `group_runs` does.

    Example:
        import tempfile
        from rllab import plots, runs

        with tempfile.TemporaryDirectory() as folder:
            for seed in range(3):
                with runs.Record.create(f"{folder}/es-{seed}", {"method": "evolution"}, seed=seed) as record:
                    for steps in (100, 200):
                        record.append({"steps": steps, "evaluation_return": float(steps + seed)})
            plots.curves(plots.panels()[1][0], runs.load_records(folder), x="steps", y="evaluation_return")
    """
    groups = group_runs(records)
    if not any(len(curve_of(record, x, y)[0]) for record in records):
        there = sorted({name for record in records for name in record.columns.names})
        raise ValueError(f"curves: no row has both {x!r} and {y!r}; columns are {', '.join(there) or 'none: no rows'}")
    if log:
        ax.set_xscale("log", nonpositive="mask")
    styles = variant_styles(Counter(group.method for group in groups))
    with style():
        for group in groups:
            name = group.name.replace(group.method, (names or {}).get(group.method, group.method), 1)
            _draw_group(ax, group, styles[group.method][group.variant], name, x, y, key)
        ax.set_xlabel(as_label(AXES.get(x, x)))
        ax.set_ylabel(as_label(label or y))
        # below the axes, where it hides no curve
        ax.legend(title=LEGEND, alignment="left", loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    return ax


def _draw_group(ax: Axes, group: Group, how: MethodStyle, name: str, x: str, y: str, key: Key | int) -> None:
    for record in group.records:
        xs, ys = curve_of(record, x, y)
        ax.plot(xs, ys, drawstyle=STEPS, color=how.color, linewidth=0.7, alpha=0.35, zorder=2)
    curve = median_curve(group.records, x, y, key=key)
    ax.fill_between(curve.grid, curve.low, curve.high, step="post", color=how.color, alpha=0.18, lw=0, zorder=1.5)
    notes = [_count(group)]
    line: dict[str, Any] = {"linestyle": how.linestyle, "marker": how.marker}
    if np.isnan(curve.median).all():  # a line in the legend would be one that is nowhere else
        notes.append("no median" if len(curve.grid) else "no rows")
        line = {"linestyle": "none", "marker": "none"}
    ax.plot(
        curve.grid,
        curve.median,
        drawstyle=STEPS,
        color=how.color,
        **line,
        markevery=max(1, len(curve.grid) // 8),
        label=as_label(f"{name} ({', '.join(notes)})"),
        zorder=3,
    )


def _count(group: Group) -> str:
    n, unfinished = len(group.records), sum(not record.finished for record in group.records)
    return f"{n} seed{'s' * (n > 1)}" + (f", {unfinished} unfinished" if unfinished else "")


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

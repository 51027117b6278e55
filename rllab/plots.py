"""Plots: learning curves of recorded runs in one style; the only module that loads matplotlib.

Functions take an `ax` and return it. A method has one colour, line and marker everywhere; lines and markers differ too,
so that a figure can be read in grey. Colours: Okabe & Ito (2008), "Color universal design", without the yellow, which
is too pale for lines.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rllab.files import write_atomically
from rllab.keys import Key
from rllab.runs.record import Record
from rllab.runs.statistics import curve_of, median_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLACK, ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = COLOURS = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
SOLID, DASHED, DOTTED, DASHDOT = LINES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 5.0,  # long enough for a whole period of dashes on either side of the marker
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "figure.facecolor": "white",
    "savefig.dpi": 160,
    "svg.hashsalt": "rllab",  # else the names inside an SVG differ from one writing to the next
}
STEPS = "steps-post"  # a value holds until the next row; between them nothing was measured
AXES = {"steps": "environment steps", "evaluations": "evaluations of the cost", "seconds": "wall seconds"}

LEGEND = "median and 95 % bootstrap band over seeds; faint: every seed"


@dataclass(frozen=True)
class MethodStyle:
    """How a method is drawn everywhere."""

    color: str
    linestyle: Any
    marker: str


METHODS = {
    "evolution": MethodStyle(BLUE, SOLID, "o"),
    "ars": MethodStyle(SKY, DASHED, "v"),
    "reinforce": MethodStyle(ORANGE, DASHED, "s"),
    "ppo": MethodStyle(PURPLE, DOTTED, "D"),
    "td3": MethodStyle(VERMILLION, DASHDOT, "^"),
    "sac": MethodStyle(GREEN, DASHED, "P"),
    "crossq": MethodStyle(BLACK, DOTTED, "X"),
    "backprop": MethodStyle(BLACK, SOLID, "X"),
    "forward-difference": MethodStyle(PURPLE, DASHED, "^"),
    "central-difference": MethodStyle(VERMILLION, SOLID, "s"),
    "linear-interpolation": MethodStyle(BLACK, DASHED, "*"),
    "gaussian": MethodStyle(BLUE, DASHED, "o"),
    "orthonormal": MethodStyle(ORANGE, SOLID, "D"),
    "sphere": MethodStyle(SKY, SOLID, "v"),
    "spsa": MethodStyle(GREEN, SOLID, "P"),
    "guided": MethodStyle(GREEN, DASHDOT, "D"),
    "surrogate": MethodStyle(VERMILLION, DOTTED, "s"),
    "complex-step": MethodStyle(GREEN, DOTTED, "P"),
    "pathwise": MethodStyle(VERMILLION, DASHED, "D"),
    "score-function": MethodStyle(ORANGE, DOTTED, "^"),
    "forward": MethodStyle(SKY, DASHDOT, "P"),
    "one-point": MethodStyle(PURPLE, DASHDOT, "v"),
}
_TAKEN = {(style.color, style.linestyle) for style in METHODS.values()}
_OTHERS = [(color, line) for line in LINES for color in COLOURS if (color, line) not in _TAKEN]


@contextmanager
def style() -> Iterator[None]:
    """Make what is drawn inside look like the lab's; matplotlib's settings are afterwards as they were."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        yield


def panels(columns: int = 1, rows: int = 1, *, width: float = 6.0, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """Return a figure in the lab's style, of no window, and its axes row by row; sizes in inches for each."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def method_styles(names: Iterable[str]) -> dict[str, MethodStyle]:
    """Return the style of each name: the fixed one, or for others one that follows from the name and is its own here.

    Only where two unknown names meet in one figure does the one later in the alphabet give way to the next free style.
    """
    styles, used = {}, set()
    for name in sorted(set(names)):
        if name in METHODS:
            styles[name] = METHODS[name]
            continue
        i = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") % len(_OTHERS)
        while i in used and len(used) < len(_OTHERS):
            i = (i + 1) % len(_OTHERS)
        used.add(i)
        color, line = _OTHERS[i]
        styles[name] = MethodStyle(color, line, MARKERS[i % len(MARKERS)])
    return styles


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
    and a single run has no band. Runs that did not finish are drawn, and the legend says how many they are. Groups of
    one method with different configurations are drawn apart, in its colour.

    A value is held until the next row, as between them nothing was measured.

    Args:
        x, y: columns of the rows.
        key: of the bootstrap.
        label: what y is, with its unit; the column's name unless told.
        names: how the legend calls the methods; by their own names unless told.
        log: draw x on a logarithmic axis.

    Raises:
        ValueError: if no row has both columns, naming the columns there are; and as `group_runs` does.
    """
    groups = group_runs(records)
    if not any(len(curve_of(record, x, y)[0]) for record in records):
        there = sorted({name for record in records for row in record.rows for name in row})
        raise ValueError(f"curves: no row has both {x!r} and {y!r}; columns are {', '.join(there) or 'none: no rows'}")
    if log:
        ax.set_xscale("log", nonpositive="mask")
    styles = method_styles(group.method for group in groups)
    with style():
        for group in groups:
            name = group.name.replace(group.method, (names or {}).get(group.method, group.method), 1)
            how = _variant(styles[group.method], group.variant)
            _draw_group(ax, group, how, f"{name} ({_count(group)})", x, y, key)
        ax.set_xlabel(AXES.get(x, x))
        ax.set_ylabel(label or y)
        # below the axes, where it hides no curve
        ax.legend(title=LEGEND, alignment="left", loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    return ax


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG and as SVG beside it, each whole or not at all; return the path of the PNG.

    The same figure gives the same bytes.

    Raises:
        ValueError: if the path ends in anything but .png, .svg or nothing.
    """
    path = Path(path)
    if path.suffix not in ("", ".png", ".svg"):
        raise ValueError(f"save: path must end in .png or .svg, both are written, got {path.name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = figure.get_layout_engine()
    with style():
        for kind, metadata in (("png", {}), ("svg", {"Date": None})):
            drawn = BytesIO()
            figure.savefig(drawn, format=kind, metadata=metadata, bbox_inches="tight")
            write_atomically(path.with_suffix(f".{kind}"), drawn.getvalue())
            figure.set_layout_engine("none")  # laid out once for both: that takes a quarter of the time
    figure.set_layout_engine(layout)
    return path.with_suffix(".png")


def _draw_group(ax: Axes, group: Group, how: MethodStyle, label: str, x: str, y: str, key: Key | int) -> None:
    for record in group.records:
        xs, ys = curve_of(record, x, y)
        ax.plot(xs, ys, drawstyle=STEPS, color=how.color, linewidth=0.7, alpha=0.35, zorder=2)
    curve = median_curve(group.records, x, y, key=key)
    ax.fill_between(curve.grid, curve.low, curve.high, step="post", color=how.color, alpha=0.18, lw=0, zorder=1.5)
    ax.plot(
        curve.grid,
        curve.median,
        drawstyle=STEPS,
        color=how.color,
        linestyle=how.linestyle,
        marker=how.marker,
        markevery=max(1, len(curve.grid) // 8),
        label=label,
        zorder=3,
    )


def _variant(how: MethodStyle, n: int) -> MethodStyle:
    """Return the style of the n-th group of a method: its colour, with other lines and markers."""
    line = LINES[(LINES.index(how.linestyle) + n) % len(LINES)]
    return MethodStyle(how.color, line, MARKERS[(MARKERS.index(how.marker) + n) % len(MARKERS)])


def _count(group: Group) -> str:
    n, unfinished = len(group.records), sum(not record.finished for record in group.records)
    return f"{n} seed{'s' * (n > 1)}" + (f", {unfinished} unfinished" if unfinished else "")


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

"""The one style of all figures: colours, lines and markers of methods, panels, and how a figure is written.

Colours: Okabe & Ito (2008), "Color universal design", without the yellow, which is too pale for lines.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rllab.files import write_atomically

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


@dataclass(frozen=True)
class MethodStyle:
    """How a method is drawn everywhere."""

    color: str
    linestyle: Any
    marker: str


METHODS = {
    "evolution": MethodStyle(BLUE, SOLID, "o"),
    "reinforce": MethodStyle(ORANGE, DASHED, "s"),
    "td3": MethodStyle(VERMILLION, DASHDOT, "^"),
    "sac": MethodStyle(GREEN, DASHED, "P"),
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


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG and as SVG beside it, each whole or not at all; return the path of the PNG.

    The PNG has a palette of 256 colours, at a third of its size in full colour. The same figure gives the same bytes.

    Args:
        figure: it is as before afterwards.
        path: ends in .png, in .svg or in nothing; both files are written in any case. Folders are made.

    Raises:
        ValueError: if the path ends in anything else.
    """
    path = Path(path)
    if path.suffix not in ("", ".png", ".svg"):
        raise ValueError(f"save: path must end in .png or .svg, both are written, got {path.name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = figure.get_layout_engine()
    with style():
        drawn = BytesIO()
        figure.savefig(drawn, format="png", bbox_inches="tight", pil_kwargs={"compress_level": 1})
        write_atomically(path.with_suffix(".png"), with_palette(drawn))
        figure.set_layout_engine("none")  # laid out once for both: that takes a quarter of the time
        drawn = BytesIO()
        figure.savefig(drawn, format="svg", bbox_inches="tight", metadata={"Date": None})
        write_atomically(path.with_suffix(".svg"), drawn.getvalue())
    figure.set_layout_engine(layout)
    return path.with_suffix(".png")


def with_palette(png: BytesIO) -> bytes:
    """Return a PNG, put on white, with the 256 colours that come nearest to each of its own, a thin line's too."""
    from PIL import Image

    with Image.open(png) as image:
        drawn = image.convert("RGBA")
    white = Image.new("RGBA", drawn.size, "white")
    colours = Image.alpha_composite(white, drawn).convert("RGB")
    small = BytesIO()
    # not the median cut, which gives its colours to what covers most pixels
    colours.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()

"""The one style of all figures: colours, lines and markers of methods, panels, and how a figure is written.

Colours: Okabe & Ito (2008), "Color universal design", without the yellow, which is too pale for lines.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rllab.files import write_atomically
from rllab.plots.log_axes import readable_log_axes
from rllab.plots.palettes import reduced
from rllab.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

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
    """How a method is drawn everywhere.

    Args:
        color: as matplotlib takes it.
        linestyle: as matplotlib takes it.
        marker: as matplotlib takes it.

    Example:
        from rllab import plots

        how = plots.method_styles(["gaussian"])["gaussian"]
        how.color, how.linestyle, how.marker
    """

    color: str
    linestyle: Any
    marker: str


METHODS = {
    "evolution": MethodStyle(BLUE, SOLID, "o"),
    "reinforce": MethodStyle(ORANGE, DASHED, "s"),
    "td3": MethodStyle(VERMILLION, DASHDOT, "^"),
    "sac": MethodStyle(GREEN, DASHED, "P"),
    "ppo": MethodStyle(PURPLE, SOLID, "^"),
    "crossq": MethodStyle(SKY, DASHED, "X"),
    "ars": MethodStyle(BLACK, DOTTED, "v"),
    "backprop": MethodStyle(BLACK, SOLID, "X"),
    "forward-difference": MethodStyle(PURPLE, DASHED, "^"),
    "central-difference": MethodStyle(VERMILLION, SOLID, "s"),
    "linear-interpolation": MethodStyle(BLACK, DASHED, "*"),
    "gaussian": MethodStyle(BLUE, DASHED, "o"),
    "orthogonal": MethodStyle(ORANGE, SOLID, "D"),
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
ALIASES = {"orthonormal": "orthogonal"}
_TAKEN = {(style.color, style.linestyle) for style in METHODS.values()}
_PAIRS = [(color, line) for line in LINES for color in COLOURS]
_OTHERS = [pair for pair in _PAIRS if pair not in _TAKEN]


@contextmanager
def style() -> Iterator[None]:
    """Make what is drawn inside look like the lab's; matplotlib's settings are afterwards as they were.

    Returns:
        A context.

    Example:
        from rllab import plots

        with plots.style():
            figure, (ax,) = plots.panels()
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        yield


def panels(columns: int = 1, rows: int = 1, *, width: float = 6.0, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """Return a figure in the lab's style, of no window, and its axes row by row; sizes in inches for each.

    Args:
        columns, rows: how many panels side by side, and above each other.
        width, height: of each panel, inches.

    Returns:
        The figure, and its axes row by row.

    Example:
        from rllab import plots

        figure, (left, right) = plots.panels(2)
        left.plot([1, 2], [3, 4])
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def method_styles(names: Iterable[str]) -> dict[str, MethodStyle]:
    """Return the style of each name: the fixed one, or for others one that follows from the name and is its own here.

    A fixed style belongs to a method by its key in `METHODS` or its class: "gaussian", "GaussianSmoothing(sigma=0.2)".
    Where several names of a figure are one such method, the one that is its key has it, and the others are as unknown.

    Of 28 names no two have the same colour and line, of 32 no two the same line and marker, and of 224 none all three,
    as far as styles are not fixed. An unknown name gives way to fixed styles, and to names before it in the alphabet,
    while there is a colour that fewer have.

    Args:
        names: of methods, as a figure shows them.

    Returns:
        A style by name.

    Example:
        from rllab import plots

        styles = plots.method_styles(["gaussian", "my own method"])
        styles["my own method"].color
    """
    wanted = sorted(set(names))
    known = {name: _known(name) for name in wanted}
    styles: dict[str, MethodStyle] = {}
    for name in wanted:
        same = [other for other in wanted if known[other] == known[name]]
        if known[name] in METHODS and (name == known[name] or len(same) == 1):
            styles[name] = METHODS[known[name]]
    for name in wanted:
        if name not in styles:
            i = int.from_bytes(blake2b(name.encode(errors="replace"), digest_size=8).digest(), "little")
            styles[name] = _free(_candidates(i % len(_OTHERS)), styles.values())
    return {name: styles[name] for name in wanted}


def variant_styles(variants: Mapping[str, int]) -> dict[str, list[MethodStyle]]:
    """Return the styles of each method's variants, as many as said: all in its colour, and no two alike in the figure.

    The first of a method has the method's own style. A colour has 32 lines and markers, and its own are used up first.

    Args:
        variants: how many there are, by method.

    Returns:
        As many styles by method.

    Example:
        from rllab import plots

        first, second = plots.variant_styles({"gaussian": 2})["gaussian"]
        first.color == second.color, first.linestyle == second.linestyle  # True, False
    """
    first = method_styles(variants)
    used = list(first.values())
    styles = {}
    for name, how in first.items():
        styles[name] = [how]
        line, marker = LINES.index(how.linestyle), MARKERS.index(how.marker)
        for n in range(1, variants[name]):
            looks = [
                MethodStyle(color, LINES[(line + i) % 4], MARKERS[(marker + i + i // 8) % 8])
                for color in (how.color, *COLOURS)
                for i in range(n, n + 32)
            ]
            styles[name].append(next((look for look in looks if look not in used), looks[0]))
            used.append(styles[name][-1])
    return styles


def as_label(text: str) -> str:
    """Return a text as it is drawn: a line is mathematics if matplotlib can read it as such, else as it stands.

    matplotlib leaves out of a legend what begins with "_", and stops at mathematics that it cannot read. A control
    character, which would break an SVG file, is shown as its escape.

    Args:
        text: one or more lines.

    Returns:
        The text to hand to matplotlib.

    Example:
        from rllab import plots

        plots.as_label("$5 and $6_"), plots.as_label("$x^2$")
    """
    from matplotlib.mathtext import MathTextParser

    parser, lines = MathTextParser("path"), [printable(line) for line in text.split("\n")]
    for i, line in enumerate(lines):
        try:
            parser.parse(line)
        except ValueError:
            lines[i] = line.replace("$", r"\$")
    text = "\n".join(lines)
    return f"\u200b{text}" if text.startswith("_") else text  # a space of no width


def _known(name: str) -> str:
    """Return the key of a method: "GaussianSmoothing(sigma=0.2)" is "gaussian"."""
    key = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name.partition("(")[0].removesuffix("Smoothing")).lower()
    return ALIASES.get(key, key)


def _candidates(i: int) -> list[MethodStyle]:
    """Return all styles, in the order in which the i-th of those that are not fixed tries them."""
    pairs = [*_OTHERS[i:], *_OTHERS[:i], *(pair for pair in _PAIRS if pair not in _OTHERS)]
    markers = [_PAIRS.index(pair) if pair in _TAKEN else _OTHERS.index(pair) for pair in pairs]
    return [
        MethodStyle(color, line, MARKERS[(marker + shift) % len(MARKERS)])
        for shift in range(len(MARKERS))
        for (color, line), marker in zip(pairs, markers, strict=True)
    ]


def _free(candidates: Iterable[MethodStyle], styles: Iterable[MethodStyle]) -> MethodStyle:
    """Return the first candidate that is least like the styles in use."""
    used = list(styles)
    colours = Counter(how.color for how in used)
    pairs = {(how.color, how.linestyle) for how in used}
    in_grey = {(how.linestyle, how.marker) for how in used}

    def likeness(how: MethodStyle) -> tuple[bool, bool, int, bool, bool]:
        pair = (how.color, how.linestyle)
        alike_in_grey = (how.linestyle, how.marker) in in_grey
        return how in used, pair in pairs, colours[how.color], alike_in_grey, pair in _TAKEN

    return min(candidates, key=likeness)


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG and as SVG beside it, each whole or not at all; return the path of the PNG.

    The PNG has a palette of 256 colours, at a third of its size in full colour. The same figure gives the same bytes.
    Logarithmic axes without numbers of their own have such as do not overlap, over few decades too.

    Args:
        figure: it is as before afterwards.
        path: ends in .png, in .svg or in nothing; both files are written in any case. Folders are made.

    Returns:
        The path of the PNG.

    Raises:
        ValueError: if the path ends in anything else, or names a folder.

    Example:
        import tempfile
        from rllab import plots

        figure, (ax,) = plots.panels()
        with tempfile.TemporaryDirectory() as folder:
            plots.save(figure, f"{folder}/empty.png")
    """
    path = Path(path)
    if path.name in ("", ".."):
        raise ValueError(f"save: path must name a file, got the folder {os.fspath(path)!r}")
    if path.suffix not in ("", ".png", ".svg"):
        raise ValueError(f"save: path must end in .png or .svg, both are written, got {path.name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = figure.get_layout_engine()
    with style(), readable_log_axes(figure):
        drawn = BytesIO()
        figure.savefig(drawn, format="png", bbox_inches="tight", pil_kwargs={"compress_level": 1})
        write_atomically(path.with_suffix(".png"), with_palette(drawn))
        figure.set_layout_engine("none")  # laid out once for both: that takes a quarter of the time
        write_atomically(path.with_suffix(".svg"), _svg(figure, _around(figure)))
    figure.set_layout_engine(layout)
    return path.with_suffix(".png")


def as_svg(figure: Figure) -> bytes:
    """Return a figure as an SVG file; the same figure gives the same bytes.

    Args:
        figure: in the lab's style, as `panels` makes it.

    Returns:
        The file.

    Example:
        from rllab import plots

        plots.as_svg(plots.panels()[0])[:5]
    """
    with style(), readable_log_axes(figure):
        return _svg(figure, "tight")


def _svg(figure: Figure, box: Bbox | Literal["tight"]) -> bytes:
    drawn = BytesIO()
    figure.savefig(drawn, format="svg", bbox_inches=box, metadata={"Date": None})
    return drawn.getvalue()


def _around(figure: Figure) -> Bbox:
    """Return the tight box of a figure that was drawn before, inches as SVG has them: "tight" would draw it again."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import RendererSVG

    dpi = figure.dpi
    try:
        figure.dpi = 72
        width, height = figure.get_size_inches() * 72
        box = figure.get_tightbbox(RendererSVG(width, height, StringIO(), image_dpi=72))
    finally:
        figure.dpi = dpi
    return box.padded(mpl.rcParams["savefig.pad_inches"])


def with_palette(png: BytesIO) -> bytes:
    """Return a PNG, put on white, of 256 colours."""
    from PIL import Image

    with Image.open(png) as image:
        drawn = image.convert("RGBA")
    white = Image.new("RGBA", drawn.size, "white")
    small = BytesIO()
    reduced(Image.alpha_composite(white, drawn).convert("RGB"), frequent=64, far_apart=192).save(
        small, "png", optimize=True
    )
    return small.getvalue()

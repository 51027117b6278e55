"""Draw: graphs as block diagrams in the lecture's notation, laid out here, as SVG or PNG."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rllab.backprop.graph import Graph
from rllab.backprop.pointwise import Pointwise
from rllab.diagrams.diagram import Diagram, diagram_of, isolated, stacked
from rllab.diagrams.layout import Layout, laid_out
from rllab.diagrams.names import is_letter, symbol
from rllab.diagrams.painting import paint, text_measure
from rllab.diagrams.shapes import Direction
from rllab.diagrams.twin import with_twin


def draw_graph(
    graph: Graph,
    path: str | os.PathLike[str],
    *,
    params: bool = False,
    samples: int | None = None,
    backward: bool = False,
    isolate: str | None = None,
    direction: Direction = "up",
    labels: Mapping[str, str] | None = None,
) -> Layout:
    """Draw a graph and return what is where.

    Observed variables are filled circles, computed ones open, discrete ones diamonds; functions are round on the side
    that is easy to compute; costs are squares. ⊙ are weights, ◎ gradients; several arrows into one ◎ are added.

    Args:
        path: ends in .svg or .png.
        params: draw weights too, a circle with a dot for each block that has its own.
        samples: draw so many copies, one a sample, that share all weights, under an average and L(S, w).
        backward: draw the derivative network beside it: 1 is fed at the top, and each function is a multiplication.
            Without `samples` it is that of one sample; the average over n multiplies by 1/n, as `Graph.backward` does.
        isolate: a block; the rest of the network is drawn as black boxes.
        direction: in which the numbers flow.
        labels: TeX, without dollar signs, to write instead at some of the drawn nodes, by name.
        graph: what is drawn.

    Returns:
        The layout: where each node was drawn.

    Raises:
        ValueError: on arguments that do not fit together, or a backward drawing of a graph that has no gradient.

    Source: LeCun (2020), NYU Deep Learning, week 2, figures 1 to 9.

    Example:
        import tempfile
        from rllab import backprop as bp
        from rllab import diagrams

        with tempfile.TemporaryDirectory() as folder:
            diagrams.draw_graph(bp.mlp((3, 4, 2)), f"{folder}/net.svg", params=True, backward=True)
    """
    if direction not in ("up", "right"):
        raise ValueError(f"draw_graph: direction must be 'up' or 'right', got {direction!r}")
    diagram = graph_diagram(graph, params=params, samples=samples, backward=backward, isolate=isolate, labels=labels)
    return draw_diagram(diagram, path, direction)


def draw_diagram(diagram: Diagram, path: str | os.PathLike[str], direction: Direction = "up") -> Layout:
    """Draw any diagram and return what is where."""
    layout = laid_out(diagram, text_measure(), direction)
    paint(layout, Path(path))
    return layout


def graph_diagram(
    graph: Graph,
    *,
    params: bool = False,
    samples: int | None = None,
    backward: bool = False,
    isolate: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> Diagram:
    """Return what `draw_graph` draws, with the same arguments, before anything has a place."""
    if isolate is not None and (samples is not None or params):
        raise ValueError("draw_graph: isolate goes with neither samples nor params")
    if isolate is not None:
        diagram = isolated(graph, isolate)
    elif samples is not None:
        diagram = stacked(graph, samples)
    else:
        diagram = diagram_of(graph, params=params)
    if backward:
        graph.wiring.check_passable(graph.continuous)
        pointwise = [block for block in graph.blocks if isinstance(block.module, Pointwise)]
        slopes = {b.name: _slope(b.name, b.reads[0]) for b in pointwise if samples is None}
        alone = len(graph.costs) == 1 and samples is None
        top = graph.cost if alone and any(node.name == graph.cost for node in diagram.nodes) else None
        diagram = with_twin(diagram, slopes, symbol(graph.cost) if alone and is_letter(graph.cost) else "L", top)
    return diagram.relabelled(labels or {})


def _slope(block: str, argument: str) -> str:
    """Return the TeX of h′(s), with the block's index unless its argument shows the same: h′(s₁), but h₁′(x)."""
    name, _, index = symbol(block).partition("_{")
    shown = index and index != symbol(argument).partition("_{")[2]
    return name + "′" + (f"_{{{index}" if shown else "") + f"({symbol(argument)})"

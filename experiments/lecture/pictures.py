"""Pictures: the lecture's figures as diagrams of live graphs, and how many nodes of each kind each must have.

Source: LeCun (2020), NYU Deep Learning, week 2, "Introduction to gradient descent and backpropagation".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from rllab import Key
from rllab import backprop as bp
from rllab.diagrams.diagram import Diagram
from rllab.diagrams.graphs import graph_diagram
from rllab.diagrams.networks import units_diagram
from rllab.diagrams.shapes import Direction

Up = dict[int, tuple[int, ...]]  # UP(i): the units that unit i reads
INPUTS = 3
UP: Up = {3: (0, 1), 4: (1, 2), 5: (0, 3, 4), 6: (3, 4, 2)}  # of the net in figure 5
MODULES = 4  # of the stack in figure 9


def supervised() -> bp.Graph:
    """Return x -> G -> ȳ -> C <- y."""
    return stack(("G",), ("x", "ȳ"))


def judged(blocks: list[bp.Block]) -> bp.Graph:
    """Return blocks, from what the first reads to what the last computes, and its squared distance c to y."""
    x, output = blocks[0].reads[0], blocks[-1].computes[0]
    cost = bp.Block("C", bp.SquaredDistance(), (output, "y"), ("c",))
    return bp.Graph([*blocks, cost], {x: False, "y": False}, output=output, cost="c", key=0)


def stack(functions: Sequence[str], states: Sequence[str]) -> bp.Graph:
    """Return linear modules one on the other, and a cost C."""
    triples = zip(functions, states[:-1], states[1:], strict=True)
    return judged([bp.Block(f, bp.Linear(2, 2), (a,), (b,)) for f, a, b in triples])


def network(sizes: tuple[int, int, int] = (6, 3, 2)) -> bp.Graph:
    """Return two pairs of a linear layer without biases and ReLU."""
    a, h, b = sizes
    blocks = [
        bp.Block("w1", bp.Linear(a, h, bias=False), ("x",), ("s1",)),
        bp.Block("relu1", bp.ReLU(), ("s1",), ("z",)),
        bp.Block("w2", bp.Linear(h, b, bias=False), ("z",), ("s2",)),
        bp.Block("relu2", bp.ReLU(), ("s2",), ("ȳ",)),
    ]
    return judged(blocks)


def chain() -> bp.Graph:
    """Return s_{k+1} = w_k z_k, z_k = h(s_k) from x to s3."""
    blocks, at = [], "x"
    for k in range(3):
        blocks.append(bp.Block(f"linear{k}", bp.Linear(2, 2, bias=False), (at,), (f"s{k + 1}",)))
        if k < 2:
            at = f"z{k + 1}"
            blocks.append(bp.Block(f"h{k + 1}", bp.Tanh(), (f"s{k + 1}",), (at,)))
    return judged(blocks)


def sparse(inputs: int, up: Up, key: Key | int = 0) -> bp.Graph:
    """Return the net of an edge list, one number a unit: s_i is a weighted sum of the z_j in UP(i), z_i = tanh(s_i)."""
    blocks = []
    for i, reads in up.items():
        at = tuple(f"z{j}" for j in reads)
        if len(at) > 1:
            blocks.append(bp.Block(f"up{i}", bp.Concatenate(len(at)), at, (f"a{i}",)))
            at = (f"a{i}",)
        blocks.append(bp.Block(f"u{i}", bp.Linear(len(reads), 1, bias=False), at, (f"s{i}",)))
        blocks.append(bp.Block(f"f{i}", bp.Tanh(), (f"s{i}",), (f"z{i}",)))
    last = f"z{max(up)}"
    blocks.append(bp.Block("C", bp.SquaredDistance(), (last, "y"), ("c",)))
    read = {j for reads in up.values() for j in reads}
    ends = [f"z{i}" for i in up if i not in read]
    names = {f"z{j}": False for j in range(inputs)} | {"y": False}
    return bp.Graph(blocks, names, output=ends, cost="c", key=key, dtype=torch.float64)


def without(diagram: Diagram, *names: str) -> Diagram:
    """Return a diagram without some nodes and their edges."""
    edges = tuple(e for e in diagram.edges if e.tail not in names and e.head not in names)
    return Diagram(tuple(n for n in diagram.nodes if n.name not in names), edges)


def figure_5() -> Diagram:
    diagram = units_diagram(sparse(INPUTS, UP))
    labels = {f"w u{i}[0,{k}]": f"w_{{{i}{j}}}" for i, reads in UP.items() for k, j in enumerate(reads)}
    return diagram.relabelled(labels | {f"f{i}[0]": "f" for i in UP})


def figure_6() -> Diagram:
    blocks = [
        bp.Block("lower", bp.Linear(2, 2), ("x",), ("s",)),
        bp.Block("h", bp.Tanh(), ("s",), ("z",)),
        bp.Block("upper", bp.Linear(2, 2), ("z",), ("ȳ",)),
    ]
    return graph_diagram(judged(blocks), isolate="h", backward=True)


def figure_7() -> Diagram:
    graph = judged([bp.Block("linear", bp.Linear(1, 3, bias=False), ("z",), ("s",))])
    diagram = without(units_diagram(graph, costs=True), "y[0]", "y[1]", "y[2]")
    rest = r"\mathrm{rest,\ up\ to\ the\ cost}"
    nodes = tuple(replace(n, kind="box", label=rest) if n.name == "C" else n for n in diagram.nodes)
    nodes = tuple(replace(n, kind="computed") if n.name == "z" else n for n in nodes)
    return Diagram(nodes, diagram.edges).relabelled({f"w linear[{k},0]": f"w_{k}" for k in range(3)})


def block_chain() -> Diagram:
    return without(graph_diagram(chain(), params=True, labels={"h1": "h", "h2": "h"}), "C", "y")


def figure_8(params: bool = True) -> Diagram:
    return graph_diagram(stack(("f", "g"), ("x", "z_f", "z_g")), params=params, backward=True)


def figure_9(modules: int = MODULES, params: bool = True) -> Diagram:
    functions = [f"f{k}" for k in range(modules)]
    states = [f"z{k}" for k in range(modules + 1)]
    return graph_diagram(stack(functions, states), params=params, backward=True)


@dataclass(frozen=True)
class Picture:
    """A figure of the gallery: what it shows, how to make it, and how many of each kind must be in it."""

    caption: str
    make: Callable[[], Diagram]
    counts: dict[str, int]
    direction: Direction = "up"


PICTURES = {
    "figure_1": Picture(
        "Figure 1. Supervised learning: x is observed, G computes ȳ, the cost C compares it with the observed y.",
        lambda: graph_diagram(supervised()),
        {"observed": 2, "computed": 1, "function": 1, "cost": 1},
    ),
    "figure_1_weights": Picture(
        "Figure 1 with its implicit parameter: the circle with a dot is w, an argument of G like x.",
        lambda: graph_diagram(supervised(), params=True),
        {"observed": 2, "computed": 1, "parameter": 1, "function": 1, "cost": 1},
    ),
    "figure_2": Picture(
        "Figure 2. The average loss of four samples: one w feeds every copy of G.",
        lambda: graph_diagram(supervised(), samples=4),
        {"observed": 8, "computed": 5, "parameter": 1, "function": 4, "cost": 4, "average": 1},
    ),
    "figure_4": Picture(
        "Figure 4. A network of two layers, 6 inputs, 3 hidden and 2 output units, every weight in a box.",
        lambda: units_diagram(network()),
        {"observed": 6, "weight": 24, "sum": 5, "function": 5, "computed": 5},
    ),
    "figure_5": Picture(
        "Figure 5. A net given by a list of edges: each unit is f of the weighted sum over the units it reads.",
        figure_5,
        {"observed": 3, "weight": 10, "sum": 4, "function": 4, "computed": 4},
    ),
    "figure_6": Picture(
        "Figure 6. One function h between black boxes, and its twin, which multiplies by h′(s).",
        figure_6,
        {
            "observed": 2,
            "computed": 2,
            "function": 1,
            "box": 2,
            "box_twin": 2,
            "multiplier": 1,
            "gradient": 4,
            "one": 1,
        },
    ),
    "figure_7": Picture(
        "Figure 7. One z feeds three weighted sums, and through each of them the cost.",
        figure_7,
        {"computed": 4, "weight": 3, "sum": 3, "box": 1},
    ),
    "chain": Picture(
        "The chain of blocks: linear layers and a pointwise h take turns.",
        block_chain,
        {"observed": 1, "computed": 5, "parameter": 3, "function": 5},
        "right",
    ),
    "figure_8": Picture(
        "Figure 8. Two modules and their cost, and the derivative network with one multiplication for each Jacobian.",
        figure_8,
        {"observed": 2, "computed": 2, "parameter": 2, "function": 2, "cost": 1}
        | {"multiplier": 4, "gradient": 6, "cost_twin": 1, "one": 1},
    ),
    "figure_9": Picture(
        f"Figure 9. A stack of {MODULES} modules: two Jacobians each, one for its state and one for its weights.",
        figure_9,
        {"observed": 2, "computed": MODULES, "parameter": MODULES, "function": MODULES, "cost": 1}
        | {"multiplier": 2 * MODULES, "gradient": 2 * MODULES + 2, "cost_twin": 1, "one": 1},
    ),
}

"""Do drawings of live graphs show what the lecture's figures show?

Figures 1, 2 and 4 to 9 of the lecture, and its chain of blocks, from graphs that compute: each is built of modules,
drawn by `rllab.backprop`, and held to a list of what must be in it, kind by kind and edge by edge. The net of figure 5
is also evaluated along its drawn edges. Figure 3 is a descent: `zigzag.py`.

Source: LeCun (2020), NYU Deep Learning, week 2, "Introduction to gradient descent and backpropagation".

    python experiments/lecture/gallery.py        seconds; draws the figures and writes their page, docs/gallery.md
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from experiments.common.acceptance import AtMost, Equals, largest, row
from experiments.common.frame import Flags, Judge, main, one_a_seed
from experiments.common.random_graphs import random_graph, values_of
from experiments.lecture.draws import apart, normal
from experiments.lecture.pictures import (
    PICTURES,
    Up,
    block_chain,
    figure_6,
    figure_8,
    figure_9,
    network,
    sparse,
    supervised,
    without,
)

import torch
from torch import Tensor

from rllab import Key, diagrams
from rllab import backprop as bp
from rllab.diagrams.diagram import Diagram, Edge, Node
from rllab.diagrams.graphs import graph_diagram
from rllab.diagrams.layout import laid_out
from rllab.diagrams.networks import units_diagram
from rllab.diagrams.painting import paint, text_measure
from rllab.files import write_atomically
from rllab.runs import Job, Record

Change = Callable[[Diagram], Diagram]  # of a drawing: a mistake
STACKS = range(2, 21)  # modules


@dataclass(frozen=True)
class Config(Flags):
    seeds: int = 1
    quick: ClassVar[dict[str, Any]] = {"seeds": 1}


def unlike(found: Counter, wanted: Counter) -> int:
    """Return how many are missing or too many."""
    return ((wanted - found) + (found - wanted)).total()


def miscounted(diagram: Diagram, counts: dict[str, int]) -> int:
    """Return by how many nodes a diagram differs from what must be in it."""
    return unlike(Counter(node.kind for node in diagram.nodes), Counter(counts))


def misdrawn(diagram: Diagram, edges: str) -> int:
    """Return how many edges are missing or too many; `edges` lists them as "x>G G>ȳ"."""
    return unlike(Counter(diagram.edges), Counter(Edge(*pair.replace("_", " ").split(">")) for pair in edges.split()))


def run(job: Job, record: Record) -> None:
    """Count what every picture shows."""
    for name, picture in PICTURES.items():
        diagram = picture.make()
        wrong = miscounted(diagram, picture.counts)
        record.append({"picture": name, "nodes": len(diagram.nodes), "edges": len(diagram.edges), "wrong": wrong})
    record.append({"picture": "edge list", "difference": largest(*(along_edges(seed, as_it_is) for seed in range(10)))})


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    *pictures, edge_list = records[0].rows
    for line in pictures:
        judge(
            line["wrong"] == 0,
            f"{line['picture']}: {line['nodes']} nodes, {line['edges']} edges; {line['wrong']} wrong nodes (needs 0)",
        )
    judge(
        edge_list["difference"] <= 1e-12,
        f"ten random nets, summed along their drawn edges, are the masked matrix product within "
        f"{edge_list['difference']:.1e} (needs 1e-12)",
    )


def figure(records: list[Record], config: Config) -> Path:
    """Draw every picture as SVG and PNG, and write the page that shows them."""
    for name, picture in PICTURES.items():
        layout = laid_out(picture.make(), text_measure(), picture.direction)
        for suffix in ("svg", "png"):
            paint(layout, config.out / f"{name}.{suffix}")
    write_atomically(config.out / "gallery.md", page())
    return config.out / "gallery.md"


def page() -> str:
    """Return docs/gallery.md."""
    lines = [
        "# The lecture's figures, drawn from live graphs",
        "",
        "Each is made by `experiments/lecture/gallery.py` from a graph that computes, laid out as",
        "`diagrams.draw_graph` or `diagrams.draw_units` does. Figures 5 and 7 and the chain are relabelled by hand,",
        "and what the lecture leaves out there, as the y of figure 7, is left out (`experiments/lecture/pictures.py`).",
        "● observed, ○ computed, ◆ ◇ discrete, ⊙ weights, ◎ gradients; blue blocks are functions, round on the side",
        "that is easy to compute; red squares are costs; yellow blocks multiply, in the derivative network, by what is",
        "written in them; several arrows into one gradient are added.",
        "Source: LeCun (2020), NYU Deep Learning, week 2.",
    ]
    for name, picture in PICTURES.items():
        lines += ["", f"![{picture.caption}](figures/gallery/{name}.svg)", "", picture.caption]
        if name == "figure_2":
            caption = (
                "Figure 3. Stochastic descent zigzags where the batch goes straight (`experiments/lecture/zigzag.py`)."
            )
            lines += ["", f"![{caption}](figures/zigzag.png)", "", caption]
    return "\n".join(lines) + "\n"


def random_net(seed: int) -> tuple[int, Up]:
    """Draw a sparse DAG: 2 to 4 inputs, 4 to 12 units that read 1 to 4 earlier ones."""
    draw = random.Random(seed)
    inputs, units = draw.randint(2, 4), draw.randint(4, 12)
    return inputs, {i: tuple(draw.sample(range(i), min(i, draw.randint(1, 4)))) for i in range(inputs, inputs + units)}


def by_edges(diagram: Diagram, graph: bp.Graph, x: Tensor) -> dict[str, Tensor]:
    """Evaluate a drawing of units (n, inputs): sums over drawn weight boxes, and tanh where there is a function."""
    values = {f"z{j}": x[:, j] for j in range(x.shape[1])}
    for node in diagram.nodes:  # in an order in which each reads only what is there
        reads = diagram.reads(node.name)
        if node.kind == "weight":
            block, index = node.name.removeprefix("w ").split("[")
            i, j = map(int, index.rstrip("]").split(","))
            values[node.name] = graph.weights_of(block)["weight"][i, j] * values[reads[0]]
        elif node.kind == "sum":
            values[node.name] = torch.stack([values[name] for name in reads]).sum(0)
        elif node.kind == "function":
            values[node.name] = values[reads[0]].tanh()
        elif node.kind == "computed":
            values[node.name] = values[reads[0]]
    return values


def along_edges(seed: int, change: Change, of: str = "s") -> float:
    """Return how far sums s, or states z, along drawn edges are from the masked matrix product and from the graph."""
    inputs, up = random_net(seed)
    graph = sparse(inputs, up, Key(seed))
    size = inputs + len(up)
    x = normal(seed, "x", 5, inputs)
    drawn = by_edges(change(units_diagram(graph)), graph, x)
    w, mask = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.bool)
    for i, reads in up.items():
        w[i, list(reads)], mask[i, list(reads)] = graph.weights_of(f"u{i}")["weight"][0], True
    z, s = torch.cat([x, x.new_zeros(5, len(up))], 1), x
    for _ in up:  # enough for the longest path
        s = z @ (w * mask).t()
        z = torch.cat([x, s[:, inputs:].tanh()], 1)
    live = values_of(graph, (*x.split(1, 1), x[:, :1]))
    truth, node = (s, "u") if of == "s" else (z, "f")
    errors = [apart(value, truth[:, i]) for i in up for value in (drawn[f"{node}{i}[0]"], live[f"{of}{i}"][:, 0])]
    return largest(*errors)


def as_it_is(diagram: Diagram) -> Diagram:
    return diagram


def leaving_out(*names: str) -> Change:
    """Return a change that takes nodes and their edges away."""
    return lambda diagram: without(diagram, *names)


def drop_a_weight(diagram: Diagram) -> Diagram:
    sums = [node.name for node in diagram.nodes if node.kind == "sum" and len(diagram.reads(node.name)) > 1]
    return without(diagram, diagram.reads(sums[-1])[0])


def flat(diagram: Diagram) -> Diagram:
    """Return a drawing whose functions are missing: each sum goes on as it is."""
    return Diagram(
        tuple(replace(n, kind="computed") if n.kind == "function" else n for n in diagram.nodes), diagram.edges
    )


def own_weights(diagram: Diagram) -> Diagram:
    nodes = [node for node in diagram.nodes if node.kind != "parameter"]
    edges = [edge for edge in diagram.edges if edge.tail != "w G"]
    for p in range(4):
        nodes.append(Node(f"w G[{p}]", "parameter", "w"))
        edges.append(Edge(f"w G[{p}]", f"G[{p}]"))
    return Diagram(tuple(nodes), tuple(edges))


@row(
    "L6",
    Equals(0),
    wrong={"y is not drawn": {"change": leaving_out("y")}, "the weights are drawn too": {"params": True}},
)
def figure_of_a_model(seed: int, fast: bool, change: Change = as_it_is, params: bool = False) -> float:
    """x goes through G to ȳ, and ȳ and y into the cost.

    Measures: nodes and edges of the drawing that are missing or too many.
    """
    diagram = change(graph_diagram(supervised(), params=params))
    return miscounted(diagram, PICTURES["figure_1"].counts) + misdrawn(diagram, "x>G G>ȳ ȳ>C y>C")


@row("L12", Equals(0), wrong={"shared weights go to their owner alone": {"once": True}})
def edges_for_weights(seed: int, fast: bool, once: bool = False) -> float:
    """A function has an implicit parameter: drawing it adds one edge for each block that has weights.

    Measures: edges more with weights than without, less the number of such blocks, in 20 random graphs.
    """
    off = 0
    for s in range(20 * seed, 20 * seed + 20):
        graph, _ = random_graph(s)
        before, after = (graph_diagram(graph, params=params).edges for params in (False, True))
        if once:  # a weight goes to its owner alone
            after = [edge for edge in after if not edge.tail.startswith("w ") or edge.tail == f"w {edge.head}"]
        off += abs(len(after) - len(before) - sum(block.module.size > 0 for block in graph.blocks))
    return off


@row(
    "L18",
    Equals(0),
    wrong={"w is not drawn": {"change": leaving_out("w G")}, "each copy has its own w": {"change": own_weights}},
)
def figure_of_samples(seed: int, fast: bool, change: Change = as_it_is) -> float:
    """The loss is the average over samples, each through a copy of the model, all with one w.

    Measures: nodes and edges of the drawing of four samples that are missing or too many.
    """
    picture = PICTURES["figure_2"]
    diagram = change(picture.make())
    copy = "x[{p}]>G[{p}] w_G>G[{p}] G[{p}]>ȳ[{p}] ȳ[{p}]>C[{p}] y[{p}]>C[{p}] C[{p}]>average"
    drawn = Diagram(diagram.nodes, tuple(edge for edge in diagram.edges if edge.head != "L(S, w)"))
    top = diagram.reads("L(S, w)") != ["average"]
    copies = " ".join(copy.format(p=p) for p in range(4))
    return miscounted(diagram, picture.counts) + misdrawn(drawn, copies) + top


@row("L56", Equals(24), wrong={"weights are not drawn": {"params": False}})
def boxes_of_weights(seed: int, fast: bool, params: bool = True) -> float:
    """A network of 6, 3 and 2 units has 18 and 6 weights.

    Measures: boxes of weights drawn.
    """
    return units_diagram(network(), params=params).count("weight")


@row("L56", Equals(2), wrong={"variables are counted": {"counted": "variables"}})
def layers_in_pairs(seed: int, fast: bool, counted: Literal["pairs", "variables"] = "pairs") -> float:
    """Counted in pairs of a linear and a pointwise block it has two layers.

    Measures: layers in pairs.
    """
    return diagrams.count_layers(network(), counted)


@row("L56", Equals(3), wrong={"pairs are counted": {"counted": "pairs"}})
def layers_in_variables(seed: int, fast: bool, counted: Literal["pairs", "variables"] = "variables") -> float:
    """Counted in variables it has three.

    Measures: layers in variables.
    """
    return diagrams.count_layers(network(), counted)


@row(
    "L58",
    AtMost(1e-12),
    wrong={"an edge is left out": {"change": drop_a_weight}, "the functions are left out": {"change": flat}},
)
def sums_along_edges(seed: int, fast: bool, change: Change = as_it_is) -> float:
    """A unit's sum runs over the units it reads, each times its own weight.

    Measures: largest difference of sums along drawn edges, and of the graph's, to a masked matrix product.
    """
    return along_edges(seed, change)


@row("L59", AtMost(1e-12), wrong={"f is left out": {"change": flat}})
def states_along_edges(seed: int, fast: bool, change: Change = as_it_is) -> float:
    """A unit's state is f of its sum.

    Measures: largest difference of states along drawn edges, and of the graph's, to a masked matrix product.
    """
    return along_edges(seed, change, of="z")


TWIN_6 = (
    "1>drest_above drest_above>dC/dz drest_above>dC/dy dC/dz>*dh/ds *dh/ds>dC/ds dC/ds>drest_below drest_below>dC/dx"
)
TWIN_8 = (
    "1>dC dC>dC/dz_g dC>dC/dy dC/dz_g>*dg/dz_f dC/dz_g>*dg/dw_g *dg/dz_f>dC/dz_f *dg/dw_g>dC/dw_g "
    "dC/dz_f>*df/dx dC/dz_f>*df/dw_f *df/dx>dC/dx *df/dw_f>dC/dw_f"
)


def wrong_of_twin(diagram: Diagram, edges: str) -> float:
    twin = {node.name for node in diagram.nodes if node.beside is not None}
    found = Counter(f"{e.tail}>{e.head}".replace(" ", "_") for e in diagram.edges if e.tail in twin and e.head in twin)
    return unlike(found, Counter(edges.split()))


@row("L60", Equals(0), wrong={"h is not multiplied by": {"change": leaving_out("*dh/ds")}})
def figure_of_one_function(seed: int, fast: bool, change: Change = as_it_is) -> float:
    """Beside one h stands its twin: 1 is fed at the top, then × h′(s); the rest is a black box.

    Measures: edges of the drawn derivative network that are missing or too many.
    """
    return wrong_of_twin(change(figure_6()), TWIN_6)


@row(
    "L69",
    Equals(0),
    wrong={"weights are not drawn": {"change": leaving_out("w linear0", "w linear1", "w linear2")}},
)
def figure_of_the_chain(seed: int, fast: bool, change: Change = as_it_is) -> float:
    """A network is a chain of blocks: 5 blocks, 6 variables, 3 weights.

    Measures: nodes of the drawing that are missing or too many.
    """
    return miscounted(change(block_chain()), PICTURES["chain"].counts)


@row("L80", Equals(0), wrong={"no gradient of weights": {"params": False}})
def figure_of_two_modules(seed: int, fast: bool, params: bool = True) -> float:
    """The twin of two modules multiplies by four Jacobians and yields the gradients of x, y and both weights.

    Measures: edges of the drawn derivative network that are missing or too many.
    """
    return wrong_of_twin(figure_8(params), TWIN_8)


@row("L81", Equals(0), wrong={"states alone": {"sizes": (2,), "params": False}})
def multiplications_of_stacks(seed: int, fast: bool, sizes: Sequence[int] = STACKS, params: bool = True) -> float:
    """A stack of K modules, K = 2 to 20, has a twin of two multiplications a module.

    Measures: largest difference of the number of multiplications to 2 K.
    """
    return largest(*(abs(figure_9(k, params).count("multiplier") - 2 * k) for k in sizes))


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from experiments.common.acceptance import AtMost, Equals, largest, row
from experiments.common.frame import Flags, Judge, main
from experiments.common.random_graphs import random_graph, values_of
from experiments.lecture.pictures import (
    PICTURES,
    Up,
    block_chain,
    figure_6,
    figure_8,
    figure_9,
    network,
    sparse,
    stack,
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
from rllab.noise import standard_normal
from rllab.runs import Job, Record


@dataclass(frozen=True)
class Config(Flags):
    """What is drawn; the flags of the script."""

    seeds: int = 1
    out: Path = Path("results/gallery")
    """Folder of records and figures."""

    def faster(self) -> Self:
        return replace(self, seeds=1, processes=1)


def miscounted(diagram: Diagram, counts: dict[str, int]) -> int:
    """Return by how many nodes a diagram differs from what must be in it."""
    found = Counter(node.kind for node in diagram.nodes)
    return sum(abs(found[kind] - counts.get(kind, 0)) for kind in {*found, *counts})


def misdrawn(diagram: Diagram, edges: str) -> int:
    """Return how many edges are missing or too many; `edges` lists them as "x>G G>ȳ"."""
    wanted = Counter(Edge(*pair.replace("_", " ").split(">")) for pair in edges.split())
    found = Counter(diagram.edges)
    return ((wanted - found) + (found - wanted)).total()


def jobs_of(config: Config) -> Iterator[Job]:
    yield Job("gallery", {}, 0)


def run(job: Job, record: Record) -> None:
    """Count what every picture shows."""
    for name, picture in PICTURES.items():
        diagram = picture.make()
        wrong = miscounted(diagram, picture.counts)
        record.append({"picture": name, "nodes": len(diagram.nodes), "edges": len(diagram.edges), "wrong": wrong})
    record.append({"picture": "edge list", "difference": largest(*(along_edges(seed) for seed in range(10)))})


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


def along_edges(seed: int, *, of: str = "s", change: Callable[[Diagram], Diagram] = lambda diagram: diagram) -> float:
    """Return how far sums s, or states z, along drawn edges are from the masked matrix product and from the graph."""
    inputs, up = random_net(seed)
    graph = sparse(inputs, up, Key(seed))
    size = inputs + len(up)
    x = standard_normal((5, inputs), Key(seed).child("x"), torch.empty(0, dtype=torch.float64))
    drawn = by_edges(change(units_diagram(graph)), graph, x)
    w, mask = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.bool)
    for i, reads in up.items():
        w[i, list(reads)], mask[i, list(reads)] = graph.weights_of(f"u{i}")["weight"][0], True
    z, s = torch.cat([x, x.new_zeros(5, len(up))], 1), x
    for _ in up:  # enough for the longest path
        s = z @ (w * mask).t()
        z = torch.cat([x, s[:, inputs:].tanh()], 1)
    live = values_of(graph, (*x.split(1, 1), x[:, :1]))
    worst = 0.0
    for i in up:
        truth, name = (s if of == "s" else z)[:, i], f"u{i}[0]" if of == "s" else f"f{i}[0]"
        for value in (drawn[name], live[f"{of}{i}"][:, 0]):
            worst = max(worst, (value - truth).abs().max().item())
    return worst


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


def wrong_of_figure_1(diagram: Diagram) -> float:
    return miscounted(diagram, PICTURES["figure_1"].counts) + misdrawn(diagram, "x>G G>ȳ ȳ>C y>C")


@row(
    "L6",
    says="x goes through G to ȳ, and ȳ and y into the cost",
    measures="nodes and edges of the drawing that are missing or too many",
    criterion=Equals(0),
    wrong={
        "y is not drawn": lambda seed, fast: wrong_of_figure_1(without(graph_diagram(supervised()), "y")),
        "the weights are drawn too": lambda seed, fast: wrong_of_figure_1(graph_diagram(supervised(), params=True)),
    },
)
def figure_of_a_model(seed: int, fast: bool) -> float:
    return wrong_of_figure_1(graph_diagram(supervised()))


def edges_of_weights(seed: int, *, once: bool = False) -> float:
    graph, _ = random_graph(seed)
    before, after = (graph_diagram(graph, params=params).edges for params in (False, True))
    parametrised = sum(block.module.size > 0 for block in graph.blocks)
    if once:  # a weight goes to its owner alone
        after = tuple(edge for edge in after if not edge.tail.startswith("w ") or edge.tail == f"w {edge.head}")
    return len(after) - len(before) - parametrised


@row(
    "L12",
    says="A function has an implicit parameter: drawing it adds one edge for each block that has weights",
    measures="edges more with weights than without, less the number of such blocks, in 20 random graphs",
    criterion=Equals(0),
    wrong={
        "shared weights go to their owner alone": lambda seed, fast: sum(
            abs(edges_of_weights(s, once=True)) for s in range(20 * seed, 20 * seed + 20)
        )
    },
)
def edges_for_weights(seed: int, fast: bool) -> float:
    return sum(abs(edges_of_weights(s)) for s in range(20 * seed, 20 * seed + 20))


def wrong_of_figure_2(diagram: Diagram) -> float:
    copies = " ".join(f"x[{p}]>G[{p}] w_G>G[{p}] G[{p}]>ȳ[{p}] ȳ[{p}]>C[{p}] y[{p}]>C[{p}] C[{p}]>average"
                      for p in range(4))  # fmt: skip
    drawn = Diagram(diagram.nodes, tuple(e for e in diagram.edges if e.head != "L(S, w)"))
    top = diagram.reads("L(S, w)") != ["average"]
    return miscounted(diagram, PICTURES["figure_2"].counts) + misdrawn(drawn, copies) + top


@row(
    "L18",
    says="The loss is the average over samples, each through a copy of the model, all with one w",
    measures="nodes and edges of the drawing of four samples that are missing or too many",
    criterion=Equals(0),
    wrong={
        "w is not drawn": lambda seed, fast: wrong_of_figure_2(without(PICTURES["figure_2"].make(), "w G")),
        "each copy has its own w": lambda seed, fast: wrong_of_figure_2(own_weights(PICTURES["figure_2"].make())),
    },
)
def figure_of_samples(seed: int, fast: bool) -> float:
    return wrong_of_figure_2(PICTURES["figure_2"].make())


@row(
    "L56",
    says="A network of 6, 3 and 2 units has 18 and 6 weights",
    measures="boxes of weights drawn",
    criterion=Equals(24),
    wrong={"weights are not drawn": lambda seed, fast: units_diagram(network(), params=False).count("weight")},
)
def boxes_of_weights(seed: int, fast: bool) -> float:
    return units_diagram(network()).count("weight")


@row(
    "L56",
    says="Counted in pairs of a linear and a pointwise block it has two layers",
    measures="layers in pairs",
    criterion=Equals(2),
    wrong={"variables are counted": lambda seed, fast: diagrams.count_layers(network(), "variables")},
)
def layers_in_pairs(seed: int, fast: bool) -> float:
    return diagrams.count_layers(network(), "pairs")


@row(
    "L56",
    says="Counted in variables it has three",
    measures="layers in variables",
    criterion=Equals(3),
    wrong={"pairs are counted": lambda seed, fast: diagrams.count_layers(network(), "pairs")},
)
def layers_in_variables(seed: int, fast: bool) -> float:
    return diagrams.count_layers(network(), "variables")


@row(
    "L58",
    says="A unit's sum runs over the units it reads, each times its own weight",
    measures="largest difference of sums along drawn edges, and of the graph's, to a masked matrix product",
    criterion=AtMost(1e-12),
    wrong={
        "an edge is left out": lambda seed, fast: along_edges(seed, change=drop_a_weight),
        "the functions are left out": lambda seed, fast: along_edges(seed, change=flat),
    },
)
def sums_along_edges(seed: int, fast: bool) -> float:
    return along_edges(seed)


@row(
    "L59",
    says="A unit's state is f of its sum",
    measures="largest difference of states along drawn edges, and of the graph's, to a masked matrix product",
    criterion=AtMost(1e-12),
    wrong={"f is left out": lambda seed, fast: along_edges(seed, of="z", change=flat)},
)
def states_along_edges(seed: int, fast: bool) -> float:
    return along_edges(seed, of="z")


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
    wanted = Counter(edges.split())
    return ((wanted - found) + (found - wanted)).total()


@row(
    "L60",
    says="Beside one h stands its twin: 1 is fed at the top, then × h′(s); the rest is a black box",
    measures="edges of the drawn derivative network that are missing or too many",
    criterion=Equals(0),
    wrong={"h is not multiplied by": lambda seed, fast: wrong_of_twin(without(figure_6(), "*dh/ds"), TWIN_6)},
)
def figure_of_one_function(seed: int, fast: bool) -> float:
    return wrong_of_twin(figure_6(), TWIN_6)


@row(
    "L69",
    says="A network is a chain of blocks: 5 blocks, 6 variables, 3 weights",
    measures="nodes of the drawing that are missing or too many",
    criterion=Equals(0),
    wrong={"weights are not drawn": lambda seed, fast: miscounted(
        without(block_chain(), "w linear0", "w linear1", "w linear2"), PICTURES["chain"].counts)},
)  # fmt: skip
def figure_of_the_chain(seed: int, fast: bool) -> float:
    return miscounted(block_chain(), PICTURES["chain"].counts)


@row(
    "L80",
    says="The twin of two modules multiplies by four Jacobians and yields the gradients of x, y and both weights",
    measures="edges of the drawn derivative network that are missing or too many",
    criterion=Equals(0),
    wrong={
        "no gradient of weights": lambda seed, fast: wrong_of_twin(
            graph_diagram(stack(("f", "g"), ("x", "z_f", "z_g")), backward=True), TWIN_8
        )
    },
)
def figure_of_two_modules(seed: int, fast: bool) -> float:
    return wrong_of_twin(figure_8(), TWIN_8)


@row(
    "L81",
    says="A stack of K modules, K = 2 to 20, has a twin of two multiplications a module",
    measures="largest difference of the number of multiplications to 2 K",
    criterion=Equals(0),
    wrong={
        "states alone": lambda seed, fast: abs(
            graph_diagram(stack(("f0", "f1"), ("z0", "z1", "z2")), backward=True).count("multiplier") - 4
        )
    },
)
def multiplications_of_stacks(seed: int, fast: bool) -> float:
    return largest(*(abs(figure_9(k).count("multiplier") - 2 * k) for k in range(2, 21)))


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)

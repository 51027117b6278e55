"""Drawings: what is drawn of a graph, and that nothing lies on anything else. No pixel is looked at."""

import itertools
import math

from experiments.common.random_graphs import random_graph

import pytest
import torch

from rllab import backprop as bp
from rllab import diagrams
from rllab.diagrams.diagram import Edge
from rllab.diagrams.graphs import graph_diagram
from rllab.diagrams.layout import laid_out
from rllab.diagrams.names import symbol
from rllab.diagrams.networks import units_diagram
from rllab.diagrams.painting import HEAD, text_measure
from rllab.diagrams.shapes import ARROW
from tests.proofs.layouts import faults, gaps, placed


def measure(label, font):
    """A width for every letter: near to what the fonts give, without loading them."""
    letters = label.replace("mathrm", "").replace(r"\Sigma", "S")  # a sum's letter lies inside of its circle
    return 0.55 * font * len(letters), 0.7 * font, 0.25 * font


def supervised(key=0):
    blocks = [
        bp.Block("G", bp.Linear(2, 3), ("x",), ("ȳ",)),
        bp.Block("C", bp.SquaredDistance(), ("ȳ", "y"), ("c",)),
    ]
    return bp.Graph(blocks, {"x": False, "y": False}, output="ȳ", cost="c", key=key)


def stack(k):
    """z_{k+1} = f_k(z_k, w_k)."""
    blocks = [bp.Block(f"f{i}", bp.Linear(2, 2), (f"z{i}",), (f"z{i + 1}",)) for i in range(k)]
    blocks.append(bp.Block("C", bp.SquaredDistance(), (f"z{k}", "y"), ("c",)))
    return bp.Graph(blocks, {"z0": False, "y": False}, output=f"z{k}", cost="c", key=0)


def fan_out(k):
    blocks = [bp.Block(f"h{i}", bp.Tanh(), ("x",), (f"z{i}",)) for i in range(k)]
    blocks.append(bp.Block("sum", bp.Add(k), tuple(f"z{i}" for i in range(k)), ("s",)))
    blocks.append(bp.Block("C", bp.SquaredDistance(), ("s", "y"), ("c",)))
    return bp.Graph(blocks, {"x": False, "y": False}, output="s", cost="c", key=0)


def test_the_first_figure_has_three_variables_and_two_functions():
    diagram = graph_diagram(supervised())
    assert [(n.name, n.kind) for n in diagram.nodes] == [
        ("x", "observed"), ("G", "function"), ("ȳ", "computed"), ("y", "observed"), ("C", "cost"),
    ]  # fmt: skip
    assert set(diagram.edges) == {Edge("x", "G"), Edge("G", "ȳ"), Edge("ȳ", "C"), Edge("y", "C")}


@pytest.mark.parametrize("seed", range(20))
def test_drawing_weights_adds_one_edge_for_each_block_that_has_some(seed):
    graph, _ = random_graph(seed)
    without, with_weights = (graph_diagram(graph, params=params) for params in (False, True))
    assert len(with_weights.edges) - len(without.edges) == sum(block.module.size > 0 for block in graph.blocks)
    owners = sum(block.module.size > 0 and block.shares is None for block in graph.blocks)
    assert with_weights.count("parameter") == owners and without.count("parameter") == 0


def test_stacked_samples_share_one_w():
    diagram = graph_diagram(supervised(), samples=4)
    assert diagram.count("observed") == 8 and diagram.count("cost") == 4 and diagram.count("average") == 1
    assert diagram.count("parameter") == 1 and diagram.count("function") == 4
    assert diagram.read_by("w G") == [f"G[{p}]" for p in range(4)]
    assert diagram.reads("average") == [f"C[{p}]" for p in range(4)] and diagram.read_by("average") == ["L(S, w)"]
    assert laid_out(diagram, measure).crossings == 0


@pytest.mark.parametrize("k", [2, 5, 20])
def test_the_twin_has_two_multipliers_a_module_and_a_gradient_for_every_variable(k):
    diagram = graph_diagram(stack(k), params=True, backward=True)
    assert diagram.count("multiplier") == 2 * k and diagram.count("one") == diagram.count("cost_twin") == 1
    gradients = {n.name for n in diagram.nodes if n.kind == "gradient"}
    assert gradients == {f"dC/dz{i}" for i in range(k + 1)} | {f"dC/dw f{i}" for i in range(k)} | {"dC/dy"}
    for i in range(k):
        assert diagram.reads(f"dC/dz{i}") == [f"*df{i}/dz{i}"] and diagram.reads(f"*df{i}/dz{i}") == [f"dC/dz{i + 1}"]
    layout = laid_out(diagram, measure)
    assert layout.crossings == 0 and not faults(layout)


@pytest.mark.parametrize("seed", range(40))
def test_the_twin_has_the_gradients_that_backward_gives_and_adds_where_a_variable_is_read_twice(seed):
    graph, observed = random_graph(seed)
    diagram = graph_diagram(graph, params=True, backward=True)
    values = graph.backward(*observed, variables=graph.continuous).by_variable
    drawn = {n.name.removeprefix("dC/d").removeprefix("w ") for n in diagram.nodes if n.kind == "gradient"}
    assert drawn <= set(values)
    for name in set(values) - drawn - set(graph.costs):
        assert (values[name] == 0).all()  # the cost does not depend on it


def test_one_block_alone_leaves_the_rest_in_black_boxes():
    diagram = graph_diagram(bp.mlp((6, 3, 2), "squared_distance"), isolate="relu1", backward=True)
    assert diagram.count("box") == diagram.count("box_twin") == 2 and diagram.count("multiplier") == 1
    assert diagram.reads("*drelu1/ds1") == ["dC/dz1"] and diagram.read_by("*drelu1/ds1") == ["dC/ds1"]
    assert diagram.node("*drelu1/ds1").label == r"\times\,\mathrm{relu}′(s_{1})"
    assert {"dC/dx", "dC/dy"} <= {n.name for n in diagram.nodes}


def test_units_show_every_weight_and_layers_are_counted_both_ways():
    graph = bp.mlp((6, 3, 2), "squared_distance")
    diagram = units_diagram(graph)
    assert diagram.count("weight") == 18 + 6 and diagram.count("observed") == 6 and diagram.count("sum") == 5
    assert diagram.count("weight") + diagram.count("parameter") == graph.weights.numel()
    assert (diagrams.count_layers(graph, "pairs"), diagrams.count_layers(graph, "variables")) == (2, 3)
    assert not faults(laid_out(diagram, measure))


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["up", "right"])
@pytest.mark.parametrize("start", range(0, 60, 20))
def test_nothing_lies_on_anything_else_in_random_graphs(start, direction):
    for seed in range(start, start + 20):
        graph, _ = random_graph(seed)
        for more in ({}, {"params": True}, {"params": True, "backward": True}):
            layout = laid_out(graph_diagram(graph, **more), measure, direction)
            assert not faults(layout), (seed, more)
            assert max(gaps(layout)) <= 1e-6


@pytest.mark.parametrize(("seed", "direction"), [(0, "up"), (1, "right")])
def test_nothing_lies_on_anything_else_in_graphs_of_25_blocks(seed, direction):
    graph, _ = random_graph(seed, modules=21)
    assert len(graph.blocks) == 25
    layout = laid_out(graph_diagram(graph, params=True, backward=True), measure, direction)
    assert not faults(layout) and max(gaps(layout)) <= 1e-6


@pytest.mark.parametrize("inputs", [2, 6, 12])
def test_arrowheads_at_a_sum_stand_beside_each_other(inputs):
    layout = laid_out(units_diagram(bp.mlp((inputs, 3, 2), "squared_distance")), measure)
    assert not faults(layout)
    into: dict[str, list[tuple[float, float]]] = {}
    for route in layout.routes:
        if placed(layout, route.edge.head).node.kind == "sum":
            tip, before = route.curves[-1][3], route.curves[-1][2]
            length = math.dist(tip, before)
            base = tuple(t - ARROW * (t - b) / length for t, b in zip(tip, before, strict=True))
            into.setdefault(route.edge.head, []).append(base)
    assert len(into) == 5
    for bases in into.values():
        assert min(math.dist(a, b) for a, b in itertools.combinations(bases, 2)) > 2 * HEAD


@pytest.mark.parametrize("k", [2, 7, 15])
def test_nothing_lies_on_anything_else_in_wide_graphs(k):
    for more in ({}, {"backward": True}, {"samples": 3}):
        layout = laid_out(graph_diagram(fan_out(k), **more), measure)
        assert not faults(layout)
        assert layout.crossings == 0 or "backward" in more


def test_the_faults_are_seen_where_there_are_some():
    layout = laid_out(graph_diagram(supervised()), measure)
    assert not faults(layout)
    moved = [placed(layout, "x"), *[p for p in layout.nodes if p.node.name != "y"], placed(layout, "ȳ")]
    assert faults(type(layout)(tuple(moved), layout.routes, layout.width, layout.height, "up", 0))


def test_the_same_graph_gives_the_same_bytes_and_no_half_file(tmp_path):
    for suffix in ("svg", "png"):
        first, second = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
        diagrams.draw_graph(supervised(), first, params=True, backward=True)
        diagrams.draw_graph(supervised(), second, params=True, backward=True)
        assert first.read_bytes() == second.read_bytes()
    assert "date" not in (tmp_path / "a.svg").read_text().lower()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "a.svg", "b.png", "b.svg"]


def test_bad_arguments_meet_an_error_that_names_them(tmp_path):
    graph = supervised()
    for error, arguments in {
        "path must end in": {"path": tmp_path / "a.gif"},
        "samples must be >= 1": {"samples": 0},
        "direction must be": {"direction": "down"},
        "isolate must name a block": {"isolate": "h"},
        "labels must name": {"labels": {"q": "q"}},
        "isolate goes with neither": {"isolate": "G", "params": True},
    }.items():
        with pytest.raises(ValueError, match=error):
            diagrams.draw_graph(graph, **({"path": tmp_path / "a.svg"} | arguments))
    with pytest.raises(ValueError, match="no gradient passes"):
        diagrams.draw_graph(bp.nearest_neighbour(3, 2), tmp_path / "a.svg", backward=True)
    assert not list(tmp_path.iterdir())


def test_a_discrete_variable_is_told_from_a_continuous_one():
    diagram = graph_diagram(bp.nearest_neighbour(3, 2))
    assert {n.name for n in diagram.nodes if n.discrete} == {"ȳ", "y"}


@pytest.mark.parametrize(
    "name, tex",
    [("s1", "s_{1}"), ("ȳ", r"\bar{y}"), ("ybar", r"\bar{y}"), ("z_f", "z_{f}"), ("v3_0", "v_{3,0}"),
     ("linear2", r"\mathrm{linear}_{2}"), ("squared_distance", r"\mathrm{squared\ distance}")],
)  # fmt: skip
def test_names_become_mathematics(name, tex):
    assert symbol(name) == tex


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["a%b", "a{b", "a}b", "a\\b", "z#1", "$x$", "a^b", "a~b", 'q"r', "f(x)", "a\nb", "_", "100%"]
)
def test_names_of_any_signs_can_be_drawn(name):
    blocks = [
        bp.Block(name, bp.Linear(2, 3), ("x" + name,), ("s" + name,)),
        bp.Block("h" + name, bp.Tanh(), ("s" + name,), ("z" + name,)),
        bp.Block("C" + name, bp.SquaredDistance(), ("z" + name, "y"), ("c" + name,)),
    ]
    graph = bp.Graph(blocks, {"x" + name: False, "y": False}, output="z" + name, cost="c" + name, key=0)
    measured = text_measure()  # which sets each label once
    for more in ({"params": True, "backward": True}, {"samples": 2}, {"isolate": name}):
        laid_out(graph_diagram(graph, **more), measured)
    laid_out(units_diagram(graph), measured)


def test_derivatives_of_two_functions_of_one_variable_are_told_apart():
    blocks = [
        bp.Block("h1", bp.Tanh(), ("x",), ("a",)),
        bp.Block("h2", bp.Sigmoid(), ("x",), ("b",)),
        bp.Block("h3", bp.Tanh(), ("s3",), ("d",)),
        bp.Block("sum", bp.Add(3), ("a", "b", "d"), ("s",)),
        bp.Block("C", bp.SquaredDistance(), ("s", "y"), ("c",)),
    ]
    graph = bp.Graph(blocks, dict.fromkeys(("x", "s3", "y"), False), output="s", cost="c", key=0)
    diagram = graph_diagram(graph, backward=True)
    labels = [diagram.node(f"*d{h}/d{z}").label for h, z in (("h1", "x"), ("h2", "x"), ("h3", "s3"))]
    assert labels == [r"\times\,h′_{1}(x)", r"\times\,h′_{2}(x)", r"\times\,h′(s_{3})"]


def test_drawing_leaves_matplotlibs_settings_and_random_states_alone(tmp_path):
    import matplotlib as mpl

    before, state = dict(mpl.rcParams), torch.get_rng_state()
    diagrams.draw_graph(supervised(), tmp_path / "a.svg")
    assert dict(mpl.rcParams) == before and torch.equal(torch.get_rng_state(), state)

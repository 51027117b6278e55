"""Graphs: explicit gradients against autograd and differences, on 200 random DAGs and on networks."""

import pytest
import torch
from backprop.dags import random_graph

from rllab import backprop as bp


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_all_engines_agree_for_every_variable_of_random_dags(start):
    for seed in range(start, start + 20):
        graph, observed = random_graph(seed)
        check = bp.check_graph(graph, *observed)
        assert check.passed, f"graph {seed}\n{check}"


def test_an_mlp_has_the_gradients_of_autograd_and_of_differences():
    graph = bp.mlp(sizes=(6, 5, 4), loss="cross_entropy")
    x, y = torch.randn(3, 6, generator=torch.Generator().manual_seed(1)), torch.tensor([1, 3, 0])
    check = bp.check_graph(graph, x, y)
    assert check.passed and set(check.errors) == {"x", "s1", "z1", "s2", "C", "linear1", "linear2"}
    assert graph.backward(x, y).weights.dtype == torch.float32
    assert torch.equal(graph.predict(x), graph.predict(x, y))


def test_a_gradient_through_a_discrete_choice_is_refused_by_name():
    blocks = [
        bp.Block("nearest", bp.NearestRow(3, 2), ("x",), ("k",)),
        bp.Block("zero_one", bp.ZeroOne(), ("k", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": True}, output="k", cost="C", key=0)
    with pytest.raises(ValueError, match="no gradient passes block 'nearest' to 'x'"):
        graph.backward(torch.zeros(1, 2), torch.tensor([1]))


def test_the_lectures_net_takes_a_batch_of_images_and_has_38910_weights():
    graph = bp.lecture_net()
    x, y = torch.randn(4, 3, 10, 20, generator=torch.Generator().manual_seed(2)), torch.tensor([9, 0, 4, 4])
    assert graph.predict(x).shape == (4, 10) and graph.weights.numel() == 38_910
    explicit, autograd = graph.backward(x, y), graph.backward(x, y, engine="autograd")
    for name, g in explicit.by_variable.items():
        torch.testing.assert_close(g, autograd.by_variable[name], rtol=1e-4, atol=1e-7)  # float32
    assert explicit.by_variable["x"].shape == x.shape


@pytest.mark.parametrize("engine", ["explicit", "autograd"])
def test_weights_alone_get_the_same_gradient(engine):
    for seed in range(40):
        graph, observed = random_graph(seed)
        alone = graph.backward(*observed, engine=engine, weights_only=True)
        assert alone.by_variable == {}
        assert torch.equal(alone.weights, graph.backward(*observed, engine=engine).weights)


def test_gradients_are_detached_whatever_the_arguments_require():
    graph = bp.mlp(sizes=(3, 2), loss="squared_distance")
    x, y = torch.ones(2, 3, requires_grad=True), torch.zeros(2, 2)
    g = graph.backward(x, y, weights=graph.weights.clone().requires_grad_())
    assert not any(t.requires_grad for t in (g.loss, g.weights, *g.by_variable.values()))
    assert torch.equal(g.weights, graph.backward(x.detach(), y).weights)

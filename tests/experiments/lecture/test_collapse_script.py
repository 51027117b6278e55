"""Stacks of linear layers: what is exact about them."""

import math

from experiments.lecture import collapse
from experiments.lecture.stacks import compose, layers_of, stack

import torch

from rllab import Key
from rllab import backprop as bp


def test_layers_compose_from_the_bottom_up():
    a, b = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([1.0, -1.0])
    c, d = torch.tensor([[0.0, 3.0]]), torch.tensor([5.0])
    product, offset = compose([(a, b), (c, d)], torch.zeros(1, 2))
    assert product.tolist() == [[0.0, 3.0]] and offset.tolist() == [2.0]


def test_the_layers_of_a_graph_are_the_ones_it_computes_with():
    graph = stack((3, 4, 2), None, bp.SquaredDistance(), Key(1))
    (w1, b1), (w2, b2) = layers_of(graph, graph.weights)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(graph.predict(x), (x @ w1.t() + b1) @ w2.t() + b2, rtol=1e-13, atol=1e-13)


def test_moons_without_noise_lie_on_two_half_circles(monkeypatch):
    monkeypatch.setattr(collapse, "NOISE", 0.0)
    x, y = collapse.moons(50, Key(0))
    centres = torch.tensor([[0.0, 0.0], [1.0, 0.5]], dtype=torch.float64)[y]
    torch.testing.assert_close((x - centres).norm(dim=1), torch.ones(50, dtype=torch.float64))
    assert ((x - centres)[:, 1] * (1 - 2 * y) >= 0).all() and y.sum() == 25


def test_what_an_affine_fit_leaves_of_a_layer_of_relus_is_known():
    # s = x and z = max(x, 0) of a normal x: the best line leaves √((1/4 − 1/2π)/(1/2 − 1/2π)) of the spread
    graph = stack((1, 1, 1), bp.ReLU(), bp.SquaredDistance(), Key(0))
    graph.weights[:] = torch.tensor([1.0, 0.0, 1.0, 0.0])
    x = torch.special.ndtri((torch.arange(20_001, dtype=torch.float64) + 0.5) / 20_001)[:, None]
    expected = math.sqrt((0.25 - 0.5 / math.pi) / (0.5 - 0.5 / math.pi))
    assert abs(collapse.share_left(x, graph.predict(x)) - expected) < 1e-3

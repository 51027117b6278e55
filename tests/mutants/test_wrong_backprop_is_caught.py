"""Modules and graphs with one mistake each; the three-way check on random DAGs must fail every one of them."""

import math

import pytest
import torch
from random_graphs import random_graph
from wrong_rules import MUTANTS, wrong

from rllab import backprop as bp


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_wrong_rule_fails_the_three_way_check(mistake):
    graphs = (random_graph(seed) for seed in range(40))
    with wrong(mistake):
        assert not all(bp.check_graph(graph, *observed).passed for graph, observed in graphs)


NOT_COMPARABLE = {
    "no number": lambda self, v, z, w, y, out=None: v * math.nan,
    "one entry is no number": lambda self, v, z, w, y, out=None: (
        v * (1 - y * y) * torch.tensor([[1.0, math.nan, 1.0, 1.0]])
    ),
    "summed over samples": lambda self, v, z, w, y, out=None: (v * (1 - y * y)).sum(0, keepdim=True),
    "first sample alone": lambda self, v, z, w, y, out=None: (v * (1 - y * y))[:1],
}


@pytest.mark.parametrize("mistake", NOT_COMPARABLE)
def test_gradients_that_cannot_be_compared_fail_the_three_way_check(mistake, monkeypatch):
    # all samples alike, so that one sample's gradient would agree with each of the others' if it were stretched
    x, y = torch.full((2, 4), 0.3).double(), torch.full((2, 4), 0.5).double()
    blocks = [
        bp.Block("tanh", bp.Tanh(), ("x",), ("z",)),
        bp.Block("cost", bp.SquaredDistance(), ("z", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": False}, output="z", cost="C", key=0, dtype=torch.float64)
    assert bp.check_graph(graph, x, y).passed
    monkeypatch.setattr(bp.Tanh, "_vjp_state", NOT_COMPARABLE[mistake])
    check = bp.check_graph(graph, x, y)
    assert not check.passed and check.worst == "x" and check.errors["x"] == (math.inf, math.inf)

"""Modules and graphs with one mistake each; the three-way check on random DAGs must fail every one of them."""

import math

from experiments.common.random_graphs import random_graph
from experiments.lecture.wrong_rules import MUTANTS, wrong

import pytest
import torch

from rllab import backprop as bp
from rllab.backprop.replay import InputBuffers
from tests.backprop import test_replay


@pytest.mark.slow
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
}
WRONG_SHAPES = {
    "summed over samples": lambda self, v, z, w, y, out=None: (v * (1 - y * y)).sum(0, keepdim=True),
    "first sample alone": lambda self, v, z, w, y, out=None: (v * (1 - y * y))[:1],
    "summed over columns": lambda self, v, z, w, y, out=None: (v * (1 - y * y)).sum(1),
    "a column alone": lambda self, v, z, w, y, out=None: (v * (1 - y * y))[:, :1],
    "in a tuple": lambda self, v, z, w, y, out=None: (v * (1 - y * y),),
    "nothing": lambda self, v, z, w, y, out=None: None,
    "of another precision": lambda self, v, z, w, y, out=None: (v * (1 - y * y)).float(),
}


def tanh_between():
    """A tanh between a linear layer and the cost, and data."""
    # all samples alike, so that one sample's gradient would agree with each of the others' if it were stretched
    x, y = torch.full((2, 4), 0.3).double(), torch.full((2, 4), 0.5).double()
    blocks = [
        bp.Block("linear", bp.Linear(4, 4), ("x",), ("s",)),
        bp.Block("tanh", bp.Tanh(), ("s",), ("z",)),
        bp.Block("cost", bp.SquaredDistance(), ("z", "y"), ("C",)),
    ]
    return bp.Graph(blocks, {"x": False, "y": False}, output="z", cost="C", key=0, dtype=torch.float64), x, y


@pytest.mark.parametrize("mistake", NOT_COMPARABLE)
def test_gradients_that_are_no_numbers_fail_the_three_way_check(mistake, monkeypatch):
    graph, x, y = tanh_between()
    assert bp.check_graph(graph, x, y).passed
    monkeypatch.setattr(bp.Tanh, "_vjp_state", NOT_COMPARABLE[mistake])
    check = bp.check_graph(graph, x, y)
    assert not check.passed and check.errors["s"] == (math.inf, math.inf) and check.blocks == ("tanh",)


@pytest.mark.parametrize("mistake", WRONG_SHAPES)
def test_a_product_of_another_shape_is_refused_in_the_name_of_its_own_block(mistake, monkeypatch):
    graph, x, y = tanh_between()
    monkeypatch.setattr(bp.Tanh, "_vjp_state", WRONG_SHAPES[mistake])
    message = r"block 'tanh' \(Tanh\) cannot .* back to 's' .*_vjp_state must return \(2, 4\) of torch.float64, got "
    with pytest.raises(ValueError, match=message):
        graph.backward(x, y)
    with pytest.raises(ValueError, match=message):
        bp.check_graph(graph, x, y)
    with pytest.raises(ValueError, match=r"Tanh: _vjp_state must return \(2, 4\)"):
        bp.Tanh().vjp_state(x, x)


def adopted(self, given):
    """Other tensors are written into the caller's first ones."""
    for own, t in zip(self.tensors, given, strict=True):
        own.copy_(t)
    return True


WRONG_TAKES = {
    "what was given first": lambda self, given: True,
    "read where it is, as if it were the same": lambda self, given: bool(setattr(self, "tensors", list(given))) or True,
    "copied into the caller's own": adopted,
}


@pytest.mark.parametrize("mistake", WRONG_TAKES)
def test_a_pass_made_again_with_stale_or_borrowed_weights_is_caught(mistake, monkeypatch):
    monkeypatch.setattr(InputBuffers, "take", WRONG_TAKES[mistake])
    with pytest.raises(AssertionError):
        test_replay.test_new_weights_are_copied_and_what_was_given_stays_as_it_was()

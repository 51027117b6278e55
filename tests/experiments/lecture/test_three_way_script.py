"""Three ways to one gradient: what the experiment's own measures say where the answer is known."""

from experiments.common.random_graphs import random_graph
from experiments.lecture import three_way
from experiments.lecture.wrong_rules import MUTANTS, wrong

import pytest
import torch

from rllab import Key
from rllab import backprop as bp


def test_every_module_class_with_a_gradient_is_in_the_table():
    assert set(three_way.modules()) == three_way.with_gradients()
    assert "NearestRow" not in three_way.with_gradients() and "ReLU" in three_way.with_gradients()


def test_an_error_is_relative_to_the_largest_entry():
    assert three_way.off(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 5.0])) == pytest.approx(0.2)
    assert three_way.off(torch.zeros(0), torch.zeros(0)) == 0.0


def test_a_slope_that_is_a_half_too_small_is_an_error_of_a_half(monkeypatch):
    monkeypatch.setattr(bp.Softplus, "_slope", lambda self, s, z, out: torch.sigmoid(s) / 2)
    errors = three_way.module_errors(bp.Softplus(), 4, Key(0))
    assert errors["J by state"] == pytest.approx(0.5) and errors["v J by state"] == pytest.approx(0.5)


def test_a_mistake_lasts_no_longer_than_its_context():
    right = bp.Tanh._vjp_state
    with wrong("forgotten h'"):
        assert bp.Tanh._vjp_state is not right
    assert bp.Tanh._vjp_state is right


def test_a_mistake_goes_unnoticed_where_its_module_is_not():
    graph, observed = next(
        case for case in map(random_graph, range(50)) if not any(isinstance(b.module, bp.Max) for b in case[0].blocks)
    )
    with wrong("max to all"):
        assert three_way.disagreement(graph, observed) < three_way.TOLERANCES[0]
    assert len(MUTANTS) >= 10

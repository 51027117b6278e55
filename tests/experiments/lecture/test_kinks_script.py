"""Slopes at a kink: what is counted, and where the kink must be hit."""

from experiments.lecture import kinks

import pytest
import torch

from rllab import Key
from rllab import backprop as bp


def test_a_counted_relu_is_the_librarys_and_counts_what_is_asked_for():
    s = torch.tensor([[-1.0, 0.0, 2.0], [0.0, -0.0, 1.0]])
    v = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for slope in kinks.SLOPES:
        counted = kinks.Counted(slope)
        assert torch.equal(counted.vjp_state(v, s), bp.ReLU(slope_at_zero=slope).vjp_state(v, s))
        assert torch.equal(counted.forward(s), bp.ReLU().forward(s))
        assert counted.counts == {"slopes": 6, "hits": 3}


def test_zero_inputs_and_biases_are_always_at_the_kink():
    assert kinks.drawn(torch.float64, Key(0), 1000, zero=True) == 1000
    assert kinks.drawn(torch.float64, Key(0), 1000) == 0


def test_blank_images_are_all_zero_and_have_a_class_of_their_own():
    train, test = kinks.images(kinks.SETTINGS["blank images"], Key(0))
    assert len(test) == kinks.TESTS
    for part in (train, test):
        blank = part.y == 10
        assert (part.x[blank] == 0).all() and (part.x[~blank] != 0).any(1).all()
        assert 0.05 < blank.double().mean() < 0.15


@pytest.mark.parametrize("slope, wrong", [(0.0, False), (0.3, False), (1.0, False), (1.01, True), (-0.01, True)])
def test_slopes_between_those_of_both_sides_are_subgradients_and_no_others(slope, wrong):
    assert (kinks.violations(kinks.Counted(slope), seed=0) > 0) is wrong

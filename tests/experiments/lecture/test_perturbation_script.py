"""Small changes: residuals that are known exactly."""

from experiments.lecture import perturbation

import pytest
import torch

from rllab import Key
from rllab import backprop as bp


def test_the_residual_of_a_square_is_the_square_of_the_push():
    class Square(bp.Pointwise):
        def _forward(self, z, w, out=None):
            return z * z

        def _slope(self, s, z, out):
            return 2 * s

    assert perturbation.one_function(Square(), 1e-2, Key(0)) == pytest.approx(1e-4, rel=1e-9)


def test_a_push_across_the_kink_starts_below_and_ends_above_it():
    for ds in (1e-1, 1e-6):
        residual = perturbation.kink(ds, Key(0))
        assert 0.3 * ds < residual < ds  # at most ds of which none was foreseen


def test_the_three_paths_of_a_fan_out_add_up_to_the_gradient():
    graph, (z, y) = perturbation.fan_out(Key(3))
    total = perturbation.paths(graph, z, y).sum(1, keepdim=True)
    leaf = z.clone().requires_grad_()
    w1, w2 = graph.weights[:6], graph.weights[6:]
    s = leaf * w1[:3] + w1[3:]
    out = torch.tanh(s) @ w2[:6].view(2, 3).t() + w2[6:]
    (expected,) = torch.autograd.grad((out - y).square().sum(), leaf)
    torch.testing.assert_close(total, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(perturbation.through_derivatives(graph, z, y), expected, rtol=1e-12, atol=1e-14)

"""Graphs with estimated blocks: right where the exact gradient is known, and where there is none."""

import math

import pytest
import torch

import rllab
from rllab import backprop as bp
from rllab import estimators as est
from rllab.backprop.module import Module


class Step(Module):
    """1 where the state is positive, else 0."""

    differentiable = False

    def _forward(self, z, w, out=None):
        return (z > 0).to(z)

    def _vjp_state(self, v, z, w, y, out=None):
        raise ValueError("Step: has no gradient")


def network() -> tuple[bp.Graph, torch.Tensor, torch.Tensor]:
    graph = bp.mlp((3, 4, 2), "squared_distance", activation="tanh", dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    return graph, torch.randn(5, 3, generator=g).double(), torch.randn(5, 2, generator=g).double()


@pytest.mark.parametrize("block", ["linear1", "tanh1", "linear2", "squared_distance"])
@pytest.mark.parametrize("smooth", [True, False], ids=["local", "to the cost"])
def test_differences_at_any_block_give_the_exact_gradient_of_everything(block, smooth):
    graph, x, y = network()
    exact = graph.backward(x, y)
    graph.set_gradient(block, est.CentralDifference(), key=0, evaluations=20, smooth=smooth)
    mine = graph.backward(x, y)
    for name, g in exact.by_variable.items():
        torch.testing.assert_close(mine.by_variable[name], g, rtol=1e-7, atol=1e-9)
    weights = graph.backward(x, y, weights_only=True).weights
    torch.testing.assert_close(weights, exact.weights, rtol=1e-7, atol=1e-9)
    graph.set_gradient(block, None, key=0)
    assert torch.equal(graph.backward(x, y).weights, exact.weights)


def test_a_variable_read_twice_gets_both_shares():
    blocks = [
        bp.Block("double", bp.Multiply(), ("x", "x2"), ("p",)),
        bp.Block("tanh", bp.Tanh(), ("x",), ("t",)),
        bp.Block("add", bp.Add(), ("p", "t"), ("s",)),
        bp.Block("cost", bp.SquaredDistance(), ("s", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, dict.fromkeys(("x", "x2", "y"), False), output="s", cost="C", key=0, dtype=torch.float64)
    g = torch.Generator().manual_seed(1)
    observed = [torch.randn(4, 3, generator=g).double() for _ in range(3)]
    exact = graph.backward(*observed).by_variable
    graph.set_gradient("double", est.CentralDifference(), key=0, evaluations=20)
    for name, wanted in exact.items():
        mine = graph.backward(*observed).by_variable[name]
        torch.testing.assert_close(mine, wanted, rtol=1e-7, atol=1e-9)


def stepped(x: float, t: float, rows: int) -> tuple[bp.Graph, list[torch.Tensor]]:
    blocks = [
        bp.Block("step", Step(), ("x",), ("f",)),
        bp.Block("cost", bp.SquaredDistance(), ("f", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": False}, output="f", cost="C", key=0, dtype=torch.float64)
    return graph, [torch.full((rows, 1), v, dtype=torch.float64) for v in (x, t)]


def test_a_jump_before_a_curved_cost_is_estimated_to_the_cost():
    sigma, rows, x, t = 0.5, 40_000, -0.1, 0.3
    graph, observed = stepped(x, t, rows)
    with pytest.raises(ValueError, match="no gradient passes block 'step' to 'x'"):
        graph.backward(*observed)
    graph.set_gradient("step", est.GaussianSmoothing(sigma), key=3, evaluations=2)
    g = graph.backward(*observed).by_variable["x"] * rows
    truth = (1 - 2 * t) * math.exp(-(x**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    assert abs(g.mean() - truth) < 6.5 * g.std() / math.sqrt(rows)  # false alarm 1e-10
    with pytest.raises(ValueError, match="no gradient passes block 'step' to 'x'"):
        graph.backward(*observed, engine="autograd")


def test_evaluations_are_counted_and_limited_and_passes_draw_anew():
    graph, observed = stepped(0.1, 1.0, 6)
    graph.set_gradient("step", est.GaussianSmoothing(0.5), key=3, evaluations=4, budget=60)
    first, second = (graph.backward(*observed).by_variable["x"] for _ in range(2))
    assert graph.estimated["step"].ledger.evaluations == 48 and not torch.equal(first, second)
    assert graph.estimated["step"].last_estimate.evaluations == 4
    with pytest.raises(rllab.BudgetExceeded, match="24 more value evaluations do not fit"):
        graph.backward(*observed)


def test_reused_tensors_are_estimated_once_a_pass():
    graph, x, y = network()
    graph.set_gradient("tanh1", est.GaussianSmoothing(0.1), key=0, evaluations=4)
    made = graph.backward(x, y, weights_only=True)
    for _ in range(3):
        made = graph.backward(x, y, weights_only=True, reuse=made)
    assert graph.estimated["tanh1"].ledger.evaluations == 4 * 4 * len(x)


def test_what_cannot_be_right_is_refused():
    graph, _ = stepped(0.1, 1.0, 6)
    with pytest.raises(ValueError, match=r"block must be one of \['step', 'cost'\], got 'stair'"):
        graph.set_gradient("stair", est.SPSA(), key=0)
    with pytest.raises(ValueError, match="scope 'local' takes what follows block 'step' as linear"):
        graph.set_gradient("step", est.SPSA(), key=0, scope="local")
    nearest = bp.nearest_neighbour(3, 2) if hasattr(bp, "nearest_neighbour") else None
    if nearest is not None:
        name = next(b.name for b in nearest.blocks if b.module.size)
        with pytest.raises(ValueError, match="has weights that no product reaches"):
            nearest.set_gradient(name, est.SPSA(), key=0)

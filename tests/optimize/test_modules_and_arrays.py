"""A module is minimised in place, and arrays go in where tensors do and come back as arrays, by the same bits."""

import numpy as np
import pytest
import torch

from rllab import Cost, Key, measure_quality, minimize, problems, recommend
from rllab.estimators import Backprop, CentralDifference, GaussianSmoothing, ScoreFunction

X = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(8, 3)
AT = np.array([1.5, -0.7, 0.4])


def net():
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1)).double()
    for i, p in enumerate(module.parameters()):
        p.data.copy_(torch.linspace(-1 - i, 1, p.numel()).reshape(p.shape))
    return module


def stairs(x):
    return torch.floor(4 * x.abs()).sum(-1)


@pytest.mark.parametrize("estimator", [GaussianSmoothing(0.1), Backprop()], ids=lambda e: type(e).__name__)
def test_a_module_is_stepped_as_a_loop_with_backward_would(estimator):
    module, other = net(), net()
    buffers = {name: b.clone() for name, b in module.named_buffers()}
    trace = minimize(lambda: module(X).square().mean(), module, estimator, evaluations=6, budget=19, lr=0.1, key=2)
    optimizer = torch.optim.Adam(other.parameters(), lr=0.1)
    for step in range(len(trace)):
        optimizer.zero_grad()
        estimator.backward(
            lambda: other(X).square().mean(), other, evaluations=6, key=Key(2).child("step", step), errors=False
        )
        optimizer.step()
    assert trace.at is module and trace.evaluations[-1] <= 19
    assert len(trace) == (3 if estimator.kind == "value" else 19)
    assert all(map(torch.equal, module.parameters(), other.parameters()))
    assert all(torch.equal(b, buffers[name]) for name, b in module.named_buffers())


def test_frozen_parameters_stay_and_only_names_what_moves():
    module = net()
    module[0].weight.requires_grad_(False)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    minimize(
        lambda: module(X).abs().mean(), module, GaussianSmoothing(), evaluations=4, budget=8, lr=0.1, key=0,
        only=("2.bias",),
    )  # fmt: skip
    assert {name for name, p in module.named_parameters() if not torch.equal(p, before[name])} == {"2.bias"}


def test_an_error_in_the_cost_leaves_the_module_where_the_last_step_had_it():
    module, calls = net(), []

    def breaks():
        calls.append(1)
        if len(calls) > 8:
            raise RuntimeError("no more")
        return module(X).square().mean()

    with pytest.raises(RuntimeError, match="no more") as caught:
        minimize(breaks, module, GaussianSmoothing(), evaluations=4, budget=80, lr=0.1, key=0)
    again = net()
    minimize(lambda: again(X).square().mean(), again, GaussianSmoothing(), evaluations=4, budget=8, lr=0.1, key=0)
    assert len(caught.value.trace) == 2
    assert all(map(torch.equal, module.parameters(), again.parameters()))


def test_a_cost_and_a_function_are_told_apart():
    with pytest.raises(TypeError, match="cost must be a function that uses the module"):
        minimize(Cost(stairs), net(), GaussianSmoothing(), evaluations=4, budget=8, lr=0.1, key=0)
    with pytest.raises(TypeError, match="cost must be a Cost"):
        minimize(lambda: 1.0, torch.ones(3), GaussianSmoothing(), evaluations=4, budget=8, lr=0.1, key=0)


@pytest.mark.parametrize("at", [AT, np.stack((AT, -AT)), AT.astype("f4")], ids=("one", "a batch", "single"))
@pytest.mark.parametrize("estimator", [GaussianSmoothing(0.2), CentralDifference()], ids=lambda e: type(e).__name__)
def test_an_estimate_at_an_array_consists_of_arrays_of_the_same_numbers(estimator, at):
    on = {"evaluations": 13, "key": 1, "per_unit": True}
    e, wanted = (estimator(Cost(stairs), x, **on) for x in (at, torch.from_numpy(at)))
    for name in ("gradient", "value", "standard_error", "per_unit"):
        part, tensor = getattr(e, name), getattr(wanted, name)
        assert part is tensor is None or (isinstance(part, np.ndarray) and np.array_equal(part, tensor.numpy()))
    assert e.gradient.shape == at.shape and e.gradient.dtype == at.dtype
    assert torch.equal(estimator.ask(at, 13, 1)[0].points, estimator.ask(torch.from_numpy(at), 13, 1)[0].points)
    assert estimator.minimum(at) == estimator.minimum(torch.from_numpy(at))


def test_an_array_is_neither_kept_nor_changed():
    at = AT.copy()

    def greedy(x):
        y = stairs(x)
        x.zero_()
        return y

    GaussianSmoothing(0.2)(Cost(greedy), at, evaluations=10, key=0)
    Cost(greedy)(points := at[None].copy())
    trace = minimize(Cost(stairs), at, GaussianSmoothing(0.2), evaluations=8, budget=24, lr=0.1, key=0)
    assert np.array_equal(at, AT) and np.array_equal(points[0], AT)
    assert isinstance(trace.at, np.ndarray) and not np.array_equal(trace.at, at)
    same = minimize(Cost(stairs), torch.from_numpy(AT), GaussianSmoothing(0.2), evaluations=8, budget=24, lr=0.1, key=0)
    assert np.array_equal(trace.at, same.at.numpy())


def test_costs_quality_and_recommendations_take_arrays():
    cost, points = Cost(lambda x: x.square().sum(-1)), np.stack((AT, -AT))
    assert np.array_equal(cost(points), (points**2).sum(-1)) and np.array_equal(cost.gradient(points), 2 * points)
    problem = problems.Quadratic(dimension=3)
    one, two = (
        measure_quality(GaussianSmoothing(), problem, at=at, budgets=[8], repeats=5, key=0).rows
        for at in (AT, torch.from_numpy(AT))
    )
    assert one == two
    assert recommend(cost, AT, 200, key=0) == recommend(cost, torch.from_numpy(AT), 200, key=0)


def test_integers_and_other_kinds_are_refused_as_tensors_are():
    with pytest.raises(TypeError, match="floating-point"):
        GaussianSmoothing()(Cost(stairs), np.arange(3), evaluations=4, key=0)
    with pytest.raises(TypeError):
        ScoreFunction()(Cost(stairs), AT, evaluations=4, key=0)

"""SeedReplay: the step that a held direction would make, replayed bit for bit, and how far restoring drifts."""

import math

import pytest
import torch

from rllab import BudgetExceeded, Cost, Key, minimize
from rllab.estimators import GaussianSmoothing
from rllab.estimators.base import BLOCK
from rllab.noise import standard_normal
from rllab.optimize import SeedReplay
from tests.proofs.checks import fresh_state, quadratic
from tests.proofs.probing import AT, assert_close, curved

every_way = pytest.mark.parametrize("restore", ("replay", "copy"))


def loss_at(theta, f=curved):
    return lambda: f(theta[None])[0]


def small_net():
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(torch.linspace(-1, 1 + i, p.numel()).view_as(p))
    return net


X = torch.linspace(-1, 1, 30).view(10, 3)
Y = X.prod(-1, keepdim=True)


def bits(parameters):
    return torch.cat([p.detach().flatten().clone() for p in parameters])


@every_way
def test_a_step_is_that_of_gaussian_smoothing_with_one_pair(restore):
    theta, key, lr = AT.clone(), Key(4), 0.05
    optimizer = SeedReplay(theta, lr=lr, sigma=0.1, key=key, restore=restore)
    for t in range(3):
        before = theta.clone()
        value = optimizer.step(loss_at(theta))
        e = GaussianSmoothing(0.1)(Cost(curved), before, evaluations=2, key=key.child("step", t))
        assert_close(theta, before - lr * e.gradient, 1e-13)
        assert value == pytest.approx(float(e.value), rel=1e-13)


def test_a_run_is_that_of_minimize_with_gradient_descent():
    theta, key = AT.clone(), Key(4)
    optimizer = SeedReplay(theta, lr=0.05, sigma=0.1, key=key)
    values = [optimizer.step(loss_at(theta)) for _ in range(20)]
    trace = minimize(
        Cost(curved),
        AT,
        GaussianSmoothing(0.1),
        evaluations=2,
        budget=40,
        lr=0.05,
        key=key,
        optimizer=torch.optim.SGD,
    )
    assert_close(theta, trace.at, 1e-11)
    assert values == pytest.approx(trace.values, rel=1e-11)


@pytest.mark.parametrize("given", (lambda net: net, lambda net: net.parameters()), ids=("module", "parameters"))
def test_frozen_parameters_stay_however_they_are_handed_over(given):
    net = small_net()
    net[0].weight.requires_grad_(False)
    frozen, free = net[0].weight.clone(), net[2].weight.detach().clone()
    SeedReplay(given(net), lr=0.1, key=0).step(lambda: (net(X) - Y).square().mean())
    assert torch.equal(net[0].weight, frozen) and not torch.equal(net[2].weight, free)


def test_a_learning_rate_assigned_later_is_checked_before_anything_is_evaluated():
    theta = AT.clone()
    optimizer = SeedReplay(theta, lr=0.1, key=0)
    optimizer.lr = -1
    with pytest.raises(ValueError, match="SeedReplay: lr must be positive and finite, got -1"):
        optimizer.step(loss_at(theta))
    assert optimizer.evaluations == 0 and torch.equal(theta, AT)


@every_way
def test_long_parameters_move_along_one_direction_drawn_in_pieces(monkeypatch, restore):
    theta = torch.zeros(BLOCK + 1000, dtype=torch.float64)
    drawn = []
    monkeypatch.setattr(
        "rllab.optimize.seed_replay.standard_normal", lambda *a: drawn.append(standard_normal(*a)) or drawn[-1]
    )
    optimizer = SeedReplay(theta, lr=0.5, sigma=0.1, key=1, restore=restore)
    optimizer.step(lambda: theta.sum())
    assert max(z.numel() for z in drawn) == BLOCK  # never the whole direction
    z = torch.cat(drawn[:2])
    assert len(drawn) == 6 and all(torch.equal(torch.cat(drawn[i : i + 2]), z) for i in (2, 4))
    assert_close(theta, -0.5 * float(z.sum()) * z, 1e-9)


@every_way
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.float16))
def test_a_run_is_replayed_bit_for_bit_from_key_and_slopes(restore, dtype):
    net = small_net().to(dtype)
    start = [p.detach().clone() for p in net.parameters()]
    optimizer = SeedReplay(net, lr=1e-2, sigma=1e-2, key=7, restore=restore)
    for t in range(25):
        optimizer.lr = 1e-2 / (1 + t)
        optimizer.step(lambda: (net(X.to(dtype)) - Y.to(dtype)).square().mean())
    assert optimizer.evaluations == 50
    again = SeedReplay(start, lr=1.0, sigma=1e-2, key=7, restore=restore)
    again.replay(optimizer.record)
    assert torch.equal(bits(start), bits(net.parameters()))
    assert again.record == optimizer.record and again.evaluations == 0


def test_a_replayed_run_goes_on_as_the_first_one_did():
    one, two = AT.clone(), AT.clone()
    whole, half = (SeedReplay(theta, lr=0.02, sigma=0.1, key=3) for theta in (one, two))
    for _ in range(10):
        whole.step(loss_at(one))
    half.replay(whole.record[:6])
    for _ in range(4):
        half.step(loss_at(two))
    assert torch.equal(one, two)


@pytest.mark.parametrize(("dtype", "digits"), ((torch.float16, 10), (torch.bfloat16, 7), (torch.float32, 23)))
@pytest.mark.parametrize("cycles", (10, 100))
def test_restoring_by_replay_drifts_as_roundings_add_up(dtype, digits, cycles):
    # Each step leaves a parameter where it was or a unit of its last place off, half and half; steps are independent
    theta = (0.05 * torch.randn(20_000, generator=torch.Generator().manual_seed(0))).to(dtype)
    start = theta.double()
    optimizer = SeedReplay(theta, lr=1.0, sigma=1e-3, key=0)
    for _ in range(cycles):
        optimizer.step(lambda: 1.0)  # no slope: the parameters should come back
    drift = float((theta.double() - start).square().mean().sqrt())
    unit = torch.exp2(torch.floor(torch.log2(start.abs())) - digits)
    predicted = math.sqrt(cycles / 2) * float(unit.square().mean().sqrt())
    print(f"{dtype}, {cycles} steps: drift {drift:.2e}, {drift / 1e-3:.2g} of sigma; predicted {predicted:.2e}")
    # the mean square of 20,000 has an sd of 1 to 2 %; parameters also change binade on the way
    assert drift == pytest.approx(predicted, rel=0.08)


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.float32))
def test_restoring_from_a_copy_does_not_drift_at_all(dtype):
    theta = (0.05 * torch.randn(2_000, generator=torch.Generator().manual_seed(0))).to(dtype)
    start = theta.clone()
    optimizer = SeedReplay(theta, lr=1.0, sigma=1e-3, key=0, restore="copy")
    for _ in range(20):
        optimizer.step(lambda: 1.0)
    assert torch.equal(theta, start)


@every_way
@pytest.mark.parametrize("call", (1, 2))
@pytest.mark.parametrize("what", (math.nan, math.inf, RuntimeError("no")))
def test_a_failing_loss_leaves_the_parameters_where_they_were(restore, call, what):
    theta, calls = AT.clone(), []

    def loss():
        calls.append(1)
        if len(calls) == call:
            if isinstance(what, Exception):
                raise what
            return what
        return 1.0

    optimizer = SeedReplay(theta, lr=0.1, sigma=0.1, key=0, restore=restore)
    error = (RuntimeError, "no") if isinstance(what, Exception) else (FloatingPointError, f"evaluation {call - 1} is")
    with pytest.raises(error[0], match=error[1]):
        optimizer.step(loss)
    if restore == "copy":
        assert torch.equal(theta, AT)
    assert_close(theta, AT, 1e-15)
    assert optimizer.record == [] and optimizer.evaluations == call


def test_the_budget_is_refused_before_anything_is_evaluated():
    theta, calls = AT.clone(), []
    optimizer = SeedReplay(theta, lr=0.1, key=0, budget=5)
    for _ in range(2):
        optimizer.step(lambda: calls.append(1) or 0.0)
    with pytest.raises(BudgetExceeded, match="2 more evaluations do not fit: 4 of the budget of 5 are spent"):
        optimizer.step(lambda: calls.append(1) or 0.0)
    assert len(calls) == optimizer.evaluations == 4


def test_the_two_evaluations_of_a_step_share_their_seed():
    theta, seen = AT.clone(), []
    optimizer = SeedReplay(theta, lr=0.1, sigma=0.1, key=0, seeded=True)
    for _ in range(3):
        optimizer.step(lambda seed: seen.append(seed) or float(seed % 1000))
    assert seen[0::2] == seen[1::2] and len(set(seen)) == 3
    assert_close(theta, AT, 1e-14)  # noise that is the same at both points is no slope


def test_a_cost_counts_the_evaluations_of_a_tensor():
    cost, theta = Cost(quadratic), torch.tensor([0.3, 0.1], dtype=torch.float64)
    optimizer = SeedReplay(theta, lr=0.01, key=0)
    for _ in range(5):
        optimizer.step(lambda: cost(theta[None]))
    assert cost.evaluations == optimizer.evaluations == 10


def test_modules_and_global_state_are_left_as_they_came():
    net = small_net()
    net[0].bias.requires_grad_(False)
    net.eval()
    frozen, before, grad_mode = net[0].bias.clone(), fresh_state(), torch.is_grad_enabled()
    optimizer = SeedReplay(net, lr=0.01, key=0)
    modes = []
    optimizer.step(lambda: modes.append((net.training, torch.is_grad_enabled())) or (net(X) - Y).square().mean())
    assert fresh_state() == before
    assert torch.equal(net[0].bias, frozen)
    assert [p.requires_grad for p in net.parameters()] == [True, False, True, True]
    assert all(p.grad is None for p in net.parameters())
    assert modes == [(False, False)] * 2 and torch.is_grad_enabled() == grad_mode


def test_it_learns():
    net = small_net()
    optimizer = SeedReplay(net, lr=0.01, sigma=1e-3, key=0)
    values = [optimizer.step(lambda: (net(X) - Y).square().mean()) for _ in range(400)]
    assert values[-1] < 0.2 * values[0]


@pytest.mark.parametrize(
    ("parameters", "arguments", "message"),
    [
        (AT, {"lr": 0}, "lr must be positive"),
        (AT, {"sigma": -1}, "sigma must be positive"),
        (AT, {"restore": "add"}, 'restore must be "replay" or "copy", got'),
        (AT, {"budget": 1}, "budget must be >= 2"),
        ([], {}, "there are no parameters"),
        (torch.zeros(3, 4).t(), {}, "parameters must be contiguous, got strides"),
    ],
)
def test_bad_arguments_are_named(parameters, arguments, message):
    with pytest.raises(ValueError, match=f"SeedReplay: {message}"):
        SeedReplay(parameters, **{"lr": 0.1, "key": 0, **arguments})


def test_parameters_that_are_no_floating_tensors_are_refused():
    for wrong, got in ((torch.zeros(3, dtype=torch.long), "torch.int64"), ([1.0], "float")):
        with pytest.raises(TypeError, match=f"parameters must be floating-point tensors, got {got}"):
            SeedReplay(wrong, lr=0.1, key=0)

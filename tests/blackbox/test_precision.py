"""Precision in a black box: differences are taken as wide as costs come; half precision, autocast, complex numbers."""

import numpy as np
import pytest
import torch
from torch import nn

import rllab
from rllab import estimators as est
from rllab.blackbox import BlackBox

N = 6


class Listening(rllab.Cost):
    """A ledger that remembers what was asked on it."""

    def over(self, function, **options):
        self.asked = function
        return super().over(function, **options)


def far(z: torch.Tensor) -> np.ndarray:
    return z.double().sum(1).numpy() + 1e8


@pytest.mark.parametrize("options", [{"scope": "cost"}, {"smooth": True}], ids=["cost", "local"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_costs_are_differenced_as_wide_as_the_function_returns_them(options, dtype):
    ledger = Listening(far)
    x = torch.zeros(N, 2, dtype=dtype, requires_grad=True)
    y = BlackBox(far, evaluations=2, budget=ledger, key=0, **options)(x)
    y.sum().backward()
    points = torch.zeros(N, 2, dtype=dtype)
    up = ledger.asked(points + 0.25) - ledger.asked(points)
    assert up.dtype == torch.float64 and torch.equal(up, torch.full((N,), 0.5, dtype=torch.float64))
    assert x.grad.dtype == dtype


def test_integer_costs_keep_every_unit():
    ledger = Listening(far)
    count = lambda z: (z.sum(1) * 4).long() + 2**26  # noqa: E731 - single precision has no odd number up there
    x = torch.zeros(N, 2, requires_grad=True)
    BlackBox(count, evaluations=2, budget=ledger, scope="cost", key=0)(x).sum().backward()
    assert torch.equal(ledger.asked(x.detach() + 0.125) - 2**26, torch.ones(N, dtype=torch.float64))


def test_inputs_of_several_dtypes_are_each_moved_and_answered_in_their_own():
    a, b = torch.zeros(N, 2, requires_grad=True), torch.full((N, 1), 1e8, dtype=torch.float64, requires_grad=True)
    box = BlackBox(
        lambda u, v: u.sum(1).double() + (v[:, 0] - 1e8), est.CentralDifference(0.25), 6, scope="cost", key=0
    )
    box(a, b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (torch.float32, torch.float64)
    torch.testing.assert_close(a.grad, torch.ones(N, 2))
    torch.testing.assert_close(b.grad, torch.ones(N, 1, dtype=torch.float64))


@pytest.mark.parametrize(
    "options", [{"scope": "cost"}, {"smooth": True}, {"downstream": lambda y: y}], ids=["cost", "local", "downstream"]
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_block_under_autocast_computes_in_single_precision(options, dtype):
    seen = []

    def simulate(z):
        seen.append((z.dtype, torch.is_autocast_enabled("cpu")))
        return z.numpy().sum(1)

    net, x = nn.Linear(3, 2), torch.randn(N, 3, generator=torch.Generator().manual_seed(0))
    box = BlackBox(simulate, est.CentralDifference(1.0), 4, key=0, **options)
    with torch.autocast("cpu", dtype):
        loss = box(net(x)).mean()
        loss.backward()  # inside as well as outside
    assert set(seen) == {(torch.float32, False)} and loss.dtype == torch.float32
    torch.testing.assert_close(net.bias.grad, torch.ones(2), rtol=1e-3, atol=1e-3)  # the sum's slope


def test_costs_in_half_precision_are_averaged_in_single():
    x = torch.full((N, 1), 300.0, dtype=torch.float16, requires_grad=True)
    costs = BlackBox(lambda z: z[:, 0].float() ** 2, est.CentralDifference(16.0), 2, scope="cost", key=0)(x)
    assert costs.dtype == torch.float32 and torch.equal(costs, torch.full((N,), 90000.0))  # 65504 is the largest half


def test_no_imaginary_part_is_dropped():
    x = torch.ones(N, 2, requires_grad=True)
    turn = lambda z: torch.exp(1j * z)  # noqa: E731
    for options in ({"scope": "cost"}, {"smooth": True}, {"downstream": lambda y: y.sum(1)}):
        with pytest.raises(TypeError, match=r"BlackBox 'turn': \w+ must return real numbers, got \[torch.complex64\]"):
            BlackBox(turn, name="turn", key=0, **options)(x)
    box = BlackBox(turn, est.CentralDifference(), 4, downstream=lambda y: (y.imag * y.real).sum(1), key=0)
    box(x).sum().backward()  # sin(x) cos(x)
    torch.testing.assert_close(x.grad, torch.cos(2 * x.detach()), rtol=1e-3, atol=1e-3)
    for arguments, context in (((turn(x),), ()), ((x,), (turn(x),))):
        with pytest.raises(TypeError, match=r"inputs and context must be real, got .*complex64"):
            box(*arguments, context=context)


def test_the_numbers_do_not_follow_the_default_dtype():
    grads = []
    for default in (torch.float32, torch.float64):
        x = torch.linspace(-1, 1, 2 * N, dtype=torch.float32).view(N, 2).requires_grad_()
        before = torch.get_default_dtype()
        torch.set_default_dtype(default)
        try:
            (BlackBox(lambda z: torch.sin(z), evaluations=4, smooth=True, key=0)(x) ** 2).mean().backward()
        finally:
            torch.set_default_dtype(before)
        grads.append(x.grad)
    assert torch.equal(*grads)


def test_under_inference_mode_there_is_an_output_and_no_gradient():
    box = BlackBox(lambda z: z.square().sum(1), scope="cost", key=0)
    with torch.inference_mode():
        assert not box(torch.ones(N, 2)).requires_grad
    x = torch.ones(N, 2, requires_grad=True)
    box(x).mean().backward()
    assert x.grad is not None and box.calls == N + 1 + N + 8 * N


def test_no_rows_have_no_costs_and_a_gradient_of_no_rows():
    def fails(z):
        assert len(z) > 0  # many simulators and all of scikit-learn refuse
        return z.sum(1)

    for options in ({"scope": "cost"}, {"scope": "cost", "batched": False}, {"downstream": lambda y: y}):
        box, x = BlackBox(fails, key=0, **options), torch.zeros(0, 3, requires_grad=True)
        costs = box(x)
        assert costs.shape == (0,) and box.calls == 0
        costs.sum().backward()
        assert x.grad.shape == (0, 3)
    box, x = BlackBox(torch.sin, smooth=True, key=0), torch.zeros(0, 3, requires_grad=True)
    box(x).sum().backward()
    assert x.grad.shape == (0, 3)
    with pytest.raises(ValueError, match=r"does not say what it returns for 0 rows; leave empty batches out"):
        BlackBox(torch.sin, smooth=True, batched=False, key=0)(x)


def test_a_first_batch_of_one_row_does_not_end_the_look_at_rows():
    box = BlackBox(lambda z: (z - z.mean(0)).sum(1), scope="cost", key=0)
    box(torch.ones(1, 2))
    with pytest.raises(ValueError, match="a row must give the same alone and among others"):
        box(torch.tensor([[1.0, 2.0], [3.0, 5.0]]))

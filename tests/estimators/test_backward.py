"""backward: torch parameters in, `.grad` out: the estimate at the flat vector, whatever the parameters look like."""

import numpy as np
import pytest
import torch

from rllab import Cost
from rllab import estimators as est

X = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(8, 3)


def net(**options):
    torch_state = torch.random.get_rng_state()
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    torch.random.set_rng_state(torch_state)
    for i, p in enumerate(module.parameters()):
        p.data.copy_(torch.linspace(-1 - i, 1, p.numel()).reshape(p.shape))
    return module


def loss_of(module):
    return lambda: module(X).square().mean()


def flat_cost(module):
    names = [name for name, _ in module.named_parameters()]
    shapes = [p.shape for p in module.parameters()]

    def one(w):
        parts = w.split([shape.numel() for shape in shapes])
        values = {n: part.view(shape) for n, part, shape in zip(names, parts, shapes, strict=True)}
        return torch.func.functional_call(module, values, X).square().mean()

    return Cost(one, batched=False)


def vector(module):
    return torch.cat([p.detach().reshape(-1) for p in module.parameters()])


@pytest.mark.parametrize(
    "estimator",
    [
        est.GaussianSmoothing(0.1),
        est.CentralDifference(),
        est.SphereSmoothing(0.1),
        est.LinearInterpolation(),
        est.Backprop(),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("vectorize", [False, True])
def test_it_is_the_estimate_at_the_flat_vector(estimator, vectorize):
    module = net()
    n = 50 if estimator.kind == "value" else 1
    wanted = estimator(flat_cost(module), vector(module), evaluations=n, key=3)
    cost = (lambda f: f(X).square().mean()) if vectorize else loss_of(module)
    e = estimator.backward(cost, module, evaluations=n, key=3, vectorize=vectorize)
    got = torch.cat([g.reshape(-1) for g in e.gradient.values()])
    torch.testing.assert_close(got, wanted.gradient, rtol=1e-9, atol=1e-11)
    assert list(e.gradient) == [name for name, _ in module.named_parameters()]
    for name, p in module.named_parameters():
        assert torch.equal(p.grad, e.gradient[name]) and p.grad.shape == p.shape
    assert (e.evaluations, e.target) == (wanted.evaluations, wanted.target)
    if wanted.standard_error is not None:
        se = torch.cat([s.reshape(-1) for s in e.standard_error.values()])
        torch.testing.assert_close(se, wanted.standard_error, rtol=1e-6, atol=1e-9)


def test_forward_gradients_need_a_function_of_the_module():
    module, seen = net(), est.ForwardGradient()
    with pytest.raises(TypeError, match=r"ForwardGradient: cost must be a function of the module .*vectorize=True"):
        seen.backward(loss_of(module), module, evaluations=4, key=0)
    e = seen.backward(lambda f: f(X).square().mean(), module, evaluations=4, key=0, vectorize=True)
    wanted = seen(flat_cost(module), vector(module), evaluations=4, key=0)
    torch.testing.assert_close(torch.cat([g.reshape(-1) for g in e.gradient.values()]), wanted.gradient)


def test_evaluations_are_the_calls_of_the_cost_and_gradients_add_up():
    module, calls = net(), []

    def cost():
        calls.append(1)
        return loss_of(module)()

    e = est.GaussianSmoothing(0.1).backward(cost, module, evaluations=11, key=0)
    assert len(calls) == e.evaluations == 10
    first = [p.grad.clone() for p in module.parameters()]
    est.GaussianSmoothing(0.1).backward(cost, module, evaluations=11, key=0)
    assert all(torch.equal(p.grad, 2 * g) for p, g in zip(module.parameters(), first, strict=True))


def test_shared_frozen_and_mixed_parameters():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
            self.again = self.a
            self.b = torch.nn.Parameter(torch.tensor([[3.0]], dtype=torch.float32))
            self.still = torch.nn.Parameter(torch.tensor(5.0), requires_grad=False)

    module = Tied()
    # ∂/∂a (a·again + b² still) = 2a,  ∂/∂b = 2 b still
    e = est.CentralDifference(step=1e-2).backward(
        lambda: (module.a * module.again).sum() + (module.b.double() ** 2).sum() * module.still,
        module,
        evaluations=6,
        key=0,
    )
    assert e.evaluations == 6  # three numbers, the shared ones once
    torch.testing.assert_close(module.a.grad, torch.tensor([2.0, 4.0], dtype=torch.float64), rtol=1e-6, atol=0)
    assert module.b.grad.dtype == torch.float32
    torch.testing.assert_close(module.b.grad, torch.tensor([[30.0]]), rtol=1e-4, atol=0)
    assert module.still.grad is None and module.still == 5.0


def test_tensors_are_named_by_their_number():
    a, b = (torch.ones(n, dtype=torch.float64, requires_grad=True) for n in (2, 3))
    e = est.CentralDifference().backward(lambda: 2 * a.sum() + 3 * b.sum(), [a, b, a], evaluations=10, key=0)
    assert list(e.gradient) == ["0", "1"]
    torch.testing.assert_close(a.grad, torch.full_like(a, 2.0))
    torch.testing.assert_close(b.grad, torch.full_like(b, 3.0))


@pytest.mark.parametrize("fails_at", [1, 5])
def test_parameters_and_buffers_come_back_to_the_bit_also_after_an_error(fails_at):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1)).double()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    calls = []

    def cost():
        calls.append(1)
        y = module(X).mean()
        if len(calls) == fails_at:
            raise RuntimeError("the simulator is gone")
        return y

    with pytest.raises(RuntimeError, match="the simulator is gone"):
        est.GaussianSmoothing(0.1).backward(cost, module, evaluations=8, key=0)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    est.GaussianSmoothing(0.1).backward(lambda: module(X).mean(), module, evaluations=8, key=0)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("vectorize", [False, True])
def test_gradients_that_come_in_inference_mode_are_ordinary_ones(vectorize):
    module = net()
    cost = (lambda f: f(X).square().mean()) if vectorize else (lambda: module(X).square().mean())
    arguments = {"evaluations": 8, "key": 0, "vectorize": vectorize}
    with torch.inference_mode():
        inside = est.GaussianSmoothing(0.1).backward(cost, module, **arguments)
    torch.nn.utils.clip_grad_norm_(module.parameters(), 1e-3)  # writes into them
    outside = est.GaussianSmoothing(0.1).backward(cost, module, **arguments)
    assert all(torch.equal(inside.gradient[name], g) for name, g in outside.gradient.items())


def test_an_optimiser_goes_down():
    module = net()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    first = loss_of(module)().item()
    for step in range(60):
        optimizer.zero_grad()
        est.GaussianSmoothing(0.05).backward(loss_of(module), module, evaluations=40, key=step)
        optimizer.step()
    assert loss_of(module)().item() < 0.2 * first


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.array, float, torch.tensor, lambda y: [y]])
def test_a_scalar_of_any_kind_is_a_cost(kind):
    w = torch.ones(2, dtype=torch.float64, requires_grad=True)
    e = est.CentralDifference(0.5).backward(lambda: kind(float(w.detach().sum())), w, evaluations=4, key=0)
    assert torch.equal(e.gradient["0"], torch.ones(2).double())


@pytest.mark.parametrize(
    ("cost", "parameters", "says"),
    [
        (lambda: torch.zeros(3), torch.ones(2, requires_grad=True), r"cost must return a scalar, got a tensor \(3,\)"),
        (lambda: None, torch.ones(2, requires_grad=True), "cost must return a scalar, got None"),
        (3.0, torch.ones(2, requires_grad=True), "cost must be a function"),
        (lambda: 0.0, torch.ones(2), "at least one that requires a gradient"),
        (lambda: 0.0, [1.0], "must be floating-point tensors, got float"),
        (lambda: 0.0, 7, "must be a module or tensors, got 7"),
    ],
)
def test_what_does_not_fit_is_named(cost, parameters, says):
    with pytest.raises((TypeError, ValueError), match=f"GaussianSmoothing: .*{says}"):
        est.GaussianSmoothing().backward(cost, parameters, evaluations=8, key=0)


def test_tensors_cannot_be_vectorised():
    with pytest.raises(TypeError, match=r"must be an nn\.Module to be vectorised"):
        est.GaussianSmoothing().backward(
            lambda f: 0.0, torch.ones(2, requires_grad=True), evaluations=8, key=0, vectorize=True
        )


def test_estimators_of_distributions_say_so():
    with pytest.raises(TypeError, match="ScoreFunction"):
        est.ScoreFunction().backward(lambda: torch.tensor(0.0), torch.ones(2, requires_grad=True), evaluations=8, key=0)

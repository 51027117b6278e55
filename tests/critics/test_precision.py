"""Critics of costs that are wider than their points: large costs keep their differences; half precision works."""

import pytest
import torch

import rllab
from rllab import estimators as est
from rllab.critics import Critic, CriticState, Residual

SMALL = Critic(hidden=(8,), sigma=0.3, gradient_steps=20)
RESIDUAL = Residual(SMALL, est.GaussianSmoothing(0.3))


def told(estimator, at, f, *, keys=3, evaluations=64):
    """Return the last of some estimates told of costs f, in the dtype that f gives."""
    state = e = None
    for key in range(keys):
        query = estimator.ask(at, evaluations, key, state=state)
        e = estimator._fold(query, ((block, f(block.points)) for block in query), True, True)
        state = e.state
    return e


def wavy(x: torch.Tensor) -> torch.Tensor:
    x = x.double()
    return torch.sin(x).sum(-1) + 0.5 * x.square().sum(-1)


@pytest.mark.parametrize("estimator", [SMALL, RESIDUAL], ids=["Critic", "Residual"])
def test_an_offset_of_costs_in_double_precision_moves_nothing(estimator):
    at = torch.linspace(-0.7, 1.1, 4)
    near, far = told(estimator, at, wavy), told(estimator, at, lambda x: wavy(x) + 1e8)
    assert near.gradient.dtype == far.gradient.dtype == torch.float32
    torch.testing.assert_close(far.gradient, near.gradient, rtol=1e-3, atol=1e-4)
    points = at + 0.1 * torch.arange(3.0)[:, None]
    assert far.state.value(points).dtype == torch.float64
    torch.testing.assert_close(far.state.value(points) - 1e8, near.state.value(points), rtol=1e-4, atol=1e-4)
    assert near.state.held_out == pytest.approx(far.state.held_out, rel=0.01)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("estimator", [SMALL, RESIDUAL], ids=["Critic", "Residual"])
def test_half_precision_is_followed_by_a_critic_in_single_precision(estimator, dtype):
    at = torch.linspace(-0.7, 1.1, 4).to(dtype)
    e = told(estimator, at, wavy, keys=6)
    assert e.gradient.dtype == dtype and e.state.weights.dtype == torch.float32
    truth = torch.cos(at.float()) + at.float()
    assert (e.gradient.float() - truth).norm() < 0.35 * truth.norm()
    e = told(estimator, at, lambda x: wavy(x).to(dtype))
    assert e.gradient.dtype == dtype and torch.isfinite(e.gradient).all() and e.state.costs.dtype == torch.float32


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_a_critic_is_fitted_the_same_whatever_mode_surrounds_it(context):
    at, cost = torch.linspace(-0.7, 1.1, 4), rllab.Cost(lambda x: wavy(x).float())
    first = SMALL(cost, at, evaluations=16, key=0)
    plain = SMALL(cost, at, evaluations=16, key=1, state=first.state)
    with context():
        inside = SMALL(cost, at, evaluations=16, key=0)
        again = SMALL(cost, at, evaluations=16, key=1, state=inside.state)
    assert torch.equal(inside.gradient, first.gradient) and torch.equal(again.gradient, plain.gradient)
    outside = SMALL(cost, at, evaluations=16, key=1, state=inside.state)  # made inside, followed outside
    assert torch.equal(outside.gradient, plain.gradient)


def test_a_critic_does_not_follow_the_default_dtype():
    at, cost = torch.linspace(-0.7, 1.1, 4), rllab.Cost(lambda x: wavy(x).float())
    plain = SMALL(cost, at, evaluations=16, key=0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        other = SMALL(cost, at, evaluations=16, key=0)
    finally:
        torch.set_default_dtype(before)
    assert isinstance(other.state, CriticState) and other.state.weights.dtype == torch.float32
    assert torch.equal(other.gradient, plain.gradient)

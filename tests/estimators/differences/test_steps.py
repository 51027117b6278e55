"""Steps: the automatic one is what the formulas say, and the least error is found where they say it is."""

import math

import pytest
import torch

from rllab import Cost
from rllab.estimators import CentralDifference, ForwardDifference, LinearInterpolation
from rllab.estimators.differences.steps import central_step, complex_step, forward_step
from tests.proofs.stencils import assert_close

ROUNDOFF = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}
GRID = 10 ** torch.arange(-12, 0.01, 0.25, dtype=torch.float64)


def test_the_automatic_step_is_the_formula_on_the_scale_of_each_coordinate():
    for dtype, u in ROUNDOFF.items():
        at = torch.tensor([[0.0, -0.3], [50.0, -2e6]], dtype=dtype)
        scale = torch.tensor([[1.0, 1.0], [50.0, 2e6]], dtype=dtype)
        for noise in (0.0, 1e-3):
            assert_close(forward_step(at, None, noise), scale * 2 * math.sqrt(u + noise), rtol=1e-6, atol=0)
            assert_close(central_step(at, None, noise), scale * (3 * (u + noise)) ** (1 / 3), rtol=1e-6, atol=0)
        assert_close(complex_step(at, None), scale * 2 * u, rtol=1e-6, atol=0)
        assert torch.equal(forward_step(at, 0.25, 0.0), torch.full_like(at, 0.25))


def rms_errors(cls, function, slope, at, steps):
    """Error over many problems in one dimension, for each step."""
    errors = []
    for h in steps:
        g = cls(step=h)(Cost(function, noisy=True), at, evaluations=2, key=0).gradient
        errors.append((g[:, 0] - slope).square().mean().sqrt())
    return torch.stack(errors)


def predicted(cls, error, second, third):
    return 2 * math.sqrt(error / second) if cls is ForwardDifference else (3 * error / third) ** (1 / 3)


@pytest.mark.parametrize("dtype", ROUNDOFF)
@pytest.mark.parametrize("cls", (ForwardDifference, CentralDifference))
def test_rounding_and_bias_balance_where_the_formula_says(cls, dtype):
    # f = 3 + e^x on [1/2, 2], so |f''| = |f'''| = e^x and ε = (3 + e^x) u
    at = torch.linspace(0.5, 2, 1001, dtype=torch.float64).to(dtype)[:, None]
    slope = at[:, 0].double().exp().to(dtype)
    steps = GRID[GRID > 6 * ROUNDOFF[dtype]].tolist()
    errors = rms_errors(cls, lambda x: 3 + x[:, 0].exp(), slope, at, steps)
    best = steps[int(errors.argmin())]
    curvature = float(slope.mean())
    h = predicted(cls, ROUNDOFF[dtype] * (3 + curvature), curvature, curvature)
    assert h / 3 < best < h * 3
    assert float(errors[0]) > 30 * float(errors.min()) < float(errors[-1]) / 30  # a V, not a plain
    automatic = (cls()(Cost(lambda x: 3 + x[:, 0].exp()), at, evaluations=2, key=0).gradient[:, 0] - slope).norm()
    assert float(automatic) / math.sqrt(len(at)) < 3 * float(errors.min())


@pytest.mark.parametrize("tau", (1e-2, 1e-5))
@pytest.mark.parametrize("cls", (ForwardDifference, CentralDifference))
def test_noise_and_bias_balance_where_the_formula_says(cls, tau):
    # f = e^x + 2 sin 2x on [-1, 1]; noise is independent in every value
    def function(x):
        return x[:, 0].exp() + 2 * torch.sin(2 * x[:, 0])

    at = torch.linspace(-1, 1, 4001, dtype=torch.float64)[:, None]
    x = at[:, 0]
    slope, second, third = (
        x.exp() + 4 * torch.cos(2 * x),
        x.exp() - 8 * torch.sin(2 * x),
        x.exp() - 16 * torch.cos(2 * x),
    )
    rng = torch.Generator().manual_seed(3)

    def noisy(x):
        return function(x) + tau * torch.randn(len(x), generator=rng, dtype=x.dtype)

    steps = (10 ** torch.arange(-4, 0.6, 0.125, dtype=torch.float64)).tolist()
    errors = rms_errors(cls, noisy, slope, at, steps)
    best = steps[int(errors.argmin())]
    h = predicted(cls, tau, float(second.square().mean().sqrt()), float(third.square().mean().sqrt()))
    assert h / 3 < best < h * 3
    assert float(errors[0]) > 3 * float(errors.min()) < float(errors[-1]) / 3
    # what is assumed of f is off by a factor of a few here, and still costs little
    automatic = cls(noise=tau)(Cost(noisy, noisy=True), at, evaluations=2, key=0).gradient[:, 0] - slope
    assert float(automatic.square().mean().sqrt()) < 3 * float(errors.min())


def test_the_error_at_the_noisy_minimum_is_that_of_bias_and_variance():
    # forward, f'' = 2 everywhere: MSE = (h f''/2)² + 2τ²/h²
    tau, h, n = 1e-3, 0.05, 200_000
    rng = torch.Generator().manual_seed(5)
    at = torch.zeros(n, 1, dtype=torch.float64)
    cost = Cost(lambda x: x[:, 0] ** 2 + tau * torch.randn(len(x), generator=rng, dtype=x.dtype), noisy=True)
    g = ForwardDifference(h)(cost, at, evaluations=2, key=0).gradient[:, 0]
    sd = math.sqrt(2) * tau / h
    assert abs(float(g.mean()) - h) < 6.2 * sd / math.sqrt(n)  # false alarm 1e-9 (two-sided normal: 6.1)
    assert float(g.var()) == pytest.approx(sd**2, rel=6.2 * math.sqrt(2 / n))


@pytest.mark.parametrize("cls", (ForwardDifference, CentralDifference, LinearInterpolation))
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step": -1e-3}, "step must be positive and finite"),
        ({"step": math.nan}, "step must be positive and finite"),
        ({"noise": -1.0}, "noise must be >= 0 and finite"),
        ({"noise": math.inf}, "noise must be >= 0 and finite"),
        ({"step": 0.1, "noise": 0.1}, "noise sets an automatic step"),
    ],
)
def test_steps_that_make_no_sense_are_named(cls, arguments, message):
    with pytest.raises(ValueError, match=f"{cls.__name__}: {message}"):
        cls(**arguments)

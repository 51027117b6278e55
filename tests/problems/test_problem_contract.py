"""The contract, on every problem: shapes, batches, dtypes, purity, what is offered, what is refused."""

import dataclasses
import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch

from rllab import Cost, Gaussian, Target, problems
from rllab.problems import BallWithWall, Cosine, Exponential, NoClosedForm, Problem, Quadratic
from rllab.problems.survival import Survival
from tests.proofs.checks import fresh_state
from tests.proofs.problems import PROBLEMS, finals, prove_scale_gradient, prove_smoothed_gradient, written

DTYPE = torch.float64
every = pytest.mark.parametrize("problem", PROBLEMS, ids=[f"{type(p).__name__}-{i}" for i, p in enumerate(PROBLEMS)])


def points(problem, n=3, dtype=DTYPE):
    """Asymmetric points off every edge."""
    return (
        torch.tensor([0.37, -0.61, 1.13, 0.22, -1.7], dtype=dtype)
        .repeat(n * problem.dimension)[: n * problem.dimension]
        .reshape(n, problem.dimension)
    )


def test_every_problem_is_exported_and_measured():
    assert {type(problem) for problem in PROBLEMS} == finals(problems) == written()
    assert all(getattr(problems, kind.__name__, None) is kind for kind in written())


def test_a_forgotten_line_is_found(monkeypatch):
    monkeypatch.delattr(problems, "Pivot")
    assert {kind.__name__ for kind in written() - finals(problems)} == {"Pivot"}


@every
def test_a_problem_is_a_frozen_value_with_defaults(problem):
    assert isinstance(problem, Problem)
    assert dataclasses.is_dataclass(problem)
    assert problem == dataclasses.replace(problem) and hash(problem) == hash(dataclasses.replace(problem))
    assert pickle.loads(pickle.dumps(problem)) == problem
    assert type(problem)().dimension >= 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.dimension = 7


def listed(value):
    """Tuples as lists."""
    return list(map(listed, value)) if isinstance(value, tuple) else value


@every
def test_lists_arrays_and_numbers_of_numpy_make_the_same_frozen_problem(problem):
    given = {f.name: getattr(problem, f.name) for f in dataclasses.fields(problem)}
    several = {name: value for name, value in given.items() if isinstance(value, tuple)}
    numbers = {name: np.array(v)[()] for name, v in given.items() if isinstance(v, (int, float))}
    for changes in (
        {name: listed(v) for name, v in several.items()},
        {name: np.array(v) for name, v in several.items()},
        {name: torch.tensor(v, dtype=DTYPE) for name, v in several.items()},
        numbers,
    ):
        other = dataclasses.replace(problem, **changes)
        assert other == problem and hash(other) == hash(problem) and repr(other) == repr(problem)


@every
def test_a_radius_or_deviation_may_be_any_real_number(problem):
    at = points(problem)
    for kernel in problem.kernels:
        wanted = problem.smoothed_value(at, 0.25, kernel)
        for sigma in (np.float32(0.25), np.float64(0.25), Fraction(1, 4)):
            assert torch.equal(problem.smoothed_value(at, sigma, kernel), wanted)
    if problem.kernels:
        for sigma in ("0.25", None, 0.25j):
            with pytest.raises(TypeError, match="smoothed_value: sigma must be a number, got"):
                problem.smoothed_value(at, sigma, problem.kernels[0])


def test_single_precision_parameters_do_not_make_single_precision_truths():
    rate, at = np.float32(0.7), torch.tensor([0.3], dtype=DTYPE)
    for build in (Cosine, Exponential):
        for kernel in ("gaussian", "ball"):
            exact = build(float(rate)).smoothed_gradient(at, 0.9, kernel)
            assert torch.equal(build(rate).smoothed_gradient(at, 0.9, kernel), exact)
    variances = [Quadratic().smoothing_variance(torch.ones(2), s, "forward") for s in (rate, float(rate))]
    assert torch.equal(*variances)
    contact = [BallWithWall().pathwise_gradient(at, s) for s in (rate, float(rate))]
    assert torch.equal(*contact)


@every
def test_values_and_gradients_have_the_shape_and_dtype_of_the_points(problem):
    for dtype in (torch.float64, torch.float32):
        x = points(problem, 4, dtype).requires_grad_()
        before = fresh_state()
        y = problem.value(x)
        assert y.shape == (4,) and y.dtype == dtype and not y.requires_grad
        if "gradient" in problem.offers:
            g = problem.gradient(x)
            assert g.shape == x.shape and g.dtype == dtype and not g.requires_grad
        assert fresh_state() == before and x.grad is None


@every
def test_the_gradient_is_the_central_difference_off_the_jumps(problem):
    if "gradient" not in problem.offers:
        with pytest.raises(NoClosedForm, match="this cost has none"):
            problem.gradient(points(problem))
        return
    x, h = points(problem), 1e-5
    g = problem.gradient(x)
    for i in range(problem.dimension):
        e = torch.zeros(problem.dimension, dtype=DTYPE)
        e[i] = h
        slope = (problem.value(x + e) - problem.value(x - e)) / (2 * h)
        torch.testing.assert_close(slope, g[:, i], rtol=1e-7, atol=1e-7 * float(1 + problem.value(x).abs().max()))


@every
def test_the_directional_derivative_is_the_gradients(problem):
    if "jvp" not in problem.offers:
        return
    x, v = points(problem), points(problem).flip(0).sin()
    value, along = problem.jvp(x, v)
    torch.testing.assert_close(value, problem.value(x))
    torch.testing.assert_close(along, (problem.gradient(x) * v).sum(-1))


@every
def test_complex_points_give_the_gradient_by_the_complex_step_or_are_refused(problem):
    x = points(problem)
    if "complex" not in problem.offers:
        with pytest.raises(TypeError, match="not analytic"):
            problem.value(x.to(torch.complex128))
        return
    g = problem.gradient(x)
    for i in range(problem.dimension):
        step = torch.zeros(problem.dimension, dtype=torch.complex128)
        step[i] = 1e-30j
        torch.testing.assert_close(problem.value(x + step).imag / 1e-30, g[:, i], rtol=1e-13, atol=1e-13)


@every
@pytest.mark.parametrize(("kernel", "sigma"), [("gaussian", 0.3), ("ball", 0.4)])
def test_smoothing_works_on_batches_row_by_row_and_is_its_own_gradient(problem, kernel, sigma):
    at = points(problem)
    if kernel not in problem.kernels:
        with pytest.raises(NoClosedForm, match="kernel must be"):
            problem.smoothed_gradient(at, sigma, kernel)
        return
    value, gradient = problem.smoothed_value(at, sigma, kernel), problem.smoothed_gradient(at, sigma, kernel)
    assert value.shape == (3,) and gradient.shape == at.shape
    for b in range(3):
        torch.testing.assert_close(problem.smoothed_value(at[b], sigma, kernel), value[b], rtol=1e-13, atol=1e-15)
        torch.testing.assert_close(problem.smoothed_gradient(at[b], sigma, kernel), gradient[b], rtol=1e-13, atol=1e-15)
    single = problem.smoothed_gradient(at.float(), sigma, kernel)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), gradient, rtol=1e-5, atol=1e-5)
    smooth = kernel == "gaussian" or "complex" in problem.offers  # a jump under a ball has kinks of its own
    prove_smoothed_gradient(problem, at, sigma, kernel, *((1e-7, 1e-8) if smooth else (1e-3, 1e-3)))


@pytest.mark.slow
@every
@pytest.mark.parametrize("sigma", (1e-12, 1e-4, 30.0, 1e8))
def test_extreme_noise_and_places_give_numbers(problem, sigma):
    if "gaussian" not in problem.kernels or (isinstance(problem, (Exponential, Survival)) and sigma > 1):
        return
    at = torch.cat((points(problem), torch.zeros(1, problem.dimension, dtype=DTYPE), 300.0 * points(problem, 1)))
    for s in (sigma, 1.0):
        assert torch.isfinite(problem.smoothed_value(at, s)).all()
        for gradient in problem.expected_gradient(Gaussian(at, s)).values():
            assert torch.isfinite(gradient).all()
    if sigma < 1e-9:  # no noise: the value of the cost itself, off its edges
        x = points(problem)
        torch.testing.assert_close(problem.smoothed_value(x, sigma), problem.value(x), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(problem.smoothed_gradient(x, sigma), problem.gradient(x), rtol=1e-10, atol=1e-10)


@every
def test_the_expected_gradient_in_the_mean_is_the_smoothed_gradient(problem):
    if "gaussian" not in problem.kernels:
        return
    at, sigma = points(problem), 0.3
    expected = problem.expected_gradient(Gaussian(at, sigma))
    torch.testing.assert_close(expected["mean"], problem.smoothed_gradient(at, sigma), rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(
        problem.expected_value(Gaussian(at, sigma)), problem.smoothed_value(at, sigma), rtol=1e-14, atol=1e-15
    )
    assert expected["scale"].shape == at.shape


@every
def test_the_scale_gradient_is_the_derivative_in_each_deviation(problem):
    if "gaussian" in problem.kernels:
        prove_scale_gradient(problem, points(problem), 0.3)


@every
def test_the_truth_of_a_target_is_the_gradient_it_names(problem):
    at = points(problem)[0]
    if "gaussian" in problem.kernels:
        truth = problem.truth(Target.smoothed("gaussian", 0.2), at)
        assert torch.equal(truth, problem.smoothed_gradient(at, 0.2))
        expectation = problem.truth(Target.expectation(), Gaussian(at, 0.2))
        torch.testing.assert_close(expectation["mean"], truth, rtol=1e-14, atol=1e-15)
    if "gradient" in problem.offers:
        assert torch.equal(problem.truth(Target.gradient(), at), problem.gradient(at[None])[0])
    for target in (Target.direction("ranks"), Target.smoothed("cube", 0.2)):
        with pytest.raises(NoClosedForm):
            problem.truth(target, at)


@every
def test_the_cost_counts_and_answers_as_the_problem_does(problem):
    cost, x = problem.cost(budget=20), points(problem)
    assert isinstance(cost, Cost) and cost.budget == 20
    seeds = torch.arange(3) if cost.seeded else None
    y = cost(x, seeds)
    assert cost.evaluations == 3 and y.shape == (3,)
    if not cost.seeded:
        assert torch.equal(y, problem.value(x))
        if "gradient" in problem.offers:
            assert torch.equal(cost.gradient(x), problem.gradient(x))


@every
def test_bad_points_are_named(problem):
    name, d = type(problem).__name__, problem.dimension
    with pytest.raises(ValueError, match=rf"{name}.value: points must be a tensor \(n, {d}\), got \({d},\)"):
        problem.value(torch.zeros(d, dtype=DTYPE))
    with pytest.raises(ValueError, match=rf"{name}.value: points must be a tensor"):
        problem.value(torch.zeros(2, d + 1, dtype=DTYPE))
    if problem.kernels:
        with pytest.raises(ValueError, match=rf"{name}.smoothed_value: at must be a tensor \({d},\) or \(B, {d}\)"):
            problem.smoothed_value(torch.zeros(d + 1, dtype=DTYPE), 0.1)
        with pytest.raises(TypeError, match="floating-point"):
            problem.smoothed_value(torch.zeros(d, dtype=torch.int64), 0.1)
        for sigma in (0.0, -1.0, float("nan")):
            with pytest.raises(ValueError, match=rf"{name}.smoothed_gradient: sigma must be positive"):
                problem.smoothed_gradient(torch.zeros(d, dtype=DTYPE), sigma)
    with pytest.raises(NoClosedForm, match=rf"{name}.expected_value: no closed form"):
        problem.expected_value("a distribution")

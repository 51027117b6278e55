"""What a problem claims, checked: shared by the tests of the right ones and of the wrong ones that must fail."""

import inspect
import pkgutil
from importlib import import_module

import torch

from rllab import Gaussian, problems
from tests.proofs.checks import assert_unbiased, detectable_bias
from tests.proofs.oracles import assert_holds, normal_moments

DTYPE = torch.float64


def finals(module) -> set[type]:
    """The problems, not the abstract ones, that a module holds."""
    kinds = {kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, problems.Problem)}
    return {kind for kind in kinds if kind.__module__.startswith("rllab.") and not inspect.isabstract(kind)}


def written() -> set[type]:
    """The problems that the files of `rllab.problems` hold, exported or forgotten."""
    files = pkgutil.iter_modules(problems.__path__, "rllab.problems.")
    return set().union(*(finals(import_module(file.name)) for file in files))


STEPPING, PUSHED = ((1.0, 1.0), (0.0, 1.0)), ((0.5,), (1.0,))  # a second a step, so that gains show within few steps
SETTINGS: list[problems.Problem] = [
    problems.Square(0.3),
    problems.Exponential(-1.3, dimension=2),
    problems.Bell(1.7),
    problems.Cosine(2.1, dimension=3),
    problems.Relu(0.2),
    problems.Absolute(dimension=2),
    problems.Clip(-0.7, 0.4),
    problems.Plateau(0.6, dimension=2),
    problems.Steps((-0.4, 0.9), (1.5, -0.6)),
    problems.Staircase(1),
    problems.Staircase(dimension=20),
    problems.Flat(offset=1.7),
    problems.Linear((1.9, -0.4), offset=3.1),
    problems.Quadratic(((2.0, 0.6), (0.6, -0.5)), (0.7, -1.3), offset=3.1),
    problems.Quadratic((1.0, 3.0, 0.2), 0.4, dimension=3),
    problems.Ridge(problems.Cosine(2.1), direction=(0.6, -1.1)),
    problems.Ridge(problems.Plateau(0.6), direction=(0.6, -1.1, 0.2), dimension=3),
    problems.Cliff(0.3, 2.0, direction=(0.6, -1.1)),
    problems.BoxHole(1.4, (0.1, -0.5), (0.8, 0.6)),
    problems.BallHole(1.4, 0.9, centre=(0.1, -0.5, 0.3), dimension=3),
    problems.RadialStaircase(centre=(0.1, -0.5)),
    problems.Norm(centre=(0.1, -0.5, 0.3), dimension=3),
    problems.Orthant((0.1, -0.5)),
    problems.Orthant((0.1, -0.5), "or"),
    problems.Pivot(),
    problems.BallWithWall(),
    problems.BooleanQuadratic(0.4),  # of 0.499, the default, the gradient is too small for a factor before it to show
    problems.BooleanQuadratic((0.6, 0.51, 0.48), 0.3, dimension=3),
    problems.CategoricalPayoffs(),
    problems.CategoricalPayoffs(((0.3, -1.2, 0.9), (2.0, 0.1, 0.4))),
    problems.LQR(STEPPING, PUSHED, horizon=4),
    problems.LQR(STEPPING, PUSHED, horizon=3, stationary=False),
    problems.RandomWalk(size=4, start=1),  # short episodes; of 91 steps at the default
    problems.FallChain(size=5, start=2, cap=20),
    problems.LinearSurvival(),
    problems.PushingCarts(horizon=5),
    problems.FrictionCarts(horizon=5),
]
# and with its defaults every problem that has no setting above
PROBLEMS = SETTINGS + [
    kind()
    for kind in sorted(finals(problems) - {type(problem) for problem in SETTINGS}, key=lambda kind: kind.__name__)
]


def unit(d: int, i: int, length: float) -> torch.Tensor:
    e = torch.zeros(d, dtype=DTYPE)
    e[i] = length
    return e


def slope(f, h: float) -> torch.Tensor:
    """The derivative of f(t) at 0 by central differences of fourth order."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def prove_smoothed_gradient(problem, at, sigma, kernel="gaussian", rtol=1e-7, atol=1e-8) -> None:
    """∇f_σ is the derivative of f_σ, coordinate by coordinate, at (B, d)."""
    gradient = problem.smoothed_gradient(at, sigma, kernel)
    for i in range(problem.dimension):
        measured = slope(lambda t, i=i: problem.smoothed_value(at + unit(problem.dimension, i, t), sigma, kernel), 1e-3)
        torch.testing.assert_close(gradient[:, i], measured, rtol=rtol, atol=atol)


def prove_scale_gradient(problem, at, sigma) -> None:
    """∂J/∂s_i is s ∂²J/∂μ_i² (the heat equation), and all together the derivative in a common deviation."""
    scale = problem.expected_gradient(Gaussian(at, sigma))["scale"]
    for i in range(problem.dimension):

        def along(t, i=i):
            return problem.smoothed_gradient(at + unit(problem.dimension, i, t), sigma)[:, i]

        torch.testing.assert_close(scale[:, i], sigma * slope(along, 1e-3), rtol=1e-6, atol=1e-7)
    together = slope(lambda t: problem.expected_value(Gaussian(at, sigma + t)), 1e-3)
    torch.testing.assert_close(scale.sum(-1), together, rtol=1e-7, atol=1e-8)


def curve_moments(problem, mu: float, s: float) -> tuple[float, float, float]:
    """J, J_μ, J_s of a problem of one dimension, as it says."""
    at = Gaussian(torch.tensor([mu], dtype=DTYPE), s)
    gradient = problem.expected_gradient(at)
    return float(problem.expected_value(at)), float(gradient["mean"]), float(gradient["scale"])


def prove_definition(problem, k, breaks, mu: float, s: float, scales=(0, 0, 0), rtol: float = 1e-11) -> None:
    """J, J_μ and J_s of a problem of one dimension are those of its definition k, to 40 digits."""
    true = normal_moments(k, breaks(mu, s) if callable(breaks) else breaks, mu, s)
    for got, wanted, scale in zip(curve_moments(problem, mu, s), true, scales, strict=True):
        assert_holds(got, wanted, scale, rtol)


def prove_runs(problem, x, runs: int, key: int = 0) -> None:
    """The mean cost of runs is `value`, and that of cost times score, constant taken out, is `gradient`.

    A false alarm has probability 3e-9. An error of half the largest component of the gradient is missed with
    probability 1e-3 at most, which is asserted; smaller ones are left to the exact tests.
    """
    repeated = x.expand(runs, -1)
    seeds = torch.arange(key * runs, (key + 1) * runs)
    cost, score, _ = problem.run(repeated, seeds)
    value, gradient = problem.value(x[None])[0], problem.gradient(x[None])[0]
    assert_unbiased(((cost.mean() - value) / (cost.std() / runs**0.5)).reshape(1))
    products = (cost - value)[:, None] * score
    assert detectable_bias(float(products.std(0).max()), runs, len(x)) < 0.5 * float(gradient.abs().max())
    assert_unbiased((products.mean(0) - gradient) / (products.std(0) / runs**0.5))
    assert_unbiased(score.mean(0) / (score.std(0) / runs**0.5))

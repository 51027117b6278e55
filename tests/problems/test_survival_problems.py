"""Time to fall: exact means against other ways to compute them, and runs against the exact means."""

import math

import mpmath as mp
import numpy as np
import pytest
import torch

from rllab import Gaussian
from rllab.problems import FallChain, LinearSurvival, NoClosedForm, RandomWalk
from tests.proofs.oracles import assert_holds
from tests.proofs.problems import DTYPE, prove_runs, slope, unit


def walk_time(theta, size, start):
    """Feller (1968), volume I, chapter XIV, eq. (3.4) and, at ½, (3.5)."""
    if theta == 0:
        return mp.mpf(start * (size - start))
    p = 1 / (1 + mp.exp(-theta))
    q = 1 - p
    r = q / p
    return start / (q - p) - size / (q - p) * (1 - r**start) / (1 - r**size)


@pytest.mark.parametrize("theta", (0.0, 1e-7, 0.3, -1.1, 6.0, -30.0))
@pytest.mark.parametrize(("size", "start"), ((2, 1), (20, 7), (100, 60)))
def test_the_walk_takes_the_time_of_the_gamblers_ruin(theta, size, start):
    problem, x = RandomWalk(size, start), torch.tensor([[theta]], dtype=DTYPE)
    with mp.workdps(100):  # at θ ≈ 0 all terms cancel, twice
        time = walk_time(mp.mpf(theta), size, start)
        h = mp.mpf(10) ** -20
        rate = (walk_time(mp.mpf(theta) + h, size, start) - walk_time(mp.mpf(theta) - h, size, start)) / (2 * h)
    assert_holds(float(problem.value(x)), -time, rtol=1e-12)
    assert_holds(float(problem.gradient(x)), -rate, rtol=1e-10, scale=1e-2 * time)


CHAIN = FallChain()
LOGITS = torch.tensor([0.4, -0.3, 0.9, 0.1, -0.6, 0.2, -1.1, 0.5, 0.7], dtype=DTYPE)


def alive_steps(problem, logits):
    """E min(τ, cap) = Σ_{t < cap} P(alive after t steps), the states carried forward and left to autograd."""
    n = problem.size
    p = torch.sigmoid(logits)
    push = torch.tensor([0.0 if 2 * s < n else 1.0 if 2 * s > n else 0.5 for s in range(1, n)], dtype=DTYPE)
    right = (1 - problem.slip) * p + problem.slip * push
    here, total = torch.zeros(n - 1, dtype=DTYPE), torch.tensor(0.0, dtype=DTYPE)
    here[problem.start - 1] = 1.0
    for _ in range(problem.cap):
        total = total + here.sum()
        zero = torch.zeros(1, dtype=DTYPE)
        here = torch.cat((zero, (here * right)[:-1])) + torch.cat(((here * (1 - right))[1:], zero))
    return total


@pytest.mark.parametrize("problem", (CHAIN, FallChain(7, 2, 0.15, 11), FallChain(3, 1, 0.5, 2)), ids=str)
def test_the_chain_survives_as_long_as_its_states_are_occupied(problem):
    x = LOGITS[: problem.dimension].clone().requires_grad_()
    total = alive_steps(problem, x)
    total.backward()
    torch.testing.assert_close(problem.value(x[None])[0], -total.detach(), rtol=1e-13, atol=0)
    torch.testing.assert_close(problem.gradient(x[None])[0], -x.grad, rtol=1e-12, atol=1e-14)


def density_steps(problem, gain, nodes=400):
    """The same sum for the linear system: the density of the state on all of [−1, 1], forwards, on its own rule."""
    z, w = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(nodes))
    closed, sd = problem.a - problem.b * gain, math.hypot(problem.b * problem.action_noise, problem.process_noise)

    def step(x):  # density of x′ at the nodes, from each x
        return torch.exp(-(((z - closed * x[:, None]) / sd) ** 2) / 2) / (sd * math.sqrt(2 * math.pi))

    density, total = step(torch.tensor([problem.start], dtype=DTYPE))[0], torch.tensor(1.0, dtype=DTYPE)
    kernel = step(z)
    for _ in range(problem.cap - 1):
        total = total + density @ w
        density = (density * w) @ kernel
    return total


@pytest.mark.parametrize("gain", (-0.7, 0.0, 0.4, 2.2, 4.1, 7.0))
def test_the_linear_system_survives_as_long_as_its_density_says(gain):
    for problem in (LinearSurvival(), LinearSurvival(start=-0.3, cap=9, b=-0.8)):
        k = torch.tensor(gain, dtype=DTYPE, requires_grad=True)
        total = density_steps(problem, k)
        total.backward()
        x = torch.tensor([[gain]], dtype=DTYPE)
        torch.testing.assert_close(problem.value(x)[0], -total.detach(), rtol=1e-11, atol=0)
        torch.testing.assert_close(problem.gradient(x)[0, 0], -k.grad, rtol=1e-10, atol=1e-11)


def test_more_nodes_change_nothing():
    x = torch.tensor([[-0.7], [0.0], [1.3], [4.1], [60.0], [-3000.0]], dtype=DTYPE)
    few, many = LinearSurvival(), LinearSurvival(nodes=200)
    torch.testing.assert_close(few.value(x), many.value(x), rtol=1e-12, atol=0)
    torch.testing.assert_close(few.gradient(x), many.gradient(x), rtol=1e-10, atol=1e-11)


def test_points_are_answered_alike_in_whatever_company():
    x = torch.linspace(-1, 4, 50, dtype=DTYPE)[:, None]  # more than are worked on at once
    torch.testing.assert_close(LinearSurvival().value(x)[37:38], LinearSurvival().value(x[37:38]), rtol=1e-13, atol=0)


def test_the_linear_system_has_a_steep_edge_and_a_wide_flat_top():
    problem, top = LinearSurvival(), torch.linspace(0.5, 3.5, 13, dtype=DTYPE)[:, None]
    assert problem.gradient(torch.zeros(1, 1, dtype=DTYPE)).item() < -10  # tens of steps a unit of gain
    assert (problem.value(top) + 50).abs().max() < 0.2
    assert problem.gradient(top[4:9]).abs().max() < 0.01


@pytest.mark.parametrize(
    ("problem", "x"),
    [
        (RandomWalk(8, 3), torch.tensor([0.3], dtype=DTYPE)),
        (FallChain(6, 2, 0.2, 15), LOGITS[:5]),
        (LinearSurvival(cap=15, start=0.2), torch.tensor([0.25], dtype=DTYPE)),
    ],
    ids=("walk", "chain", "linear"),
)
def test_runs_have_the_exact_mean_and_their_scores_the_exact_gradient(problem, x):
    prove_runs(problem, x, runs=20_000)


@pytest.mark.parametrize("problem", (RandomWalk(), FallChain(), LinearSurvival()), ids=("walk", "chain", "linear"))
def test_costs_are_whole_steps_and_their_pathwise_derivative_is_zero(problem):
    x, seeds = torch.zeros(200, problem.dimension, dtype=DTYPE), torch.arange(200)
    runs = problem.run(x, seeds)
    assert torch.equal(runs.cost, -runs.steps.double())
    assert 1 <= runs.steps.min() and runs.steps.max() <= problem.cap
    assert problem.sample_gradient(x, seeds).eq(0).all()
    assert torch.equal(problem.sample(x, seeds), problem.cost()(x, seeds))
    again = torch.cat([problem.sample(x[i : i + 1], seeds[i : i + 1]) for i in range(5)])
    assert torch.equal(again, runs.cost[:5])


def test_the_fatal_step_counts():
    assert RandomWalk(2, 1).value(torch.tensor([[1.7]], dtype=DTYPE)).item() == pytest.approx(-1, rel=1e-15)
    assert FallChain(size=2, start=1, slip=0.5, cap=10).value(torch.tensor([[1.7]], dtype=DTYPE)).item() == -1.0
    assert LinearSurvival(cap=1).value(torch.tensor([[0.4]], dtype=DTYPE)).item() == -1.0


@pytest.mark.parametrize("problem", (RandomWalk(), LinearSurvival()), ids=("walk", "linear"))
def test_smoothing_one_parameter_is_integrated_to_rounding(problem):
    u = torch.linspace(-9, 9, 301, dtype=DTYPE)  # the trapezoidal rule, geometric on a Gaussian
    w = torch.exp(-u * u / 2) / torch.exp(-u * u / 2).sum()
    for theta, sigma in ((0.2, 0.05), (-0.3, 0.2)):
        at, x = torch.tensor([theta], dtype=DTYPE), (theta + sigma * u)[:, None]
        torch.testing.assert_close(problem.smoothed_value(at, sigma), w @ problem.value(x), rtol=1e-11, atol=0)
        torch.testing.assert_close(
            problem.smoothed_gradient(at, sigma), (w @ problem.gradient(x)), rtol=1e-9, atol=1e-9
        )
        score = (w * u) @ problem.value(x) / sigma  # the score function's own integrand
        torch.testing.assert_close(problem.smoothed_gradient(at, sigma)[0], score, rtol=1e-8, atol=1e-8)
    with pytest.raises(NoClosedForm, match=r"deviations up to 1 are resolved, got 1\.5"):
        problem.smoothed_value(at, 1.5)


@pytest.mark.parametrize(
    ("size", "start", "theta", "sigma"),
    ((100, 60, 0.1, 0.3), (100, 60, 0.1, 1.0), (50, 20, 0.1, 1.0), (300, 110, -0.4, 0.2), (20, 7, 0.37, 0.02)),
)
def test_a_long_walk_is_smoothed_as_the_gamblers_ruin_is(size, start, theta, sigma):
    # trapezoid of the closed form; its poles next to the real axis, ±2πi/size, leave an error of e^{−40}
    with mp.workdps(40):
        mu, s = mp.mpf(theta), mp.mpf(sigma)
        h = min(mp.mpf(1) / 4, (2 * mp.pi) ** 2 / (40 * size * s))
        last = int(mp.ceil(10 / h))
        value = slope = weight = mp.mpf(0)
        for i in range(-last, last + 1):
            u = (i + mp.mpf(1) / 7) * h  # misses θ = 0, where the closed form is 0/0
            mass = mp.exp(-u * u / 2)
            time = mass * walk_time(mu + s * u, size, start)
            value, slope, weight = value + time, slope + time * u / s, weight + mass
        value, slope = value / weight, slope / weight
    problem, at = RandomWalk(size, start), torch.tensor([theta], dtype=DTYPE)
    assert_holds(float(problem.smoothed_value(at, sigma)), -value, rtol=1e-12)
    assert_holds(float(problem.smoothed_gradient(at, sigma)), -slope, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "theta", "sigma"),
    [
        (LinearSurvival(b=5.0, action_noise=0.1), 0.1, 1.0),
        (LinearSurvival(cap=300), 0.37, 0.3),
        (LinearSurvival(a=0.7, b=-0.3, cap=20, nodes=110), 0.9, 1.0),
    ],
    ids=str,
)
def test_a_steep_linear_system_is_smoothed_as_a_fine_rule_says(problem, theta, sigma):
    step = 0.01 * math.hypot(problem.b * problem.action_noise, problem.process_noise) / abs(problem.b)
    u = torch.arange(-9, 9, min(0.1, 6 * step / sigma), dtype=DTYPE) + 0.003
    w = torch.exp(-u * u / 2) / torch.exp(-u * u / 2).sum()
    at, x = torch.tensor([theta], dtype=DTYPE), (theta + sigma * u)[:, None]
    torch.testing.assert_close(problem.smoothed_value(at, sigma), w @ problem.value(x), rtol=1e-12, atol=0)
    slopes = problem.gradient(x)[:, 0]
    size = float(w @ slopes.abs())
    got = problem.expected_gradient(Gaussian(at, sigma))
    torch.testing.assert_close(got["mean"][0], w @ slopes, rtol=1e-10, atol=1e-12 * size)
    torch.testing.assert_close(got["scale"][0], (w * u) @ slopes, rtol=1e-10, atol=1e-12 * size)


def test_loud_noise_needs_nodes_too():
    # at a large gain the deviation of a step, not that of the noise, is what the nodes must resolve
    few, many = (LinearSurvival(0.5, -0.3, 0.01, 1.2, cap=300, nodes=n) for n in (50, 400))
    x = torch.tensor([[-40.0], [135.0], [0.3], [-3000.0]], dtype=DTYPE)
    torch.testing.assert_close(few.value(x), many.value(x), rtol=1e-12, atol=0)
    torch.testing.assert_close(few.gradient(x), many.gradient(x), rtol=1e-10, atol=1e-12)


def test_a_mean_that_changes_too_fast_is_refused_rather_than_approximated(monkeypatch):
    at = torch.tensor([0.1], dtype=DTYPE)
    monkeypatch.setattr(RandomWalk, "_mean_steps", lambda self, x: (np.floor(1e6 * x[:, 0]) % 2, np.sign(x - 0.1234)))
    with pytest.raises(NoClosedForm, match=r"RandomWalk.smoothed_value: the mean changes too fast .* at 0\.1 with"):
        RandomWalk().smoothed_value(at, 0.3)


def test_the_gradient_is_the_difference_of_the_value():
    for problem in (RandomWalk(), CHAIN, LinearSurvival()):
        x = LOGITS[: problem.dimension]
        for i, partial in enumerate(problem.gradient(x[None])[0]):

            def along(t, problem=problem, x=x, i=i):
                return problem.value((x + unit(len(x), i, t))[None])[0]

            torch.testing.assert_close(partial, slope(along, 1e-3), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RandomWalk(1), r"RandomWalk: size must be an integer in 2\.\.500, got 1"),
        (lambda: RandomWalk(10, 10), r"RandomWalk: start must be an integer in 1\.\.9, got 10"),
        (lambda: FallChain(slip=1.5), r"FallChain: slip must be in \[0, 1\], got 1.5"),
        (lambda: FallChain(cap=0), "FallChain: cap must be an integer >= 1, got 0"),
        (
            lambda: LinearSurvival(nodes=20),
            "nodes must be even, >= 50 and >= 11 over the deviation of a step, here 78, got 20",
        ),
        (lambda: LinearSurvival(start=1.5), r"LinearSurvival: start must be in \[-1, 1\]"),
        (lambda: LinearSurvival(action_noise=0.0), "LinearSurvival: action_noise must be positive"),
        (
            lambda: RandomWalk().run(torch.zeros(2, 1), torch.arange(3)),
            r"RandomWalk.run: seeds must be an int64 tensor \(2,\), got \(3,\) torch.int64",
        ),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()

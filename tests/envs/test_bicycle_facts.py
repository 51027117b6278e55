"""Facts about the bicycle that follow from its equations: modes, invariants, symmetry, and how long riders last."""

import math

import numpy as np
import pytest
import torch

from rllab_envs.bicycle import Parameters, step
from rllab_envs.bicycle.dynamics import accelerations
from tests.proofs.bicycle import VARIANTS, draw, linear_policy

K = 0.29478 * 8.169934640522875 / 0.09826  # I_dv sd / I_dl = 24.5098 1/s


def continuous_matrix(parameters: Parameters) -> np.ndarray:
    """d(ω̇, ω̈, θ̇, θ̈) / d(ω, ω̇, θ, θ̇, δ, T) at upright."""

    def rates(z):
        _, omega_dot, _, theta_dot, delta, torque = z
        omega_ddot, theta_ddot = accelerations(torch, z[:4], torque, delta, parameters, "author")
        return torch.stack((omega_dot, omega_ddot, theta_dot, theta_ddot))

    return torch.autograd.functional.jacobian(rates, torch.zeros(6, dtype=torch.float64)).numpy()


def test_the_linearised_equations_are_the_published_ones():
    a = continuous_matrix(Parameters())
    np.testing.assert_allclose(a[1], [4.624958, 0, -3.327605, -0.01072587, 4.920168, 0], rtol=2e-7, atol=0)
    np.testing.assert_allclose(a[3], [0, -24.509804, 0, 0, 0, 10.177081], rtol=5e-8, atol=0)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    (
        (Parameters(), [4.7115, -2.3558 + 3.4294j, -2.3558 - 3.4294j, 0]),
        (Parameters(gyro_sign=1.0), [-4.6714, 2.3357 + 3.4647j, 2.3357 - 3.4647j, 0]),
        (Parameters(gyro_sign=1.0, gyro_inertia="dc"), [-4.1787, 2.0894 + 2.9405j, 2.0894 - 2.9405j, 0]),
    ),
    ids=("published", "conserving sign", "conserving sign and inertia"),
)
def test_continuous_eigenvalues_are_those_of_the_model(parameters, expected):
    found = np.linalg.eigvals(continuous_matrix(parameters)[:, :4])
    # published to 4 decimals; the double-precision eigenvalues of a 4 × 4 matrix add nothing to that
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(np.array(expected, complex)), rtol=0, atol=6e-5)


@pytest.mark.parametrize(
    ("variant", "expected"),
    (
        ("author", [1.047906, 0.976278 + 0.033760j, 0.976278 - 0.033760j, 1]),
        ("ernst", [1.047115, 0.976442 + 0.034294j, 0.976442 - 0.034294j, 1]),
    ),
)
def test_discrete_eigenvalues_are_those_of_the_variant(variant, expected):
    action = torch.zeros(1, 2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(
        lambda s: step(s[None], action, variant=variant)[0], torch.zeros(4, dtype=torch.float64)
    )
    found = np.linalg.eigvals(jacobian.numpy())
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(np.array(expected, complex)), rtol=0, atol=6e-7)


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_torque_one_combination_never_changes(variant):
    state, _, _ = draw(variant, 200, 3, full=False)
    state = 0.1 * state
    rng, drift = np.random.default_rng(4), 0.0

    def invariant(s):
        return s[:, 3] + K * (s[:, 0] - (0.01 * s[:, 1] if variant == "author" else 0.0))

    before = invariant(state)
    for _ in range(30):
        action = np.column_stack((np.zeros(200), rng.uniform(-0.02, 0.02, 200)))
        state = step(state, action, variant=variant)
        assert np.abs(state[:, 2]).max() < 1.39  # away from the stop, where ernst zeroes θ̇
        drift = max(drift, np.abs(invariant(state) - before).max())
    assert drift <= 30 * 8 * np.spacing(np.abs(state[:, 3]).max() + K)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("full", (False, True))
def test_the_mirrored_ride_is_the_exact_mirror_image(variant, full):
    state, action, noise = draw(variant, 300, 5, full)
    mirror = np.ones(state.shape[1])
    mirror[:4] = mirror[-1] = -1.0
    mirror[4:8:2] = -1.0  # x of both contacts, or ψ of ernst
    other = state * mirror
    for _ in range(20):
        state = step(state, action, noise, variant=variant)
        other = step(other, -action, -noise, variant=variant)
        np.testing.assert_array_equal(state * mirror, other)


def fall_times(variant: str, policy: str, n: int, seed: int) -> np.ndarray:
    """Steps to |ω| > π/15 from upright, with noise; the fatal step counts."""
    rng, state, live, times = np.random.default_rng(seed), np.zeros((n, 4)), np.arange(n), np.zeros(n)
    action = np.zeros((n, 2))
    for t in range(1, 2000):
        if policy == "random" or (policy == "held" and t % 10 == 1):
            a = rng.integers(0, 9, live.size)
            action = np.column_stack((2.0 * (a // 3 - 1), 0.02 * (a % 3 - 1)))
        state = step(state, action, rng.uniform(-0.02, 0.02, live.size), variant=variant)
        up = np.abs(state[:, 0]) <= math.pi / 15
        times[live[~up]] = t
        state, action, live = state[up], action[up], live[up]
        if not live.size:
            return times
    raise AssertionError("some rider without a plan stayed up for 20 s")


@pytest.mark.parametrize(
    ("variant", "policy", "mean", "sd"),
    (
        ("author", "none", 168.877, 23.720),
        ("ernst", "none", 172.474, 23.977),
        ("author", "random", 89.769, 22.197),
        ("ernst", "random", 92.486, 22.438),
        ("author", "held", 66.947, 18.845),
        ("ernst", "held", 69.381, 19.103),
    ),
)
def test_riders_without_a_plan_fall_when_they_should(variant, policy, mean, sd):
    # Expected: 100,000 rides of `plain_step` with Python's own random numbers. Limit: 6.2 standard errors of the
    # difference, false alarm 6e-10 a check; a mean off by 1.6 steps, less than the variants differ, is found with
    # probability above 0.99.
    n, more = 20_000, 100_000
    times = fall_times(variant, policy, n, seed=8)
    found, spread = times.mean(), times.std(ddof=1)
    both = math.sqrt(1 / n + 1 / more)
    assert abs(found - mean) <= 6.2 * spread * both
    # Var(s²) = (μ₄ − σ⁴)/n, so the standard error of s is √(μ₄ − σ⁴) / (2 σ √n)
    fourth = ((times - found) ** 4).mean()
    assert abs(spread - sd) <= 6.2 * math.sqrt(fourth - spread**4) / (2 * spread) * both


def test_a_linear_policy_rides_to_the_cap():
    rng, state, leans = np.random.default_rng(9), np.zeros((2000, 4)), []
    for _ in range(2000):
        state = step(state, linear_policy(state), rng.uniform(-0.02, 0.02, 2000))
        leans.append(state[:, 0])
    leans = np.array(leans)
    assert np.abs(leans).max() < math.pi / 15  # 100 % of 2,000 runs
    assert 0.0005 < leans[200:].std() < 0.0015  # reported 0.001 rad

"""The step function against the authors' equations written out plainly; its gradients against central differences."""

import math

import numpy as np
import pytest
import torch

from rllab_envs.bicycle import Parameters, start, step
from tests.proofs.bicycle import VARIANTS, draw, linear_policy, plain_step


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("full", (False, True))
def test_a_step_is_the_authors_step(variant, full):
    state, action, noise = draw(variant, 4000, 1, full)
    plain = [plain_step(variant, list(s), a[0], a[1] + w) for s, a, w in zip(state, action, noise, strict=True)]
    difference = np.abs(step(state, action, noise, variant=variant) - np.array(plain))
    assert (difference[:, :4] <= 1e-12 * np.maximum(1.0, np.abs(np.array(plain)[:, :4]))).all()
    # contacts tens of metres away carry rounding of 1e-14; the radius 9999999 for infinity is 4e-11 m off
    assert difference[:, 4:].max(initial=0.0) <= 1e-8


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rider", ("falls", "rides"))
def test_a_replay_is_the_authors_ride(variant, rider):
    rng = np.random.default_rng(2)
    # four seconds of riding, or random actions up to about a fall, where rounding grows as e^(4.7 t)
    steps = 400 if rider == "rides" else 80
    state = start(1, variant=variant)
    state[0, -1] = 0.4
    if variant == "author":
        state[0, 4:6] = -1.11 * math.sin(0.4), 1.11 * math.cos(0.4)
    plain = list(state[0])
    for _ in range(steps):
        torque, displacement = rng.uniform(-1, 1, 2) * [2.0, 0.02]
        if rider == "rides":
            torque, displacement = linear_policy(np.array([plain]))[0]
        noise = rng.uniform(-0.02, 0.02)
        state = step(state, np.array([[torque, displacement]]), np.array([noise]), variant=variant)
        plain = plain_step(variant, plain, torque, displacement + noise)
        np.testing.assert_allclose(state[0], plain, rtol=0, atol=1e-8)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_heading_goes_round_from_pi_to_minus_pi(variant):
    state = start(4, variant=variant)
    state[:, 2] = 1.0, 1.0, -1.0, 0.0  # left, left, right, straight on
    state[:, -1] = 3.13, 3.05, -3.13, math.pi
    if variant == "author":
        state[:, 4] = -1.11 * np.sin(state[:, -1])
        state[:, 5] = 1.11 * np.cos(state[:, -1])
    for _ in range(3):
        plain = [plain_step(variant, list(s), 0.0, 0.0) for s in state]
        state = step(state, np.zeros((4, 2)), variant=variant)
        np.testing.assert_allclose(state, plain, rtol=0, atol=1e-8)
    assert state[0, -1] < -3.0 and state[2, -1] > 3.0
    np.testing.assert_allclose(state[3, -1], math.pi, rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_straight_path_has_no_curvature_at_all(variant):
    state = np.zeros((1, 4))
    np.testing.assert_array_equal(step(state, np.zeros((1, 2)), variant=variant), state)
    turned = start(1, variant=variant)
    turned[0, -1] = 0.3
    assert variant == "author" or step(turned, np.zeros((1, 2)), variant=variant)[0, -1] == 0.3


def test_at_the_stop_the_author_keeps_the_handlebar_rate_and_ernst_drops_it():
    state = np.array([[0.0, 0.0, 1.39, 3.0], [0.0, 0.0, -1.39, -3.0]])
    action = np.array([[1.0, 0.0], [-1.0, 0.0]])
    author, ernst = step(state, action), step(state, action, variant="ernst")
    np.testing.assert_array_equal(author[:, 2], [1.3963, -1.3963])
    assert (np.abs(author[:, 3]) > 3.0).all()
    np.testing.assert_array_equal(ernst[:, 2], [math.radians(80), -math.radians(80)])
    np.testing.assert_array_equal(ernst[:, 3], [0.0, 0.0])


@pytest.mark.parametrize("variant", VARIANTS)
def test_torch_and_numpy_agree(variant):
    state, action, noise = draw(variant, 500, 6)
    result = step(torch.from_numpy(state), torch.from_numpy(action), torch.from_numpy(noise), variant=variant)
    np.testing.assert_allclose(result.numpy(), step(state, action, noise, variant=variant), rtol=1e-13, atol=1e-13)
    single = step(torch.from_numpy(state).float(), torch.from_numpy(action).float(), variant=variant)
    assert single.dtype == torch.float32
    assert step(state.astype(np.float32), action, variant=variant).dtype == np.float32


def jacobians(variant, state, action, noise):
    """(by torch, by central differences) of the next state with respect to (state, action, noise), one bicycle."""
    at, width = np.concatenate((state, action, [noise])), len(state)

    def of(z):
        return step(z[None, :width], z[None, width : width + 2], z[width + 2 :], variant=variant)[0]

    by_torch = torch.autograd.functional.jacobian(of, torch.from_numpy(at)).numpy()
    h = 1e-6
    by_difference = np.stack([(of(at + h * e) - of(at - h * e)) / (2 * h) for e in np.eye(at.size)], 1)
    return by_torch, by_difference


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("torque", (0.0, 1.3))
def test_gradients_are_central_differences_at_the_start_state(variant, torque):
    for displacement in (0.0, 0.01):
        action = np.array([torque, displacement])
        by_torch, by_difference = jacobians(variant, start(1, variant=variant)[0], action, 0.0)
        np.testing.assert_allclose(by_torch, by_difference, rtol=0, atol=1e-8)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_are_central_differences_elsewhere(variant):
    # away from the stop, where the step has a kink; the first and every eighth have θ = 0
    state, action, noise = draw(variant, 40, 7)
    for i in [i for i in range(40) if i % 8 != 1]:
        by_torch, by_difference = jacobians(variant, state[i], action[i], noise[i])
        np.testing.assert_allclose(by_torch, by_difference, rtol=1e-7, atol=1e-7)


def test_gradients_stay_finite_with_both_contacts_on_one_point():
    by_torch, _ = jacobians("author", np.zeros(9), np.zeros(2), 0.0)
    assert np.isfinite(by_torch).all()


def test_the_gradient_through_two_seconds_of_riding_is_the_central_difference():
    noise = torch.from_numpy(np.random.default_rng(0).uniform(-0.02, 0.02, (200, 8)))

    def lean(gain):
        """Sum of ω² over 200 steps of 8 riders."""
        state, total = torch.zeros(8, 4, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        for w in noise:
            torque = (state @ gain).clamp(-2, 2)
            state = step(state, torch.stack((torque, torch.zeros_like(torque)), 1), w)
            total = total + state[:, 0].square().sum()
        return total

    gain = torch.tensor([71.04, 29.97, -21.6, -2.29], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(lean(gain), gain)
    with torch.no_grad():
        steps = 1e-4 * torch.eye(4, dtype=torch.float64)
        differences = torch.stack([(lean(gain + h) - lean(gain - h)) / 2e-4 for h in steps])
    assert gradient.abs().min() > 0
    np.testing.assert_allclose(gradient.numpy(), differences.numpy(), rtol=1e-6)


def test_the_step_leaves_its_arguments_alone():
    arguments = draw("author", 5, 10)
    copies = [a.copy() for a in arguments]
    step(*arguments)
    for argument, copy in zip(arguments, copies, strict=True):
        np.testing.assert_array_equal(argument, copy)


@pytest.mark.parametrize(
    ("state", "action", "noise", "variant", "says"),
    (
        ((3, 5), (3, 2), None, "author", r"state must be \(n, 4\) or \(n, 9\) for variant 'author', got \(3, 5\)"),
        ((3, 9), (3, 2), None, "ernst", r"state must be \(n, 4\) or \(n, 5\) for variant 'ernst', got \(3, 9\)"),
        ((4,), (1, 2), None, "author", r"state must be"),
        ((3, 4), (2, 2), None, "author", r"action must be \(3, 2\) for 3 states, got \(2, 2\)"),
        ((3, 4), (3, 2), (3, 1), "author", r"noise must be \(3,\) for 3 states, got \(3, 1\)"),
        ((3, 4), (3, 2), None, "randlov", "variant must be 'author' or 'ernst', got 'randlov'"),
    ),
)
def test_wrong_shapes_and_variants_are_named(state, action, noise, variant, says):
    for zeros in (np.zeros, torch.zeros):
        with pytest.raises(ValueError, match=says):
            step(zeros(state), zeros(action), None if noise is None else zeros(noise), variant=variant)


def test_a_tensor_beside_an_array_is_refused():
    with pytest.raises(TypeError, match="numpy arrays as state is one"):
        step(np.zeros((1, 4)), torch.zeros(1, 2))  # pyright: ignore


@pytest.mark.parametrize(
    ("change", "says"),
    (
        ({"speed": 0.0}, "speed must be positive"),
        ({"noise": -0.1}, "noise must be >= 0"),
        ({"gyro_sign": 2.0}, "gyro_sign must be"),
        ({"gyro_inertia": "xx"}, "gyro_inertia must be"),
        ({"tilt": "inside"}, "tilt must be"),
        ({"stop_author": 1.6}, "must lie below π/2, got 1.6 and 1.396"),
    ),
)
def test_impossible_parameters_are_named(change, says):
    with pytest.raises(ValueError, match=says):
        Parameters(**change)


def test_the_tilt_option_swaps_the_forms_of_the_two_variants():
    state, action, noise = draw("ernst", 50, 11, full=False)
    swapped = step(state, action, noise, variant="ernst", parameters=Parameters(tilt="quotient"))
    published = step(state, action, noise, variant="ernst")
    outside = step(state, action, noise, variant="ernst", parameters=Parameters(tilt="outside"))
    np.testing.assert_array_equal(outside, published)
    assert 0 < np.abs(swapped - published).max() < 1e-6

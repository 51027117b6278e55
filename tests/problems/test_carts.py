"""Two carts: the laws of motion that any contact keeps, and the two that each contact adds."""

import pytest
import torch

from rllab.problems import FrictionCarts, PushingCarts
from tests.proofs.problems import DTYPE

H, M = 0.005, 0.1
INPUTS = torch.stack((torch.full((40,), 0.9, dtype=DTYPE), torch.linspace(2, -3, 40, dtype=DTYPE)))
both = pytest.mark.parametrize(
    "problem", (PushingCarts(1000.0, 1.0, horizon=40), FrictionCarts(horizon=40)), ids=("pushing", "friction")
)


@both
def test_momentum_is_the_sum_of_the_inputs_whatever_passes_between_the_carts(problem):
    s = problem.states(INPUTS)
    momentum = M * (s[..., 2] + s[..., 3])
    torch.testing.assert_close(momentum[:, 1:], (H * INPUTS).cumsum(-1), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(s[:, 1:, :2] - s[:, :-1, :2], H * s[:, 1:, 2:], rtol=1e-9, atol=1e-14)


@both
def test_the_cost_is_the_sum_along_the_states(problem):
    goal = {PushingCarts: (1.0, 2.0, 0.0, 0.0), FrictionCarts: (2.0, 2.0, 0.0, 0.0)}[type(problem)]
    for x, states, got in zip(INPUTS, problem.states(INPUTS), problem.value(INPUTS), strict=True):
        total = float((x * x).sum())
        for s in states.tolist():
            total += sum(w * (a - b) ** 2 for w, a, b in zip((0.1, 10.0, 0.1, 0.1), s, goal, strict=True))
        assert float(got) == pytest.approx(total, rel=1e-13)


def test_pulling_away_leaves_the_other_cart_alone_and_pushing_drives_it():
    problem = PushingCarts(horizon=40)
    away, towards = problem.states(torch.stack((-INPUTS[0], INPUTS[0])))
    assert away[:, 1].eq(1.0).all()
    assert towards[-1, 1] > 1.0 and towards[-1, 3] > 0
    squeezed = (1 - (towards[:, 1] - towards[:, 0])).clamp(min=0)  # the spring's force drives the second cart
    change = towards[1:, 3] - 0.998 * towards[:-1, 3]
    torch.testing.assert_close(change, H / M * 100.0 * squeezed[:-1], rtol=1e-9, atol=1e-14)


def test_drag_is_limited_and_ends_with_contact():
    problem = FrictionCarts(horizon=200)
    s = problem.states(torch.full((1, 200), 2.0, dtype=DTYPE))[0]
    pull = (s[1:, 3] - s[:-1, 3]) * M / H
    assert float(pull.max()) == pytest.approx(1.8 * 0.1, rel=1e-9)
    apart = (s[:-1, 1] - s[:-1, 0]).abs() >= 0.1
    assert apart.any() and pull[apart].eq(0).all()
    assert (s[~torch.cat((apart, apart[-1:])), 0] < 0.5).all()


def test_a_stiffer_contact_scatters_the_pathwise_gradient_more():
    # the point of the example: at the authors' start it is 5e1, 5e2 and 1e9 for their three contacts
    noise = 0.1 * torch.randn(50, 200, generator=torch.Generator().manual_seed(3), dtype=DTYPE)
    soft, firm, hard = (
        float(PushingCarts(k, damping, horizon=200).gradient(0.1 + noise).var(0).sum())
        for k, damping in ((10.0, 0.998), (100.0, 0.998), (1000.0, 0.99))
    )
    assert 5 * soft < firm < 1e-3 * hard


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: PushingCarts(-1.0), "PushingCarts: stiffness must be positive"),
        (lambda: PushingCarts(damping=1.1), r"PushingCarts: damping must be in \[0, 1\]"),
        (lambda: FrictionCarts(slip=0.0), "FrictionCarts: slip must be positive"),
        (lambda: FrictionCarts(horizon=0), "FrictionCarts: horizon"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()

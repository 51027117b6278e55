"""LinearInterpolation: exact on linear costs, exact moments over rotations, regression errors, conditioning."""

import math

import numpy as np
import pytest
import torch

from rllab import Cost, Key
from rllab.estimators import LinearInterpolation
from rllab.estimators.base import BLOCK
from rllab.estimators.smoothing.directions import orthonormal
from tests.proofs.checks import dyadic
from tests.proofs.prescribed import Prescribed
from tests.proofs.stencils import H, assert_close, cubic, gradient, influence, prove_interpolation, straight

D = 5
AT = torch.linspace(-1, 2, D, dtype=torch.float64)
SLOPES = torch.tensor([1.9, -0.4, 0.0, 3.3, -2.2], dtype=torch.float64)


def tilted(x):
    return 3.1 + (x - AT) @ SLOPES


def wavy(x):
    return torch.sin(x * torch.arange(1, D + 1, dtype=torch.float64)).sum(-1) + x[:, 0] * x[:, 3]


def directions(estimator, at, evaluations, key):
    """The matrix Z, read off the points."""
    points = torch.cat([block.points for block in estimator.ask(at, evaluations, key)])
    return (points[1:] - points[0]) / estimator.step


def test_bias_and_variance_over_all_rotations_are_the_closed_forms():
    prove_interpolation(LinearInterpolation(H))


@pytest.mark.parametrize("kind", ("orthogonal", "gaussian"))
@pytest.mark.parametrize("m", (D, D + 1, 3 * D + 2))
def test_it_is_exact_on_linear_costs_whatever_the_directions(kind, m):
    estimator = LinearInterpolation(H, directions=kind)
    for key in range(20):
        e = estimator(Cost(tilted), AT, evaluations=m + 1, key=key)
        assert_close(e.gradient, SLOPES)
        assert float(e.value) == pytest.approx(3.1, rel=1e-14)
        if m > D:
            assert float(e.standard_error.max()) < 1e-8  # nothing is left over
    assert_close(gradient(LinearInterpolation(directions=kind), tilted, m + 1, AT), SLOPES, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("m", (D + 1, 3 * D))
def test_errors_are_those_of_ordinary_least_squares(m):
    estimator = LinearInterpolation(H, directions="gaussian")
    e = estimator(Cost(wavy), AT, evaluations=m + 1, key=2, per_unit=True)
    z = directions(estimator, AT, m + 1, 2).numpy() * H
    delta = (wavy(AT + torch.from_numpy(z)) - wavy(AT[None])).numpy()
    g, residual, *_ = np.linalg.lstsq(z, delta, rcond=None)
    assert_close(e.gradient, torch.from_numpy(g), rtol=1e-9)
    covariance = residual[0] / (m - D) * np.linalg.inv(z.T @ z)
    assert_close(e.standard_error, torch.from_numpy(np.sqrt(covariance.diagonal())), rtol=1e-8)
    assert_close(e.per_unit.mean(0), e.gradient, rtol=1e-11)


def test_with_as_many_directions_as_parameters_there_is_no_error_to_tell():
    assert LinearInterpolation(H)(Cost(wavy), AT, evaluations=D + 1, key=0).standard_error is None


def test_noise_gives_orthonormal_directions_the_variance_of_forward_differences():
    # ĝ = Qᵀ(f − f₀1)/h: covariance τ²/h² (I + Qᵀ1 1ᵀQ), of trace 2dτ²/h², as of d differences that share f₀
    m = influence(LinearInterpolation(H), AT, D + 1)
    assert float((m @ m.T).trace()) == pytest.approx(2 * D / H**2, rel=1e-9)
    # and the fit is linear in the values
    points = torch.cat([block.points for block in LinearInterpolation(H).ask(AT, D + 1, 0)])
    assert_close(m @ wavy(points), gradient(LinearInterpolation(H), wavy, D + 1, AT), rtol=1e-9)


def test_the_step_follows_the_scale_of_each_coordinate():
    at = torch.tensor([1.0, 1e8], dtype=torch.float64)
    g = gradient(LinearInterpolation(), lambda x: torch.sin(x[:, 0]) + torch.sin(x[:, 1] / 1e8), 5, at)
    assert_close(g, torch.tensor([math.cos(1), math.cos(1) / 1e8], dtype=torch.float64), rtol=1e-6, atol=0)


def test_a_constant_changes_nothing_and_a_factor_scales():
    plain, f = gradient(LinearInterpolation(H), cubic, 5), dyadic(cubic)  # of whose differences not a bit is lost
    assert torch.equal(
        gradient(LinearInterpolation(H), lambda x: f(x) + 1024, 5), gradient(LinearInterpolation(H), f, 5)
    )
    assert_close(gradient(LinearInterpolation(H), lambda x: -4 * cubic(x), 5), -4 * plain, rtol=1e-12)


@pytest.mark.parametrize("problems", ((), (3,)), ids=("one", "three"))
def test_orthogonal_directions_come_in_orthonormal_sets(problems):
    d, n = 4, 10
    q = orthonormal((n, *problems, d), Key(3), torch.zeros((), dtype=torch.float64)).movedim(0, -2)
    assert q.shape == (*problems, n, d)
    for start, stop in ((0, 4), (4, 8), (8, 10)):
        part = q[..., start:stop, :]
        gram, eye = part @ part.mT, torch.eye(stop - start, dtype=torch.float64)
        assert_close(gram, eye.expand_as(gram), rtol=0, atol=1e-14)


def test_orthogonal_directions_favour_none():
    # one row each of many sets is uniform on the sphere: E q = 0, E qqᵀ = I/d, E q_i⁴ = 3/(d(d + 2)), and so for each
    # row; a QR that fixes no signs fails in the mean. Bounded by 1, so the normal limit holds: 6.7 sd, 36 statistics
    d, sets = 3, 200_000
    q = orthonormal((sets * d, d), Key(1), torch.zeros((), dtype=torch.float64)).view(sets, d, d)
    for statistic, mean in (
        (q, torch.zeros(d, d, dtype=torch.float64)),
        (q**2, torch.full((d, d), 1 / d, dtype=torch.float64)),
        (q**4, torch.full((d, d), 3 / (d * (d + 2)), dtype=torch.float64)),
        (q * q.roll(1, -1), torch.zeros(d, d, dtype=torch.float64)),
    ):
        z = (statistic.mean(0) - mean) / (statistic.std(0) / math.sqrt(sets))
        assert float(z.abs().max()) < 6.7


def test_conditioning_is_reported_and_refused_where_it_is_bad():
    orthogonal, gaussian = LinearInterpolation(H), LinearInterpolation(H, directions="gaussian")
    assert_close(orthogonal.condition(orthogonal.ask(AT, D + 1, 0)), torch.tensor(1.0).double(), rtol=1e-12)
    both = gaussian.condition(gaussian.ask(AT.expand(2, D), D + 1, 0))
    assert both.shape == (2,)
    number = gaussian.condition(gaussian.ask(AT, D + 1, 0))
    assert float(number) == pytest.approx(np.linalg.cond(directions(gaussian, AT, D + 1, 0).numpy()), rel=1e-9)
    strict = LinearInterpolation(H, directions="gaussian", max_condition=float(number) * 0.99)
    with pytest.raises(ValueError, match=r"condition number of the 5 directions is .*, and must be <="):
        gradient(strict, tilted, D + 1, AT)


def test_dependent_directions_are_refused():
    key = Prescribed({"normal": lambda shape: torch.ones(shape, dtype=torch.float64)})
    with pytest.raises(ValueError, match="condition number"):
        gradient(LinearInterpolation(H, directions="gaussian"), straight, 4, key=key)


def test_blocks_hold_whole_sets_and_little_more():
    query = LinearInterpolation().ask(torch.zeros(600), 1801, 0)
    assert [len(block.noise) for block in query] == [600, 600, 600]
    query = LinearInterpolation().ask(torch.zeros(10), BLOCK // 5, 0)
    assert len(query[1].noise) % 10 in (0, (BLOCK // 5 - 1) % 10) and query[1].points.numel() < BLOCK + 10 * 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"directions": "signs"}, "directions must be one of"), ({"max_condition": 0.5}, "max_condition must be >= 1")],
)
def test_bad_hyperparameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"LinearInterpolation: {message}"):
        LinearInterpolation(**arguments)


def test_fewer_directions_than_parameters_is_an_error():
    with pytest.raises(ValueError, match="LinearInterpolation: evaluations must be >= 3, got 2"):
        gradient(LinearInterpolation(), straight, 2)

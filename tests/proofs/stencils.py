"""Proofs for methods that are linear in the values they are told: exact bias, exact noise, common random numbers.

Each is asked of the right estimator in tests/estimators and of its mutants in tests/mutants.
"""

import math

import pytest
import torch
from torch import Tensor

from rllab import Cost, Key
from tests.proofs.checks import HESSIAN, LINEAR, OFFSET, THETA, quadratic
from tests.proofs.prescribed import Prescribed

H = 0.02
THIRD = torch.tensor([1.7, -2.3], dtype=torch.float64)  # ∂³f/∂θ_i³


def cubic(x: Tensor) -> Tensor:
    """A polynomial with known derivatives at THETA, real or complex."""
    y = x - THETA
    bend = (y.unsqueeze(-2) @ HESSIAN.to(y.dtype) @ y.unsqueeze(-1)).flatten()
    return OFFSET + (y * LINEAR).sum(-1) + bend / 2 + (y**3 * THIRD).sum(-1) / 6


def straight(x: Tensor) -> Tensor:
    return OFFSET + ((x - THETA) * LINEAR).sum(-1)


def influence(estimator, at: Tensor, evaluations: int, key: int = 0) -> Tensor:
    """Return M, (d, N), of an estimator that is linear in the values: ĝ = M f. Noise τ² then gives it τ² M Mᵀ."""
    query = estimator.ask(at, evaluations, key)
    told = [estimator.tell(query, unit).gradient for unit in torch.eye(query.evaluations, dtype=at.dtype)]
    return torch.stack(told, -1)


def assert_close(got, expected, rtol=1e-8, atol=1e-8):
    torch.testing.assert_close(torch.as_tensor(got), torch.as_tensor(expected), rtol=rtol, atol=atol)


def gradient(estimator, f, evaluations: int, at: Tensor = THETA, key: Key | int = 0, **cost) -> Tensor:
    return estimator(Cost(f, **cost), at, evaluations=evaluations, key=key).gradient


def prove_common_random_numbers(estimator, evaluations: int) -> None:
    """Noise that is the same at every point of a seed cancels, in each of many problems."""

    def noisy(x, seeds):
        return straight(x) + 100.0 * (seeds % 1000).to(x)

    at = THETA.expand(5, 2)
    assert_close(gradient(estimator, noisy, evaluations, at, seeded=True), LINEAR.expand(5, 2))


def prove_forward(estimator) -> None:
    """Bias (h/2)A_ii + (h²/6)f'''_i; noise 2τ²/h² a coordinate, correlated by ½; d + 1 evaluations."""
    assert estimator.minimum(THETA) == 3 and estimator.order == 1 and not estimator.unbiased
    assert_close(gradient(estimator, cubic, 3), LINEAR + H / 2 * HESSIAN.diagonal() + H**2 / 6 * THIRD)
    m = influence(estimator, THETA, 3)
    assert_close(m @ m.T, (1 / H**2) * torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64))
    prove_common_random_numbers(estimator, 3)


def prove_central(estimator) -> None:
    """Bias (h²/6)f'''_i, none from curvature; noise τ²/2h² a coordinate, uncorrelated; 2d evaluations."""
    assert estimator.minimum(THETA) == 4 and estimator.order == 2 and not estimator.unbiased
    assert_close(gradient(estimator, cubic, 4), LINEAR + H**2 / 6 * THIRD)
    m = influence(estimator, THETA, 4)
    assert_close(m @ m.T, torch.eye(2, dtype=torch.float64) / (2 * H**2))
    prove_common_random_numbers(estimator, 4)


def prove_complex(estimator) -> None:
    """Bias −(h²/6)f'''_i; d complex evaluations."""
    assert estimator.minimum(THETA) == 2 and estimator.order == 2 and not estimator.unbiased
    cost = Cost(cubic)
    assert_close(estimator(cost, THETA, evaluations=2, key=0).gradient, LINEAR - H**2 / 6 * THIRD)
    assert {what: n for what, n in cost.spent.items() if n} == {"complex": 2}


def rotations(n: int) -> Tensor:
    """Return the 2 × 2 rotations by n equal angles, and their reflections, (2n, 2, 2).

    They average polynomials of degree < n in their entries exactly as all orthogonal matrices do.
    """
    a = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)
    turn = torch.stack((a.cos(), -a.sin(), a.sin(), a.cos()), -1).view(n, 2, 2)
    return torch.cat((turn, turn.flip(-1)))


def prove_interpolation(estimator) -> None:
    """Exact on linear costs along any directions. Over all rotations, with T the third derivatives and A the Hessian:

    bias (h²/2) Σ_b T_abb/(d + 2), and on a quadratic the variance (h²/4)((tr A)² + 2‖A‖_F²)/(d + 2).
    """
    d, q = 2, rotations(16)
    assert estimator.minimum(THETA) == 3
    assert_close(gradient(estimator, straight, 3, key=5), LINEAR)
    assert_close(gradient(estimator, straight, 6, THETA.expand(4, d), key=5), LINEAR.expand(4, d))
    prove_common_random_numbers(estimator, 3)
    key = Prescribed({"orthonormal": q.movedim(-2, 0)})  # direction, problem, coordinate
    problems = THETA.expand(len(q), d)
    assert_close(gradient(estimator, cubic, 3, problems, key).mean(0), LINEAR + H**2 / 2 * THIRD / (d + 2))
    g = gradient(estimator, quadratic, 3, problems, key)
    bend = HESSIAN.trace() ** 2 + 2 * HESSIAN.square().sum()
    assert_close(g.mean(0), LINEAR)
    assert float((g - LINEAR).square().sum(-1).mean()) == pytest.approx(float(H**2 / 4 * bend / (d + 2)), rel=1e-8)

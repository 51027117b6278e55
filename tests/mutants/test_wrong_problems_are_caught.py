"""Problems with one mistake each, of the kinds that slip into closed forms; the proofs of right ones must fail them.

A ground truth that is wrong makes every estimator look biased, or a biased one right. The proofs are those of
tests/problems: the definition integrated in 40 digits, differences of the value, means of runs.
"""

from dataclasses import dataclass, replace

import mpmath as mp
import numpy as np
import pytest
import torch

from rllab._special.noncentral import noncentral_density
from rllab.problems import (
    LQR,
    BallHole,
    BallWithWall,
    BoxHole,
    Cliff,
    FallChain,
    LinearSurvival,
    Norm,
    Pivot,
    RandomWalk,
    Staircase,
    Steps,
)
from rllab.problems.stochastic import SimulatedRuns
from tests.proofs.problems import (
    DTYPE,
    prove_definition,
    prove_runs,
    prove_scale_gradient,
    prove_smoothed_gradient,
    slope,
    unit,
)

AT = torch.tensor([[0.37, -0.61], [1.13, 0.22]], dtype=DTYPE)


@dataclass(frozen=True)
class StepsWithoutOneOverSigma(Steps):
    def _k_moments(self, mu, s):
        j, j_mu, j_s = super()._k_moments(mu, s)
        return j, j_mu * s, j_s


@dataclass(frozen=True)
class StepsOfTheLogScale(Steps):
    """∂J/∂log s sold as ∂J/∂s."""

    def _k_moments(self, mu, s):
        j, j_mu, j_s = super()._k_moments(mu, s)
        return j, j_mu, j_s * s


@dataclass(frozen=True)
class StepsFallingInsteadOfRising(Steps):
    def _k_moments(self, mu, s):
        j, j_mu, j_s = super()._k_moments(mu, s)
        return j, -j_mu, -j_s


@dataclass(frozen=True)
class StairsOneStairTooHigh(Staircase):
    """Rounding to the nearest stair in place of floor."""

    def _k_moments(self, mu, s):
        j, j_mu, j_s = super()._k_moments(mu + 0.5 / self.levels, s)
        return j, j_mu, j_s


@dataclass(frozen=True)
class StairsThatKeepTheirUnit(Staircase):
    """n forgotten in the noise of n x."""

    def _k_moments(self, mu, s):
        return super()._k_moments(mu, s / self.levels)


@dataclass(frozen=True)
class PivotWithoutItsJumps(Pivot):
    """The pathwise gradient sold as the true one."""

    def _breaks(self, low, high):
        return [(a, 0.0) for a, _ in super()._breaks(low, high)]


@dataclass(frozen=True)
class BallThroughTheWallsFarEdge(BallWithWall):
    """One of the two jumps forgotten."""

    def _breaks(self, low, high):
        return [(a, min(jump, 0.0)) for a, jump in super()._breaks(low, high)]


class SignOfTheHole(BallHole):
    def _moments(self, offset, s):
        m = super()._moments(offset, s)
        return m._replace(mean=-m.mean)


class DegreesOfFreedom(BallHole):
    """g_d in place of g_{d+2}."""

    def _moments(self, offset, s):
        m = super()._moments(offset, s)
        z = offset / s[:, None]
        g, _ = noncentral_density((self.radius / s) ** 2, (z * z).sum(-1), self.dimension)
        return m._replace(mean=2 * self.depth * z * (g / s)[:, None])


class NormOfAnotherDimension(Norm):
    """The smoothed value with d − 1 for d."""

    def _moments(self, offset, s):
        m = super()._moments(offset, s)
        lower = super()._moments(offset[:, :-1], s)
        return m._replace(value=lower.value)


class ProductWithoutTheOthers(BoxHole):
    """∂P_i alone, the factors P_j forgotten."""

    def _gaussian(self, who, mean, scale):
        parts = [
            BoxHole(self.depth, c, w, dimension=1)._gaussian(who, mean[:, i : i + 1], scale[:, i : i + 1])
            for i, (c, w) in enumerate(zip(*self._box, strict=True))
        ]
        right = super()._gaussian(who, mean, scale)
        return right._replace(mean=np.concatenate([p.mean for p in parts], axis=1))


class BoxWithTheDiagonalOfTheGradient(BoxHole):
    """∂/∂s from the slope by another power of s."""

    def _gaussian(self, who, mean, scale):
        m = super()._gaussian(who, mean, scale)
        return m._replace(scale=m.scale / scale)


class CliffOfUnitDirection(Cliff):
    """|a| forgotten."""

    def _gaussian(self, who, mean, scale):
        m = super()._gaussian(who, mean, scale)
        return m._replace(mean=m.mean / np.linalg.norm(self._a))


class CliffUnderASphere(Cliff):
    """The surface of the ball in place of its volume: two dimensions less."""

    def _ball(self, at, radius):
        value, _ = super()._ball(at, radius)
        a = self._a
        _, slope = self._profile._k_ball(at @ a, radius * np.linalg.norm(a), self.dimension + 2)
        return value, slope[:, None] * a


@dataclass(frozen=True)
class FatalStepNotCounted(LinearSurvival):
    def _run(self, x, noise):
        cost, score, steps = super()._run(x, noise)
        return SimulatedRuns(cost + (steps < self.cap), score, steps)


@dataclass(frozen=True)
class ChainWithoutSlipInItsGradient(FallChain):
    def _mean_steps(self, theta):
        value, slope = super()._mean_steps(theta)
        return value, slope / (1 - self.slip)


@dataclass(frozen=True)
class WalkWithAbsoluteProbabilities(RandomWalk):
    """∂/∂p sold as ∂/∂θ."""

    def _mean_steps(self, theta):
        value, slope = super()._mean_steps(theta)
        p = 1 / (1 + np.exp(-theta))
        return value, slope / (p * (1 - p))


@dataclass(frozen=True)
class LQRWithoutDiscountInItsGradient(LQR):
    def _gradient(self, x):
        return super()._gradient(x) / self.discount


@dataclass(frozen=True)
class LQRWithoutExplorationInItsStates(LQR):
    """B Σ Bᵀ forgotten in X_{t+1}."""

    def _gradient(self, x):
        return replace(LQR(), action_noise=((1e-12,),))._gradient(x)


def moments(problem):
    breaks = [mp.mpf(0)]
    prove_definition(problem, lambda x: mp.mpf(x >= 0), breaks, -0.13, 0.4)


def stairs(problem):
    ends = [mp.mpf(j) / 2 for j in range(-40, 41)]
    for s in (0.05, 0.4):
        prove_definition(problem, lambda x: mp.floor(2 * x) / 2, ends, 0.3, s, scales=(0, 0, 1e-5))


def pivot(problem):
    edge = mp.mpf(0.7)
    prove_definition(problem, lambda z: -(mp.sin(z) ** 2) * (abs(z) <= edge), [-edge, edge], 0.61, 0.1)


def gradient(problem):
    at = AT[:, : problem.dimension]
    prove_smoothed_gradient(problem, at, 0.3)


def scale(problem):
    prove_scale_gradient(problem, AT, 0.3)


def ball(problem):
    prove_smoothed_gradient(problem, AT, 0.9, "ball", 1e-4, 1e-4)


def plain_gradient(problem):
    x = torch.tensor([0.8, 0.5], dtype=DTYPE)[: problem.dimension]
    for i, partial in enumerate(problem.gradient(x[None])[0]):
        measured = slope(lambda t, i=i: problem.value((x + unit(len(x), i, t))[None])[0], 1e-3)
        torch.testing.assert_close(partial, measured, rtol=1e-7, atol=1e-9)


def runs(problem):
    x = torch.tensor([0.4, -0.3, 0.9, 0.1, -0.6], dtype=DTYPE)[: problem.dimension]
    prove_runs(problem, x, runs=40_000)


CASES = [
    (moments, Steps(), StepsWithoutOneOverSigma()),
    (moments, Steps(), StepsOfTheLogScale()),
    (moments, Steps(), StepsFallingInsteadOfRising()),
    (stairs, Staircase(2), StairsOneStairTooHigh(2)),
    (stairs, Staircase(2), StairsThatKeepTheirUnit(2)),
    (pivot, Pivot(0.7), PivotWithoutItsJumps(0.7)),
    (gradient, BallWithWall(), BallThroughTheWallsFarEdge()),
    (gradient, BallHole(), SignOfTheHole()),
    (gradient, BallHole(), DegreesOfFreedom()),
    (gradient, Norm(), NormOfAnotherDimension()),
    (gradient, BoxHole(), ProductWithoutTheOthers()),
    (scale, BoxHole(), BoxWithTheDiagonalOfTheGradient()),
    (gradient, Cliff(0.1), CliffOfUnitDirection(0.1)),
    (ball, Cliff(0.1), CliffUnderASphere(0.1)),
    (runs, LinearSurvival(a=1.6, cap=15), FatalStepNotCounted(a=1.6, cap=15)),
    (runs, FallChain(6, 2, 0.3, 15), ChainWithoutSlipInItsGradient(6, 2, 0.3, 15)),
    (runs, RandomWalk(8, 3), WalkWithAbsoluteProbabilities(8, 3)),
    (plain_gradient, LQR(), LQRWithoutDiscountInItsGradient()),
    (plain_gradient, LQR(), LQRWithoutExplorationInItsStates()),
]


@pytest.mark.parametrize(
    ("proof", "mutant"), [(p, m) for p, _, m in CASES], ids=lambda v: getattr(v, "__name__", type(v).__name__)
)
def test_the_mutant_is_caught(proof, mutant):
    with pytest.raises(AssertionError):
        proof(mutant)


RIGHT = list(dict.fromkeys((proof, right) for proof, right, _ in CASES))


@pytest.mark.parametrize(("proof", "right"), RIGHT, ids=lambda v: getattr(v, "__name__", type(v).__name__))
def test_the_right_problem_passes_the_same_proof(proof, right):
    proof(right)

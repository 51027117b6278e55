"""Wrong smoothing: probes along random directions with one mistake each, which the proofs of the right ones must fail.

The proofs are those of tests/estimators, in `probing` and `checks`. Every mutant is a finished estimator, or a draw of
directions, with one step changed, so a proof that lets one pass proves nothing.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from rllab import Cost, Target
from rllab.estimators import SPSA, GaussianSmoothing, GuidedSmoothing, OrthogonalSmoothing, SphereSmoothing
from rllab.estimators.query import PointBlock
from rllab.estimators.smoothing import directions, probes
from rllab.noise import standard_normal
from tests.proofs.probing import (
    AT,
    RADIUS,
    SLOPE,
    D,
    G,
    assert_close,
    assert_moments,
    declared_truth,
    independent,
    normal_rule,
    over,
    prove_axes,
    prove_guided,
    prove_haar,
    prove_hadamard,
    prove_sphere,
    prove_spsa,
    straight,
    wave,
)

DOUBLE = torch.zeros((), dtype=torch.float64)


def prove_gaussian(estimator):
    """Over a Gauss–Hermite rule: the closed-form moments of a line, and the Gaussian average of a wave."""
    rule = independent(normal_rule(order=15), 1)
    assert_moments(over("normal", rule, estimator, straight, 2), SLOPE, (D + 1) * G)
    mean, _ = over("normal", rule, estimator, wave, 2)
    assert_close(mean, declared_truth(estimator))


def prove_pairing(estimator):
    """Common random numbers: noise that is the same at both points of a pair cancels."""
    g = estimator(Cost(lambda x, seeds: (seeds % 97).to(x), seeded=True), AT, evaluations=12, key=1).gradient
    assert torch.equal(g, torch.zeros_like(AT))


def prove_guided_state(estimator):
    """Surrogates that vanish, or repeat each other, single out no direction of their own."""
    prove_guided(estimator)
    state = estimator.remember(None, torch.zeros(3, dtype=torch.float64))
    u = estimator.ask(torch.zeros(3, dtype=torch.float64), 40_000, 2, state=state)[0].noise
    cov = u.T @ u / len(u)
    torch.testing.assert_close(cov, torch.eye(3, dtype=torch.float64) / 3, rtol=0, atol=6.2 / 3 * (2 / 20_000) ** 0.5)


def prove_spsa_as_drawn(estimator):
    """Real draws have the variance (d − 1)G on a line; that of 100,000 estimates is known to about 1 %."""
    g = estimator(Cost(straight), AT.expand(100_000, -1), evaluations=2, key=1).gradient
    assert float((g - SLOPE).square().sum(-1).mean()) == pytest.approx((D - 1) * G, rel=0.1)


def scaled(cls, factor, *arguments):
    """The estimator with its gradient multiplied."""

    class Scaled(cls):
        def _fold(self, query, answered, per_unit, errors):
            e = super()._fold(query, answered, per_unit, errors)
            return replace(e, gradient=e.gradient * (factor(query) if callable(factor) else factor))

    times = "Units" if callable(factor) else f"{factor:g}".replace(".", "_")
    Scaled.__name__ = f"{cls.__name__}Times{times}"
    return Scaled(*arguments)


class SpherePointsOfTheBall(SphereSmoothing):
    """Draws points in the ball, whose average has another gradient."""

    def _block(self, query, i):
        block = super()._block(query, i)
        n = len(block.points) // 2
        length = torch.linspace(0.1, 1, n, dtype=torch.float64).pow(1 / D).view(-1, *[1] * (block.noise.ndim - 1))
        step = self.radius * length * block.noise
        return PointBlock(block.rows, torch.cat((query.at + step, query.at - step)), length * block.noise)


class BallSoldAsSphereOfAnotherRadius(SphereSmoothing):
    """Declares the radius at which a sphere has the mean square distance of the ball."""

    @property
    def target(self):
        return Target.smoothed("ball", self.radius * math.sqrt(D / (D + 2)))


class SphereSoldAsGaussian(SphereSmoothing):
    @property
    def target(self):
        return Target.smoothed("gaussian", self.radius / math.sqrt(D))


class BallRadiusForTheSphere(SphereSmoothing):
    """Probes where the ball has its mean square distance: smooths over a smaller ball than it says."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return PointBlock(block.rows, query.at + (block.points - query.at) * math.sqrt(D / (D + 2)), block.noise)


class NormalInverse(SPSA):
    """Δ normal, and the update by Δ⁻¹: E|Δ⁻¹| is infinite."""

    def _block(self, query, i):
        a, b = self._span(query, i)
        delta = standard_normal((b - a, *query.at.shape), query.key.child("direction", i), query.at)
        block = probes.block_along(self.form, query.at, self.sigma, delta, a)
        return PointBlock(block.rows, block.points, delta.reciprocal())


class OneSidedSoldAsTwoSided(SPSA):
    """f(θ + σΔ) − f(θ) over 2σ, the halving of the two-sided form left in."""

    def _block(self, query, i):
        block = super()._block(query, i)
        n = len(block.points) // 2
        return PointBlock(block.rows, torch.cat((block.points[:n], query.at.expand_as(block.points[:n]))), block.noise)


class OneSidedWithTheRightFactor(OneSidedSoldAsTwoSided):
    """The same, halving undone: right on a line, but curvature shows in its variance."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=2 * e.gradient)


class UnpairedSeeds(SPSA):
    def _units(self, query, block):
        return np.arange(block.rows.start, block.rows.stop)


class ForgottenCentre(SPSA):
    """Forward without taking off f(θ)."""

    def _fold(self, query, answered, per_unit, errors):
        def shifted():
            for block, f in answered:
                yield block, torch.cat((f[:1] * 0, f[1:])) if block.rows.start == 0 else f

        return super()._fold(query, shifted(), per_unit, errors)


class SignOfTheDifference(SPSA):
    """sign(f⁺ − f⁻) Δ: a direction sold as a gradient."""

    def _fold(self, query, answered, per_unit, errors):
        def signs():
            for block, f in answered:
                n = len(f) // 2
                yield block, torch.cat(((f[:n] - f[n:]).sign() * self.sigma, torch.zeros_like(f[n:])))

        return super()._fold(query, signs(), per_unit, errors)


class SphereWithoutTheDimension(SphereSmoothing):
    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=e.gradient / D)


class HaarWithReplacement(OrthogonalSmoothing):
    """The first direction again and again."""

    def _block(self, query, i):
        block = super()._block(query, i)
        u = block.noise[:1].expand_as(block.noise)
        step = self.radius * u
        return PointBlock(block.rows, torch.cat((query.at + step, query.at - step)), u.clone())


class CoordinatesSoldAsBall(OrthogonalSmoothing):
    @property
    def target(self):
        return Target.smoothed("ball", self.radius)


class HadamardByTheUnpaddedDimension(OrthogonalSmoothing):
    """Scaled as if d directions filled the space, though 2ᵏ do."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=e.gradient * directions.padded(D) / D)


class GuidedSum(GuidedSmoothing):
    """The 1/P left out."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=e.gradient * query.units)


class GuidedWithoutRank(GuidedSmoothing):
    """A QR of the memory as it is: zeros become coordinate axes."""

    def remember(self, state, surrogate):
        guide = super().remember(state, surrogate)
        q, _ = torch.linalg.qr(guide.surrogates.movedim(0, -1))
        return replace(guide, basis=q.movedim(-1, 0), rank=torch.full_like(guide.rank, len(guide.surrogates)))


@dataclass(frozen=True)
class GuidedStandardDeviations(GuidedSmoothing):
    """α and 1 − α taken for shares of the standard deviation instead of the variance."""

    def _block(self, query, i):
        block = GuidedSmoothing._block(self, query, i)
        plain = replace(self, alpha=self.alpha**2)
        other = GuidedSmoothing._block(plain, query, i)
        assert block.points.shape == other.points.shape
        return other


class GaussianSigmaSquared(GaussianSmoothing):
    """Probes at σ², a variance taken for a standard deviation, and divides by σ²."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return PointBlock(block.rows, query.at + (block.points - query.at) * self.sigma, block.noise)

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=e.gradient / self.sigma)


MUTANTS = {
    prove_spsa: [
        OneSidedSoldAsTwoSided(RADIUS),
        OneSidedWithTheRightFactor(RADIUS),
        ForgottenCentre(RADIUS, "forward"),
        SignOfTheDifference(RADIUS),
        scaled(SPSA, RADIUS, RADIUS),
        scaled(SPSA, lambda query: query.units + 1, RADIUS),
    ],
    prove_sphere: [
        SphereWithoutTheDimension(RADIUS),
        SpherePointsOfTheBall(RADIUS),
        BallSoldAsSphereOfAnotherRadius(RADIUS),
        SphereSoldAsGaussian(RADIUS),
        BallRadiusForTheSphere(RADIUS),
    ],
    prove_haar: [
        scaled(OrthogonalSmoothing, lambda query: query.units / D, RADIUS),
        scaled(OrthogonalSmoothing, 1 / D, RADIUS),
        HaarWithReplacement(RADIUS),
    ],
    prove_axes: [
        scaled(OrthogonalSmoothing, lambda query: query.units / D, RADIUS, "coordinate"),
        CoordinatesSoldAsBall(RADIUS, "coordinate"),
    ],
    prove_hadamard: [HadamardByTheUnpaddedDimension(RADIUS, "hadamard")],
    prove_guided_state: [
        GuidedSum(0.3, 0.4, 1.5),
        GuidedWithoutRank(0.3, 0.4, 1.5),
        GuidedStandardDeviations(0.3, 0.4, 1.5),
        scaled(GuidedSmoothing, 0.3, 0.3, 0.4, 1.5),
    ],
    prove_gaussian: [GaussianSigmaSquared(RADIUS), scaled(GaussianSmoothing, 2.0, RADIUS)],
    prove_pairing: [UnpairedSeeds(RADIUS)],
    prove_spsa_as_drawn: [NormalInverse(RADIUS)],
}
RIGHT = {
    prove_spsa: SPSA(RADIUS),
    prove_sphere: SphereSmoothing(RADIUS),
    prove_haar: OrthogonalSmoothing(RADIUS),
    prove_axes: OrthogonalSmoothing(RADIUS, "coordinate"),
    prove_hadamard: OrthogonalSmoothing(RADIUS, "hadamard"),
    prove_guided_state: GuidedSmoothing(0.3, 0.4, 1.5),
    prove_gaussian: GaussianSmoothing(RADIUS),
    prove_pairing: SPSA(RADIUS),
    prove_spsa_as_drawn: SPSA(RADIUS),
}


def name(value):
    return getattr(value, "__name__", type(value).__name__)


@pytest.mark.parametrize(("proof", "mutant"), [(p, m) for p, ms in MUTANTS.items() for m in ms], ids=name)
def test_the_mutant_is_caught(proof, mutant):
    with pytest.raises(AssertionError):
        proof(mutant)


@pytest.mark.parametrize(("proof", "right"), RIGHT.items(), ids=name)
def test_the_right_estimator_passes_the_same_proof(proof, right):
    proof(right)

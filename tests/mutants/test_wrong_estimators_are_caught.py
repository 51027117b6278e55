"""Estimators with one mistake each, as they have been published or shipped; the proof of the right ones must fail them.

The proof is the one in tests/estimators: exact mean and variance by quadrature over the estimator's own noise. Every
mutant is a finished estimator with one step changed, so a proof that lets one pass proves nothing.
"""

from dataclasses import dataclass, replace

import pytest
import torch
from checks import LINEAR, OFFSET, THETA, exact_moments, linear

from rllab.estimate import Block
from rllab.estimators import GaussianSmoothing, ScoreFunction

SIGMA, D, G = 0.3, 2, float(LINEAR @ LINEAR)


class Scaled(GaussianSmoothing):
    factor = 1.0

    def _fold(self, query, answered, rows, errors):
        e = super()._fold(query, answered, rows, errors)
        return replace(e, gradient=e.gradient * self.factor)


class DroppedOneOverSigma(Scaled):
    factor = SIGMA


class WrongFactorTwo(Scaled):
    factor = 2.0


class SwappedSign(GaussianSmoothing):
    """f⁻ − f⁺: the two halves of the answers exchanged."""

    def _fold(self, query, answered, rows, errors):
        def swapped():
            for block, f in answered:
                n = len(f) // 2
                yield block, torch.cat((f[n:], f[:n]))

        return super()._fold(query, swapped(), rows, errors)


class UnpairedNoise(GaussianSmoothing):
    """The minus points are drawn on their own, though weighed with the plus points' directions."""

    def _block(self, query, i):
        block = super()._block(query, i)
        n = len(block.points) // 2
        other = block.noise.roll(1, dims=-1)  # another draw of the same law
        return Block(block.rows, torch.cat((block.points[:n], query.at - self.sigma * other)), block.noise)


@dataclass(frozen=True)
class MeanSoldAsUnbiased(ScoreFunction):
    baseline: str = "mean"

    @property
    def unbiased(self):
        return True


class SumForMean(ScoreFunction):
    def _fold(self, query, answered, rows, errors):
        e = super()._fold(query, answered, rows, errors)
        return replace(e, gradient={name: g * query.units for name, g in e.gradient.items()})


def prove_smoothing(monkeypatch, estimator):
    mean, variance = exact_moments(monkeypatch, estimator, linear, THETA, 2, units=1)
    torch.testing.assert_close(mean, LINEAR, rtol=1e-8, atol=1e-8)
    assert float(variance) == pytest.approx((D + 1) * G, rel=1e-8)


def prove_score_function(monkeypatch, estimator):
    at, slope = THETA[:1], float(LINEAR[0])
    mean, variance = exact_moments(
        monkeypatch, estimator, lambda x: OFFSET + slope * x[:, 0], at, 2, units=2, scale=SIGMA
    )["mean"]
    assert estimator.unbiased
    assert float(mean) == pytest.approx(slope, rel=1e-8)
    assert float(variance) == pytest.approx(2 * slope**2, rel=1e-8)  # (d+1)G/(K−1)


MUTANTS = {
    prove_smoothing: [DroppedOneOverSigma(SIGMA), WrongFactorTwo(SIGMA), SwappedSign(SIGMA), UnpairedNoise(SIGMA)],
    prove_score_function: [MeanSoldAsUnbiased(), SumForMean()],
}
CASES = [(proof, mutant) for proof, mutants in MUTANTS.items() for mutant in mutants]


@pytest.mark.parametrize(("proof", "mutant"), CASES, ids=lambda v: getattr(v, "__name__", type(v).__name__))
def test_the_mutant_is_caught(monkeypatch, proof, mutant):
    with pytest.raises(AssertionError):
        proof(monkeypatch, mutant)


@pytest.mark.parametrize(
    ("proof", "right"),
    [(prove_smoothing, GaussianSmoothing(SIGMA)), (prove_score_function, ScoreFunction())],
    ids=lambda v: getattr(v, "__name__", type(v).__name__),
)
def test_the_right_estimator_passes_the_same_proof(monkeypatch, proof, right):
    proof(monkeypatch, right)

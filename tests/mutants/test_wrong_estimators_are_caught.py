"""Estimators with one mistake each, as they have been published or shipped; the proof of the right ones must fail them.

The proof is the one in tests/estimators: exact mean and variance by quadrature over the estimator's own noise. Every
mutant is a finished estimator with one step changed, so a proof that lets one pass proves nothing.
"""

from dataclasses import replace

import pytest
import torch

from rllab.estimators import GaussianSmoothing
from rllab.estimators.query import PointBlock
from tests.proofs.checks import LINEAR, THETA, exact_moments, linear

SIGMA, D, G = 0.3, 2, float(LINEAR @ LINEAR)


class Scaled(GaussianSmoothing):
    factor = 1.0

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=e.gradient * self.factor)


class DroppedOneOverSigma(Scaled):
    factor = SIGMA


class WrongFactorTwo(Scaled):
    factor = 2.0


class SwappedSign(GaussianSmoothing):
    """f⁻ − f⁺: the two halves of the answers exchanged."""

    def _fold(self, query, answered, per_unit, errors):
        def swapped():
            for block, f in answered:
                n = len(f) // 2
                yield block, torch.cat((f[n:], f[:n]))

        return super()._fold(query, swapped(), per_unit, errors)


class UnpairedNoise(GaussianSmoothing):
    """The minus points are drawn on their own, though weighed with the plus points' directions."""

    def _block(self, query, i):
        block = super()._block(query, i)
        n = len(block.points) // 2
        other = block.noise.roll(1, dims=-1)  # another draw of the same law
        return PointBlock(block.rows, torch.cat((block.points[:n], query.at - self.sigma * other)), block.noise)


def prove_smoothing(estimator):
    mean, variance = exact_moments(estimator, linear, THETA, 2, units=1)
    torch.testing.assert_close(mean, LINEAR, rtol=1e-8, atol=1e-8)
    assert float(variance) == pytest.approx((D + 1) * G, rel=1e-8)


MUTANTS = [DroppedOneOverSigma(SIGMA), WrongFactorTwo(SIGMA), SwappedSign(SIGMA), UnpairedNoise(SIGMA)]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda v: type(v).__name__)
def test_the_mutant_is_caught(mutant):
    with pytest.raises(AssertionError):
        prove_smoothing(mutant)


def test_the_right_estimator_passes_the_same_proof():
    prove_smoothing(GaussianSmoothing(SIGMA))

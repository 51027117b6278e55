"""Relatives of the score function with one mistake each; the proof of the right ones must fail them.

The proofs are those of tests/sampling.py: exact means and variances over everything an estimator draws.
"""

from dataclasses import replace

import pytest
import torch
from sampling import prove_arm, prove_disarm

from rllab.estimators import ARM, DisARM


class SwappedARM(ARM):
    """u − ½ with the sign of the other convention, b = 1[u < σ(l)] first."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return replace(block, noise=-block.noise)


class UncentredARM(ARM):
    """u in place of u − ½."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return replace(block, noise=block.noise + 0.5)


class IndependentARM(ARM):
    """The second vector of bits is not made of the numbers that weigh it."""

    def _block(self, query, i):
        block = super()._block(query, i)
        one, other = block.points.chunk(2)
        return replace(block, points=torch.cat((one, other.roll(1, -1))))


class DisARMWithoutSigma(DisARM):
    """½ (f(b) − f(b̃)) (−1)^b̃ 1[b ≠ b̃], without σ(|l|)."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return replace(block, noise=block.noise.sign() / 2)


class DisARMWithSigmaOfL(DisARM):
    """σ(l) in place of σ(|l|): right at positive logits only."""

    def _block(self, query, i):
        block, l = super()._block(query, i), query.at.logits  # noqa: E741 - the paper's letter
        return replace(block, noise=block.noise / l.abs().sigmoid() * l.sigmoid())


MUTANTS = {
    prove_arm: [SwappedARM(), UncentredARM(), IndependentARM()],
    prove_disarm: [DisARMWithoutSigma(), DisARMWithSigmaOfL()],
}
CASES = [(proof, mutant) for proof, mutants in MUTANTS.items() for mutant in mutants]


@pytest.mark.parametrize(("proof", "mutant"), CASES, ids=lambda v: getattr(v, "__name__", type(v).__name__))
def test_the_mutant_is_caught(monkeypatch, proof, mutant):
    with pytest.raises(AssertionError):
        proof(monkeypatch, mutant)


@pytest.mark.parametrize(
    ("proof", "right"),
    [(prove_arm, ARM()), (prove_disarm, DisARM())],
    ids=lambda v: getattr(v, "__name__", type(v).__name__),
)
def test_the_right_estimator_passes_the_same_proof(monkeypatch, proof, right):
    proof(monkeypatch, right)

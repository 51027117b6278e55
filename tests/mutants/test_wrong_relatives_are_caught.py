"""Relatives of the score function with one mistake each; the proof of the right ones must fail them.

The proofs are those of tests/sampling.py: exact means and variances over everything an estimator draws.
"""

from dataclasses import replace

import pytest
import torch
from sampling import prove_arm, prove_coupling, prove_disarm, prove_measure_valued, prove_pathwise

from rllab import Gaussian
from rllab.estimators import ARM, DisARM, MeasureValued, Pathwise


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


class ScaleOneWeibull(MeasureValued):
    """The Weibull numbers of scale 1 where √2 is right: W/√2 about the mean."""

    def _block(self, query, i):
        return _about_the_mean(super()._block(query, i), query.at, lambda plus, minus: (plus / 2**0.5, minus / 2**0.5))


class Uncoupled(MeasureValued):
    """x⁻ made of other numbers than x⁺, here of those for the scale: unbiased, with more variance."""

    def _block(self, query, i):
        block = super()._block(query, i)
        points, mu = block.points.clone(), query.at.mean
        points[1] = mu - (points[3] - mu)
        return replace(block, points=points)


class WithoutItsConstant(MeasureValued):
    """f(x⁺) − f(x⁻), c left out."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return replace(block, noise={name: torch.ones_like(c) for name, c in block.noise.items()})


class TwiceTheMaxwell(MeasureValued):
    """x⁻ = μ + s M for the scale, as if the second law were the first."""

    def _block(self, query, i):
        block = super()._block(query, i)
        points = block.points.unflatten(0, (-1, query.plan.per_unit)).clone()
        points[:, -1] = points[:, -2]
        return replace(block, points=points.flatten(0, 1))


def _about_the_mean(block, at, change):
    """Change what stands for x⁺ − μ and x⁻ − μ of the mean, (1, problems, 1) each; at bits nothing."""
    if not isinstance(at, Gaussian):
        return block
    points, mu = block.points.clone(), at.mean
    plus, minus = change(points[0:1] - mu, points[1:2] - mu)
    points[0:1], points[1:2] = mu + plus, mu + minus
    return replace(block, points=points)


class DetachedPath(Pathwise):
    """The sample's dependence on the scale is cut: ∇f counted for the mean alone."""

    def _fold(self, query, answered, rows, errors):
        e = super()._fold(query, answered, rows, errors)
        return replace(e, gradient={**e.gradient, "scale": torch.zeros_like(e.gradient["scale"])})


class UnscaledPath(Pathwise):
    """∂x/∂s = x − μ in place of (x − μ)/s."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return replace(block, noise=block.points - query.at.mean)


MUTANTS = {
    prove_arm: [SwappedARM(), UncentredARM(), IndependentARM()],
    prove_disarm: [DisARMWithoutSigma(), DisARMWithSigmaOfL()],
    prove_measure_valued: [ScaleOneWeibull(), WithoutItsConstant(), TwiceTheMaxwell()],
    prove_coupling: [Uncoupled()],
    prove_pathwise: [DetachedPath(), UnscaledPath()],
}
CASES = [(proof, mutant) for proof, mutants in MUTANTS.items() for mutant in mutants]


@pytest.mark.parametrize(("proof", "mutant"), CASES, ids=lambda v: getattr(v, "__name__", type(v).__name__))
def test_the_mutant_is_caught(monkeypatch, proof, mutant):
    with pytest.raises(AssertionError):
        proof(monkeypatch, mutant)


@pytest.mark.parametrize(
    ("proof", "right"),
    [
        (prove_arm, ARM()),
        (prove_disarm, DisARM()),
        (prove_measure_valued, MeasureValued()),
        (prove_coupling, MeasureValued()),
        (prove_pathwise, Pathwise()),
    ],
    ids=lambda v: getattr(v, "__name__", type(v).__name__),
)
def test_the_right_estimator_passes_the_same_proof(monkeypatch, proof, right):
    proof(monkeypatch, right)

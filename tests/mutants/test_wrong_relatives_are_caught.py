"""Relatives of the score function with one mistake each; the proof of the right ones must fail them.

The proofs are those of tests/sampling.py, relaxed.py and chains.py: exact means and variances over everything that is
drawn.
"""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import logsigmoid, softplus

from rllab import Gaussian
from rllab.estimators import (
    ARM,
    VIMCO,
    DisARM,
    GumbelRao,
    GumbelSoftmax,
    ImplicitPathwise,
    MeasureValued,
    Pathwise,
    StraightThrough,
    dice_surrogate,
)
from rllab.estimators.pathwise.gamma_paths import log_derivative
from rllab.estimators.relaxed import relaxation
from tests.proofs.chains import prove_surrogate
from tests.proofs.relaxed import prove_gumbel_rao, prove_gumbel_softmax, prove_hard, prove_straight_through
from tests.proofs.sampling import (
    prove_arm,
    prove_coupling,
    prove_disarm,
    prove_implicit,
    prove_measure_valued,
    prove_pathwise,
    prove_vimco,
)


class SwappedARM(ARM):
    """u − ½ with the sign of the other convention, b = 1[u < σ(l)] first."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(noise=-block.noise)


class UncentredARM(ARM):
    """u in place of u − ½."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(noise=block.noise + 0.5)


class IndependentARM(ARM):
    """The second vector of bits is not made of the numbers that weigh it."""

    def _block(self, query, i):
        block = super()._block(query, i)
        one, other = block.points.chunk(2)
        return block._replace(points=torch.cat((one, other.roll(1, -1))))


class DisARMWithoutSigma(DisARM):
    """½ (f(b) − f(b̃)) (−1)^b̃ 1[b ≠ b̃], without σ(|l|)."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(noise=block.noise.sign() / 2)


class DisARMWithSigmaOfL(DisARM):
    """σ(l) in place of σ(|l|): right at positive logits only."""

    def _block(self, query, i):
        block, l = super()._block(query, i), query.at.logits  # noqa: E741 - the paper's letter
        return block._replace(noise=block.noise / l.abs().sigmoid() * l.sigmoid())


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
        return block._replace(points=points)


class WithoutItsConstant(MeasureValued):
    """f(x⁺) − f(x⁻), c left out."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(noise={name: torch.ones_like(c) for name, c in block.noise.items()})


class TwiceTheMaxwell(MeasureValued):
    """x⁻ = μ + s M for the scale, as if the second law were the first."""

    def _block(self, query, i):
        block = super()._block(query, i)
        points = block.points.unflatten(0, (-1, query.plan.per_unit)).clone()
        points[:, -1] = points[:, -2]
        return block._replace(points=points.flatten(0, 1))


def _about_the_mean(block, at, change):
    """Change what stands for x⁺ − μ and x⁻ − μ of the mean, (1, problems, 1) each; at bits nothing."""
    if not isinstance(at, Gaussian):
        return block
    points, mu = block.points.clone(), at.mean
    plus, minus = change(points[0:1] - mu, points[1:2] - mu)
    points[0:1], points[1:2] = mu + plus, mu + minus
    return block._replace(points=points)


class DetachedPath(Pathwise):
    """The sample's dependence on the scale is cut: ∇f counted for the mean alone."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient={**e.gradient, "scale": torch.zeros_like(e.gradient["scale"])})


class UnscaledPath(Pathwise):
    """∂x/∂s = x − μ in place of (x − μ)/s."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(noise=block.points - query.at.mean)


class StraightThroughTheBit(StraightThrough):
    """∂b/∂l = 1 in place of ∂p/∂l."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        l = query.at.logits  # noqa: E741 - the paper's letter
        return replace(e, gradient={"logits": e.gradient["logits"] / (l.sigmoid() * (-l).sigmoid())})


class TemperatureDropped(GumbelSoftmax):
    """∂y/∂z in place of ∂y/∂l = 1/λ ∂y/∂z."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient={"logits": e.gradient["logits"] * self.temperature})


class SoftSlopeForHard(GumbelSoftmax):
    """Said to be hard, but the cost is differentiated at y."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(points=block.noise.sigmoid())


class HardSoldAsSoft(GumbelSoftmax):
    """Said to be soft, but the cost is differentiated at the sample."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(points=block.points.round())


class NoiseNotGivenTheSample(GumbelRao):
    """Inner draws as if nothing were known of the sample."""

    def _block(self, query, i):
        block = super()._block(query, i)
        free = relaxation.standard_logistic(block.noise.shape, query.key, query.at.logits)
        return block._replace(noise=(query.at.logits + free) / self.temperature)


class ThroughTheNoise(GumbelRao):
    """The derivative is taken through z given x as well: z depends on l there."""

    def _fold(self, query, answered, per_unit, errors):
        def changed():
            for block, (f, g) in answered:
                l = query.at.logits.clone().requires_grad_()  # noqa: E741 - the paper's letter
                with torch.enable_grad():
                    sign = 2 * block.points - 1
                    noise = relaxation.standard_logistic(block.noise.shape, query.key, l)
                    z = sign * softplus(noise - logsigmoid(-sign * l))
                    (slope,) = torch.autograd.grad(z.sum(), l)
                yield block, (f, g * slope)

        return super()._fold(query, changed(), per_unit, errors)


class PathOfAScaleFamily(ImplicitPathwise):
    """∂y/∂α = y/α, as if the shape were a scale."""

    def _fold(self, query, answered, per_unit, errors):
        def changed():
            for block, (f, g) in answered:
                alpha = query.at.concentration
                yield block, (f, g / (alpha * log_derivative(block.noise, alpha)))

        return super()._fold(query, changed(), per_unit, errors)


class PathAgainstTheQuantile(ImplicitPathwise):
    """+∂F/p in the place of −∂F/p."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient={**e.gradient, "concentration": -e.gradient["concentration"]})


class BaselineHoldsItsSample(VIMCO):
    """The mean that stands for a sample is that of all K, the sample included."""

    def _advantages(self, f):
        log_w, k = -f, self.samples
        others = log_w.unsqueeze(1).masked_fill(torch.eye(k, dtype=torch.bool)[..., None], -torch.inf).logsumexp(2)
        without = torch.logaddexp(others, log_w.mean(1, keepdim=True).expand_as(log_w))
        return without - log_w.logsumexp(1, keepdim=True)


class SumOfWeights(VIMCO):
    """log Σ of K − 1 against log Σ of K: the 1/K forgotten, so that F_−k is off by log(K/(K − 1))."""

    def _advantages(self, f):
        k = self.samples
        return super()._advantages(f) + torch.log(torch.tensor((k - 1) / k))


def box_detached(costs, log_p, baseline=None):
    """The magic box taken of detached logarithms: the value is right, and every derivative zero."""
    return dice_surrogate(costs, log_p.detach() + 0 * log_p, baseline)


def box_linear(costs, log_p, baseline=None):
    """1 + a − stop(a) in the place of the exponential: right to the first order."""
    a = log_p.cumsum(-1)
    total = (1 + a - a.detach()) * costs
    return total.sum(-1).mean()


def baseline_not_boxed(costs, log_p, baseline=None):
    """A baseline without 1 − □: subtracted from the value."""
    return dice_surrogate(costs, log_p) - (0 if baseline is None else baseline.sum(-1).mean())


def blamed_for_everything(costs, log_p, baseline=None):
    """A baseline multiplied by □ and not by 1 − □ too."""
    return dice_surrogate(costs if baseline is None else costs - baseline, log_p)


@pytest.mark.parametrize("mutant", (box_detached, box_linear, baseline_not_boxed, blamed_for_everything))
def test_the_wrong_surrogate_is_caught(mutant):
    with pytest.raises(AssertionError):
        prove_surrogate(mutant)


MUTANTS = {
    prove_arm: [SwappedARM(), UncentredARM(), IndependentARM()],
    prove_disarm: [DisARMWithoutSigma(), DisARMWithSigmaOfL()],
    prove_measure_valued: [ScaleOneWeibull(), WithoutItsConstant(), TwiceTheMaxwell()],
    prove_coupling: [Uncoupled()],
    prove_pathwise: [DetachedPath(), UnscaledPath()],
    prove_straight_through: [StraightThroughTheBit()],
    prove_gumbel_softmax: [TemperatureDropped(), HardSoldAsSoft()],
    prove_hard: [SoftSlopeForHard(hard=True)],
    prove_implicit: [PathOfAScaleFamily(), PathAgainstTheQuantile()],
    prove_vimco: [BaselineHoldsItsSample(3), SumOfWeights(3)],
    prove_gumbel_rao: [NoiseNotGivenTheSample(inner=1), ThroughTheNoise(inner=1)],
}
CASES = [(proof, mutant) for proof, mutants in MUTANTS.items() for mutant in mutants]


@pytest.mark.parametrize(("proof", "mutant"), CASES, ids=lambda v: getattr(v, "__name__", type(v).__name__))
def test_the_mutant_is_caught(proof, mutant):
    with pytest.raises(AssertionError):
        proof(mutant)


@pytest.mark.parametrize(
    ("proof", "right"),
    [
        (prove_arm, ARM()),
        (prove_disarm, DisARM()),
        (prove_measure_valued, MeasureValued()),
        (prove_coupling, MeasureValued()),
        (prove_pathwise, Pathwise()),
        (prove_straight_through, StraightThrough()),
        (prove_gumbel_softmax, GumbelSoftmax()),
        (prove_hard, GumbelSoftmax(hard=True)),
        (prove_gumbel_rao, GumbelRao(inner=1)),
        (prove_implicit, ImplicitPathwise()),
        (prove_vimco, VIMCO(3)),
    ],
    ids=lambda v: getattr(v, "__name__", type(v).__name__),
)
def test_the_right_estimator_passes_the_same_proof(proof, right):
    proof(right)

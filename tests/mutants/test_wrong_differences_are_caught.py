"""Wrong differences, interpolations and exact sums: the proofs that pass the right ones must fail each of these.

The proofs are those of tests/estimators, in `stencils` and here. Every mutant is a finished estimator with one step
changed, so a proof that lets one pass proves nothing.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from rllab import Bernoulli, Cost, Gaussian
from rllab.estimate import Estimate
from rllab.estimators import (
    Backprop,
    CentralDifference,
    ComplexStep,
    Enumeration,
    ForwardDifference,
    ForwardGradient,
    LinearInterpolation,
    Quadrature,
    exact_moments,
)
from rllab.estimators.query import PointBlock
from tests.proofs.checks import LINEAR, THETA
from tests.proofs.stencils import (
    H,
    assert_close,
    cubic,
    prove_central,
    prove_complex,
    prove_forward,
    prove_interpolation,
)


def scaled(cls, factor):
    """The same estimator with its gradient multiplied."""

    class Scaled(cls):
        def _fold(self, query, answered, per_unit, errors):
            e = super()._fold(query, answered, per_unit, errors)
            g = e.gradient
            return replace(e, gradient={n: v * factor for n, v in g.items()} if isinstance(g, dict) else g * factor)

    Scaled.__name__ = f"{cls.__name__}Times{factor:g}".replace(".", "_")
    return Scaled


def unpaired(cls):
    """The same estimator with another seed for every point."""

    class Unpaired(cls):
        def _units(self, query, block):
            return np.arange(block.rows.start, block.rows.stop)

    Unpaired.__name__ = f"{cls.__name__}Unpaired"
    return Unpaired


class ForwardSoldAsCentral(ForwardDifference):
    """One-sided, but with the claims and the price of the two-sided one."""

    order = 2

    def _plan(self, at):
        return super()._plan(at)._replace(per_unit=2 * at.shape[-1], pieces=2 * at.shape[-1])

    def _block(self, query, i):
        d = query.at.shape[-1]
        j = torch.arange(2 * d) % d
        return PointBlock(slice(0, 2 * d), torch.cat((query.at + H * torch.eye(d), query.at.expand(d, d))), j)

    def _fold(self, query, answered, per_unit, errors):
        ((_, f),) = answered
        d = query.at.shape[-1]
        return _estimate(self, query, ((f[:d] - f[d:]) / H).movedim(0, -1))


class WhatIsAffordable(CentralDifference):
    """A budget for one coordinate is accepted, and the others are left at zero in silence."""

    def _plan(self, at):
        return super()._plan(at)._replace(per_unit=2, pieces=1)


class HalfTheCoordinates(CentralDifference):
    """All is asked, half is answered."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        kept = torch.arange(query.at.shape[-1]) < 1
        return replace(e, gradient=e.gradient * kept)


class SwappedSides(CentralDifference):
    """f⁻ − f⁺."""

    def _fold(self, query, answered, per_unit, errors):
        flipped = ((block, torch.cat(f.chunk(2)[::-1])) for block, f in answered)
        return super()._fold(query, flipped, per_unit, errors)


class ForgottenCentre(ForwardDifference):
    """Differences are taken from the neighbour before, not from the centre."""

    def _fold(self, query, answered, per_unit, errors):
        ((_, f),) = answered
        return _estimate(self, query, ((f[1:] - f[:-1]) / H).movedim(0, -1))


class RealPart(ComplexStep):
    def _fold(self, query, answered, per_unit, errors):
        return super()._fold(query, ((block, torch.complex(f.imag, f.real)) for block, f in answered), per_unit, errors)


class ComplexStepBackwards(ComplexStep):
    """Steps to θ − ih."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(points=block.points.conj())


class ComplexSoldAsUnbiased(ComplexStep):
    @property
    def unbiased(self):
        return True


class WithoutTheCentre(LinearInterpolation):
    """Values themselves are fitted, not their differences from f(θ)."""

    def _fold(self, query, answered, per_unit, errors):
        def uncentred():
            for block, f in answered:
                yield block, torch.cat((f[:1] * 0, f[1:])) if block.rows.start == 0 else f

        return super()._fold(query, uncentred(), per_unit, errors)


class ProjectionSoldAsFit(LinearInterpolation):
    """Zᵀδ/m, as a smoothing estimator has it, instead of the least-squares solution."""

    directions: str = "gaussian"

    def _fold(self, query, answered, per_unit, errors):
        ((block, f),) = answered
        u, w = block.noise / H, (f[1:] - f[0]) / H
        return _estimate(self, query, (u * w.unsqueeze(-1)).mean(0))


class MeanOfTheDirectionsTaken(LinearInterpolation):
    """The centre is the mean of the other points."""

    def _fold(self, query, answered, per_unit, errors):
        def recentred():
            for block, f in answered:
                yield block, torch.cat((f[1:].mean(0, keepdim=True), f[1:]))

        return super()._fold(query, recentred(), per_unit, errors)


def _estimate(estimator, query, g):
    return Estimate(g, None, query.evaluations, estimator.target)


class GaussianSoldAsSigns(ForwardGradient):
    """Directions of the other law: the mean is right, the variance is not."""

    def _block(self, query, i):
        return ForwardGradient("rademacher" if self.directions == "gaussian" else "gaussian")._block(query, i)


class SignOfTheSlope(ForwardGradient):
    def _fold(self, query, answered, per_unit, errors):
        return super()._fold(query, ((b, (f, slope.sign())) for b, (f, slope) in answered), per_unit, errors)


class SumForMean(ForwardGradient):
    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=e.gradient * query.units)


class GradientOfAnotherPoint(Backprop):
    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(points=block.points + H)


class WithoutTheProbabilities(Enumeration):
    """Every sample counts the same."""

    def _block(self, query, i):
        block = super()._block(query, i)
        n = block.noise.new_tensor(float(query.at.support_size))
        return block._replace(noise=torch.full_like(block.noise, -float(n.log())))


class WithoutTheLastSample(Enumeration):
    def _block(self, query, i):
        block = super()._block(query, i)
        log_p = block.noise.clone()
        log_p[-1] = -torch.inf
        return block._replace(noise=log_p)


class WeightsOfThePhysicists(Quadrature):
    """Nodes for e^(−x²) taken for those of e^(−x²/2)."""

    def _rule(self, at):
        x, w = (torch.from_numpy(t) for t in np.polynomial.hermite.hermgauss(self.nodes))
        return x.expand(*at.shape, -1), (w / w.sum()).expand(*at.shape, -1)


class JumpsIgnored(Quadrature):
    def _rule(self, at):
        return Quadrature(nodes=self._nodes_per_coordinate)._rule(at)


def prove_forward_gradient(estimator):
    """Mean and variance of one and two directions: (d + 1)G/m, or (d − 1)G/m with signs."""
    factor = {"gaussian": 3, "rademacher": 1}[estimator.directions]
    for m in (1, 2):
        moments = exact_moments(estimator, Cost(cubic), THETA, evaluations=m, nodes=3)
        assert_close(moments.mean, LINEAR)
        assert_close(moments.variance.sum(), factor * (LINEAR @ LINEAR) / m)


def prove_backprop(estimator):
    assert_close(estimator(Cost(cubic), THETA, evaluations=1, key=0).gradient, LINEAR)


def table(x):
    return 0.3 + x @ torch.tensor([1.0, -3.0, 2.0], dtype=torch.float64)


def prove_enumeration(estimator, distribution=Bernoulli):
    """∇_i = p_i(1 − p_i) c_i for a linear cost of bits, also where p is 1 to all digits."""
    for logits in ([0.3, -1.2, 2.0], [50.0, -50.0, 0.4]):
        at = distribution(torch.tensor(logits, dtype=torch.float64))
        g = estimator(Cost(table), at, evaluations=8, key=0).gradient["logits"]
        slope = torch.tensor([1.0, -3.0, 2.0], dtype=torch.float64)
        assert_close(g, slope / (4 * torch.cosh(at.logits / 2) ** 2), rtol=1e-12, atol=0)


def prove_quadrature(estimator):
    """A cubic, of which the scale gradient is A_ii s_i; and a step, told of its jump."""
    at = Gaussian(THETA, 0.3)
    g = estimator(Cost(cubic), at, evaluations=estimator.minimum(at), key=0).gradient
    assert_close(g["scale"], 0.3 * torch.tensor([2.0, -0.5], dtype=torch.float64))
    one = Gaussian(THETA[:1], 0.3)
    g = estimator(Cost(lambda x: (x[:, 0] > 0.5).to(x)), one, evaluations=estimator.minimum(one), key=0).gradient
    z = (float(THETA[0]) - 0.5) / 0.3
    assert_close(g["mean"][0], np.exp(-z * z / 2) / np.sqrt(2 * np.pi) / 0.3)


@dataclass
class Suite:
    proof: object
    right: object
    mutants: tuple


JUMP = (0.5,)
SUITES = [
    Suite(
        prove_forward,
        ForwardDifference(H),
        (
            ForwardDifference(2 * H),
            scaled(ForwardDifference, 0.5)(H),
            unpaired(ForwardDifference)(H),
            ForgottenCentre(H),
        ),
    ),
    Suite(
        prove_central,
        CentralDifference(H),
        (
            CentralDifference(H / 2),
            scaled(CentralDifference, 2)(H),
            unpaired(CentralDifference)(H),
            ForwardSoldAsCentral(H),
            WhatIsAffordable(H),
            HalfTheCoordinates(H),
            SwappedSides(H),
        ),
    ),
    Suite(
        prove_complex,
        ComplexStep(H),
        (
            ComplexStep(2 * H),
            scaled(ComplexStep, H)(H),
            RealPart(H),
            ComplexStepBackwards(H),
            ComplexSoldAsUnbiased(H),
            CentralDifference(H),
        ),
    ),
    Suite(
        prove_interpolation,
        LinearInterpolation(H),
        (
            LinearInterpolation(2 * H),
            scaled(LinearInterpolation, H)(H),
            unpaired(LinearInterpolation)(H),
            WithoutTheCentre(H),
            ProjectionSoldAsFit(H, directions="gaussian"),
            MeanOfTheDirectionsTaken(H),
        ),
    ),
    Suite(
        prove_forward_gradient,
        ForwardGradient(),
        (
            scaled(ForwardGradient, 0.5)(),
            GaussianSoldAsSigns("gaussian"),
            GaussianSoldAsSigns("rademacher"),
            SignOfTheSlope(),
            SumForMean(),
        ),
    ),
    Suite(prove_forward_gradient, ForwardGradient("rademacher"), ()),
    Suite(prove_backprop, Backprop(), (scaled(Backprop, -1)(), GradientOfAnotherPoint())),
    Suite(prove_enumeration, Enumeration(), (WithoutTheProbabilities(), WithoutTheLastSample())),
    Suite(
        prove_quadrature,
        Quadrature(nodes=12, jumps=JUMP),
        (
            scaled(Quadrature, 0.3)(nodes=12, jumps=JUMP),
            WeightsOfThePhysicists(nodes=12),
            Quadrature(nodes=12),
            JumpsIgnored(nodes=3, jumps=JUMP),
        ),
    ),
]


def name(thing):
    return getattr(thing, "__name__", None) or type(thing).__name__


@pytest.mark.parametrize(("proof", "mutant"), [(s.proof, m) for s in SUITES for m in s.mutants], ids=name)
def test_the_mutant_is_caught(proof, mutant):
    with pytest.raises(AssertionError):
        proof(mutant)


@pytest.mark.parametrize(("proof", "right"), [(s.proof, s.right) for s in SUITES], ids=name)
def test_the_right_one_passes_the_same_proof(proof, right):
    proof(right)

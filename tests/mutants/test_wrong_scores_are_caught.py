"""Score functions with one mistake each; the proof of the right ones must fail them.

The proofs are those of tests/batches.py: exact means and variances over every batch that may be drawn.
"""

from dataclasses import dataclass, replace

import pytest
import torch

from rllab import Bernoulli, Categorical, Gamma, Gaussian, Target
from rllab.estimators import ImportanceWeighted, ScoreFunction, SumAndSample
from rllab.estimators.score import score_function, sum_and_sample
from rllab.estimators.score.counts import pick
from tests.proofs.batches import (
    prove_batches,
    prove_counts,
    prove_importance_weighted,
    prove_scores,
    prove_sum_and_sample,
)
from tests.proofs.sampling import knotty

T = torch.distributions


@dataclass(frozen=True)
class MeanSoldAsUnbiased(ScoreFunction):
    """The mean of a batch that holds the sample itself."""

    baseline: str = "mean"

    @property
    def unbiased(self):
        return True


class SumForMean(ScoreFunction):
    """Σ in place of 1/K Σ."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient={name: g * query.units for name, g in e.gradient.items()})


class OptimalFromTheSameBatch(ScoreFunction):
    """b* of all samples, subtracted from all of them."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        block, k = query[0], query.units
        f = knotty(block.points.flatten(0, 1)).view(block.points.shape[:-1])
        s = query.at.scores(block.points, None)["logits"]
        w, square = f.unsqueeze(-1), s * s
        b = (w * square).sum(0) / square.sum(0)
        return replace(e, gradient={"logits": ((w - b) * s).sum(0) / k})


class OptimalOfItsOwnHalf(ScoreFunction):
    """Each half is given the baseline that was fitted to it; patched in below."""


class CountsOfEachOutcomeAsOne(ScoreFunction):
    """The outcomes that occur are weighed as if each had occurred once."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(noise=torch.ones_like(block.noise))


class CountsOverOutcomes(ScoreFunction):
    """Divided by the number of outcomes that occur in place of the number of samples."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        factor = query.units / query.evaluations
        return replace(e, gradient={name: g * factor for name, g in e.gradient.items()})


class CountsWithoutLeavingOneOut(ScoreFunction):
    """The mean over all counts as baseline, without K/(K − 1), and sold as leave-one-out."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient={name: g * (1 - 1 / query.units) for name, g in e.gradient.items()})


class DroppedRatio(ImportanceWeighted):
    """Samples of q as if they were of p."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(noise=block.noise._replace(log_ratio=torch.zeros_like(block.noise.log_ratio)))


class InvertedRatio(ImportanceWeighted):
    """q/p in place of p/q."""

    def _block(self, query, i):
        block = super()._block(query, i)
        return block._replace(noise=block.noise._replace(log_ratio=-block.noise.log_ratio))


@dataclass(frozen=True)
class ClippedSoldAsTheExpectation(ImportanceWeighted):
    """Ratios cut off at 1.2."""

    clip: float = 1.2

    @property
    def target(self):
        return Target.expectation()


@dataclass(frozen=True)
class NormalisedSoldAsUnbiased(ImportanceWeighted):
    """Divided by the sum of the ratios."""

    normalise: bool = True

    @property
    def unbiased(self):
        return True


class ScoreOfTheProposal(ImportanceWeighted):
    """∇ log q in place of ∇ log p: the fold is asked about what was drawn from."""

    def _fold(self, query, answered, per_unit, errors):
        return super()._fold(replace(query, at=self._proposal(query.at)), answered, per_unit, errors)


class RestNotReweighed(SumAndSample):
    """The sampled part without the probability 1 − P of the rest; patched in below."""


class RestDrawnFromAll(SumAndSample):
    """Samples of everything, the enumerated outcomes included; patched in below."""


class LeastProbableEnumerated(SumAndSample):
    """The C outcomes of least probability are evaluated; patched in below."""


def patched(mutant, patch):
    """Break what the class of a mutant names."""
    split = sum_and_sample._split
    if mutant is OptimalOfItsOwnHalf:
        best = score_function.best_constants
        patch.setattr(score_function, "best_constants", lambda ws2, s2: best(ws2, s2)[::-1])
    if mutant is RestNotReweighed:

        def heavier(at, c):
            found = split(at, c)
            return found._replace(log_rest=found.log_rest.log_softmax(0))

        patch.setattr(sum_and_sample, "_split", heavier)
    if mutant is RestDrawnFromAll:

        def whole(at, c):
            found = split(at, c)
            x, log_p = at.support()
            return found._replace(rest=x[: len(found.rest)], log_rest=log_p[: len(found.rest)])

        patch.setattr(sum_and_sample, "_split", whole)
    if mutant is LeastProbableEnumerated:

        def reversed_split(at, c):
            x, log_p = at.support()
            order = log_p.argsort(0)
            x, log_p = pick(x, order), log_p.gather(0, order)
            return sum_and_sample._Split(x[:c], log_p[:c], x[c:], log_p[c:])

        patch.setattr(sum_and_sample, "_split", reversed_split)
    return mutant


class ScoreOfTheProbability(Bernoulli):
    """∂log p/∂p, p = σ(l), in place of ∂log p/∂l."""

    def scores(self, x, noise):
        p = torch.sigmoid(self.logits)
        return {"logits": super().scores(x, noise)["logits"] / (p * (1 - p))}


class ScoreOfTheLogScale(Gaussian):
    """u² − 1, without 1/s."""

    def scores(self, x, noise):
        scores = super().scores(x, noise)
        return scores | {"scale": scores["scale"] * self.scale}


class ScoreOfGammaScale(Gamma):
    """By 1/β in place of β."""

    def scores(self, x, noise):
        scores = super().scores(x, noise)
        return scores | {"rate": -scores["rate"] * self.rate**2}


class ScoreWithoutTheOtherChoices(Categorical):
    """x_c (1 − p_c) alone: choices that were not made have no score."""

    def scores(self, x, noise):
        return {"logits": super().scores(x, noise)["logits"] * x}


A = torch.tensor([0.6, 1.0, 3.7], dtype=torch.float64)
SCORES = {
    ScoreOfTheProbability: (ScoreOfTheProbability(A), lambda p: T.Bernoulli(logits=p["logits"])),
    ScoreOfTheLogScale: (ScoreOfTheLogScale(A, A / 2), lambda p: T.Normal(p["mean"], p["scale"])),
    ScoreOfGammaScale: (ScoreOfGammaScale(A, A / 2), lambda p: T.Gamma(p["concentration"], p["rate"])),
    ScoreWithoutTheOtherChoices: (
        ScoreWithoutTheOtherChoices(A),
        lambda p: T.OneHotCategorical(logits=p["logits"]),
    ),
}
BATCHES = {
    MeanSoldAsUnbiased: MeanSoldAsUnbiased(),
    SumForMean: SumForMean(),
    OptimalFromTheSameBatch: OptimalFromTheSameBatch("optimal"),
    OptimalOfItsOwnHalf: OptimalOfItsOwnHalf("optimal"),
}
COUNTS = [CountsOfEachOutcomeAsOne, CountsOverOutcomes, CountsWithoutLeavingOneOut]
RATIOS = [DroppedRatio, InvertedRatio, ClippedSoldAsTheExpectation, NormalisedSoldAsUnbiased, ScoreOfTheProposal]
RESTS = [RestNotReweighed, RestDrawnFromAll, LeastProbableEnumerated]


@pytest.mark.parametrize("mutant", SCORES, ids=lambda v: v.__name__)
def test_a_wrong_score_is_caught(mutant):
    with pytest.raises(AssertionError, match="not close"):
        prove_scores(*SCORES[mutant])


@pytest.mark.parametrize("mutant", BATCHES, ids=lambda v: v.__name__)
def test_a_wrong_batch_is_caught(monkeypatch, mutant):
    patched(mutant, monkeypatch)
    with pytest.raises(AssertionError, match="not close"):
        prove_batches(BATCHES[mutant])


@pytest.mark.parametrize("mutant", COUNTS, ids=lambda v: v.__name__)
def test_wrong_counts_are_caught(mutant):
    with pytest.raises(AssertionError, match="not close"):
        prove_counts(mutant(counts=True))


@pytest.mark.parametrize("mutant", RATIOS, ids=lambda v: v.__name__)
def test_wrong_ratios_are_caught(mutant):
    with pytest.raises(AssertionError, match="not close"):
        prove_importance_weighted(mutant)


@pytest.mark.parametrize("mutant", RESTS, ids=lambda v: v.__name__)
def test_a_wrong_rest_is_caught(monkeypatch, mutant):
    patched(mutant, monkeypatch)
    with pytest.raises(AssertionError, match="not close"):
        prove_sum_and_sample(mutant)


@pytest.mark.parametrize(
    "estimator",
    (ScoreFunction(None), ScoreFunction(1.3), ScoreFunction("mean"), ScoreFunction(), ScoreFunction("optimal")),
    ids=str,
)
def test_the_right_batches_pass_the_same_proof(estimator):
    prove_batches(estimator)


def test_the_right_counts_pass_the_same_proof():
    prove_counts(ScoreFunction(counts=True))

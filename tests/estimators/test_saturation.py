"""Probabilities that are 0 and 1 to all digits: every estimator for bits or choices is finite, and 0 where it must be.

Of three bits and of two choices all but one are settled, at logits ±50, where the rarer outcome has the probability
2·10⁻²², or ±800, where that is 0 in either precision. What is settled has a gradient of the size of that probability.
"""

import pytest
import torch

from rllab import Bernoulli, Categorical, Cost, Product
from rllab.distributions import Distribution
from rllab.estimators import (
    ARM,
    VIMCO,
    DisARM,
    Enumeration,
    GumbelRao,
    GumbelSoftmax,
    ImportanceWeighted,
    MeasureValued,
    MuProp,
    Rebar,
    Relax,
    ScoreFunction,
    StraightThrough,
    SumAndSample,
)
from rllab.testing import exported_estimators

WEIGHTS = torch.tensor([1.9, -0.4, 1.1, -0.7, 0.3, 2.0])


class Softer:
    """The same outcomes, none of them settled: logits cut at ±2."""

    def __call__(self, at: Distribution) -> Distribution:
        return at.replace(**{name: value.clamp(-2, 2) for name, value in at.parameters.items()})

    def __repr__(self) -> str:  # names the case, and must be the same in every process
        return "Softer()"


OF_SLOPES = [
    MuProp(),
    Rebar(),
    Rebar(learn_temperature=True, learn_eta=True),
    Relax(),
    GumbelRao(0.5, 3),
    GumbelSoftmax(0.5),
    GumbelSoftmax(0.5, hard=True),
    StraightThrough(),
]
OF_ANY = [
    Enumeration(),
    ImportanceWeighted(),
    ImportanceWeighted(Softer()),
    ImportanceWeighted(Softer(), baseline=0.7, clip=2.0),
    ImportanceWeighted(Softer(), normalise=True),
    MeasureValued(),
    *(ScoreFunction(baseline) for baseline in (None, 0.7, "moving", "mean", "leave-one-out", "optimal")),
    ScoreFunction(counts=True),
    ScoreFunction(None, counts=True),
    SumAndSample(),
    SumAndSample(3, None),
    VIMCO(),
    VIMCO(3, "arithmetic"),
]
PLACES = {
    "settled bits": [ARM()],
    "bits": [DisARM(), *OF_SLOPES, *OF_ANY],
    "choices": OF_SLOPES + OF_ANY,
    "indices": OF_ANY,
    "product": OF_ANY,
}
CASES = [(place, estimator) for place, estimators in PLACES.items() for estimator in estimators]


def place_of(name: str, l: float, dtype: torch.dtype) -> Distribution:  # noqa: E741 - the letter of logits
    bits = Bernoulli(torch.tensor([l, -l, 0.4], dtype=dtype))
    choices = torch.tensor([[l, -l, 0.0], [0.4, -1.1, 0.9]], dtype=dtype)
    return {
        "settled bits": Bernoulli(bits.logits[:2]),
        "bits": bits,
        "choices": Categorical(choices),
        "indices": Categorical(choices, "index"),
        "product": Product(b=bits, c=Categorical(choices[:1])),
    }[name]


def settled(name: str, gradient: torch.Tensor) -> torch.Tensor:
    """Return the gradient by the logits of settled bits or choices."""
    return gradient[:2] if name in ("settled bits", "bits", "b.logits") else gradient[0]


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=str)
@pytest.mark.parametrize("logit", (50.0, 800.0))
@pytest.mark.parametrize(("place", "estimator"), CASES, ids=str)
def test_what_is_settled_has_a_gradient_that_is_finite_and_nothing(place, estimator, logit, dtype):
    at = place_of(place, logit, dtype)
    cost = Cost(lambda x: 1.5 + torch.sin(x @ WEIGHTS[: x.shape[-1]].to(x)), relaxed=True)
    e = estimator(cost, at, evaluations=48, key=0)
    assert e.value is None or torch.isfinite(e.value)
    for errors in (e.gradient, e.standard_error or {}):
        assert all(torch.isfinite(v).all() for v in errors.values())
    for name, g in e.gradient.items():
        assert g.dtype == dtype
        still = settled(place if name == "logits" else name, g).abs().max()
        assert still == 0 if logit == 800 else still < 1e-19
    if place in ("bits", "choices", "indices"):  # what is not settled has not been lost with the rest
        free = e.gradient["logits"][2:] if place == "bits" else e.gradient["logits"][1]
        assert free.abs().max() > 1e-3


def test_arm_is_0_in_the_mean_at_settled_bits_beside_others_and_disarm_in_every_estimate():
    # it weighs each u − ½ by what all bits of the pair make of the cost
    at, cost = place_of("bits", 800.0, torch.float64), Cost(lambda x: torch.sin(x @ WEIGHTS[:3].to(x)))
    arm, disarm = (estimator(cost, at, evaluations=4000, key=0, per_unit=True) for estimator in (ARM(), DisARM()))
    assert (arm.per_unit["logits"][:, :2].std(0) > 0.1).all() and (disarm.per_unit["logits"][:, :2] == 0).all()
    assert (arm.gradient["logits"][:2].abs() < 6.5 * arm.standard_error["logits"][:2]).all()  # 2·10⁻¹⁰


def test_every_estimator_of_bits_or_choices_is_here():
    asked = {type(estimator) for _, estimator in CASES}
    for cls in exported_estimators():
        try:
            cls().minimum(place_of("bits", 1.0, torch.float64))
        except TypeError:
            continue
        assert cls in asked

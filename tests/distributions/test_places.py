"""Every distribution is a place at which estimators can be measured, as many problems of one query."""

import pytest
import torch

from rllab import Bernoulli, Categorical, Cost, FromTorch, Gaussian, GaussianMixture, Product, measure_quality
from rllab.estimators import ImportanceWeighted, ScoreFunction

T = torch.distributions
LOGITS = torch.tensor([0.3, -0.4, 0.9], dtype=torch.float64)
PLACES = {
    "speed and gear": Product(speed=Gaussian(LOGITS[:2], 0.5), gear=Categorical(LOGITS)),
    "gears of gears": Product(a=Product(b=Categorical(LOGITS, "index")), c=Bernoulli(LOGITS)),
    "one number": FromTorch(T.Normal(LOGITS[0], torch.tensor(0.7, dtype=torch.float64))),
    "one choice": FromTorch(T.Categorical(logits=LOGITS)),
    "several normal laws": GaussianMixture(LOGITS, torch.stack((LOGITS, LOGITS.flip(0), -LOGITS)), 0.5),
}


@pytest.mark.parametrize("at", PLACES.values(), ids=PLACES)
def test_estimators_can_be_measured_at_every_kind_of_place(at):
    # against one estimate of many samples. The norm of a normal vector is at most 7.2 times the root of its expected
    # square, but for a rate of 1e-9; a gradient of twice the length, or of none, would be seen
    cost = Cost(lambda x: torch.cos(x).sum(-1) + x[:, 0])
    many = ScoreFunction()(cost, at, evaluations=400_000, key=1)
    length, unsure = (
        sum(float(v.square().sum()) for v in vectors.values()) ** 0.5
        for vectors in (many.gradient, many.standard_error)
    )
    report = measure_quality(
        [ScoreFunction(), ImportanceWeighted(baseline=float(many.value))],
        cost,
        at=at,
        budgets=[100],
        repeats=300,
        key=2,
        truth=many.gradient,
    )
    for row in report.rows:
        limit = 7.2 * ((row["variance"] / 300) ** 0.5 + unsure)
        assert row["affordable"] and row["evaluations"] == 100
        assert row["bias"] < limit < length

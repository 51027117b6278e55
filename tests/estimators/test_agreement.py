"""Where all units agree, the standard error is rounding of a mean, not of a difference of squares."""

import pytest
import torch

from rllab import Cost
from rllab.estimators import Backprop, CentralDifference, ComplexStep, ForwardDifference, OrthogonalSmoothing

AT = torch.tensor([0.37, -0.61, 1.13], dtype=torch.float64)
SLOPES = torch.tensor([1.3, -0.7, 900.1], dtype=torch.float64)


def wavy(x):
    return torch.sin(x).sum(-1) + x @ SLOPES.to(x)


def straight(x):
    return x @ SLOPES.to(x)


@pytest.mark.parametrize("batch", ((), (2,)), ids=str)
@pytest.mark.parametrize(
    ("estimator", "cost"),
    [
        (Backprop(repeat=True), wavy),
        (CentralDifference(repeat=True), wavy),
        (ComplexStep(repeat=True), wavy),
        (ForwardDifference(repeat=True), wavy),
        (OrthogonalSmoothing(0.2, "haar"), straight),
        (OrthogonalSmoothing(0.2, "coordinate"), straight),
    ],
    ids=lambda v: str(v) if not callable(v) else "",
)
def test_units_that_agree_have_no_standard_error_but_rounding(estimator, cost, batch):
    at, rounding = AT.expand(*batch, 3), 1e-13 * 900  # a few last bits of the largest slope, of differences of costs
    naive = []
    for evaluations in (42, 66, 126, 210):
        e = estimator(Cost(cost), at, evaluations=evaluations, key=3, per_unit=True)
        assert e.standard_error.shape == at.shape
        each = e.per_unit.unflatten(0, (-1, 3)).mean(1) if isinstance(estimator, OrthogonalSmoothing) else e.per_unit
        scatter = float((each - each[0]).abs().max())
        assert scatter < 20 * rounding
        assert float(e.standard_error.max()) < max(scatter, 1e-15 * 900)
        naive.append((each.square().mean(0) - each.mean(0).square()).abs().sqrt().max() / (len(each) - 1) ** 0.5)
    assert max(naive) > 1e-10  # what a difference of squares makes of the same numbers

"""One tensor of an estimate: its own, or that of a distribution's first parameter."""

from experiments.common.estimates import only

import pytest
import torch

from rllab import Cost, Gaussian
from rllab import estimators as est


def test_the_only_gradient_is_the_vector_itself_or_that_of_the_mean():
    at, cost = torch.zeros(3), Cost(lambda x: x.sum(-1))
    e = est.GaussianSmoothing()(cost, at, evaluations=4, key=0)
    assert only(e.gradient) is e.gradient
    e = est.ScoreFunction()(cost, Gaussian(at, 0.5), evaluations=4, key=0)
    assert only(e.gradient) is e.gradient["mean"] and only(e.standard_error) is e.standard_error["mean"]


def test_what_is_not_there_is_refused():
    e = est.GaussianSmoothing()(Cost(lambda x: x.sum(-1)), torch.zeros(3), evaluations=4, key=0, errors=False)
    with pytest.raises(TypeError, match="parts must be a tensor, or tensors by the names of parameters, got None"):
        only(e.standard_error)

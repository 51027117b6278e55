"""A line and a bowl of known gradients, and measurements there in one call."""

import torch

import rllab
from rllab.problems import Linear, Quadratic

DTYPE = torch.float64


SIX = 6.11  # standard errors, two-sided false alarm 1e-9


SLOPE = (1.9, -0.4, 0.8, -1.3)


D, G = len(SLOPE), sum(s * s for s in SLOPE)


AT = torch.tensor([0.7, -1.3, 0.4, 0.2], dtype=DTYPE)


LINE = Linear(SLOPE, dimension=D, offset=3.1)


BOWL = Quadratic((2.0, 0.5, -1.0, 3.0), 0.3, dimension=D, offset=1.7)


def measure(estimators, problem=LINE, *, at=AT, budgets=(8,), repeats=100, key=0, **more):
    estimators = estimators if isinstance(estimators, list) else [estimators]
    return rllab.measure_quality(estimators, problem, at=at, budgets=budgets, repeats=repeats, key=key, **more)


def row(*arguments, **more):
    (only,) = measure(*arguments, **more).rows
    return only

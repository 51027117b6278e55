"""What must be the same bits wherever it is evaluated: estimates, a pass of a black box, generations of populations."""

import hashlib

import numpy as np
import torch

from rllab import BlackBox, Cost
from rllab import estimators as est
from rllab.agents import ARS, Evolution
from tests.proofs import evaluated
from tests.proofs.toy_environments import DRIFT


def outputs(rows):
    """A function of inputs (n, 4) with outputs (n, 2)."""
    return torch.stack((rows.sin().sum(-1), rows.square().sum(-1)), -1)


def squared(y):
    """What follows the black box."""
    return y.square().sum(-1)


def bits(*parts):
    """Return a digest of numbers."""
    joined = b"".join(np.ascontiguousarray(torch.as_tensor(part).detach().numpy()).tobytes() for part in parts)
    return hashlib.sha256(joined).hexdigest()[:16]


def estimate(estimator, cost, at, n):
    found = estimator(cost, at, evaluations=n, key=7)
    return bits(found.gradient, found.standard_error, found.value)


def passed(executor):
    x = torch.linspace(-1, 1, 12).reshape(3, 4).requires_grad_()
    box = BlackBox(outputs, key=3, downstream=squared, evaluations=6, executor=executor, chunk=2)
    y = box(x)
    y.sum().backward()
    return bits(y, x.grad)


def generation(kind, executor, **how):
    agent = kind(DRIFT, seed=4, executor=executor, **how)
    next(agent.train(10**5))
    return bits(agent.weights, *agent.normalizer.state_dict().values(), agent.spent.steps)


def everywhere(executor):
    """Return digests by what was computed; the executor evaluates all of it."""
    at = torch.linspace(-1, 1, 3_000)
    one = Cost(evaluated.curved, batched=False, executor=executor)
    many = Cost(evaluated.products, chunk=16, executor=executor)
    few = torch.linspace(-1, 1, 7, dtype=torch.float64)
    return {
        "of one point": estimate(est.GaussianSmoothing(0.1), one, at, 200),
        "of many, chunk=16": estimate(est.GaussianSmoothing(0.1), many, few, 300),
        "black box": passed(executor),
        "evolution": generation(Evolution, executor, hidden=(64, 64), population=12),
        "search": generation(ARS, executor, n_delta=3),
    }

"""Matrix steps on real data: breast cancer as it was measured, and least squares on diabetes.

    softmax regression of two classes      ∂²L/∂w² ≤ I ⊗ E[xx']/2, x with a one for the bias
    least squares                          ∂²L/∂w² = 2 E[xx']

The inverse of such a matrix, or of its diagonal, is the step size. Source of the bound: Böhning (1992), "Multinomial
logistic regression algorithm", theorem 5.3.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from experiments.common import data
from experiments.common.data import Data
from experiments.lecture.draws import least_squares, with_ones

import torch
from torch import Tensor
from torch.optim import LBFGS

from rllab import Key
from rllab import backprop as bp

CANCER, DIABETES = ("numbers", "diagonal", "matrix", "lbfgs"), ("descent", "stochastic", "lbfgs", "newton")
TRIALS = {
    "numbers": (1e-8, 1e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4),
    "diagonal": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "matrix": (0.3, 1.0, 3.0, 5.0, 10.0, 30.0, 100.0),
    "stochastic": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
}
# Least median of the score, the least loss of the run; of stochastic descent the mean of its last 100 looks.
BEST = {"numbers": 1e-5, "diagonal": 0.3, "matrix": 30.0, "stochastic": 3e-4}
TUNING_SEEDS = range(100, 105)
CANCER_STEPS = 200


def preconditioner(samples: Data, kind: str) -> Tensor:
    """Return what multiplies the gradient of weights (2, d) and biases (2,), flat: one number each, or a matrix.

    It is the inverse of the bound on the Hessian, or that of its diagonal.
    """
    x = with_ones(samples.x)
    moments = x.T @ x / (2 * len(x))
    d = samples.x.shape[1]
    places = [[*range(c * d, (c + 1) * d), 2 * d + c] for c in range(2)]  # of one class: its weights, and its bias
    m = torch.zeros(2 * d + 2, 2 * d + 2, dtype=torch.float64)
    block = torch.linalg.inv(moments) if kind == "matrix" else torch.diag(1 / moments.diagonal())
    for place in map(torch.tensor, places):
        m[place[:, None], place] = block
    return m if kind == "matrix" else m.diagonal().clone()


def fit_cancer(method: str, seed: int, eta: float | None = None) -> bp.FitHistory:
    """Fit raw measurements of 400 patients by batches, from zero weights."""
    samples = data.breast_cancer().draw(400, Key(seed))
    graph = bp.mlp((30, 2), key=0, dtype=torch.float64)
    graph.weights = torch.zeros_like(graph.weights)
    eta = BEST.get(method, 1.0) if eta is None else eta
    steps = {
        "numbers": lambda: {"eta": eta},
        "diagonal": lambda: {"eta": eta * preconditioner(samples, "diagonal")},
        "matrix": lambda: {"eta": eta * preconditioner(samples, "matrix")},
        "lbfgs": lambda: {"optimizer": partial(LBFGS, line_search_fn="strong_wolfe")},
    }
    budget = CANCER_STEPS * len(samples)
    return bp.fit(graph, samples.x, samples.y, batch=None, sample_gradients=budget, key=seed, **steps[method]())


def fit_diabetes(method: str, seed: int, budget: int, eta: float | None = None) -> bp.FitHistory:
    """Fit 400 patients; losses are excess losses, relative to the start. Newton's Hessian is known, and not charged."""
    samples = data.diabetes().draw(400, Key(seed)).standardised()
    x = with_ones(samples.x)
    hessian = 2 * x.T @ x / len(x)
    low, high = torch.linalg.eigvalsh(hessian)[[0, -1]].tolist()
    steps = {
        "descent": lambda: {"eta": 2 / (low + high)},
        "stochastic": lambda: {"eta": BEST["stochastic"] if eta is None else eta},
        "newton": lambda: {"eta": torch.linalg.inv(hessian)},
        "lbfgs": lambda: {"optimizer": partial(LBFGS, line_search_fn="strong_wolfe")},
    }
    batch = 1 if method == "stochastic" else None
    budget = {"descent": 5 * budget, "newton": 2 * len(samples)}.get(method, budget)
    graph = bp.mlp((10, 1), "squared_distance", key=Key(seed).child("weights"), dtype=torch.float64)
    counted: dict[str, Any] = {"sample_gradients": budget, "look": len(samples) if batch is None else 20}
    trace = bp.fit(graph, samples.x, samples.y, batch=batch, key=seed, **counted, **steps[method]())
    least = float((x @ least_squares(samples.x, samples.y) - samples.y).square().mean())
    trace.losses = [(loss - least) / (trace.losses[0] - least) for loss in trace.losses]
    return trace

"""Rows on the steps of descent: what a step is, how a sample is picked, and what either costs."""

from __future__ import annotations

from collections.abc import Callable

from experiments.common import data
from experiments.common.acceptance import AtLeast, AtMost, Equals, Within, largest, row
from experiments.common.data import Data
from experiments.lecture.minibatch import POPULATION, Spread, each_gradient, problem
from experiments.lecture.redundancy import slope

import numpy as np
import torch
from scipy.stats import chisquare
from torch import Tensor

from rllab import Key
from rllab import backprop as bp


def small_net(seed: int) -> tuple[bp.Graph, Data]:
    samples = data.digits().draw(50, Key(seed))
    return bp.mlp((64, 10), key=Key(seed).child("weights"), dtype=torch.float64), samples


def _against_torch(seed: int, scale: float = 1.0) -> float:
    """Return the largest difference of 50 steps by `fit` from torch.optim.SGD's, batch and stochastic."""
    worst = 0.0
    for batch in (None, 1):
        graph, s = small_net(seed)
        leaf = graph.weights.clone().requires_grad_()
        optimizer, picks = torch.optim.SGD([leaf], lr=0.3 * scale), bp.minibatches(len(s), 1, key=seed)
        for _ in range(50):
            chosen = s if batch is None else s.take(next(picks))
            optimizer.zero_grad()
            graph.loss_per_sample(chosen.x, chosen.y, weights=leaf).mean().backward()
            optimizer.step()
        trace = bp.fit(graph, s.x, s.y, batch=batch, eta=0.3, sample_gradients=50 * (batch or len(s)), key=seed)
        worst = largest(worst, (trace.weights - leaf.detach()).abs().max().item())
    return worst


def _gradients(seed: int) -> tuple[Tensor, Tensor]:
    """Return each sample's gradient and that of the batch."""
    graph, s = small_net(seed)
    one = [graph.backward(s.x[p : p + 1], s.y[p : p + 1]).weights.clone() for p in range(len(s))]
    return torch.stack(one), graph.backward(s.x, s.y).weights


def _pick_p(seed: int, fast: bool, samples: int = 50, most: int = 50) -> float:
    picks = bp.minibatches(most, 1000, key=seed)
    drawn = torch.cat([next(picks) for _ in range(10 if fast else 100)])
    return float(chisquare(torch.bincount(drawn, minlength=samples)).pvalue)


def _relative_cost(seed: int, batch: int) -> float:
    """Return the sample-gradients of ten batch steps over those of ten of the other steps, over P."""
    graph, s = small_net(seed)
    all_of = bp.fit(graph, s.x, s.y, batch=None, eta=0.1, sample_gradients=10 * len(s), key=seed)
    one = bp.fit(graph, s.x, s.y, batch=batch, eta=0.1, sample_gradients=10 * batch, key=seed)
    return all_of.sample_gradients / all_of.steps / (one.sample_gradients / one.steps) / len(s)


@row(
    "L25",
    says="Batch descent replaces w by w − η ∂L(S, w)/∂w",
    measures="largest difference of 50 steps, batch and stochastic, from torch.optim.SGD's",
    criterion=AtMost(1e-12),
    wrong={"η off by a thousandth": lambda seed, fast: _against_torch(seed, 1.001)},
)
def steps_against_torch(seed: int, fast: bool) -> float:
    return _against_torch(seed)


@row(
    ("L26", "L48"),
    says="The gradients of single samples, and so the stochastic steps, are on average those of the batch",
    measures="largest difference of the mean over all samples from the batch's gradient",
    criterion=AtMost(1e-12),
    wrong={"last sample left out": lambda seed, fast: _mean_error(seed, -1)},
)
def mean_of_single_gradients(seed: int, fast: bool) -> float:
    return _mean_error(seed, None)


def _mean_error(seed: int, until: int | None) -> float:
    one, all_of = _gradients(seed)
    return (one[:until].mean(0) - all_of).abs().max().item()


@row(
    "L26",
    says="The one sample is picked at random, each as often",
    measures="p of a chi-square test of uniform picks, 50 samples, 100,000 picks",
    criterion=AtLeast(1e-3),
    wrong={"the last never picked": lambda seed, fast: _pick_p(seed, fast, most=49)},
)
def uniform_picks(seed: int, fast: bool) -> float:
    return _pick_p(seed, fast)


@row(
    "L45",
    says="The batch averages over all P samples, stochastic descent takes one",
    measures="sample-gradients a batch step/sample-gradients a stochastic step/P",
    criterion=Equals(1.0),
    wrong={"two a step": lambda seed, fast: _relative_cost(seed, 2)},
)
def cost_of_a_step(seed: int, fast: bool) -> float:
    return _relative_cost(seed, 1)


def _by_vmap(graph: bp.Graph, samples: Data) -> Tensor:
    """Return the mean of the gradients that torch takes of each sample, all at once."""

    def loss(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return graph.loss_per_sample(x[None], y[None], weights=w)[0]

    return torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(graph.weights, samples.x, samples.y).mean(0)


def _difference(seed: int, other: Callable[[bp.Graph, Data], Tensor]) -> float:
    graph, samples = problem(seed)
    batch = samples.take(slice(32))
    together = graph.backward(batch.x, batch.y).weights
    return float((together - other(graph, batch)).abs().max())


@row(
    ("L50", "L52"),
    says="The gradient of a batch is the average of its samples' gradients, taken one after the other",
    measures="largest difference from a loop over 32 samples",
    criterion=AtMost(1e-12),
    wrong={
        "their sum": lambda seed, fast: _difference(seed, lambda g, s: each_gradient(g, s).sum(0)),
        "without the last": lambda seed, fast: _difference(seed, lambda g, s: each_gradient(g, s)[:-1].mean(0)),
    },
)
def batch_against_loop(seed: int, fast: bool) -> float:
    return _difference(seed, lambda graph, samples: each_gradient(graph, samples).mean(0))


@row(
    "L52",
    says="It is that of all samples side by side, too",
    measures="largest difference from torch's vmap over 32 samples",
    criterion=AtMost(1e-12),
)
def batch_against_vmap(seed: int, fast: bool) -> float:
    return _difference(seed, _by_vmap)


def _variance_slope(seed: int, fast: bool, power: float = 1.0) -> float:
    spread, sizes = Spread(seed, 60 if fast else POPULATION), (1, 4, 16, 64)
    draws = 1000 if fast else 4000
    return float(slope(sizes, np.array([[spread.measure(b, "independent", draws, power) for b in sizes]]))[0])


@row(
    "L50",
    says="The gradient of a batch scatters less: its variance is that of one sample over B",
    measures="log-log slope of the variance in B, picks with replacement",
    criterion=Within(-1.05, -0.95),
    wrong={"sum instead of mean": lambda seed, fast: _variance_slope(seed, True, power=0.0)},
)
def variance_of_batches(seed: int, fast: bool) -> float:
    return _variance_slope(seed, fast)


def _without_replacement(seed: int, fast: bool, order: str) -> float:
    spread = Spread(seed, 60)
    return spread.measure(40, order, 2000) / spread.law(40, "shuffled")


@row(
    "L50",
    says="Without replacement it is less still, by (P − B)/(P − 1)",
    measures="variance over this law, B = 40 of P = 60",
    criterion=Within(0.95, 1.05),
    wrong={"with replacement": lambda seed, fast: _without_replacement(seed, fast, "independent")},
)
def variance_without_replacement(seed: int, fast: bool) -> float:
    return _without_replacement(seed, fast, "shuffled")

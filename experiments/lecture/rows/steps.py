"""Rows on the steps of descent: what a step is, how a sample is picked, and what either costs."""

from __future__ import annotations

from collections.abc import Callable

from experiments.common.acceptance import AtLeast, AtMost, Equals, Within, largest, row
from experiments.common.data import Data
from experiments.common.frame import slopes
from experiments.lecture.draws import apart, each_gradient
from experiments.lecture.minibatch import POPULATION, Spread, problem

import torch
from scipy.special import chdtrc
from torch import Tensor

from rllab import backprop as bp


def small_net(seed: int) -> tuple[bp.Graph, Data]:
    return problem(seed, 50, (64, 10))


@row("L25", AtMost(1e-12), wrong={"η off by a thousandth": {"scale": 1.001}})
def steps_against_torch(seed: int, fast: bool, scale: float = 1.0) -> float:
    """Batch descent replaces w by w − η ∂L(S, w)/∂w.

    Measures: largest difference of 50 steps, batch and stochastic, from torch.optim.SGD's.
    """
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
        worst = largest(worst, apart(trace.weights, leaf.detach()))
    return worst


@row(("L26", "L48"), AtMost(1e-12), wrong={"last sample left out": {"until": -1}})
def mean_of_single_gradients(seed: int, fast: bool, until: int | None = None) -> float:
    """The gradients of single samples, and so the stochastic steps, are on average those of the batch.

    Measures: largest difference of the mean over all samples from the batch's gradient.
    """
    graph, s = small_net(seed)
    all_of = graph.backward(s.x, s.y).weights
    return apart(each_gradient(graph, s.x, s.y)[:until].mean(0), all_of)


@row("L26", AtLeast(1e-3), wrong={"the last never picked": {"most": 49}})
def uniform_picks(seed: int, fast: bool, samples: int = 50, most: int = 50) -> float:
    """The one sample is picked at random, each as often.

    Measures: p of a chi-square test of uniform picks, 50 samples, 100,000 picks.
    """
    picks = bp.minibatches(most, 1000, key=seed)
    drawn = torch.cat([next(picks) for _ in range(10 if fast else 100)])
    counts = torch.bincount(drawn, minlength=samples).double()
    return float(chdtrc(samples - 1, ((counts - counts.mean()) ** 2 / counts.mean()).sum().item()))


@row("L45", Equals(1.0), wrong={"two a step": {"batch": 2}})
def cost_of_a_step(seed: int, fast: bool, batch: int = 1) -> float:
    """The batch averages over all P samples, stochastic descent takes one.

    Measures: sample-gradients a batch step/sample-gradients a stochastic step/P.
    """
    graph, s = small_net(seed)
    all_of = bp.fit(graph, s.x, s.y, batch=None, eta=0.1, sample_gradients=10 * len(s), key=seed)
    one = bp.fit(graph, s.x, s.y, batch=batch, eta=0.1, sample_gradients=10 * batch, key=seed)
    return all_of.sample_gradients / all_of.steps / (one.sample_gradients / one.steps) / len(s)


Combine = Callable[[Tensor], Tensor]


@row(
    ("L50", "L52"),
    AtMost(1e-12),
    wrong={"their sum": {"combine": lambda g: g.sum(0)}, "without the last": {"combine": lambda g: g[:-1].mean(0)}},
)
def batch_against_loop(seed: int, fast: bool, combine: Combine = lambda g: g.mean(0)) -> float:
    """The gradient of a batch is the average of its samples' gradients, taken one after the other.

    Measures: largest difference from a loop over 32 samples.
    """
    graph, samples = problem(seed)
    x, y = samples.x[:32], samples.y[:32]
    return apart(graph.backward(x, y).weights, combine(each_gradient(graph, x, y)))


@row("L52", AtMost(1e-12))
def batch_against_vmap(seed: int, fast: bool) -> float:
    """It is that of all samples side by side, too.

    Measures: largest difference from torch's vmap over 32 samples.
    """
    graph, samples = problem(seed)
    x, y = samples.x[:32], samples.y[:32]

    def loss(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return graph.loss_per_sample(x[None], y[None], weights=w)[0]

    each = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(graph.weights, x, y)
    return apart(graph.backward(x, y).weights, each.mean(0))


@row("L50", Within(-1.05, -0.95), wrong={"sum instead of mean": {"fast": True, "power": 0.0}})
def variance_of_batches(seed: int, fast: bool, power: float = 1.0) -> float:
    """The gradient of a batch scatters less: its variance is that of one sample over B.

    Measures: log-log slope of the variance in B, picks with replacement.
    """
    spread, sizes = Spread(seed, 60 if fast else POPULATION), (1, 4, 16, 64)
    draws = 1000 if fast else 4000
    return float(slopes(sizes, [spread.measure(b, "independent", draws, power) for b in sizes]))


@row("L50", Within(0.95, 1.05), wrong={"with replacement": {"order": "independent"}})
def variance_without_replacement(seed: int, fast: bool, order: str = "shuffled") -> float:
    """Without replacement it is less still, by (P − B)/(P − 1).

    Measures: variance over this law, B = 40 of P = 60.
    """
    spread = Spread(seed, 60)
    return spread.measure(40, order, 2000) / spread.law(40, "shuffled")

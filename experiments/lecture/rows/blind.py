"""Costs whose gradient says nothing, and what trying things out finds there: stairs, holes, a bicycle.     (L31–L36)"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from experiments.agents import flat_cost
from experiments.agents.bicycle import ENVIRONMENT, SCALE
from experiments.common.acceptance import AtLeast, AtMost, Equals, Within, furthest, largest, least, row
from experiments.lecture.rows.draws import normal
from experiments.zeroth_order import nonsmooth

import torch
from torch import Tensor

from rllab import Key, agents, minimize
from rllab import estimators as est
from rllab.problems import Problem, Quadratic

# in torch, for autograd to differentiate; what it finds no path through counts as 0, as its users take it
STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "stairs": lambda x: torch.floor(4 * x).sum(1) / 4,
    "hole": lambda x: -(x.norm(dim=1) < 0.3).double(),
    "cliff": lambda x: 2 * (x[:, 0] > 0.3).double(),
    "rounding": lambda x: torch.round(8 * x.square()).sum(1),
}
BOWL = {"bowl": lambda x: x.square().sum(1)}


def _zeros(seed: int, fast: bool, costs: dict[str, Callable[[Tensor], Tensor]]) -> float:
    worst = 1.0
    for name, cost in costs.items():
        x = (2 * normal(seed, name, 100 if fast else 2000, 2)).requires_grad_()
        f = cost(x)
        g = torch.autograd.grad(f.sum(), x)[0] if f.requires_grad else torch.zeros_like(x)
        worst = least(worst, float((g == 0).all(1).double().mean()))
    return worst


@row(
    "L31",
    says="In a hole, on stairs, beside a cliff, the gradient exists nearly everywhere and tells nothing",
    measures="share of random points at which autograd's gradient is exactly 0; the least of four landscapes",
    criterion=AtLeast(0.99),
    wrong={"a bowl": lambda seed, fast: _zeros(seed, fast, BOWL)},
)
def gradient_is_zero(seed: int, fast: bool) -> float:
    return _zeros(seed, fast, STEPS)


def _moved(seed: int, problems: dict[str, Problem]) -> float:
    moved = 0.0
    for name, problem in problems.items():
        start = nonsmooth.LANDSCAPES[name].at + 0.05 * normal(seed, name, 2)
        trace = minimize(problem.cost(), start, est.Backprop(), evaluations=1, budget=20, lr=0.05, key=seed)
        moved = largest(moved, float((trace.at - start).abs().max()))
    return moved


@row(
    "L31",
    says="Gradient descent stays where it is there",
    measures="distance moved in 20 steps from the starts on those landscapes",
    criterion=Equals(0),
    wrong={"a bowl": lambda seed, fast: _moved(seed, {"hole": Quadratic(dimension=2)})},
)
def descent_does_not_move(seed: int, fast: bool) -> float:
    return _moved(seed, {name: land.problem for name, land in nonsmooth.LANDSCAPES.items()})


def _slope_of_stairs(seed: int, fast: bool, sigma: float) -> float:
    land, n = nonsmooth.LANDSCAPES["stairs"], 1 << (13 if fast else 16)
    return furthest([2 * r["gradient"] for r in nonsmooth.agreements(land, sigma, "antithetic", n, Key(seed))], 1)


@row(
    "L32",
    says="Methods of order zero see through the steps of stairs: smoothed, they are a ramp",
    measures="slope of stairs of slope 1, smoothed by σ = 0.15, estimated from values",
    criterion=Within(0.9, 1.1),
    wrong={"σ = 0.005, a tenth of the way to the next step": lambda seed, fast: _slope_of_stairs(seed, fast, 0.005)},
)
def smoothed_stairs(seed: int, fast: bool) -> float:
    return _slope_of_stairs(seed, fast, 0.15)


def _best_radius(seed: int, fast: bool, name: str) -> float:
    def cosine(sigma: float) -> float:
        land, repeats = nonsmooth.LANDSCAPES[name], 20 if fast else 300
        return nonsmooth.quality(land, sigma, "antithetic", repeats, Key(seed))["cosine"]

    return cosine(0.4) - largest(cosine(0.04), cosine(10.0))


@row(
    "L32",
    says="A hole is found only by trying at about its distance: nearer nothing changes, farther nearly always nothing",
    measures="cosine of an estimate to the smoothed gradient, σ = 0.4, less that of a tenth of it or of 25 times it",
    criterion=AtLeast(0.25),
    seeds="median",
    wrong={"stairs, which any large σ sees": lambda seed, fast: _best_radius(seed, fast, "stairs")},
)
def radius_for_a_hole(seed: int, fast: bool) -> float:
    return _best_radius(seed, fast, "hole")


def _on_the_flat(seed: int, forms: tuple[str, ...]) -> float:
    rows = [r for sigma in (0.01, 0.4, 10.0) for r in nonsmooth.flat(sigma, 50, Key(seed))]
    return largest(*(r["squares"] for r in rows if r["form"] in forms))


@row(
    "L32",
    says="Where a cost is flat as far as one can see, trying does not help either",
    measures="largest sum of squares of estimates on a flat cost: pairs, forward differences, leave-one-out scores",
    criterion=AtMost(1e-20),  # a mean of equal costs is one of them but for rounding
    wrong={"scores without a baseline": lambda seed, fast: _on_the_flat(seed, ("one-point",))},
)
def nothing_on_the_flat(seed: int, fast: bool) -> float:
    return _on_the_flat(seed, ("antithetic", "forward", "leave-one-out"))


@lru_cache(maxsize=64)
def _flatness(seed: int, fast: bool) -> dict[str, float]:
    return flat_cost.flatness(ENVIRONMENT, SCALE, policies=8 if fast else 40, key=seed)


@row(
    "L35",
    says="How long a bicycle stays upright has no gradient with respect to the rider's weights",
    measures="share of random linear policies at which every difference with h = 1e-6 is exactly 0",
    criterion=AtLeast(0.95),
)
def upright_time_is_flat(seed: int, fast: bool) -> float:
    return _flatness(seed, fast)["unchanged"]


@row(
    "L35",
    says="Smoothed over the weights, it has one",
    measures="share of them at which the smoothed time has a slope of more than 5 standard errors",
    criterion=AtLeast(0.5),
    wrong={"not smoothed": lambda seed, fast: 1.0 - _flatness(seed, fast)["unchanged"]},
)
def smoothed_upright_time_is_not(seed: int, fast: bool) -> float:
    return _flatness(seed, fast)["significant"]


NOTHING = 1e-9  # stands for σ = 0: in float32 a weight is not changed by it


def ride(seed: int, sigma: float, most: int) -> float:
    """Return the best upright time met while learning with exploration σ, over that of the first policy."""
    agent = agents.Evolution(
        ENVIRONMENT, seed, hidden=(), observation_scale=SCALE, estimator=est.GaussianSmoothing(sigma=sigma),
        population=32, lr=0.4,
    )  # fmt: skip
    start = best = float(agent.evaluate(episodes=20).returns.mean())
    while agent.spent.steps < most and best < 3 * start:
        agent.learn(steps=10_000)
        best = largest(best, float(agent.evaluate(episodes=20).returns.mean()))
    return best / start


@row(
    "L36",
    says="A rider who tries nothing different learns nothing",
    measures="gain in upright time when the weights are not varied",
    criterion=AtMost(1.0),
    wrong={"varied by 0.3": lambda seed, fast: ride(seed, 0.3, 20_000)},
)
def no_exploration(seed: int, fast: bool) -> float:
    return ride(seed, NOTHING, 10_000 if fast else 40_000)


@row(
    "L36",
    says="A rider who varies the weights learns to stay upright",
    measures="best upright time met in 200,000 steps over that of the first policy, with the best of several σ",
    criterion=AtLeast(3.0),
    wrong={"nothing varied": lambda seed, fast: ride(seed, NOTHING, 10_000)},
)
def exploration(seed: int, fast: bool) -> float:
    return largest(*(ride(seed, sigma, 200_000) for sigma in ((0.3,) if fast else (0.1, 0.3, 1.0))))

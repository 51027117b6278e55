"""Costs whose gradient says nothing, and what trying things out finds there: stairs, holes, a bicycle.     (L31–L36)"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from experiments.agents import flat_cost
from experiments.agents.learners import CAP, ENVIRONMENT, SCALE
from experiments.common.acceptance import AtLeast, AtMost, Equals, Within, furthest, largest, least, row
from experiments.lecture.draws import normal
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


@row("L31", AtLeast(0.99), wrong={"a bowl": {"costs": BOWL}})
def gradient_is_zero(seed: int, fast: bool, costs: dict[str, Callable[[Tensor], Tensor]] = STEPS) -> float:
    """In a hole, on stairs, beside a cliff, the gradient exists nearly everywhere and tells nothing.

    Measures: share of random points at which autograd's gradient is exactly 0; the least of four landscapes.
    """
    worst = 1.0
    for name, cost in costs.items():
        x = (2 * normal(seed, name, 100 if fast else 2000, 2)).requires_grad_()
        f = cost(x)
        g = torch.autograd.grad(f.sum(), x)[0] if f.requires_grad else torch.zeros_like(x)
        worst = least(worst, float((g == 0).all(1).double().mean()))
    return worst


PROBLEMS: dict[str, Problem] = {name: land.problem for name, land in nonsmooth.LANDSCAPES.items()}


@row("L31", Equals(0), wrong={"a bowl": {"problems": {"hole": Quadratic(dimension=2)}}})
def descent_does_not_move(seed: int, fast: bool, problems: dict[str, Problem] = PROBLEMS) -> float:
    """Gradient descent stays where it is there.

    Measures: distance moved in 20 steps from the starts on those landscapes.
    """
    moved = 0.0
    for name, problem in problems.items():
        start = nonsmooth.LANDSCAPES[name].at + 0.05 * normal(seed, name, 2)
        trace = minimize(problem.cost(), start, est.Backprop(), evaluations=1, budget=20, lr=0.05, key=seed)
        moved = largest(moved, float((trace.at - start).abs().max()))
    return moved


@row("L32", Within(0.9, 1.1), wrong={"σ = 0.005, a tenth of the way to the next step": {"sigma": 0.005}})
def smoothed_stairs(seed: int, fast: bool, sigma: float = 0.15) -> float:
    """Methods of order zero see through the steps of stairs: smoothed, they are a ramp.

    Measures: slope of stairs of slope 1, smoothed by σ = 0.15, estimated from values.
    """
    land, n = nonsmooth.LANDSCAPES["stairs"], 1 << (13 if fast else 16)
    return furthest([2 * r["gradient"] for r in nonsmooth.agreements(land, sigma, "antithetic", n, Key(seed))], 1)


@row("L32", AtLeast(0.25), wrong={"stairs, which any large σ sees": {"name": "stairs"}}, seeds="median")
def radius_for_a_hole(seed: int, fast: bool, name: str = "hole") -> float:
    """A hole is found only by trying at about its distance: nearer nothing changes, farther nearly always nothing.

    Measures: cosine of an estimate to the smoothed gradient, σ = 0.4, less that of a tenth of it or of 25 times it.
    """

    def cosine(sigma: float) -> float:
        land, repeats = nonsmooth.LANDSCAPES[name], 20 if fast else 300
        return nonsmooth.quality(land, sigma, "antithetic", repeats, Key(seed))["cosine"]

    return cosine(0.4) - largest(cosine(0.04), cosine(10.0))


WITH_BASELINE = ("antithetic", "forward", "leave-one-out")
ROUNDING = 1e-20  # a mean of equal costs is one of them but for rounding


@row("L32", AtMost(ROUNDING), wrong={"scores without a baseline": {"forms": ("one-point",)}}, first="= 0")
def nothing_on_the_flat(seed: int, fast: bool, forms: tuple[str, ...] = WITH_BASELINE) -> float:
    """Where a cost is flat as far as one can see, trying does not help either.

    Measures: largest sum of squares of estimates on a flat cost: pairs, forward differences, leave-one-out scores.
    """
    rows = [r for sigma in (0.01, 0.4, 10.0) for r in nonsmooth.flat(sigma, 50, Key(seed))]
    return largest(*(r["squares"] for r in rows if r["form"] in forms))


@lru_cache(maxsize=64)
def _flatness(seed: int, fast: bool) -> dict[str, float]:
    return flat_cost.flatness(ENVIRONMENT, SCALE, policies=8 if fast else 40, key=seed)


@row("L35", AtLeast(0.95))
def upright_time_is_flat(seed: int, fast: bool) -> float:
    """Under fixed noise, how long a bicycle stays upright has no gradient with respect to the rider's weights.

    Measures: share of random linear policies at which every difference with h = 1e-6 is exactly 0.
    """
    return _flatness(seed, fast)["unchanged"]


@row("L35", AtLeast(0.5), wrong={"not smoothed": lambda seed, fast: 1.0 - _flatness(seed, fast)["unchanged"]})
def smoothed_upright_time_is_not(seed: int, fast: bool) -> float:
    """Smoothed over the weights, it has one.

    Measures: share of them at which the smoothed time has a slope of more than 5 standard errors.
    """
    return _flatness(seed, fast)["significant"]


NOTHING = 1e-9  # stands for σ = 0: in float32 a weight is not changed by it


def ride(seed: int, sigma: float, steps: int) -> tuple[float, float]:
    """Return the mean upright time, in steps, of 20 rides before and after learning with exploration σ."""
    agent = agents.Evolution(
        ENVIRONMENT, seed, hidden=(), observation_scale=SCALE, estimator=est.GaussianSmoothing(sigma=sigma),
        population=32, lr=0.4, normalize_observations=False,
    )  # fmt: skip
    start = float(agent.evaluate(episodes=20).returns.mean())
    agent.learn(steps=steps)
    return start, float(agent.evaluate(episodes=20).returns.mean())


@row("L36", Equals(1.0), wrong={"varied by 0.3": {"sigma": 0.3}})
def no_exploration(seed: int, fast: bool, sigma: float = NOTHING) -> float:
    """A rider who tries nothing different learns nothing.

    Measures: upright time after learning over that before, when the weights are not varied.
    """
    before, after = ride(seed, sigma, 10_000 if fast else 40_000)
    return after / before


@row(
    "L36",
    AtLeast(0.95),
    wrong={"nothing varied": {"sigma": NOTHING}, "a tenth of the steps": {"steps": 10_000}},
    fresh=30,
)
def exploration(seed: int, fast: bool, sigma: float = 0.3, steps: int = 100_000) -> float:
    """A rider who varies the weights learns to stay upright.

    Measures: mean upright time over the 10 s that a ride lasts at most, at the end of 100,000 steps, σ = 0.3.
    Note: one σ, one budget, no stop on success; 0.95 is as good as whole, untrained it is 0.17. Three times the start,
        at any time and with the best of three σ, was asked at first.
    """
    return ride(seed, sigma, steps)[1] / CAP

"""How often is the estimator that `rllab.recommend` puts first within 1.5 times the error of the best one?

A pilot of 400 evaluations ranks estimators for budgets of 30 and 200, and of 2,000 where there are many parameters.
Then each of them, and others beside, makes many estimates with that budget, and its error √(E‖ĝ − t‖²)/‖t‖ is measured;
t is the gradient that the recommendation names: from a closed form, or from very many evaluations of the cost without
its noise. Errors below 0.05 count as 0.05. They are compared at the best step, so that nobody wins by being 0:

    √(1/x − 1),  x = 1/(1 + V/‖t‖²) − B/‖t‖²        V variance, B squared bias: the error itself if B = 0, ∞ if ĝ = 0

Costs are all problems of the library of 2 to 12 parameters, drawn anew for each seed; ten that nobody had in mind when
the recommendation was written (`untuned`); and stairs, plateaus, squares and noise of 20, 200 and 1,000 parameters. A
cost that is flat wherever the pilot looks, or whose t is 0, is counted apart.

    python experiments/zeroth_order/recommended.py             half an hour
    python experiments/zeroth_order/recommended.py --fast      one seed, one budget
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from experiments.common.drawing import SMALL, say
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, main, one_a_seed, values
from experiments.common.unfinished import going_on
from experiments.zeroth_order.untuned import COSTS

import numpy as np
import torch
from torch import Tensor

from rllab import Bernoulli, Categorical, Cost, Gaussian, Key, Target, plots, problems, recommend
from rllab import estimators as est
from rllab.distributions import Distribution
from rllab.estimate import Gradient, Kind
from rllab.estimators import Estimator
from rllab.noise import standard_normal
from rllab.problems import NoClosedForm, Problem
from rllab.quality.estimates import Estimates, name_of
from rllab.quality.truth import flat
from rllab.recommendation import Recommendation
from rllab.runs import Job, Record

PILOT, BUDGETS = 400, (30, 200)
MANY, LARGE = (20, 200, 1000), (*BUDGETS, 2000)  # parameters, and the budgets they get
FLOOR = 0.05  # relative error below which estimators count as equally good
NEAR = 1.5
LED = {"untuned": (2.2, 0.66), "library": (1.25, 0.42), "large": (1.1, 0.18)}  # where the figure names what


@dataclass(frozen=True)
class Config(Flags):
    quick: ClassVar[dict[str, Any]] = {"seeds": 1, "repeats": 6, "budgets": 1, "exact": 1 << 10}
    few: ClassVar[int] = 4  # estimates of many coordinates, whose mean square hardly varies
    repeats: int = 64
    """Estimates of each estimator, whose errors are averaged."""
    budgets: int = len(BUDGETS)
    """How many of the budgets are looked at."""
    exact: int = 1 << 16
    """Evaluations of a truth that has no closed form."""


class Case(NamedTuple):
    """A cost at parameters, or a distribution, and the truth that a target names."""

    name: str
    group: str
    cost: Callable[[], Cost]
    at: Tensor | Distribution
    truth: Callable[[Target], Gradient]


PROBLEMS: tuple[Problem, ...] = (
    problems.Square(dimension=10),
    problems.Exponential(dimension=10),
    problems.Bell(dimension=10),
    problems.Cosine(dimension=10),
    problems.Relu(dimension=10),
    problems.Absolute(dimension=10),
    problems.Clip(dimension=10),
    problems.Plateau(dimension=10),
    problems.Steps(dimension=10),
    problems.Staircase(dimension=10),
    problems.Pivot(dimension=10),
    problems.BallWithWall(dimension=10),
    problems.Linear(dimension=10),
    problems.Quadratic(dimension=10),
    problems.Ridge(dimension=10),
    problems.Cliff(dimension=10),
    problems.BoxHole(width=2.0),
    problems.Orthant(),
    problems.BallHole(),
    problems.RadialStaircase(),
    problems.Norm(dimension=10),
    problems.LQR(),
    problems.RandomWalk(size=4, start=2),
    problems.FallChain(size=4, start=2),
    problems.LinearSurvival(cap=10),
    problems.PushingCarts(horizon=6),
    problems.FrictionCarts(horizon=6),
)


def cases(seed: int, exact: int) -> Iterator[Case]:
    """Yield every cost at parameters of this seed; `exact` evaluations make a truth that has no closed form."""

    def drawn(name: str, d: int) -> Tensor:
        return standard_normal((d,), Key(seed).child("at", name), torch.empty(0, dtype=torch.float64))

    for problem in PROBLEMS:
        name = type(problem).__name__
        at = drawn(name, problem.dimension)
        yield Case(name, "library", problem.cost, at, partial(truth_of, problem, at, exact))
    bits = problems.BooleanQuadratic((0.6, 0.2, 0.48, 0.7), 0.3, dimension=4)
    choices = problems.CategoricalPayoffs(((0.3, -1.2, 0.9), (1.0, 0.1, -0.4)))
    stairs = problems.Staircase(dimension=5)
    for problem, made in (
        (bits, Bernoulli(drawn("bits", 4))),
        (choices, Categorical(drawn("choices", 6).reshape(2, 3))),
        (stairs, Gaussian(drawn("stairs", 5), 0.2)),
    ):
        name = f"{type(problem).__name__} at a {type(made).__name__}"
        yield Case(name, "library", problem.cost, made, partial(problem.truth, at=made))
    for cost in COSTS:
        at = drawn(cost.name, cost.dimension)
        yield Case(cost.name, "untuned", cost.cost, at, partial(smoothed, cost.mean, at, exact))
    for d in MANY:
        for problem in (problems.Staircase(dimension=d), problems.Plateau(dimension=d), problems.Square(dimension=d)):
            name = f"{type(problem).__name__} of {d}"
            at = drawn(name, d)
            yield Case(name, "large", problem.cost, at, partial(truth_of, problem, at, exact))
        at = drawn("folded", 1).expand(d)  # all coordinates equally far from their edges
        yield Case(f"folded stairs of {d}", "large", folded_stairs, at, partial(folded_truth, at))
        noisy, at = next(cost for cost in COSTS if cost.noisy is not None), drawn("noisy", d)
        yield Case(f"{noisy.name} of {d}", "large", noisy.cost, at, partial(_itself, at))


def folded_stairs() -> Cost:
    """Return Σ ⌊4 |x_i|⌋ as a cost."""
    return Cost(lambda x: torch.floor(4 * x.abs()).sum(-1), check_rows=False)


def folded_truth(at: Tensor, target: Target) -> Tensor:
    """Return Σ_n (φ((θ_i − n/4)/σ) − φ((θ_i + n/4)/σ))/σ, n >= 1: edges up on the right, down on the left."""
    assert target.radius is not None
    edges = torch.arange(1, 4 * math.ceil(float(at.abs().max()) + 9 * target.radius)) / 4
    near = torch.exp(-((at[:, None] - edges) / target.radius).square() / 2)
    far = torch.exp(-((at[:, None] + edges) / target.radius).square() / 2)
    return (near - far).sum(-1) / (target.radius * math.sqrt(2 * math.pi))


def _itself(at: Tensor, target: Target) -> Tensor:
    return at  # ∇ ‖θ‖²/2, smoothed or not


def truth_of(problem: Problem, at: Tensor, exact: int, target: Target) -> Gradient:
    """Return what a target names: in closed form, or from many evaluations of the cost's mean."""
    try:
        return problem.truth(target, at)
    except (NoClosedForm, ValueError):  # a radius at which it is not resolved
        return smoothed(problem.value, at, exact, target)


def smoothed(mean: Callable[[Tensor], Tensor], at: Tensor, exact: int, target: Target) -> Tensor:
    """Return ∇f_σ by many directions, in sets that see a gradient without variance."""
    assert target.radius is not None  # recommendations at parameters are of smoothed costs
    estimator = est.OrthogonalSmoothing(target.radius, "gaussian")
    cost = Cost(lambda x: torch.as_tensor(mean(x)).detach(), check_rows=False)
    return only(estimator(cost, at, evaluations=exact, key=Key(0).child("truth"), errors=False).gradient)


def rivals(found: Recommendation, at: Tensor | Distribution) -> list[Estimator]:
    """Return the recommended estimators, and others that could have been."""
    own = [choice.estimator for choice in found.choices]
    if found.target.radius is None:
        return [*own, est.ScoreFunction(), est.ScoreFunction(baseline="leave-one-out")][: len(own) + 1]
    r, d = found.target.radius, at.shape[-1]
    others = [
        est.SphereSmoothing(r * math.sqrt(d)),
        est.SobolSmoothing(r),
        est.GaussianSmoothing(r / 3),
        est.GaussianSmoothing(3 * r),
        est.OrthogonalSmoothing(r, "gaussian"),
        est.CentralDifference(),
        est.ForwardDifference(),
        est.ForwardDifference(step=r),
    ]
    if d <= MANY[0]:  # else solving its equations takes longer than all the rest
        others.append(est.LinearInterpolation(step=r * math.sqrt(d)))
    return [*own, *others]


def error(estimator: Estimator, case: Case, budget: int, truth: Tensor, repeats: int, key: Key) -> tuple[float, float]:
    """Return √(mean ‖ĝ − t‖²)/‖t‖, and what it compares by, see above; infinities where it cannot be asked."""
    cost = case.cost()
    try:
        if estimator.minimum(case.at, cost) > budget:
            return math.inf, math.inf
        make = Estimates(estimator, cost, case.at, budget)
        g = make(repeats, key.child(name_of(estimator)))[0]
    except (TypeError, ValueError):  # it wants another cost, or another `at`
        return math.inf, math.inf
    t = float(truth.square().sum())
    square = float((g - truth).square().sum(-1).mean()) / t
    v = float(g.var(0).sum()) / t
    apart, chance = float((g.mean(0) - truth).square().sum()) / t, v / repeats
    b = apart - chance if apart > 3 * chance else 0.0
    explained = 1 / (1 + (v if b else square)) - b
    return math.sqrt(square), math.sqrt(1 / explained - 1) if explained > 0 else math.inf


def run(job: Job, record: Record) -> None:
    """Have every cost looked at, and measure what is recommended and what else there is."""
    for case in going_on(record, cases(job.seed, job.config["exact"])):
        key = Key(job.seed).child(case.name)
        is_large = case.group == "large"
        repeats = min(job.config["repeats"], Config.few) if is_large else job.config["repeats"]
        budgets = BUDGETS[-job.config["budgets"] :]
        for budget in LARGE if is_large and len(budgets) > 1 else budgets:
            cost = case.cost()
            found = recommend(cost, case.at, PILOT, key.child("pilot"), budget=budget)
            first = found.choices[0]
            row: dict[str, Any] = {"cost": case.name, "group": case.group, "budget": budget, "pilot": cost.evaluated}
            row |= {"first": name_of(first.estimator), "target": str(found.target), "predicted": first.error}
            truth = flat(case.truth(found.target))
            if math.isnan(first.error) or not truth.norm() > 0:
                record.append(row | {"seen": False})
                continue
            errors = {
                name_of(e): error(e, case, budget, truth, repeats, key.child("measured"))
                for e in rivals(found, case.at)
            }
            best = min(errors, key=lambda name: errors[name][1])
            mine, least = errors[name_of(first.estimator)], errors[best]
            ratio = max(mine[1], FLOOR) / max(least[1], FLOOR) if math.isfinite(mine[1]) else math.inf
            row |= {"seen": True, "measured": mine[0], "best": best, "least": least[0], "ratio": ratio}
            row |= {"warned": any("no estimate is better than none" in finding for finding in found.findings)}
            record.append(row | {"kind": found.target.kind is Kind.SMOOTHED})


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    for group, needed in (("library", 0.8), ("untuned", 0.7), ("large", 0.7)):
        ratios = values(records, "ratio", group=group, seen=True)
        near = float(np.mean(ratios <= NEAR))
        judge(
            near >= needed,
            f"{group}: first choice within {NEAR} × of the best in {near:.0%} of {len(ratios)} (needs {needed:.0%}); "
            f"median ratio {np.median(ratios):.2f}, worst tenth above {np.quantile(ratios, 0.9):.2f}",
        )
    predicted, measured = (values(records, name, seen=True) for name in ("predicted", "measured"))
    off = np.maximum(predicted, FLOOR) / np.maximum(measured, FLOOR)
    within = float(np.mean((off >= 1 / 2) & (off <= 2)))
    judge(
        within >= 0.8, f"the predicted error is within a factor of 2 of the measured one in {within:.0%} (needs 80 %)"
    )
    for group in ("library", "untuned", "large"):
        predicted, measured = (values(records, name, group=group, seen=True) for name in ("predicted", "measured"))
        off = np.maximum(predicted, FLOOR) / np.maximum(measured, FLOOR)
        close = float(np.mean((off >= 1 / NEAR) & (off <= NEAR)))
        judge.note(
            f"{group}: within a factor of {NEAR} in {close:.0%}, all between {off.min():.2g} and {off.max():.2g}"
        )
    rows = [row for record in records for row in record.rows]
    useless = [row for row in rows if row["seen"] and row["measured"] >= NEAR]
    told = sum(row["warned"] for row in useless)
    judge(
        told >= 0.9 * len(useless),
        f"of {len(useless)} first choices with an error above {NEAR}, {told} were said to be no better than none "
        "(needs 90 %)",
    )
    most = max(row["pilot"] for row in rows)
    judge(most <= PILOT, f"no pilot spent more than it was given: {most} at most (needs <= {PILOT})")
    flats = sorted({row["cost"] for row in rows if not row["seen"]})
    judge.note(f"flat wherever the pilot looked, or of gradient 0: {', '.join(flats) or 'none'}")
    worst = sorted((row for row in rows if row["seen"]), key=lambda row: -row["ratio"])[:8]
    for row in worst:
        judge.note(
            f"{row['ratio']:.2f} × on {row['cost']}, budget {row['budget']}: {row['first']} has {row['measured']:.3f} "
            f"({row['predicted']:.3f} predicted), {row['best']} {row['least']:.3f}"
        )


def figure(records: list[Record], config: Config) -> Path:
    """Draw ratios as a distribution function, and predicted errors against measured ones."""
    drawing, axes = plots.panels(2, 1, width=5.2, height=3.9)
    names = {"library": "library", "untuned": "costs nobody had in mind", "large": "20 to 1,000 parameters"}
    looks = {"library": (plots.BLUE, plots.SOLID, "o"), "untuned": (plots.VERMILLION, plots.DASHED, "s")}
    looks["large"] = (plots.GREEN, plots.DOTTED, "^")
    signs = {"o": "●", "s": "■", "^": "▲"}
    with plots.style():
        for group, (color, line, marker) in looks.items():
            ratios = np.sort(values(records, "ratio", group=group, seen=True))
            shares = np.arange(1, len(ratios) + 1) / len(ratios)
            axes[0].step(ratios, shares, where="post", color=color, linestyle=line)
            led, height = LED[group]  # from its line at this ratio to its name at this height
            axes[0].annotate(
                f"{names[group]}:\n{np.mean(ratios <= NEAR):.0%} within {NEAR:g} ×", (led, np.mean(ratios <= led)),
                (0.42, height), textcoords="axes fraction", color=color, fontsize=SMALL, va="center",
                arrowprops={"arrowstyle": "-", "color": color, "linestyle": line, "relpos": (0, 0.5)},
            )  # fmt: skip
            predicted, measured = (values(records, name, group=group, seen=True) for name in ("predicted", "measured"))
            at = np.maximum(measured, 1e-3), np.maximum(predicted, 1e-3)
            axes[1].loglog(*at, marker, color=color, markersize=3, linestyle="none")
        axes[0].axvline(NEAR, color="#888888", linestyle=":")
        axes[0].set(xscale="log", xlabel="error of the first choice / least error", ylim=(0, 1))
        axes[0].set(ylabel="share of costs, points and budgets", title="The first choice is mostly near the best")
        axes[1].plot([1e-3, 100], [1e-3, 100], color="#888888", linestyle=":")
        axes[1].set(xlabel="measured relative error", ylabel="predicted relative error")
        axes[1].set_title("and its error is near the predicted one")
        say(
            axes[1],
            (0.03, 0.98),
            [(f"{signs[marker]} {names[group]}", color) for group, (color, _, marker) in looks.items()],
        )
        said = (
            f"Recommendations from {PILOT} evaluations, {len(config.all_seeds)} seeds; errors below 0.001 at the edge"
        )
        drawing.suptitle(said, fontsize=9)
    return plots.save(drawing, config.out / "recommended.png")


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)

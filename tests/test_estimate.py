"""Target and Query: what is estimated is a value that can be compared, and a query is a pure recipe."""

from dataclasses import dataclass

import pytest
import torch

from rllab import BudgetExceeded, Cost, Target
from rllab.estimate import Estimate, Kind
from rllab.estimators import SPSA, Estimator, GaussianSmoothing, ScoreFunction, SphereSmoothing
from rllab.estimators.query import Plan, PointBlock

AT = torch.linspace(-1, 1, 100_000, dtype=torch.float64)


def test_targets_are_equal_only_if_kernel_and_radius_are():
    assert GaussianSmoothing(0.1).target == GaussianSmoothing(0.1, "forward").target
    assert GaussianSmoothing(0.1).target != GaussianSmoothing(0.2).target
    assert Target.smoothed("gaussian", 0.1) != Target.smoothed("ball", 0.1)
    assert ScoreFunction().target == Target.expectation() != Target.gradient()


def test_a_target_says_what_it_is():
    assert str(Target.smoothed("gaussian", 0.1)) == "∇f_σ (gaussian, σ = 0.1)"
    assert str(SPSA(sigma=0.1).target) == "∇f_σ (rademacher, σ = 0.1)"
    assert str(SphereSmoothing(radius=0.45).target) == "∇f_σ (ball, radius = 0.45)"
    assert str(Target.gradient()) == "∇f"
    assert str(Target.direction("ranks")) == "direction (ranks)"


@pytest.mark.parametrize("arguments", ((Kind.SMOOTHED,), (Kind.SMOOTHED, "gaussian"), (Kind.GRADIENT, "ball", 0.1)))
def test_kernel_and_radius_belong_to_smoothing(arguments):
    with pytest.raises(ValueError, match="kernel and radius belong to SMOOTHED"):
        Target(*arguments)


def test_blocks_cover_every_evaluation_once_and_are_pure():
    query = GaussianSmoothing(0.1, "forward").ask(AT, 7, 3)
    rows = [row for block in query for row in range(block.rows.start, block.rows.stop)]
    assert rows == list(range(query.evaluations))
    assert len(query) == len(list(query)) > 1
    assert torch.equal(query[1].points, query[1].points)
    assert not torch.equal(query[1].points, query[2].points)
    for i in (-1, len(query)):
        with pytest.raises(IndexError, match="block must be in"):
            query[i]


def test_points_of_a_pair_straddle_the_parameters():
    query = GaussianSmoothing(0.1).ask(AT, 8, 3)
    for block in query:
        plus, minus = block.points.chunk(2)
        torch.testing.assert_close((plus + minus) / 2, AT.expand_as(plus))
        torch.testing.assert_close((plus - minus) / 2, 0.1 * block.noise)


def test_seeds_of_problems_differ_and_pairs_agree():
    query = GaussianSmoothing(0.1).ask(torch.zeros(3, 2), 8, 3)
    seeds = query.seeds(query[0])
    assert seeds.shape == (8, 3)
    assert torch.equal(seeds[:4], seeds[4:])
    assert seeds[:4].unique().numel() == 12


@dataclass(frozen=True)
class Echo(Estimator):
    """Returns what it was told: the mean answer to each kind of query, at points θ, θ + 1, θ + 2, …."""

    kind: str = "value"
    target, unbiased, source = Target.gradient(), True, "none"

    def _plan(self, at):
        return Plan(per_unit=1, block=2)

    def _block(self, query, i):
        a, b = self._span(query, i)
        points = query.at + torch.arange(a, b, dtype=query.at.dtype).view(-1, *[1] * query.at.ndim)
        if self.kind == "complex":
            points = points.to(torch.complex128)
        return PointBlock(slice(a, b), points, tangents=torch.ones_like(points) if self.kind == "jvp" else None)

    def _fold(self, query, answered, per_unit, errors):
        parts = [y if isinstance(y, tuple) else (y,) for _, y in answered]
        told = tuple(torch.cat(column).mean(0) for column in zip(*parts, strict=True))
        return Estimate(told, None, query.evaluations, self.target, kind=query.kind)


def square(x):
    return (x * x).sum(-1)


PLACES = {
    "one": torch.tensor([0.3, -1.2], dtype=torch.float64),
    "three": torch.linspace(-1, 2, 6, dtype=torch.float64).view(3, 2),
}


@pytest.mark.parametrize("at", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("kind", ("value", "gradient", "value_and_gradient", "jvp", "complex"))
def test_queries_of_every_kind_are_answered_and_told_alike(kind, at):
    cost, problems = Cost(square), len(at) if at.ndim == 2 else 1
    called = Echo(kind)(cost, at, evaluations=5, key=0)
    x = at + torch.arange(5, dtype=torch.float64).view(-1, *[1] * at.ndim)  # (5, …, 2)
    answers = {
        "value": (square(x),),
        "gradient": (2 * x,),
        "value_and_gradient": (square(x), 2 * x),
        "jvp": (square(x), 2 * x.sum(-1)),
        "complex": (square(x).to(torch.complex128),),
    }[kind]
    query = Echo(kind).ask(at, 5, 0)
    told = query.estimator.tell(query, answers if len(answers) > 1 else answers[0])
    assert len(query) == 3 and called.kind == told.kind == query.kind == kind
    for a, b, answer in zip(called.gradient, told.gradient, answers, strict=True):
        torch.testing.assert_close(a, answer.mean(0))
        torch.testing.assert_close(b, answer.mean(0))
    bill = {"value_and_gradient": "gradient"}.get(kind, kind)
    assert {what: n for what, n in cost.spent.items() if n} == {bill: 5 * problems}


@pytest.mark.parametrize("kind", ("value", "gradient", "value_and_gradient", "jvp", "complex"))
def test_a_query_of_any_kind_is_reserved_whole_before_its_first_block(kind):
    cost = Cost(square, budget=4)
    with pytest.raises(BudgetExceeded, match=f"5 more {kind} evaluations do not fit"):
        Echo(kind)(cost, PLACES["one"], evaluations=5, key=0)
    assert not any(cost.spent.values())


def test_answers_of_another_kind_are_refused():
    query = Echo("value_and_gradient").ask(PLACES["one"], 5, 0)
    with pytest.raises(ValueError, match=r"values must be \(5,\) and \(5, 2\), got \(5,\)"):
        query.estimator.tell(query, torch.zeros(5))
    bad = torch.zeros(5, 2)
    bad[3, 1] = torch.inf
    with pytest.raises(ValueError, match=r"values must be finite, got inf at \[3, 1\]"):
        query.estimator.tell(query, (torch.zeros(5), bad))

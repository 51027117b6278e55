"""The contract, on every estimator: each of the public rules, and what it claims, on every problem that suits it.

One line in CASES brings a new estimator in; one that is exported and has none fails the first test.
"""

import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch

from rllab import Bernoulli, Categorical, Cost, Gaussian
from rllab.distributions import Distribution
from rllab.estimate import Kind
from rllab.estimators import (
    ARM,
    PGPE,
    SNES,
    SPSA,
    VIMCO,
    Backprop,
    CentralDifference,
    ComplexStep,
    DisARM,
    Enumeration,
    Estimator,
    ForwardDifference,
    ForwardGradient,
    GaussianSmoothing,
    GuidedSmoothing,
    GumbelRao,
    GumbelSoftmax,
    ImplicitPathwise,
    ImportanceWeighted,
    Lax,
    LinearInterpolation,
    MeasureValued,
    MuProp,
    OrthogonalSmoothing,
    Pathwise,
    Quadrature,
    Rebar,
    Relax,
    ScoreFunction,
    Shaped,
    SobolSmoothing,
    SphereSmoothing,
    StraightThrough,
    SumAndSample,
    TopDirections,
    xNES,
)
from rllab.problems import (
    BallHole,
    BallWithWall,
    BoxHole,
    CategoricalPayoffs,
    Cliff,
    FallChain,
    Linear,
    LinearSurvival,
    NoClosedForm,
    Orthant,
    Pivot,
    Quadratic,
    RadialStaircase,
    RandomWalk,
    Ridge,
    Square,
    Staircase,
    Steps,
)
from rllab.problems.survival import Survival
from rllab.quality.truth import exact_gradient
from rllab.testing import RULES, Power, Subject, check_estimator, exported_estimators
from rllab.testing.subject import beta, bumpy, choice, dirichlet, gamma, gaussian, mixture, poisson, smooth
from tests.proofs.blocks import make_blocks_small
from tests.proofs.problems import PROBLEMS


@dataclass(frozen=True)
class Case:
    """An estimator, where it is asked (None: at parameters), and what a factor and an offset of the cost do to it."""

    estimator: Estimator
    place: Callable | None = None
    ignores_offset: bool = True
    scales: bool = True

    def __str__(self):
        where = "" if self.place is None else f" at {self.place.__name__}"
        return f"{self.estimator}{where}"

    def check(self, *rules, **on):
        claims = {"scales": self.scales, "ignores_offset": self.ignores_offset}
        return check_estimator(self.estimator, make_at=self.place, rules=rules, **claims, **on)


@dataclass(frozen=True)
class Nearby:
    """A proposal that is not what is asked about, made by something with a name that is the same in every process."""

    def __call__(self, at):
        return Gaussian(at.mean + 0.02, 1.05 * at.scale)


CASES = [
    Case(ARM(), Bernoulli),
    Case(Backprop(repeat=True)),
    Case(CentralDifference(step=0.01)),
    Case(CentralDifference(step=0.01, repeat=True)),
    Case(ComplexStep()),
    Case(ComplexStep(repeat=True)),
    Case(DisARM(), Bernoulli),
    Case(Enumeration(), Bernoulli),
    Case(Enumeration(), choice),
    Case(ForwardDifference(step=0.01)),
    Case(ForwardDifference(step=0.01, repeat=True)),
    Case(ForwardGradient()),
    Case(ForwardGradient("rademacher")),
    Case(ImplicitPathwise(), gamma),
    Case(ImplicitPathwise(), beta),
    Case(ImplicitPathwise(), dirichlet),
    Case(ImplicitPathwise(), mixture),
    Case(Lax(), gaussian, ignores_offset=False),
    Case(Lax(lr=0.0), gaussian, ignores_offset=False),
    Case(LinearInterpolation(step=0.01)),
    Case(LinearInterpolation(step=0.01, directions="gaussian")),
    Case(Quadrature(sigma=0.2, nodes=5)),
    Case(Quadrature(nodes=5), gaussian),
    Case(GaussianSmoothing(0.2)),
    Case(GaussianSmoothing(0.2, "forward")),
    Case(GaussianSmoothing(0.2, "one-point"), ignores_offset=False),
    Case(GuidedSmoothing()),
    Case(GumbelRao(inner=3), Bernoulli),
    Case(GumbelRao(), choice),
    Case(GumbelSoftmax(), Bernoulli),
    Case(GumbelSoftmax(), choice),
    Case(GumbelSoftmax(hard=True), choice),
    Case(MeasureValued(), gaussian),
    Case(MeasureValued(), Bernoulli),
    Case(MeasureValued(), poisson),
    Case(MeasureValued(), choice),
    Case(MuProp(), Bernoulli),
    Case(MuProp(), choice),
    Case(OrthogonalSmoothing(0.2, "haar")),
    Case(OrthogonalSmoothing(0.2, "gaussian", "forward")),
    Case(OrthogonalSmoothing(0.2, "coordinate")),
    Case(OrthogonalSmoothing(0.2, "coordinate", "forward")),
    Case(OrthogonalSmoothing(0.2, "hadamard")),
    Case(OrthogonalSmoothing(0.2, "hadamard", "one-point"), ignores_offset=False),
    Case(Pathwise(), gaussian),
    Case(Rebar(), Bernoulli),
    Case(Rebar(learn_temperature=True, learn_eta=True), choice),
    Case(Relax(), Bernoulli, ignores_offset=False),
    Case(Relax(), choice, ignores_offset=False),
    Case(PGPE()),
    Case(PGPE(0.2, lr_sigma=0.0)),
    Case(SNES()),
    Case(SNES(0.2, lr_sigma=0.3)),
    Case(xNES()),
    Case(xNES(0.2, lr_sigma=0.1)),
    Case(Shaped()),
    Case(Shaped(GaussianSmoothing(0.2, "forward"), "utilities")),
    Case(Shaped(GaussianSmoothing(0.2, "one-point"), "top-k")),
    Case(Shaped(OrthogonalSmoothing(0.2), "z-scores")),
    Case(Shaped(ScoreFunction("moving")), gaussian),
    Case(SobolSmoothing(0.2, group=4)),
    Case(SobolSmoothing(0.2, "forward", group=4)),
    Case(SphereSmoothing(0.2)),
    Case(SphereSmoothing(0.2, "forward")),
    Case(StraightThrough(), Bernoulli),
    Case(StraightThrough(), choice),
    Case(TopDirections()),
    Case(TopDirections(0.2, top=3)),
    Case(VIMCO(), gaussian, scales=False),
    Case(VIMCO(3, "arithmetic"), Bernoulli, scales=False),
    Case(VIMCO(), choice, scales=False),
    Case(SPSA(0.2)),
    Case(SPSA(0.2, "one-point"), ignores_offset=False),
    Case(ImportanceWeighted(), Bernoulli, ignores_offset=False),
    Case(ImportanceWeighted(Nearby()), gaussian, ignores_offset=False),
    Case(ImportanceWeighted(Nearby(), baseline=0.7, clip=2.0), gaussian, ignores_offset=False, scales=False),
    Case(ImportanceWeighted(Nearby(), normalise=True), gaussian, ignores_offset=False),
    Case(SumAndSample(), choice),
    Case(SumAndSample(2, None), choice, ignores_offset=False),
    Case(ScoreFunction(None), gaussian, ignores_offset=False),
    Case(ScoreFunction(0.7), gaussian, ignores_offset=False, scales=False),
    Case(ScoreFunction("mean"), gaussian),
    Case(ScoreFunction("leave-one-out"), gaussian),
    Case(ScoreFunction(), Bernoulli),
    Case(ScoreFunction(), beta),
    Case(ScoreFunction(), dirichlet),
    Case(ScoreFunction(), gamma),
    Case(ScoreFunction(), mixture),
    Case(ScoreFunction(), poisson),
    Case(ScoreFunction(), choice),
    Case(ScoreFunction("moving"), gaussian, ignores_offset=False),
    Case(ScoreFunction("optimal"), gaussian),
    Case(ScoreFunction("optimal"), Bernoulli),
    Case(ScoreFunction(counts=True), choice),
    Case(ScoreFunction(0.7, counts=True), choice, ignores_offset=False, scales=False),
]
AS_THEY_ARE = [  # one of each way to draw
    Case(GaussianSmoothing(0.2)),
    Case(OrthogonalSmoothing(0.2, "hadamard", "one-point"), ignores_offset=False),
    Case(SobolSmoothing(0.2, "forward", group=4)),
    Case(ScoreFunction(), Bernoulli),
    Case(ScoreFunction(), beta),
]
every = pytest.mark.parametrize("case", CASES, ids=str)


def test_every_exported_estimator_has_its_case():
    assert {type(case.estimator) for case in CASES} == set(exported_estimators())


MEASURED = ("standard error", "order")  # rules that take hundreds of estimates of each
MEASURES = {"unbiased", "order", "standard error", "seeds"}  # rules that say what they found


@every
@pytest.mark.parametrize("rule", [pytest.param(r, marks=pytest.mark.slow) if r in MEASURED else r for r in RULES])
def test_the_rule_is_kept(case, rule, monkeypatch):
    if rule != "unbiased":  # which is about many estimates, not about many blocks
        make_blocks_small(monkeypatch)
    found = case.check(rule)
    assert set(found) == {rule} & MEASURES
    if isinstance(power := found.get("unbiased"), Power):
        assert power.enough and power.share < 0.1 and f"by {power.repeats:,} estimates" in str(power)


@pytest.mark.parametrize("case", AS_THEY_ARE, ids=str)
def test_rules_about_blocks_are_kept_in_blocks_as_large_as_they_are(case):
    case.check("pure blocks", "ask and tell", "pickled query", "reservation")


@every
def test_rules_about_many_blocks_see_many(case):
    subject = Subject(case.estimator, case.place)
    for problems in ((), (3,)):
        at, evaluations = subject.long(*problems)
        assert len(case.estimator.ask(at, evaluations, 0)) > 1


# points where a gradient is large beside the values, so that few estimates show a factor before it
ANYWHERE = (0.37, -0.61, 1.13, 0.22, -1.7)
WHERE_IT_SHOWS = {
    Square: (-0.1,),
    Steps: (-0.5,),
    Staircase: (0.3, -0.2, 0.4),
    Linear: (-1.4, -0.61),
    Quadratic: (0.07, 1.54, 1.13),
    Ridge: (0.37, 0.61, 0.9),
    Cliff: (0.37, 0.04),
    BoxHole: (1.0, -0.9),
    RandomWalk: (-0.7,),
    LinearSurvival: (0.1,),
}


def point(problem):  # asymmetric, off every edge
    x = torch.tensor(WHERE_IT_SHOWS.get(type(problem), ANYWHERE), dtype=torch.float64)
    return x.repeat(problem.dimension)[: problem.dimension]


WITHOUT_TRUTH = (beta, gamma, dirichlet, mixture, poisson)  # laws under which no problem knows its expectation


def places(case, problem):
    """Return where on a problem a case can be asked: parameters or a distribution of the problem's kind, or nothing."""
    x = point(problem)
    if isinstance(problem, CategoricalPayoffs):
        at = Categorical(x.view(len(problem.payoffs), -1))
    elif "relaxed" in problem.offers:
        at = Bernoulli(x)
    else:
        at = Gaussian(x, 0.2)
    if case.place in WITHOUT_TRUTH:
        return case.place(x) if isinstance(at, Gaussian) else None
    kinds = {None: x, gaussian: at, Bernoulli: at, choice: at}
    place = kinds[case.place]
    fits = {gaussian: Gaussian, Bernoulli: Bernoulli, choice: Categorical}.get(case.place, torch.Tensor)
    return place if isinstance(place, fits) else None


def places_to_ask(case):
    """Yield every problem that offers what a case needs at such a place within 20,000 evaluations, and that place."""
    for problem in PROBLEMS:
        at = places(case, problem)
        if at is not None and case.estimator.needs <= problem.offers and case.estimator.minimum(at) <= 20_000:
            yield problem, at


def pairs():
    """Return every case with every problem it is asked on."""
    return [(case, problem) for case in CASES for problem, _ in places_to_ask(case)]


@contextmanager
def on(problem):
    """Name the problem in an error: a test of many goes through all of them."""
    try:
        yield
    except Exception as error:
        error.add_note(f"on {problem}")
        raise


JUMPS = (Steps, Staircase, Cliff, BoxHole, BallHole, RadialStaircase, Orthant, Pivot, BallWithWall)


def is_pathwise_through_a_jump(case, problem):
    """Runs that end by a fall, costs that jump: the mean of the derivatives is not the derivative of the mean."""
    jumps = (Survival, *JUMPS) if isinstance(case.estimator, Pathwise) else Survival
    return isinstance(problem, jumps) and not case.estimator.needs <= {"value"}


def has_truth(case, problem, at):
    try:
        exact_gradient(problem, case.estimator.target, at)
    except NoClosedForm:
        return False
    return True


ELSEWHERE = (Kind.DIRECTION, Kind.RELAXED, Kind.SURROGATE)  # targets whose means are integrated in tests of their own


@pytest.mark.slow
@every
def test_what_it_claims_holds_on_every_problem_that_knows_the_truth(case):
    known = [(problem, at) for problem, at in places_to_ask(case) if has_truth(case, problem, at)]
    assert bool(known) is (case.estimator.target.kind not in ELSEWHERE and case.place not in WITHOUT_TRUTH)
    claimed = [(p, at) for p, at in known if case.estimator.unbiased and not is_pathwise_through_a_jump(case, p)]
    assert claimed or not known or not case.estimator.unbiased
    for problem, at in claimed:
        with on(problem):
            case.check("unbiased", problem=problem, at=at)


@pytest.mark.slow
@every
def test_it_answers_wherever_a_problem_offers_what_it_needs(case):
    asked = list(places_to_ask(case))
    assert asked
    for problem, at in asked:
        with on(problem):
            cost = problem.cost()
            e = case.estimator(cost, at, evaluations=max(2, case.estimator.minimum(at, cost)), key=5)
            wanted = at.parameters if isinstance(at, Distribution) else {"at": at}
            got = e.gradient if isinstance(e.gradient, dict) else {"at": e.gradient}
            assert {name: g.shape for name, g in got.items()} == {name: p.shape for name, p in wanted.items()}
            assert all(torch.isfinite(g).all() for g in got.values())


WRONG = [
    *((Backprop(repeat=True), problem) for problem in (FallChain(), LinearSurvival())),
    *((Pathwise(), problem) for problem in PROBLEMS if isinstance(problem, JUMPS)),
]


@pytest.mark.parametrize(("estimator", "problem"), WRONG, ids=str)
def test_where_the_claim_does_not_hold_it_is_caught(estimator, problem):
    at = Gaussian(point(problem), 0.2) if isinstance(estimator, Pathwise) else point(problem)
    with pytest.raises(AssertionError, match=r"^unbiased: the mean of \d+ estimates"):
        check_estimator(estimator, problem, at=at, rules=["unbiased"])


CHILD = f"""
import pickle, sys, torch
{inspect.getsource(smooth)}
{inspect.getsource(bumpy)}
found = []
for query in pickle.load(sys.stdin.buffer):
    e = query.estimator.tell(query, torch.cat([bumpy(block.points) for block in query]))
    found.append(e.gradient)
torch.save(found, sys.argv[1])
""".replace(": Tensor", "").replace(" -> Tensor", "")


@pytest.mark.slow
def test_a_pickled_query_is_a_recipe_that_another_process_can_carry_on(tmp_path):
    x = torch.linspace(-1, 2, 2_000, dtype=torch.float64)
    asked = [(GaussianSmoothing(0.2, "forward"), x), (ScoreFunction(), gaussian(x))]
    queries = [estimator.ask(at, 100, 7) for estimator, at in asked]
    for query in queries:  # the parameters travel; 100 × 2,000 numbers of noise do not
        assert len(pickle.dumps(query)) < 40_000 + 2_000 * 8
    path = tmp_path / "gradients.pt"
    subprocess.run([sys.executable, "-c", CHILD, str(path)], input=pickle.dumps(queries), check=True, timeout=240)
    for (estimator, at), there in zip(asked, torch.load(path, weights_only=True), strict=True):
        here = estimator(Cost(bumpy), at, evaluations=100, key=7).gradient
        # the child evaluates with one thread per its own settings, so costs may differ by rounding
        torch.testing.assert_close(here, there, rtol=1e-12, atol=1e-12)

"""The contract, on every estimator: order of blocks, ask/tell, accounting, randomness, purity, pickling, errors.

One line in CASES brings a new estimator in; one that is exported and has none fails the first test.
"""

import dataclasses
import inspect
import math
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from checks import fresh_state

from rllab import Bernoulli, BudgetExceeded, Categorical, Cost, Gaussian, Key, Target, estimators
from rllab.estimators import (
    SPSA,
    Backprop,
    CentralDifference,
    ComplexStep,
    Enumeration,
    Estimator,
    ForwardDifference,
    ForwardGradient,
    GaussianSmoothing,
    GuidedSmoothing,
    LinearInterpolation,
    OrthogonalSmoothing,
    Quadrature,
    ScoreFunction,
    SobolSmoothing,
    SphereSmoothing,
)


def parameters(at):
    return at


def gaussian(at):
    return Gaussian(at, 0.2)


def choice(at):
    return Categorical(at.unsqueeze(-2))


@dataclass(frozen=True)
class Case:
    """An estimator, where it is asked (tensor to `at`), and at which dimension how few evaluations make many blocks."""

    estimator: Estimator
    place: Callable = parameters
    long: int = 100_000
    many: int = 11

    def __str__(self):
        return f"{self.estimator} at {self.place.__name__}"

    def at(self, *shape, dtype=torch.float64):
        return self.place(torch.linspace(-1, 2, math.prod(shape), dtype=dtype).reshape(shape))

    def evaluations(self, at, wanted):
        return max(wanted, 2 * self.estimator.minimum(at))  # more than one unit, for those that can

    def cost(self, **arguments):
        return Cost(smooth if "complex" in self.estimator.needs else bumpy, **arguments)


CASES = [
    Case(Backprop(repeat=True)),
    Case(CentralDifference(step=0.01), long=600),
    Case(CentralDifference(step=0.01, repeat=True), long=600),
    Case(ComplexStep(), long=600),
    Case(ComplexStep(repeat=True), long=600),
    Case(Enumeration(), Bernoulli, long=15),
    Case(ForwardDifference(step=0.01), long=600),
    Case(ForwardDifference(step=0.01, repeat=True), long=600),
    Case(ForwardGradient()),
    Case(ForwardGradient("rademacher")),
    Case(LinearInterpolation(step=0.01), long=420),
    Case(LinearInterpolation(step=0.01, directions="gaussian"), long=420),
    Case(Quadrature(sigma=0.2, nodes=5), long=7),
    Case(Quadrature(nodes=5), gaussian, long=7),
    Case(GaussianSmoothing(0.2)),
    Case(GaussianSmoothing(0.2, "forward")),
    Case(GaussianSmoothing(0.2, "one-point")),
    Case(GuidedSmoothing()),
    Case(OrthogonalSmoothing(0.2, "haar"), long=300, many=1_300),
    Case(OrthogonalSmoothing(0.2, "gaussian", "forward"), long=300, many=1_300),
    Case(OrthogonalSmoothing(0.2, "coordinate")),
    Case(OrthogonalSmoothing(0.2, "coordinate", "forward")),
    Case(OrthogonalSmoothing(0.2, "hadamard")),
    Case(OrthogonalSmoothing(0.2, "hadamard", "one-point")),
    Case(SobolSmoothing(0.2, group=4), long=20),
    Case(SobolSmoothing(0.2, "forward", group=4), long=20),
    Case(SphereSmoothing(0.2)),
    Case(SphereSmoothing(0.2, "forward")),
    Case(SPSA(0.2)),
    Case(SPSA(0.2, "one-point")),
    Case(ScoreFunction(None), gaussian),
    Case(ScoreFunction(0.7), gaussian),
    Case(ScoreFunction("mean"), gaussian),
    Case(ScoreFunction("leave-one-out"), gaussian),
    Case(ScoreFunction(), Bernoulli),
    Case(ScoreFunction(), choice),
]
every = pytest.mark.parametrize("case", CASES, ids=str)


def smooth(x):
    return x[:, 0] * x[:, -1] + torch.sin(x * torch.linspace(0.5, 2, x.shape[-1], dtype=x.dtype)).mean(-1)


def bumpy(x):
    return torch.floor(4 * x.abs()).mean(-1) + smooth(x)


def same(a, b) -> bool:
    if a is None or b is None:
        return a is b
    return all(torch.equal(a[n], b[n]) for n in a) if isinstance(a, dict) else torch.equal(a, b)


def first(gradient):
    """The gradient, or that of a distribution's first parameter."""
    return next(iter(gradient.values())) if isinstance(gradient, dict) else gradient


def leaf(at):
    return at if isinstance(at, torch.Tensor) else next(iter(at.parameters.values()))


def answer(cost, query):
    """Evaluate a query's blocks in reverse, into preallocated answers, by the public methods of a cost."""
    values = None
    for i in reversed(range(len(query))):
        block = query[i]
        flat = block.points.reshape(-1, block.points.shape[-1])
        if query.kind == "jvp":
            parts = cost.jvp(flat, block.tangents.reshape(flat.shape))
        else:
            parts = {"value": cost}.get(query.kind, getattr(cost, query.kind, None))(flat)
        parts = parts if isinstance(parts, tuple) else (parts,)
        shaped = [part.reshape(*block.points.shape[:-1], *part.shape[1:]) for part in parts]
        if values is None:
            values = tuple(torch.empty(query.evaluations, *p.shape[1:], dtype=p.dtype) for p in shaped)
        for whole, part in zip(values, shaped, strict=True):
            whole[block.rows] = part
    return values if len(values) > 1 else values[0]


def test_every_exported_estimator_has_its_case():
    exported = {
        cls
        for cls in vars(estimators).values()
        if isinstance(cls, type) and issubclass(cls, Estimator) and cls is not Estimator
    }
    assert {type(case.estimator) for case in CASES} == exported


@every
def test_it_declares_what_it_estimates_what_it_needs_and_where_it_comes_from(case):
    estimator = case.estimator
    assert isinstance(estimator.target, Target)
    assert isinstance(estimator.unbiased, bool)
    assert estimator.order is None or estimator.order >= 1
    asked = {"value_and_gradient": "gradient"}.get(estimator.kind, estimator.kind)
    assert asked in estimator.needs
    assert re.search(r"\((18|19|20)\d\d\)", estimator.source), "source must be authors (year), title"


@every
def test_hyperparameters_are_frozen_and_all_have_defaults(case):
    cls = type(case.estimator)
    assert dataclasses.is_dataclass(cls)
    assert cls() == cls() and hash(cls()) == hash(cls())
    assert pickle.loads(pickle.dumps(case.estimator)) == case.estimator
    for field in dataclasses.fields(cls):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(case.estimator, field.name, None)


@every
@pytest.mark.parametrize("problems", ((), (3,)), ids=("one problem", "three problems"))
def test_blocks_in_any_order_told_later_give_the_bits_of_a_call(case, problems):
    estimator, at = case.estimator, case.at(*problems, case.long)
    evaluations = case.evaluations(at, case.many)
    whole = estimator(case.cost(), at, evaluations=evaluations, key=7, rows=True)
    query = estimator.ask(at, evaluations, 7)
    assert len(query) > 1
    told = estimator.tell(query, answer(case.cost(), query), rows=True)
    assert same(whole.gradient, told.gradient)
    assert same(whole.standard_error, told.standard_error)
    assert same(whole.rows, told.rows)
    assert same(whole.value, told.value)
    assert whole.evaluations == told.evaluations == query.evaluations
    assert whole.kind == told.kind == query.kind == estimator.kind
    assert whole.target == told.target == estimator.target


@every
@pytest.mark.parametrize("evaluations", (1, 2, 3, 10, 257))
def test_what_is_spent_is_what_was_called(case, evaluations):
    estimator, at, calls = case.estimator, case.at(5), []
    if evaluations < estimator.minimum(at):
        with pytest.raises(ValueError, match=f"evaluations must be >= {estimator.minimum(at)}, got {evaluations}"):
            estimator.ask(at, evaluations, 0)
        return
    function = case.cost().function
    cost = Cost(lambda x: calls.append(len(x)) or function(x))
    e = estimator(cost, at, evaluations=evaluations, key=0)
    kind = {"value_and_gradient": "gradient"}.get(e.kind, e.kind)
    assert sum(calls) == cost.spent[kind] == sum(cost.spent.values()) == e.evaluations <= evaluations
    plan = estimator._plan(at)
    if plan.most_units is None:
        assert evaluations - e.evaluations < plan.per_unit
    else:
        assert e.evaluations == plan.shared + plan.most_units * plan.per_unit


@every
def test_the_whole_query_is_reserved_before_the_first_call(case):
    at = case.at(case.long)
    evaluations = case.evaluations(at, case.many)
    spent = case.estimator.ask(at, evaluations, 0).evaluations
    if spent > 1:
        cost = case.cost(budget=spent - 1)
        with pytest.raises(BudgetExceeded, match="do not fit"):
            case.estimator(cost, at, evaluations=evaluations, key=0)
        assert not any(cost.spent.values())
    exact = case.cost(budget=spent)
    case.estimator(exact, at, evaluations=evaluations, key=0)
    assert sum(exact.spent.values()) == spent


@every
def test_problems_are_charged_and_answered_one_by_one(case):
    at, cost = case.at(3, 4), case.cost()
    e = case.estimator(cost, at, evaluations=case.evaluations(at, 10), key=0)
    assert sum(cost.spent.values()) == 3 * e.evaluations
    assert first(e.gradient).shape == leaf(at).shape
    assert e.value is None or e.value.shape == (3,)


@every
def test_a_problem_is_not_touched_by_its_neighbours(case):
    here, there = case.at(3, 3), case.at(3, 3)
    leaf(there)[1] *= 0.4
    evaluations = case.evaluations(here, 8)
    a, b = (first(case.estimator(case.cost(), at, evaluations=evaluations, key=0).gradient) for at in (here, there))
    torch.testing.assert_close(a[[0, 2]], b[[0, 2]], rtol=1e-12, atol=1e-12)
    assert (a[1] - b[1]).abs().max() > 1e-3


@every
def test_nothing_outside_is_touched(case):
    at = case.at(5)
    parameter = leaf(at).requires_grad_()
    before, copy, grad_mode = fresh_state(), parameter.detach().clone(), torch.is_grad_enabled()
    e = case.estimator(case.cost(), at, evaluations=case.evaluations(at, 9), key=4, rows=True)
    assert fresh_state() == before
    assert parameter.requires_grad and parameter.grad is None and torch.equal(parameter.detach(), copy)
    assert torch.is_grad_enabled() == grad_mode and torch.get_default_dtype() == torch.float32
    for result in (e.gradient, e.standard_error, e.rows):
        assert result is None or (not first(result).requires_grad and first(result).dtype == parameter.dtype)


@every
def test_single_precision_stays_single_and_agrees_with_double(case):
    single, double = (
        first(case.estimator(case.cost(), at, evaluations=case.evaluations(at, 9), key=4).gradient)
        for at in (case.at(5, dtype=torch.float32), case.at(5))
    )
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-3)  # the same draws, rounded


@every
def test_equal_keys_give_equal_and_other_keys_other_estimates(case):
    # A cost with noise of its own: a method that draws nothing must still hand it other seeds
    function = case.cost().function

    def noisy(x, seeds):
        return function(x) + (seeds % 1000).to(x) / 1000 * (x * x).sum(-1)

    at = case.at(5)
    a, b, other = (
        case.estimator(Cost(noisy, seeded=True), at, evaluations=case.evaluations(at, 9), key=key).gradient
        for key in (4, Key(4), Key(4).child("other"))
    )
    assert same(a, b)
    assert not same(a, other)


@every
def test_a_cost_that_is_not_a_number_stops_the_estimate(case):
    function, at = case.cost().function, case.at(5)
    cost = Cost(lambda x: function(x) * torch.nan)
    with pytest.raises(FloatingPointError, match="evaluation 0 is"):
        case.estimator(cost, at, evaluations=case.evaluations(at, 9), key=4)


CHILD = f"""
import pickle, sys, torch
{inspect.getsource(smooth)}
{inspect.getsource(bumpy)}
query, path = pickle.load(sys.stdin.buffer), sys.argv[1]
e = query.estimator.tell(query, torch.cat([bumpy(block.points) for block in query]))
torch.save(e.gradient, path)
"""


@pytest.mark.parametrize(
    "case",
    [Case(GaussianSmoothing(0.2, "forward")), Case(ScoreFunction(), gaussian)],
    ids=str,
)
def test_a_pickled_query_is_a_recipe_that_another_process_can_carry_on(case, tmp_path):
    estimator, at = case.estimator, case.at(2_000)
    query = estimator.ask(at, 100, 7)
    parcel = pickle.dumps(query)
    assert len(parcel) < 40_000 + 2_000 * 8  # the parameters travel; 100 × 2,000 numbers of noise do not
    path = tmp_path / "gradient.pt"
    subprocess.run([sys.executable, "-c", CHILD, str(path)], input=parcel, check=True, timeout=120)
    here = estimator(Cost(bumpy), at, evaluations=100, key=7).gradient
    there = torch.load(path, weights_only=True)
    # the child evaluates with one thread per its own settings, so costs may differ by rounding
    torch.testing.assert_close(here, there, rtol=1e-12, atol=1e-12)


@every
def test_telling_the_wrong_number_of_values_or_a_nan_is_an_error(case):
    at = case.at(5)
    query = case.estimator.ask(at, case.evaluations(at, 6), 0)
    values = answer(case.cost(), query)
    part, *more = values if isinstance(values, tuple) else (values,)

    def tell(part):
        case.estimator.tell(query, (part, *more) if more else part)

    n = query.evaluations
    with pytest.raises(ValueError, match=rf"values must be \({n},\).*, got \({n + 1},\)"):
        tell(torch.cat((part, part[:1])))
    part[n - 1] = torch.nan
    with pytest.raises(ValueError, match=rf"values must be finite, got .*nan.* at \[{n - 1}\]"):
        tell(part)


@every
def test_a_plain_function_is_not_a_cost(case):
    at = case.at(5)
    with pytest.raises(TypeError, match="cost must be a Cost"):
        case.estimator(bumpy, at, evaluations=case.evaluations(at, 6), key=0)


on_parameters = pytest.mark.parametrize("case", [case for case in CASES if case.place is parameters], ids=str)


@on_parameters
@pytest.mark.parametrize("at", (torch.zeros(0), torch.zeros(2, 2, 2), torch.tensor(1.0)), ids=("empty", "3-D", "0-D"))
def test_parameters_of_another_shape_are_refused(case, at):
    with pytest.raises(ValueError, match=rf"{type(case.estimator).__name__}: at must be \(d,\) or \(B, d\)"):
        case.estimator.ask(at, 4, 0)


@on_parameters
def test_parameters_that_are_no_floating_tensor_are_refused(case):
    with pytest.raises(TypeError, match="at must be a tensor"):
        case.estimator.ask([0.0], 4, 0)
    with pytest.raises(TypeError, match="floating-point"):
        case.estimator.ask(torch.tensor([1, 2]), 4, 0)

"""check_estimator: right estimators pass, and each way of breaking the contract is named by the rule it breaks."""

import itertools
import random
import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from rllab import Target, testing
from rllab.estimators import (
    SPSA,
    VIMCO,
    Backprop,
    CentralDifference,
    Estimator,
    GaussianSmoothing,
    ScoreFunction,
    SphereSmoothing,
    SumAndSample,
)
from rllab.problems import Exponential, Staircase
from rllab.testing import RULES, Power, Subject, check_estimator, exported_estimators
from rllab.testing.claims import CLAIMS
from tests.estimators.test_contract import CASES, MEASURES
from tests.proofs.blocks import make_blocks_small


@pytest.mark.parametrize("estimator", [SPSA(), ScoreFunction(), CentralDifference()], ids=str)
def test_a_right_estimator_keeps_every_rule_without_being_told_anything(estimator):
    check_estimator(estimator, ignores_offset=True)
    check_estimator(estimator, key=5)


def is_a_case(estimator):
    """Whether the contract's tests check it with its defaults, where it is asked by default: by the same draws."""
    of_it = [case for case in CASES if case.estimator == estimator()]
    return any(case.place in (None, Subject(estimator())._make_at) for case in of_it)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [cls for cls in exported_estimators() if not is_a_case(cls)])
def test_every_other_estimator_of_the_lab_keeps_every_rule_as_it_is(estimator, monkeypatch):
    with monkeypatch.context() as patch:  # what large blocks change, tests/estimators/test_contract.py has tests of
        make_blocks_small(patch)
        mechanics = check_estimator(estimator(), rules=[rule for rule in RULES if rule not in CLAIMS])
    assert mechanics == {}
    found = check_estimator(estimator(), rules=CLAIMS)
    assert set(found) == MEASURES
    power = found["unbiased"]
    if isinstance(power, Power):
        assert power.enough and power.share < 0.1
        assert f"by {power.repeats:,} estimates" in str(power) and "takes more" not in str(power)


def test_the_default_place_has_no_ties_that_rounding_may_break():
    for d in (3, 4, 5):
        logits = Subject(SPSA()).some_at(d)
        signs = torch.tensor(list(itertools.product((-1.0, 0.0, 1.0), repeat=d)), dtype=torch.float64)
        differences = (signs @ logits).abs()[signs.any(-1)]  # of log p of two outcomes
        assert differences.min() > 1e-3
    for key in range(8):
        check_estimator(SumAndSample(), key=key, rules=["dtype"])


def test_whether_an_estimate_scales_with_the_cost_is_read_off_its_target_or_told():
    check_estimator(VIMCO(), rules=["scale"])
    with pytest.raises(AssertionError, match=r"^scale: "):
        check_estimator(VIMCO(), rules=["scale"], scales=True)
    with pytest.raises(AssertionError, match=r"^scale: "):
        check_estimator(ScoreFunction(0.7), rules=["scale"])
    check_estimator(ScoreFunction(0.7), rules=["scale"], scales=False)


@dataclass(frozen=True)
class Scaled(GaussianSmoothing):
    factor: float = 1.1

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=self.factor * e.gradient)


@dataclass(frozen=True)
class ScaledSphere(SphereSmoothing):
    factor: float = 1.05

    _fold = Scaled._fold  # pyright: ignore


def test_a_factor_is_seen_as_soon_as_the_report_says_it_is():
    power = check_estimator(GaussianSmoothing(), rules=["unbiased"])["unbiased"]
    assert power.enough and 0.03 < power.share < 0.05
    for key in range(4):
        for factor in (1 + power.share, 1 - power.share):
            with pytest.raises(AssertionError, match=r"^unbiased: the mean of"):
                check_estimator(Scaled(factor=factor), key=key, rules=["unbiased"])
        check_estimator(Scaled(factor=1 + power.share / 10), key=key, rules=["unbiased"])


def test_what_is_to_be_seen_can_be_chosen():
    rough = check_estimator(GaussianSmoothing(), rules=["unbiased"], detects=0.3)["unbiased"]
    assert rough.repeats == 2_000 and rough.enough and 0.1 < rough.share < 0.3
    fine = check_estimator(GaussianSmoothing(), rules=["unbiased"], detects=0.001)["unbiased"]
    assert fine.repeats == (1 << 21) // (8 * 3) and not fine.enough


def test_the_rules_are_public_and_each_says_what_it_demands():
    assert testing.RULES is RULES and len(RULES) == 27
    assert all(rule.__doc__ and rule.__doc__.split("\n")[0].endswith((".", ":", ",")) for rule in RULES.values())


def test_every_rule_stands_in_the_docstring_by_its_name():
    text = check_estimator.__doc__.split("Args:")[0]
    listed = re.findall(r'"([^"]+)"', "\n".join(line for line in text.splitlines() if line.lstrip().startswith("- ")))
    assert sorted(listed) == sorted(RULES)


class Mutant(GaussianSmoothing):
    """A right estimator until something is changed."""


class NoSource(Mutant):
    source: ClassVar[str] = "folklore"


class UnbiasedDirection(Mutant):
    @property
    def target(self):
        return Target.direction("ranks")


@dataclass
class Thawed(Estimator):
    sigma: float = 0.1
    source: ClassVar[str] = GaussianSmoothing.source
    target = GaussianSmoothing.target
    unbiased = GaussianSmoothing.unbiased
    _plan, _block, _fold, _units = (getattr(GaussianSmoothing, f) for f in ("_plan", "_block", "_fold", "_units"))
    form: str = "antithetic"


class TooModest(Mutant):
    """Takes any budget as one pair."""

    def ask(self, at, evaluations, key, *, state=None):
        return super().ask(at, max(2, evaluations), key, state=state)


class Counting(Mutant):
    """Draws block i from how many blocks were drawn before."""

    calls: ClassVar[list[int]] = []

    def _block(self, query, i):
        self.calls.append(i)
        return super()._block(replace(query, key=query.key.child("call", len(self.calls))), i)


class Forgetful(Mutant):
    """Evaluates the blocks of a call in reverse, though its fold adds them up in order."""

    def _answers(self, cost, query):
        return iter(list(super()._answers(cost, query))[::-1])


class Peeking(Mutant):
    """Looks at the centre beside the query, and keeps quiet about it."""

    def __call__(self, cost, at, **arguments):
        e = super().__call__(cost, at, **arguments)
        cost(at.detach().reshape(-1, at.shape[-1])[:1])
        return e


class Spendthrift(Mutant):
    """Begins to spend before it knows whether the budget is enough."""

    def __call__(self, cost, at, *, evaluations, key, **arguments):
        query = self.ask(at, evaluations, key)
        return self._fold(query, self._answers(cost, query), arguments.get("per_unit", False), True)


class Averaging(Mutant):
    """Centres the directions over the problems of a query."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        g = e.gradient
        return replace(e, gradient=g - 0.1 * g.mean(0, keepdim=True) if g.ndim == 2 else g)


class Extravagant(Backprop):
    """Asks for the value beside the gradient, where that is an evaluation more."""

    def __call__(self, cost, at, **arguments):
        if cost.value_is_extra:
            cost(at.detach().reshape(-1, at.shape[-1])[:1])
        return super().__call__(cost, at, **arguments)


class Remembering(Mutant):
    """Leans on the estimate before, and does not say so."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        before = e.gradient if query.state is None else query.state
        return replace(e, gradient=0.9 * e.gradient + 0.1 * before, state=e.gradient)


class Leaking(Mutant):
    """Lets a little of the mean cost into the gradient."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=e.gradient + 1e-9 * e.value.unsqueeze(-1))


class GlobalNoise(Mutant):
    def _block(self, query, i):
        torch.rand(1)
        return super()._block(query, i)


class PythonNoise(Mutant):
    def _block(self, query, i):
        random.random()
        np.random.rand()  # noqa: NPY002 - what is caught
        return super()._block(query, i)


class InPlace(Mutant):
    """Steps forth and back in the parameters themselves."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        query.at.add_(1e-9)
        return e


class DoubleAlways(Mutant):
    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=e.gradient.double())


class OneSeed(Mutant):
    """The same directions whatever the key."""

    def ask(self, at, evaluations, key, *, state=None):
        return super().ask(at, evaluations, 0, state=state)


class Charitable(Mutant):
    """Takes a NaN for zero."""

    def __call__(self, cost, at, **arguments):
        function = cost.function
        cost.function = lambda *x: function(*x).nan_to_num(0.0)
        try:
            return super().__call__(cost, at, **arguments)
        finally:
            cost.function = function


class Heavy(Mutant):
    """Sends all its noise along in the query."""

    def ask(self, at, evaluations, key, *, state=None):
        query = super().ask(at, evaluations, key)
        return replace(query, state=[query[i].noise for i in range(len(query))])


class Trusting(Mutant):
    """Looks at no value it is told."""

    def tell(self, query, values, *, per_unit=False, errors=True):
        return self._fold(query, ((block, values[block.rows]) for block in query), per_unit, errors)


class SureOfOne(Mutant):
    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return e if e.standard_error is not None else replace(e, standard_error=torch.zeros_like(e.gradient))


class AnyShape(Mutant):
    def _plan(self, at):
        return super()._plan(torch.as_tensor(at, dtype=torch.float64).reshape(1, -1))


class Doubled(Mutant):
    """2σ forgotten in the denominator."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=2 * e.gradient)


class Normalised(Mutant):
    """Divides by the length, and goes on calling it a gradient."""

    def _fold(self, query, answered, per_unit, errors):
        e = super()._fold(query, answered, per_unit, errors)
        return replace(e, gradient=torch.nn.functional.normalize(e.gradient, dim=-1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "mutant"),
    [
        ("declarations", NoSource()),
        ("declarations", UnbiasedDirection()),
        ("frozen", Thawed()),
        ("minimum", TooModest()),
        ("pure blocks", Counting()),
        ("ask and tell", Forgetful()),
        ("declarations", Remembering()),
        ("spending", Peeking()),
        ("spending", Extravagant()),
        ("reservation", Spendthrift()),
        ("batch members apart", Averaging()),
        ("nothing touched", GlobalNoise()),
        ("nothing touched", PythonNoise()),
        ("nothing touched", InPlace()),
        ("dtype", DoubleAlways()),
        ("key", OneSeed()),
        ("not a number", Charitable()),
        ("pickled query", Heavy()),
        ("wrong values", Trusting()),
        ("one unit", SureOfOne()),
        ("wrong arguments", AnyShape()),
        ("unbiased", Doubled()),
        ("unbiased", Scaled()),
        ("unbiased", Scaled(factor=1.05)),
        ("unbiased", ScaledSphere()),
        ("scale", Normalised()),
        ("offset", GaussianSmoothing(form="one-point")),
        ("offset", Leaking()),
    ],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
def test_the_broken_estimator_is_caught_by_the_name_of_the_rule(rule, mutant):
    with pytest.raises(AssertionError, match=rf"^{rule}: .*{type(mutant).__name__}.*; the rule: "):
        check_estimator(mutant, ignores_offset=True, rules=[rule])
    with pytest.raises(AssertionError):
        check_estimator(mutant, ignores_offset=True)


@pytest.mark.parametrize("rule", RULES)
def test_what_the_mutants_are_made_of_keeps_the_rule(rule):
    check_estimator(Mutant(), ignores_offset=True, rules=[rule])


def test_a_claim_is_measured_on_the_problem_that_is_given():
    exact = Backprop()
    check_estimator(exact, Exponential(-1.3, dimension=2), rules=["unbiased"])
    with pytest.raises(AssertionError, match=r"^unbiased: Staircase does not offer \['complex'\]"):
        check_estimator(_Complex(), Staircase(dimension=2), rules=["unbiased"])
    place = torch.tensor([0.2, 0.4], dtype=torch.float64)
    check_estimator(GaussianSmoothing(0.3), Staircase(dimension=2), key=3, at=place, rules=["unbiased"])


class _Complex(Mutant):
    needs: ClassVar[frozenset[str]] = frozenset({"complex"})


def test_what_is_no_estimator_and_no_rule_is_refused():
    with pytest.raises(TypeError, match="estimator must be an Estimator, got <class"):
        check_estimator(GaussianSmoothing)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"rules must be among .*'unbiased'.*, got 'honest'"):
        check_estimator(SPSA(), rules=["honest"])

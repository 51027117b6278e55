"""Rules of the contract that a machine can see: values, queries, blocks, accounting, randomness, errors."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.cost import BudgetExceeded, Cost
from rllab.estimate import Kind, Target
from rllab.testing.subject import Subject, answer, leaf, parameters, parts, same, smooth


def must(holds: bool, otherwise: str) -> None:
    """Raise an AssertionError that says `otherwise` unless it holds, also where Python runs without assertions."""
    if not holds:
        raise AssertionError(otherwise)


@contextmanager
def refusal(kind: type[Exception], says: str, of: str) -> Iterator[None]:
    """Demand that the block raises an error of a kind, whose text has a match of `says`."""
    try:
        yield
    except kind as error:
        must(re.search(says, str(error)) is not None, f"the error for {of} must say {says!r}, got: {error}")
        return
    raise AssertionError(f"{of} must raise {kind.__name__}, and did not")


def declares(s: Subject) -> None:
    """It says what it estimates, whether unbiased, what it needs of a cost, where it comes from, if it has a state."""
    e = s.estimator
    must(isinstance(e.target, Target), f"target must be a Target, got {e.target!r}")
    must(isinstance(e.unbiased, bool), f"unbiased must be a bool, got {e.unbiased!r}")
    must(not (e.unbiased and e.target.kind is Kind.DIRECTION), "a direction has no truth, so it cannot be unbiased")
    must(e.order is None or e.order >= 1, f"order must be None or >= 1, got {e.order!r}")
    must(spending(e.kind) in e.needs, f"needs must hold what is asked, {e.kind!r}, got {sorted(e.needs)}")
    must(re.search(r"\((18|19|20)\d\d\)", e.source) is not None, f"source must be authors (year), got {e.source!r}")
    at, cost, other = s.some_at(s.d), s.cost(), s.key.child("other")
    n = s.evaluations(at, 9)
    state = e(cost, at, evaluations=n, key=s.key).state
    after, alone = (e(cost, at, evaluations=n, key=other, state=given).gradient for given in (state, None))
    must(e.stateful or same(after, alone), "stateful must be True of one that depends on the state of an estimate")


def is_frozen(s: Subject) -> None:
    """It is a frozen dataclass of hyperparameters that all have defaults, and pickles."""
    e, cls = s.estimator, type(s.estimator)
    must(dataclasses.is_dataclass(cls), f"{cls.__name__} must be a dataclass")
    must(cls() == cls() and hash(cls()) == hash(cls()), "two of one class with defaults must be equal")
    must(pickle.loads(pickle.dumps(e)) == e, "it must be equal to itself after pickling")
    for f in dataclasses.fields(cls):  # type: ignore[arg-type] - it is a dataclass, see above
        with refusal(dataclasses.FrozenInstanceError, "", f"assigning {f.name}"):
            setattr(e, f.name, None)


def has_pure_blocks(s: Subject) -> None:
    """A block depends on the query and its number alone: in any order, any number of times, the same bits."""
    at, evaluations = s.long()
    query = s.estimator.ask(at, evaluations, s.key)
    forth = [query[i].points.sum() for i in range(len(query))]
    back = [query[i].points.sum() for i in reversed(range(len(query)))]
    must(torch.equal(torch.stack(forth), torch.stack(back[::-1])), "blocks must not depend on the order they come in")
    must(torch.equal(query[0].points, query[0].points), "a block must be the same points whenever it is made")
    rows = [query[i].rows for i in range(len(query))]
    must(rows[0].start == 0 and rows[-1].stop == query.evaluations, "blocks must begin at row 0 and end at the last")
    must(all(a.stop == b.start for a, b in itertools.pairwise(rows)), "blocks must leave out no row")


def tells_what_it_calls(s: Subject) -> None:
    """`ask`, values in any order, `tell` give the bits of a call: at one and at a batch of three."""
    for batch in ((), (3,)):
        at, evaluations = s.long(*batch)
        called = s.estimator(s.cost(), at, evaluations=evaluations, key=s.key, per_unit=True)
        query = s.estimator.ask(at, evaluations, s.key)
        told = s.estimator.tell(query, answer(s.cost(), query), per_unit=True)
        for what in ("gradient", "standard_error", "per_unit", "value"):
            a, b = getattr(called, what), getattr(told, what)
            must(same(a, b), f"{what} must be the same bits whether called or told, at {batch or 'one'}")
        must(called.evaluations == told.evaluations == query.evaluations, "evaluations must be those of the query")
        must(called.kind == told.kind == query.kind == s.estimator.kind, "kind must be that of the estimator")
        must(called.target == told.target == s.estimator.target, "target must be that of the estimator")


def spends_what_it_says(s: Subject) -> None:
    """Evaluations made, the cost's ledger and the estimate agree; no more than allowed, and no unit less.

    So it is of one and of a batch; and if the gradient is a function of its own, and a value beside it an evaluation
    more: one that is needed, or none.
    """
    differentiates = s.estimator.kind in ("gradient", "value_and_gradient")
    for batch, given in itertools.product(((), (3,)), (False, True)[: 1 + differentiates]):
        at = s.some_at(*batch, s.d)
        plan, members, each = s.estimator._plan(at), sum(batch) or 1, 2 if given and "value" in s.estimator.needs else 1
        for evaluations in {max(n, each * s.estimator.minimum(at)) for n in (1, 2, 3, 10, 257)}:
            calls: list[int] = []
            cost = _counting(s, calls, given)
            e = s.estimator(cost, at, evaluations=evaluations, key=s.key)
            spent = {"calls": sum(calls) - cost.checks, "ledger": cost.evaluated, "said": members * e.evaluations}
            where = "with a given gradient " * given + f"at {batch or 'one'} "
            must(len(set(spent.values())) == 1, f"{where}calls, ledger and estimate must agree, got {spent}")
            of_kind = each * cost.spent[spending(e.kind)]
            must(of_kind == cost.evaluated, f"{where}all must be of kind {e.kind!r}, got {cost.spent}")
            must(e.evaluations <= evaluations, f"{where}at most {evaluations} may be spent, got {e.evaluations}")
            if plan.most_units is None:
                unit = each * plan.per_unit
                must(evaluations - e.evaluations < unit, f"{evaluations} make more units than {e.evaluations} use")
            else:
                most = each * (plan.shared + plan.most_units * plan.per_unit)
                must(e.evaluations <= most, "there are more units than most_units")


def _counting(s: Subject, calls: list[int], given: bool) -> Cost:
    """Return a cost that notes how many points it is called at; so does its gradient, if that is to be given."""
    function = s.function()

    def gradient(x: Tensor) -> Tensor:
        calls.append(len(x))
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            return torch.autograd.grad(function(y).sum(), y)[0]

    return s.cost(lambda x: calls.append(len(x)) or function(x), **({"gradient": gradient} if given else {}))


def reserves_first(s: Subject) -> None:
    """A budget that does not pay for the whole query is refused before the first call; one that just does is enough."""
    at, evaluations = s.long()
    spent = s.estimator.ask(at, evaluations, s.key).evaluations
    if spent > 1:
        cost = s.cost(budget=spent - 1)
        with refusal(BudgetExceeded, "do not fit", f"a query of {spent} with a budget of {spent - 1}"):
            s.estimator(cost, at, evaluations=evaluations, key=s.key)
        must(not any(cost.spent.values()), f"nothing may be spent of a budget that is too small, got {cost.spent}")
    exact = s.cost(budget=spent)
    s.estimator(exact, at, evaluations=evaluations, key=s.key)
    must(sum(exact.spent.values()) == spent, f"{spent} must be spent, got {exact.spent}")


def refuses_too_few(s: Subject) -> None:
    """Fewer evaluations than its minimum are refused, with the minimum in the error."""
    at = s.some_at(s.d)
    least = s.estimator.minimum(at)
    must(least >= 1, f"minimum must be >= 1, got {least}")
    for n in {0, least // 2, least - 1}:
        with refusal(ValueError, f"evaluations must be >= {least}, got {n}", f"{n} evaluations"):
            s.estimator.ask(at, n, s.key)


def answers_a_batch(s: Subject) -> None:
    """At (B, d) each of the batch is charged and answered, with the shapes of its parameters."""
    at, cost = s.some_at(3, s.d), s.cost()
    e = s.estimator(cost, at, evaluations=s.evaluations(at, 10), key=s.key)
    must(sum(cost.spent.values()) == 3 * e.evaluations, f"3 × {e.evaluations} must be spent, got {cost.spent}")
    own = [at] if isinstance(at, Tensor) else list(at.parameters.values())
    shapes = [tuple(part.shape) for part in parts(e.gradient)]
    must(shapes == [tuple(p.shape) for p in own], f"the gradient must be shaped like at, got {shapes}")
    must(e.value is None or e.value.shape == (3,), "value must be (3,) for a batch of three")


def keeps_members_of_a_batch_apart(s: Subject) -> None:
    """The estimate for one of a batch changes with its own parameters and not with its neighbours'."""
    d = min(s.d, 3)
    here, there = s.some_at(3, d), s.some_at(3, d)
    leaf(there)[1] *= 0.4
    evaluations = s.evaluations(here, 8)
    a, b = (
        parts(s.estimator(s.cost(), at, evaluations=evaluations, key=s.key).gradient)[0].reshape(3, -1)
        for at in (here, there)
    )
    must(torch.allclose(a[[0, 2]], b[[0, 2]], rtol=1e-12, atol=1e-12), "one of a batch must not feel its neighbours")
    must(bool((a[1] - b[1]).abs().max() > 1e-3), "each must feel its own parameters")


def touches_nothing(s: Subject) -> None:
    """Arguments, their requires_grad, global random states and torch's modes are left alone; results are detached."""
    at = s.some_at(s.d)
    parameter = leaf(at).requires_grad_()
    before, copy, grad_mode = _global_state(), parameter.detach().clone(), torch.is_grad_enabled()
    e = s.estimator(s.cost(), at, evaluations=s.evaluations(at, 9), key=s.key, per_unit=True)
    must(_global_state() == before, "global random states must be left as they were")
    must(torch.equal(parameter.detach(), copy), "at must not be changed")
    must(parameter.requires_grad and parameter.grad is None, "requires_grad and grad of at must be left as they were")
    must(torch.is_grad_enabled() == grad_mode, "torch's gradient mode must be left as it was")
    results = [*parts(e.gradient), *parts(e.standard_error), *parts(e.per_unit), *parts(e.value)]
    must(not any(part.requires_grad for part in results), "what comes back must be detached")


def follows_dtype(s: Subject) -> None:
    """The dtype of what comes back is that of the parameters, and single precision agrees with double on the whole."""
    found = []
    for dtype in (torch.float32, torch.float64):
        at = s.some_at(s.d, dtype=dtype)
        e = s.estimator(s.cost(smooth), at, evaluations=s.evaluations(at, 9), key=s.key)
        got = {part.dtype for part in (*parts(e.gradient), *parts(e.standard_error))}
        must(got == {dtype}, f"{dtype} parameters must give {dtype} estimates, got {got}")
        found.append(parts(e.gradient)[0].double())
    must(torch.allclose(*found, rtol=1e-2, atol=1e-2), "float32 must be the same draws as float64, rounded")


def follows_its_key(s: Subject) -> None:
    """Equal keys give equal estimates and other keys others: of its own noise, or of the cost's at least."""
    function = s.function()

    def noisy(x: Tensor, seeds: Tensor) -> Tensor:
        return function(x) + (seeds % 1000).to(x) / 1000 * (x * x).sum(-1)

    at, keys = s.some_at(s.d), (s.key, s.key, s.key.child("other"))
    a, b, other = (
        s.estimator(s.cost(noisy, seeded=True), at, evaluations=s.evaluations(at, 9), key=key).gradient for key in keys
    )
    must(same(a, b), "equal keys must give equal estimates")
    must(not same(a, other), "other keys must give other estimates")


def stops_at_nan(s: Subject) -> None:
    """A cost that is not a number ends the estimate with an error, and is not averaged in or left out."""
    function, at = s.function(), s.some_at(s.d)
    with refusal(FloatingPointError, "", "a cost of NaN"):
        cost = s.cost(lambda x: function(x) * torch.nan)
        s.estimator(cost, at, evaluations=s.evaluations(at, 9), key=s.key)


def pickles_queries(s: Subject) -> None:
    """A query pickles to a recipe without vectors of noise, and what comes out of it can be told the same values."""
    at, evaluations = s.long()
    query = s.estimator.ask(at, evaluations, s.key)
    parcel = pickle.dumps(query)
    own = [at] if isinstance(at, Tensor) else at.parameters.values()
    size = sum(part.untyped_storage().nbytes() for part in own)
    must(len(parcel) < size + 8_000, f"a query must be small beside its parameters ({size} bytes), got {len(parcel)}")
    copy, values = pickle.loads(parcel), answer(s.cost(), query)
    a, b = s.estimator.tell(query, values), copy.estimator.tell(copy, values)
    must(same(a.gradient, b.gradient), "a pickled query must be the same query")


def refuses_wrong_values(s: Subject) -> None:
    """Values of another number, and ones that are not finite, are refused by `tell`, which says where."""
    at = s.some_at(s.d)
    query = s.estimator.ask(at, s.evaluations(at, 6), s.key)
    values = answer(s.cost(), query)
    part, *more = values if isinstance(values, tuple) else (values,)

    def tell(part: Tensor) -> None:
        s.estimator.tell(query, (part, *more) if more else part)  # type: ignore[arg-type]

    n = query.evaluations
    with refusal(ValueError, rf"values must be \({n},\).*, got \({n + 1},\)", f"{n + 1} values"):
        tell(torch.cat((part, part[:1])))
    part[n - 1] = torch.nan
    with refusal(ValueError, rf"values must be finite, got .*nan.* at \[{n - 1}\]", "a NaN among the values"):
        tell(part)


def is_sure_of_nothing_alone(s: Subject) -> None:
    """Of a single unit there is no standard error; of several there is one for each component, and it is finite."""
    at = s.some_at(s.d)
    for evaluations in (s.estimator.minimum(at), s.evaluations(at, 60)):
        query = s.estimator.ask(at, evaluations, s.key)
        e = s.estimator(s.cost(), at, evaluations=evaluations, key=s.key)
        if query.units == 1:
            must(e.standard_error is None, "the standard error of one unit must be None")
        elif e.standard_error is not None:
            pairs = zip(parts(e.gradient), parts(e.standard_error), strict=True)
            must(all(g.shape == se.shape for g, se in pairs), "the standard error must be shaped like the gradient")
            good = all(bool((torch.isfinite(se) & (se >= 0)).all()) for se in parts(e.standard_error))
            must(good, "the standard error must be finite and not negative")


def refuses_wrong_arguments(s: Subject) -> None:
    """A cost that is not a `Cost`, and parameters of another shape or kind, are refused by name."""
    at, function = s.some_at(s.d), s.function()
    with refusal(TypeError, "cost must be a Cost", "a plain function for a cost"):
        s.estimator(function, at, evaluations=s.evaluations(at, 6), key=s.key)  # type: ignore[arg-type]
    if s._make_at is not parameters:
        return
    for x in (torch.zeros(0), torch.zeros(2, 2, 2), torch.tensor(1.0)):
        with refusal(ValueError, r"\w+: at must be \(d,\) or \(B, d\)", f"at of shape {tuple(x.shape)}"):
            s.estimator.ask(x, 4, s.key)
    with refusal(TypeError, r"\w+: at must be a tensor", "a list for at"):
        s.estimator.ask([0.0], 4, s.key)
    with refusal(TypeError, "floating-point", "integers for at"):
        s.estimator.ask(torch.tensor([1, 2]), 4, s.key)


def spending(kind: str) -> Any:
    """Return under what name the ledger has a kind of query, if the gradient is autograd's."""
    return {"value_and_gradient": "gradient"}.get(kind, kind)


def _global_state() -> tuple[Any, ...]:
    legacy = str(np.random.get_state())  # noqa: NPY002 - the global state is what must stay as it was
    return random.getstate(), legacy, torch.random.get_rng_state().tolist(), torch.get_default_dtype()


MECHANICS: dict[str, Callable[[Subject], None]] = {
    "declarations": declares,
    "frozen": is_frozen,
    "minimum": refuses_too_few,
    "pure blocks": has_pure_blocks,
    "ask and tell": tells_what_it_calls,
    "spending": spends_what_it_says,
    "reservation": reserves_first,
    "batch": answers_a_batch,
    "batch members apart": keeps_members_of_a_batch_apart,
    "nothing touched": touches_nothing,
    "dtype": follows_dtype,
    "key": follows_its_key,
    "not a number": stops_at_nan,
    "pickled query": pickles_queries,
    "wrong values": refuses_wrong_values,
    "one unit": is_sure_of_nothing_alone,
    "wrong arguments": refuses_wrong_arguments,
}

"""Rules about what surrounds an estimate: the precision of costs and parameters, torch's modes, others' queries."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rllab.estimators import GaussianSmoothing
from rllab.testing.mechanics import must, refusal
from rllab.testing.subject import Subject, answer, parts, same, smooth

OFFSET = 1e8  # where float32 numbers are 8 apart
BATCH = 16  # of parameters, where one estimate would not do
_FINE = 2.0**24  # multiples of 2⁻²⁴ are float64 numbers up to OFFSET and beyond


def keeps_wide_costs(s: Subject) -> None:
    """At float32 parameters, costs in float64 give float32 estimates, if it says so of the same bits at an offset.

    They must be differenced, centred and averaged before they are narrowed.
    """

    def fine(x: Tensor) -> Tensor:
        y = smooth(x.to(torch.promote_types(x.dtype, torch.float64)))
        return y if y.is_complex() else y + (torch.round(y.detach() * _FINE) / _FINE - y.detach())

    at, found = s.some_at(s.d, dtype=torch.float32), []
    for offset in (0.0, OFFSET):
        cost = s.cost(lambda x, offset=offset: fine(x) + offset)
        e = s.estimator(cost, at, evaluations=s.evaluations(at, 9), key=s.key, per_unit=True)
        got = [*parts(e.gradient), *parts(e.standard_error), *parts(e.per_unit)]
        must(
            {part.dtype for part in got} == {torch.float32}, f"estimates must be float32, got {[g.dtype for g in got]}"
        )
        told = s.estimator.ask(at, s.evaluations(at, 9), s.key)
        again = s.estimator.tell(told, answer(cost, told)).gradient
        must(same(e.gradient, again), "wide costs must be the same bits whether called or told")
        found.append(torch.cat([part.flatten() for part in parts(e.gradient)]))
    if s.ignores_offset and s.estimator.kind != "complex":
        most = float(found[0].abs().max())
        must(torch.allclose(*found, rtol=0, atol=1e-4 * most), f"an offset of {OFFSET:g} must not matter, got {found}")


def takes_half_precision_or_says_so(s: Subject) -> None:
    """At parameters in half precision it answers in it, with finite numbers, or refuses them by name."""
    for dtype in (torch.float16, torch.bfloat16):
        at = s.some_at(s.d, dtype=dtype)
        try:
            e = s.estimator(s.cost(smooth), at, evaluations=s.evaluations(at, 9), key=s.key, per_unit=True)
        except (TypeError, ValueError) as error:
            must(str(error).startswith(s.name), f"what refuses {dtype} must begin with {s.name}, got: {error}")
            continue
        got = [*parts(e.gradient), *parts(e.standard_error), *parts(e.per_unit)]
        must({part.dtype for part in got} == {dtype}, f"estimates must be {dtype}, got {[part.dtype for part in got]}")
        must(all(bool(torch.isfinite(part).all()) for part in (*got, *parts(e.value))), "estimates must be finite")


def works_in_every_mode(s: Subject) -> None:
    """Under `no_grad`, `inference_mode` and a default dtype of float64 it gives the same bits as without."""

    def estimate() -> Any:
        at = s.some_at(BATCH, s.d, dtype=torch.float32)  # many, as a few draws of few values may agree by chance
        evaluations = s.evaluations(at, 9)
        e = s.estimator(s.cost(smooth), at, evaluations=evaluations, key=s.key)
        query = s.estimator.ask(at, evaluations, s.key)
        return [
            *parts(e.gradient),
            *parts(e.value),
            *parts(s.estimator.tell(query, answer(s.cost(smooth), query)).gradient),
        ]

    plain = estimate()
    for name, mode in _MODES.items():
        with mode():
            got = estimate()
        same_bits = len(got) == len(plain) and all(map(torch.equal, got, plain))
        must(same_bits and [g.dtype for g in got] == [p.dtype for p in plain], f"{name} must not change an estimate")


@contextmanager
def _default_double() -> Any:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


_MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "a default dtype of float64": _default_double,
}


def answers_its_own_queries(s: Subject) -> None:
    """The query of an estimator that is not equal to it is refused, by name."""
    at = s.some_at(s.d)
    query = s.estimator.ask(at, s.evaluations(at, 6), s.key)
    values = answer(s.cost(), query)
    with refusal(ValueError, rf"^{s.name}: query must be one of", "the query of another estimator"):
        s.estimator.tell(replace(query, estimator=GaussianSmoothing(0.0371)), values)


PRECISION: dict[str, Callable[[Subject], None]] = {
    "wide costs": keeps_wide_costs,
    "half precision": takes_half_precision_or_says_so,
    "modes": works_in_every_mode,
    "own queries": answers_its_own_queries,
}

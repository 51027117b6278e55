"""Errors of a user's function: its own ones, with where they came up, and a hint where it may be given wrongly."""

import numpy as np
import pytest
import torch

from rllab import Cost
from rllab import estimators as est
from rllab.batches import brief
from rllab.executors.jobs import Here

X = torch.tensor([[1.0, 2.0], [3.0, -1.0], [-1.0, 0.5]], dtype=torch.float64)
ARRAYS = "Cost: function is given tensors; one that computes with numpy takes their .numpy()"


def breaks_at(first):
    """Return functions of one point, and of many, that fail where the first coordinate is this."""

    def one(x, *_):
        if x[0].detach().real == first:
            raise OSError("the wheel is gone")
        return x.square().sum()

    def many(x, *_):
        if (x[:, 0].detach() == first).any():
            raise OSError("the wheel is gone")
        return x.square().sum(-1)

    return one, many


def test_a_function_that_fails_at_one_point_too_fails_with_its_own_error():
    def breaks(x):
        raise KeyError("wheel")

    with pytest.raises(KeyError, match="wheel"):
        Cost(breaks)(X)


@pytest.mark.parametrize(
    ("function", "batched"),
    [(lambda w: np.sum(w * 2.0, axis=1), True), (lambda w: w.astype(float).sum(), False)],
    ids=("many points", "one point"),
)
def test_a_function_of_arrays_is_told_that_it_is_given_tensors(function, batched):
    with pytest.raises((TypeError, AttributeError)) as caught:
        Cost(function, batched=batched)(X)
    assert ARRAYS in caught.value.__notes__
    assert Cost(lambda w: function(w.numpy()), batched=batched)(X).shape == (3,)


@pytest.mark.parametrize("batched", (True, False))
@pytest.mark.parametrize("on", ({}, {"executor": Here}), ids=("here", "executor"))
def test_a_function_of_another_number_of_arguments_is_told_what_it_is_called_with(batched, on):
    s = "s" * batched
    seeds = torch.arange(3)
    for function, seeded, says in (
        (lambda w: w.sum(-1), True, f"Cost: it is called with (point{s}, seed{s}): seeded=True"),
        (
            lambda w, seed: w.sum(-1) + seed,
            False,
            f"Cost: it is called with (point{s}): one that takes a seed too needs seeded=True",
        ),
    ):
        with pytest.raises(TypeError, match="positional argument") as caught:
            Cost(function, batched=batched, seeded=seeded, **on)(X, seeds)
        assert says in caught.value.__notes__ and ARRAYS not in caught.value.__notes__


def test_an_error_that_is_not_about_arrays_gets_no_such_hint():
    with pytest.raises(KeyError) as caught:
        Cost(lambda w: {}["wheel"], batched=False)(X)
    assert ARRAYS not in caught.value.__notes__


ASKED = {
    "values": (lambda cost: cost(X), X),
    "gradients": (lambda cost: cost.gradient(X), X),
    "along tangents": (lambda cost: cost.jvp(X, X), X),
    "complex values": (lambda cost: cost.complex(X.to(torch.complex128)), X.to(torch.complex128)),
}


@pytest.mark.parametrize(("ask", "points"), ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("given", ((), ("gradient", "jvp")), ids=("by torch", "as given"))
def test_an_error_of_the_function_names_evaluation_and_point(ask, points, given):
    one, many = breaks_at(3.0)
    for function, batched, where in (
        (one, False, f"evaluation 4 at point {brief(points[1])}"),
        (many, True, f"evaluation 3 at point {brief(points[0])}, or one of the 2 after it"),
    ):
        cost = Cost(function, batched=batched, **dict.fromkeys(given, function))
        cost.spent = dict.fromkeys(cost.spent, 3)
        with pytest.raises(OSError, match="the wheel is gone") as caught:
            ask(cost)
        assert caught.value.__notes__[0] == f"Cost: this came up at {where}"


def test_an_error_in_the_middle_of_an_estimate_names_its_own_point():
    points = []

    def simulate(x):
        points.append([f"{v:.6g}" for v in x.tolist()])
        if len(points) == 7:
            raise ZeroDivisionError
        return x.sum()

    with pytest.raises(ZeroDivisionError) as caught:
        est.GaussianSmoothing()(Cost(simulate, batched=False), X[0], evaluations=20, key=0)
    assert caught.value.__notes__ == [f"Cost: this came up at evaluation 6 at point [{', '.join(points[-1])}]"]


@pytest.mark.parametrize("options", ({"retries": 3}, {"retries": 0}, {"on_failure": 9.0}))
@pytest.mark.parametrize("chunk", ("auto", 2))
def test_what_is_said_of_lost_evaluations_needs_an_executor_that_may_lose_them(options, chunk):
    (name,) = options
    with pytest.raises(ValueError, match=f"Cost: {name} needs an executor: nothing is lost in this process"):
        Cost(lambda x: x.sum(-1), chunk=chunk, **options)

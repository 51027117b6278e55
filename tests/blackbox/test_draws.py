"""Draws inside of a block: one for each row, or an error that says so, and relaxed where the function allows it."""

import math
import re

import numpy as np
import pytest
import torch

import rllab
from rllab import BlackBox
from rllab import estimators as est

PRICES = torch.tensor([0.3, -1.0, 0.7, 2.0], dtype=torch.float64)
LOGITS = torch.tensor([0.5, -0.2, 0.8, 0.1], dtype=torch.float64)


def one_choice(z):
    return rllab.Categorical(z.unsqueeze(1))


def squared(x):  # of a one-hot choice (n, 4), and of what lies between two
    return (x @ PRICES - 0.2).square()


CHOICES = "logits (n, K) are n choices of a single sample; give (n, 1, K) for one a row, z.unsqueeze(1)"
UNFIT = (
    (rllab.Categorical, 5, ValueError, f"a Categorical over samples (20,) for an input (5, 4): {CHOICES}"),
    (rllab.Categorical, 1, ValueError, f"a Categorical over samples (4,) for an input (1, 4): {CHOICES}"),
    (lambda z: rllab.Bernoulli(z.T), 5, ValueError, "a Bernoulli over samples (4, 5) for an input (5, 4): its param"),
    (lambda z: torch.distributions.Categorical(logits=z), 5, TypeError, "Categorical(logits: torch.Size([5, 4]))"),
    (torch.sigmoid, 5, TypeError, "tensor([[0.5000"),
)


@pytest.mark.parametrize(("make", "rows", "error", "got"), UNFIT)
def test_draws_that_do_not_fit_the_rows_are_refused_before_anything_is_evaluated(make, rows, error, got):
    calls, z = [], torch.zeros(rows, 4, requires_grad=True)
    block = BlackBox(calls.append, est.ScoreFunction(), scope="cost", distribution=make, name="f", key=0)
    with pytest.raises(error, match=rf"BlackBox 'f': distribution must .* got {re.escape(got)}") as caught:
        block(z)
    assert calls == [] and block.calls == 0
    assert ("wrap it: FromTorch" in str(caught.value)) == ("torch.Size" in got)


@pytest.mark.parametrize("make", (one_choice, rllab.Bernoulli, lambda z: rllab.Gaussian(z, 0.1)))
@pytest.mark.parametrize("rows", (0, 1, 4))
def test_a_batch_of_draws_that_fits_is_taken_also_where_rows_are_as_many_as_numbers(make, rows):
    z = torch.zeros(rows, 4, dtype=torch.float64, requires_grad=True)
    BlackBox(squared, est.ScoreFunction(), scope="cost", distribution=make, key=0)(z).sum().backward()
    assert z.grad.shape == z.shape


def slopes(estimator, cost, rows, **given):
    """Return estimates of the gradient by LOGITS, (rows, 4), each through a row of its own."""
    z = LOGITS.repeat(rows, 1).requires_grad_()
    BlackBox(cost, estimator, 4, distribution=one_choice, key=5, **given)(z).sum().backward()
    return z.grad


def deviation(g, truth):
    return ((g.mean(0) - truth) / (g.std(0) / math.sqrt(len(g)))).abs().max()


@pytest.mark.parametrize(
    "given", ({"scope": "cost"}, {"downstream": lambda y: (y - 0.2).square()}), ids=("cost", "to cost")
)
@pytest.mark.parametrize("estimator", (est.Rebar(), est.MuProp()), ids=str)
def test_a_relaxing_estimator_in_a_block_has_the_gradient_of_the_expected_cost(estimator, given):
    cost = squared if "scope" in given else lambda x: x @ PRICES
    g = slopes(estimator, cost, 4000, relaxed=True, **given)
    truth = est.Enumeration()(rllab.Cost(squared), rllab.Categorical(LOGITS), evaluations=4, key=0).gradient["logits"]
    assert deviation(g, truth) < 6.5  # false alarm 1e-10 each
    assert deviation(-g, truth) > 20


def test_a_biased_one_has_that_of_its_own_target_and_not_of_the_expected_cost():
    g = slopes(est.StraightThrough(), squared, 4000, scope="cost", relaxed=True)
    p, x = torch.softmax(LOGITS, 0), torch.eye(4, dtype=torch.float64)
    jacobian = torch.diag(p) - p.outer(p)
    slope = 2 * (x @ PRICES - 0.2)[:, None] * PRICES  # ∇f at each choice
    wanted = jacobian @ (p @ slope)  # E[(∂p/∂l)ᵀ ∇f(x)], by enumeration
    truth = jacobian @ squared(x)
    assert deviation(g, wanted) < 6.5
    assert deviation(g, truth) > 20


def test_who_lacks_what_relaxing_needs_is_told_what_to_declare():
    for given in ({}, {"differentiable": True}):
        with pytest.raises(TypeError, match=r"GumbelSoftmax needs .*'relaxed'\]; relaxed=True, with distribution=, if"):
            BlackBox(squared, est.GumbelSoftmax(), scope="cost", distribution=one_choice, key=0, **given)
    with pytest.raises(ValueError, match="relaxed=True is said of draws; it goes with distribution="):
        BlackBox(squared, scope="cost", relaxed=True, key=0)
    with pytest.raises(ValueError, match="executor must be None for a function that torch is to differentiate"):
        BlackBox(squared, scope="cost", relaxed=True, distribution=one_choice, executor=2, key=0)


def test_an_error_in_one_row_of_a_function_of_single_rows_names_it():
    def simulate(x):
        return 1.0 if float(x[0]) < 3 else 1 / 0

    z = torch.arange(5.0)[:, None] * torch.ones(2)
    with pytest.raises(ZeroDivisionError) as caught:
        BlackBox(simulate, scope="cost", batched=False, name="f", key=0)(z)
    assert caught.value.__notes__[0] == "BlackBox 'f': this came up at row 3 of inputs [3, 3]"


@pytest.mark.parametrize("function", (lambda z: np.sum(z.numpy(), 1), lambda z: torch.as_tensor(z.detach().sum(1))))
@pytest.mark.parametrize("estimator", (est.GumbelSoftmax(), est.Rebar(), est.StraightThrough()), ids=str)
def test_a_relaxed_function_of_numpy_is_refused_in_a_sentence_with_its_cause(function, estimator):
    block = BlackBox(function, estimator, 6, scope="cost", relaxed=True, distribution=one_choice, name="f", key=0)
    cost = block(torch.zeros(2, 4, requires_grad=True)).mean()
    with pytest.raises(
        TypeError, match=r"^BlackBox 'f': function must compute with torch alone, since relaxed=True"
    ) as e:
        cost.backward()
    assert isinstance(e.value.__cause__, (RuntimeError, TypeError))


def test_other_functions_that_are_differentiated_refuse_numpy_by_name():
    def arrays(z):
        return np.sum(z.numpy(), 1)

    x = torch.zeros(2, 4, requires_grad=True)
    block = BlackBox(arrays, est.Backprop(), 1, scope="cost", differentiable=True, name="f", key=0)
    with pytest.raises(
        TypeError, match=r"^BlackBox 'f': function must compute with torch alone, since differentiable=Tr"
    ):
        block(x).mean().backward()

    def drawn(z):
        return one_choice(torch.tensor(z.numpy()))

    block = BlackBox(lambda z: z.sum(1), est.ScoreFunction(), 4, scope="cost", distribution=drawn, name="f", key=0)
    with pytest.raises(
        TypeError, match=r"^BlackBox 'f': distribution and downstream must compute with torch alone"
    ) as e:
        block(x).mean().backward()
    assert isinstance(e.value.__cause__, RuntimeError)
    with pytest.raises(TypeError, match=r"^Cost: function must compute with torch alone for autograd") as e:
        est.Backprop()(rllab.Cost(arrays), torch.zeros(3), evaluations=1, key=0)
    assert isinstance(e.value.__cause__, RuntimeError)

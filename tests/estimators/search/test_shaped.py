"""Shaped: what stands in the place of costs, what leaves it as it is, and that all else is the estimator's own."""

import numpy as np
import pytest
import torch

from rllab import Cost, Gaussian
from rllab.critics import Critic
from rllab.estimate import Kind
from rllab.estimators import (
    Backprop,
    ForwardGradient,
    GaussianSmoothing,
    OrthogonalSmoothing,
    Rebar,
    ScoreFunction,
    Shaped,
)
from rllab.estimators.search import shaping
from tests.proofs.searching import (
    AT,
    SLOPE,
    assert_mean_on_a_line,
    prove_ranks,
    prove_the_best,
    prove_utilities,
    prove_z_scores,
)

WAYS = ("ranks", "utilities", "top-k", "z-scores")


def test_shapes_are_their_formulas_by_hand():
    prove_ranks(shaping.centred_ranks)
    prove_utilities(shaping.utilities)
    prove_the_best(shaping.the_best)
    prove_z_scores(shaping.z_scores)


def whole(x):
    """A cost of whole numbers, with ties."""
    return torch.floor(3 * x.sum(-1)) + torch.floor(2 * x[:, 0].abs())


@pytest.mark.parametrize("by", ("ranks", "utilities", "top-k"))
@pytest.mark.parametrize("form", ("antithetic", "forward", "one-point"))
def test_only_the_order_of_costs_counts(by, form):
    estimator = Shaped(GaussianSmoothing(0.5, form), by)
    maps = (lambda f: f, lambda f: f**3, lambda f: 1024 * f + 77, lambda f: torch.exp(f / 4), torch.sinh)
    estimates = [
        estimator(Cost(lambda x, r=rising: r(whole(x))), AT, evaluations=41, key=2, per_unit=True) for rising in maps
    ]
    assert estimates[0].gradient.abs().max() > 0.01
    for e in estimates[1:]:
        assert torch.equal(e.gradient, estimates[0].gradient)
        assert torch.equal(e.standard_error, estimates[0].standard_error)
        assert torch.equal(e.per_unit, estimates[0].per_unit)
    falling = estimator(Cost(lambda x: -whole(x)), AT, evaluations=41, key=2).gradient
    if by == "ranks":
        torch.testing.assert_close(falling, -estimates[0].gradient, rtol=1e-12, atol=1e-14)
    else:
        assert not torch.equal(falling, -estimates[0].gradient)


def test_z_scores_know_neither_unit_nor_zero():
    def cost(x):
        return x.sum(-1).sin() + x[:, 0]

    estimator = Shaped(GaussianSmoothing(0.5, "one-point"), "z-scores")
    one, other = (estimator(Cost(c), AT, evaluations=30, key=2).gradient for c in (cost, lambda x: 1e5 * (cost(x) + 3)))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("by", WAYS)
def test_it_is_the_estimators_own_fold_of_shaped_costs(by):
    inner = OrthogonalSmoothing(0.4)
    shaped, query = Shaped(inner, by), inner.ask(AT, 24, 9)
    values = torch.cat([whole(block.points) for block in query])
    shape = {
        "ranks": shaping.centred_ranks,
        "utilities": shaping.utilities,
        "top-k": lambda f: shaping.the_best(f, 0.25),
        "z-scores": shaping.z_scores,
    }[by]
    told = inner.tell(query, shape(values))
    asked = shaped.ask(AT, 24, 9)
    assert torch.equal(asked[0].points, query[0].points) and torch.equal(asked.seeds(asked[0]), query.seeds(query[0]))
    e = shaped.tell(asked, values)
    assert torch.equal(e.gradient, told.gradient) and torch.equal(e.standard_error, told.standard_error)
    assert e.value is None and e.target.kind is Kind.DIRECTION and not shaped.unbiased


def test_its_value_is_of_the_costs_as_they_came():
    cost = Cost(lambda x: 100 + x[:, 0])
    e = Shaped()(cost, AT, evaluations=64, key=0)
    torch.testing.assert_close(e.value, GaussianSmoothing()(cost, AT, evaluations=64, key=0).value)


def test_on_a_line_a_single_pair_points_down_in_the_mean():
    # one pair: s = ±½, so ĝ = sign(g·u) u / (2σ)
    assert_mean_on_a_line(Shaped(GaussianSmoothing(0.25)), size=1 / (2 * 0.25))


def test_whatever_asks_for_values_can_be_shaped_and_keeps_its_state():
    cost = Cost(lambda x: 1e6 * (x @ SLOPE))
    moving = Shaped(ScoreFunction("moving"))
    e = moving(cost, Gaussian(AT, 0.3), evaluations=40, key=0)
    assert moving.stateful and e.state is not None and set(e.gradient) == {"mean", "scale"}
    critic = Shaped(Critic(hidden=(8,), gradient_steps=5), "z-scores")
    first = critic(cost, AT, evaluations=40, key=0)
    again = critic(cost, AT, evaluations=40, key=1, state=first.state)
    assert (first.state.fits, again.state.fits) == (1, 2)
    assert torch.isfinite(again.gradient).all() and again.gradient.abs().max() < 1e3


@pytest.mark.parametrize("by", WAYS)
def test_costs_that_are_all_equal_point_nowhere(by):
    e = Shaped(GaussianSmoothing(0.3), by)(Cost(lambda x: x[:, 0] * 0 + 0.1), AT, evaluations=20, key=1)
    assert torch.equal(e.gradient, torch.zeros_like(AT))


@pytest.mark.parametrize("estimator", (Backprop(), ForwardGradient(), Rebar()), ids=lambda e: type(e).__name__)
def test_what_asks_for_more_than_values_is_refused(estimator):
    with pytest.raises(ValueError, match=r"^Shaped: estimator must ask for values alone, got .* which needs \['"):
        Shaped(estimator)


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="Shaped: estimator must be an Estimator, got 'es'"):
        Shaped("es")
    with pytest.raises(ValueError, match=r"Shaped: by must be one of .*, got 'rank'"):
        Shaped(by="rank")
    with pytest.raises(ValueError, match=r"Shaped: share must be in \(0, 1\), got 1.0"):
        Shaped(share=1.0)


def test_costs_of_half_precision_and_whole_numbers_are_ranked_as_they_are():
    at = AT.to(torch.bfloat16)
    query = Shaped().ask(at, 16, 4)
    values = np.arange(16) % 5 + 10**9  # beyond what single precision tells apart
    e = Shaped().tell(query, values)
    small = Shaped().tell(query, values - 10**9)
    assert torch.equal(e.gradient, small.gradient) and e.gradient.dtype == torch.bfloat16

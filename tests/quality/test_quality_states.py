"""measure_quality from a state that is given: each repeat begins from it, as a loop of estimates of its own would."""

import pytest
import torch

from rllab import Bernoulli, Cost, Key, measure_quality
from rllab import estimators as est
from rllab.critics import Critic
from rllab.quality.truth import flat

AT = torch.tensor([0.3, -0.4, 0.9], dtype=torch.float64)
CASES = {  # what learns between estimates, and where
    "Relax": (est.Relax(lr=0.05), Bernoulli(AT)),
    "moving baseline": (est.ScoreFunction("moving"), Bernoulli(AT)),
    "guided": (est.GuidedSmoothing(), AT),
    "critic": (Critic(), AT),
}


def f(x):
    return (x.sum(-1) - 1.2).square()


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "at"), CASES.values(), ids=CASES)
def test_each_repeat_begins_from_the_state_that_is_given(estimator, at):
    cost, state = Cost(f, relaxed=True), None
    for k in range(3):
        e = estimator(cost, at, evaluations=16, key=k, state=state)
        state = estimator.remember(state, e.gradient) if isinstance(estimator, est.GuidedSmoothing) else e.state
    on = {"at": at, "budgets": [16], "repeats": 12, "key": 0, "truth": AT}
    (row,) = measure_quality(estimator, cost, states={estimator: state}, **on).rows
    keys = (Key(0).child("budget", 16).child("query", r) for r in range(12))
    one_by_one = [estimator(cost, at, evaluations=16, key=k, state=state).gradient for k in keys]
    g = torch.stack([flat(one) for one in one_by_one])
    assert (row["state"], row["evaluations"]) == ("given", 16)
    assert row["variance"] == pytest.approx(float(g.var(0).sum()), rel=1e-12) and row["variance"] > 0
    (fresh,) = measure_quality(estimator, cost, **on).rows
    assert fresh["state"] == "none" and fresh["variance"] != row["variance"]  # it is not ignored


def test_a_control_variate_that_was_learned_is_measured_to_be_better_than_one_that_was_not():
    relax, at, state = est.Relax(lr=0.05), Bernoulli(AT), None
    cost = Cost(f)
    for k in range(150):
        state = relax(cost, at, evaluations=32, key=k, state=state, errors=False).state
    truth = est.Enumeration()(cost, at, evaluations=8, key=0).gradient
    on = {"at": at, "budgets": [8], "repeats": 200, "key": 1, "truth": truth}
    learned, fresh = (measure_quality(relax, cost, **on, **more).rows[0] for more in ({"states": {relax: state}}, {}))
    assert learned["variance_high"] < fresh["variance_low"] and learned["bias_low"] == 0.0


def test_a_state_that_is_refused_is_not_printed_whole():
    relax, at, cost = est.Relax(), Bernoulli(AT), Cost(f)
    state = relax(cost, at, evaluations=8, key=0).state
    with pytest.raises(ValueError, match="states must map stateful estimators") as caught:
        measure_quality(est.DisARM(), cost, at=at, budgets=[8], repeats=2, key=0, truth=AT, states={relax: state})
    assert len(str(caught.value)) < 350

"""PGPE, SNES and xNES: scores by autograd, what changes nothing, and that the spread learns the cost's shape."""

import math

import pytest
import torch

from rllab import Cost
from rllab.agents import Evolution, load
from rllab.estimate import Kind
from rllab.estimators import PGPE, SNES, GaussianSmoothing, xNES
from tests.proofs.agents import all_of, timeless
from tests.proofs.searching import AT, FACTOR, FIRST, SLOPE, bowl, prove_pgpe, prove_snes, prove_xnes
from tests.proofs.toy_environments import DRIFT

ALL = (PGPE, SNES, xNES)
every = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)


def begun(kind, sigma):
    return sigma * (torch.eye(3) if kind is xNES else torch.ones(3)).double()


@pytest.mark.parametrize(("proof", "kind"), [(prove_pgpe, PGPE), (prove_snes, SNES), (prove_xnes, xNES)])
def test_it_is_the_natural_gradient_and_the_spread_follows_the_score(proof, kind):
    proof(kind)


@every
def test_it_begins_with_the_same_spread_everywhere_and_keeps_it_if_told(kind):
    query = kind(0.3, lr_sigma=0.0).ask(AT, 10, 2)
    e = kind(0.3, lr_sigma=0.0)(Cost(bowl), AT, evaluations=10, key=2)
    torch.testing.assert_close(e.state, begun(kind, 0.3), rtol=0, atol=0)
    plain = GaussianSmoothing(0.3, "antithetic" if kind is PGPE else "one-point").ask(AT, 10, 2)
    torch.testing.assert_close(query[0].points, plain[0].points)
    assert e.target.kind is Kind.DIRECTION and kind().stateful and not kind().unbiased


@every
def test_several_blocks_are_one_query(kind, monkeypatch):
    estimator, state = kind(lr_sigma=0.1), FACTOR if kind is xNES else FIRST
    query = estimator.ask(AT, 12, 3, state=state)
    values = bowl(query[0].points)
    whole = estimator.tell(query, values)
    query.plan = query.plan._replace(block=2)  # other noise, as blocks draw from keys of their own
    points, rows = torch.cat([b.points for b in query]), torch.cat([torch.arange(12)[b.rows] for b in query])
    assert rows.tolist() == list(range(12)) and len(query) > 2
    e = estimator.tell(query, bowl(points))
    draws = torch.cat([b.noise for b in query])
    again = estimator.ask(AT, 12, 3, state=state)
    block = again[0]._replace(points=torch.empty(0), noise=draws)
    f = bowl(points)
    if kind is PGPE:
        f = torch.cat([b_values.unflatten(0, (2, -1)) for b_values in f.split(4)], 1).flatten()
    one = estimator._fold(again, [(block, f)], False, True)
    torch.testing.assert_close(e.gradient, one.gradient)
    torch.testing.assert_close(e.state, one.state)
    assert not torch.equal(e.gradient, whole.gradient)


@every
def test_each_of_a_batch_has_a_spread_of_its_own(kind):
    estimator, at = kind(0.3), torch.stack((AT, -AT))
    first = estimator(Cost(bowl), at, evaluations=20, key=1)
    assert first.state.shape == (2, 3, 3)[: 3 if kind is xNES else 2] and not torch.equal(*first.state)
    query = estimator.ask(at, 20, 2, state=first.state)
    values = torch.stack([bowl(query[0].points[:, j]) for j in range(2)], 1)
    e = estimator.tell(query, values)
    alone = estimator.ask(at[1], 20, 2, state=first.state[1])
    one = estimator._fold(alone, [(query[0]._replace(noise=query[0].noise[:, 1]), values[:, 1])], False, True)
    torch.testing.assert_close(e.gradient[1], one.gradient)
    torch.testing.assert_close(e.state[1], one.state)


@every
def test_unit_and_zero_of_costs_do_not_matter_and_equal_costs_move_nothing(kind):
    def estimate(cost):
        return kind(0.3)(Cost(cost), AT, evaluations=16, key=4)

    one, other = estimate(bowl), estimate(lambda x: 1e4 * (bowl(x) - 7))
    torch.testing.assert_close(one.gradient, other.gradient, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(one.state, other.state, rtol=1e-9, atol=1e-12)
    flat = estimate(lambda x: 0 * x[:, 0] + 0.1)
    assert torch.equal(flat.gradient, torch.zeros_like(AT))
    torch.testing.assert_close(flat.state, begun(kind, 0.3), rtol=1e-14, atol=1e-14)


def test_on_a_linear_cost_pgpe_keeps_its_spread():
    e = PGPE(0.3)(Cost(lambda x: x @ SLOPE), AT, evaluations=16, key=4)
    torch.testing.assert_close(e.state, torch.full_like(AT, 0.3), rtol=1e-12, atol=0)


def test_pgpe_changes_its_spread_by_no_more_than_is_allowed():
    e = PGPE(0.3, lr_sigma=100.0, max_change=0.2)(Cost(bowl), AT, evaluations=16, key=4)
    assert ((e.state / 0.3 - 1).abs() <= 0.2 + 1e-12).all() and ((e.state / 0.3 - 1).abs() > 0.19).any()


@pytest.mark.parametrize("kind", (SNES, xNES), ids=lambda kind: kind.__name__)
def test_the_spread_learns_the_shape_of_an_ellipsoid(kind):
    # of x² + 10⁴ y², turned by 30° for xNES; a search without spread of its own would need steps of 1/100
    turn = math.pi / 6 if kind is xNES else 0.0
    rotation = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]).double()

    def cost(x):
        return ((x @ rotation) * torch.tensor([1.0, 100.0])).square().sum(-1)

    estimator, at, state = kind(1.0), torch.tensor([3.0, -2.0], dtype=torch.float64), None
    for step in range(150):
        e = estimator(Cost(cost), at, evaluations=20, key=step, state=state)
        at, state = at - e.gradient, e.state
    assert cost(at[None]) < 1e-9 * cost(torch.tensor([[3.0, -2.0]], dtype=torch.float64))
    axes = torch.linalg.svdvals(state if kind is xNES else torch.diag(state))
    assert 20 < axes[0] / axes[1] < 500


@every
def test_evolution_learns_by_it_and_goes_on_after_loading(kind, tmp_path):
    agent = Evolution(DRIFT, seed=0, hidden=(), estimator=kind(0.2), population=6, environment_arguments={"cap": 9})
    agent.learn(200)
    assert agent.spent.updates > 2 and agent.state is not None
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    assert timeless(again.learn(100)) == timeless(agent.learn(100)) and all_of(again) == all_of(agent)


@every
def test_what_is_no_state_and_too_few_evaluations_are_refused(kind):
    name = kind.__name__
    with pytest.raises(TypeError, match=f"{name}: state must be None or an estimate's, got dict"):
        kind().ask(AT, 10, 0, state={})
    for wrong in (torch.ones(2), torch.full((3, 3) if kind is xNES else (3,), math.nan)):
        with pytest.raises(ValueError, match=rf"{name}: state must be finite numbers \(3,( 3)?\) for this at, got"):
            kind().ask(AT, 10, 0, state=wrong)
    least = 4 if kind is PGPE else 2
    with pytest.raises(ValueError, match=f"{name}: evaluations must be >= {least}, got {least - 1}"):
        kind().ask(AT, least - 1, 0)
    with pytest.raises(ValueError, match=f"{name}: sigma must be positive"):
        kind(0.0)
    with pytest.raises(ValueError, match=f"{name}: lr_sigma must be"):
        kind(lr_sigma=-1.0)


def test_xnes_refuses_what_its_covariance_would_not_fit():
    with pytest.raises(ValueError, match="xNES: at must have at most 2,000 parameters, got 2,001; SNES takes more"):
        xNES().ask(torch.zeros(2001), 10, 0)

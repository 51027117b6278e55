"""Evolution: the estimator asks, episodes answer, Adam steps; checked against the same thing done by hand."""

from functools import partial

import gymnasium
import numpy as np
import pytest
import torch

from rllab.agents import Evolution, load
from rllab.agents.making import Maker
from rllab.agents.normalize import RunningMoments
from rllab.agents.population import Population
from rllab.agents.rollouts import rollout
from rllab.agents.vectorization import make_environments
from rllab.estimate import Kind
from rllab.estimators import (
    Backprop,
    CentralDifference,
    ForwardGradient,
    GaussianSmoothing,
    ScoreFunction,
    Shaped,
    TopDirections,
)
from tests.proofs.agents import prove_evolution_steps_along_the_estimate, prove_learning_in_chunks_is_learning
from tests.proofs.search_agents import (
    RESTLESS,
    prove_cut_generations_go_on,
    prove_evolutions_gradient_by_hand,
    prove_nothing_moves_where_costs_are_equal,
    prove_the_gradient_is_of_fresh_steps,
    prove_weight_decay_minimises_what_it_says,
)
from tests.proofs.toy_environments import DRIFT, LOG


@pytest.mark.parametrize("form", ("antithetic", "forward"))
def test_two_iterations_are_the_estimate_and_adams_steps_by_hand(form):
    prove_evolution_steps_along_the_estimate(Evolution, form)


def test_another_estimator_is_another_agent():
    def learned(form):
        agent = Evolution(DRIFT, hidden=(4,), population=9, estimator=GaussianSmoothing(0.2, form))
        LOG.clear()
        next(agent.train(10**6))
        assert agent.spent.episodes == len(LOG.seeds)
        return agent.spent.episodes, len(set(LOG.seeds)), agent.weights.tolist()

    forms = {form: learned(form) for form in ("antithetic", "forward", "one-point")}
    # pairs share a seed, the forward form shares one among all points, one-point answers stand alone
    assert {form: result[:2] for form, result in forms.items()} == {
        "antithetic": (8, 4),
        "forward": (9, 1),
        "one-point": (9, 9),
    }
    weights = [result[2] for result in forms.values()]
    assert weights[0] != weights[1] != weights[2] != weights[0]


@pytest.mark.parametrize(
    ("environment", "k", "arguments"),
    [(DRIFT, 1, {"cap": 60, "fall": 0.8}), ("rllab_envs:rllab/BicycleBalance-v0", 2, {"cap": 300})],
)
@pytest.mark.parametrize("hidden", ((), (8,), (16, 16)), ids=str)
def test_dropping_the_weights_of_ended_episodes_changes_no_action(environment, k, arguments, hidden):
    agent = Evolution(environment, hidden=hidden, population=40, environment_arguments=arguments)
    points = agent.weights + torch.randn(40, agent.policy.size, generator=torch.Generator().manual_seed(0))
    dropping, seen, sizes = Population(agent.policy, points), [], set()

    def act(o, live):
        actions = dropping(o, live)
        seen.append((o.copy(), live.copy(), actions))
        sizes.add(len(dropping.points))
        return actions

    assert rollout(make_environments(Maker("Test", environment, arguments), 40), act, list(range(40))).complete
    assert len(sizes) > 3 and max(sizes) == 40  # it did drop, several times
    for o, live, actions in seen:
        inputs = agent.policy.inputs(o)
        one_by_one = torch.cat([agent.policy(points[i], inputs[j : j + 1]) for j, i in enumerate(live)])
        expected = agent.policy.to_environment(one_by_one.numpy())
        np.testing.assert_allclose(actions, expected, rtol=1e-4, atol=1e-5)  # float32, sums in another order
        assert actions.shape == (len(live), k)


def test_episodes_that_do_not_fit_go_on_in_the_next_call():
    prove_learning_in_chunks_is_learning(partial(Evolution, DRIFT, hidden=(), population=8))


def test_a_generation_that_is_cut_off_goes_on_in_the_next_call_and_after_loading(tmp_path):
    small = {"hidden": (4,), "population": 6, "environment_arguments": {"cap": 10}}
    prove_cut_generations_go_on(lambda: Evolution(DRIFT, **small), tmp_path / "agent.pt")


def test_a_call_that_pays_for_no_update_says_so_and_keeps_what_it_played():
    agent = Evolution(DRIFT, hidden=(), population=8)
    LOG.clear()
    before = agent.weights.clone()
    with pytest.warns(UserWarning, match="16 environment steps did not suffice for an update, which takes "):
        rows = agent.learn(20)
    assert torch.equal(agent.weights, before) and agent.spent.updates == 0
    assert agent.spent.steps == LOG.steps == 16 and len(LOG.seeds) == 8
    assert rows[-1]["return"] is None and rows[-1]["steps"] == 16
    assert next(agent.train(10**6))["updates"] == 1
    assert len(LOG.seeds) == agent.spent.episodes == 8 and agent.spent.steps == LOG.steps


def test_it_is_said_where_the_environment_does_not_repeat_a_generation(tmp_path):
    agent = Evolution(RESTLESS, hidden=(), population=4)
    with pytest.warns(UserWarning, match="did not suffice"):
        agent.learn(8)
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    with pytest.warns(UserWarning, match="the environment does not repeat episodes from their seeds and actions"):
        again.learn(400)
    assert again.spent.updates > 0


def test_weight_decay_is_the_gradient_of_half_its_square():
    prove_weight_decay_minimises_what_it_says(Evolution)


def test_where_all_episodes_cost_the_same_nothing_moves():
    prove_nothing_moves_where_costs_are_equal(Evolution, population=8)


def test_its_gradient_is_of_fresh_steps_and_leaves_it_as_it_was():
    plain = prove_the_gradient_is_of_fresh_steps(
        lambda: Evolution(DRIFT, hidden=(4,), population=6, estimator=GaussianSmoothing(0.2))
    )
    assert plain.target == GaussianSmoothing(0.2).target
    shaped = prove_the_gradient_is_of_fresh_steps(
        lambda: Evolution(DRIFT, hidden=(4,), population=6, normalize_observations=True)
    )
    assert shaped.target.kind is Kind.DIRECTION
    prove_evolutions_gradient_by_hand(Evolution)


def test_of_a_single_generation_the_error_is_the_estimators_own():
    agent = Evolution(DRIFT, hidden=(), population=40, environment_arguments={"cap": 5, "fall": 1e9})
    e = agent.gradient(steps=399, key=0)
    assert e.evaluations == 360  # 200 for the first, 160 for four rounds of the second
    assert (e.standard_error > 0).all()
    with pytest.raises(ValueError, match="Evolution: steps must suffice for 40 episodes, got 199, of which 160"):
        agent.gradient(steps=199, key=0)
    with pytest.raises(ValueError, match=r"Evolution: steps must be an integer >= 1, got 0"):
        agent.gradient(steps=0, key=0)


def test_observations_are_normalised_by_those_of_generations_that_are_over():
    agent = Evolution(DRIFT, hidden=(3,), population=6, normalize_observations=True)
    seen, update = [], RunningMoments.update

    def watched(self, rows):
        seen.append(rows)
        update(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunningMoments, "update", watched)
        next(agent.train(10**6))
    rows = torch.cat(seen).double()
    assert agent.normalizer.count == len(rows) == agent.spent.steps
    torch.testing.assert_close(agent.normalizer.mean, rows.mean(0), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(agent.normalizer.variance, rows.var(0, correction=0), rtol=1e-9, atol=1e-12)


def test_ranks_make_the_scale_of_rewards_irrelevant():
    def learned(estimator, factor):
        wrappers = [lambda env: gymnasium.wrappers.TransformReward(env, lambda r: factor * r)]
        agent = Evolution(DRIFT, hidden=(4,), population=8, estimator=estimator, wrappers=wrappers)
        agent.learn(400)
        return agent.weights

    shaped, plain = Shaped(GaussianSmoothing(0.2)), GaussianSmoothing(0.2)
    assert torch.equal(learned(shaped, 1.0), learned(shaped, 2.0**-30))
    assert not torch.equal(learned(plain, 1.0), learned(plain, 2.0**-30))  # such gradients are small beside Adam's ε


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (ScoreFunction(), "estimator must be an Estimator that perturbs parameters, got Sc"),
        ("es", "estimator must be an Estimator that perturbs parameters, got 'es'"),
        (Backprop(), r"got Backprop.* which asks episodes for more than their cost: \['gradient'\]"),
        (ForwardGradient(), r"which asks episodes for more than their cost: \['jvp'\]"),
        (Shaped(ScoreFunction()), "estimator must be an Estimator that perturbs parameters, got Sh"),
        (TopDirections(top=33), "population must be an integer >= 66, got 64"),
        (CentralDifference(), "population must be an integer >= 450, got 64"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_an_estimator_it_cannot_use_is_refused_when_it_is_made(estimator, message):
    with pytest.raises(ValueError, match=f"^Evolution: .*{message}" if "got" in message else message):
        Evolution(DRIFT, hidden=(56,), estimator=estimator, population=64)


def test_its_errors_name_it():
    with pytest.raises(ValueError, match="Evolution: population must be an integer >= 2, got 1"):
        Evolution(DRIFT, population=1)
    with pytest.raises(ValueError, match="Evolution: weight_decay must be >= 0 and finite, got -1"):
        Evolution(DRIFT, weight_decay=-1)

"""Evolution: the estimator asks, episodes answer, Adam steps; checked against the same thing done by hand."""

import numpy as np
import pytest
import torch

from rllab.agents import Evolution
from rllab.agents.evolution import _Population
from rllab.agents.making import Maker
from rllab.agents.rollouts import rollout
from rllab.agents.vectorization import make_environments
from rllab.estimators import GaussianSmoothing, ScoreFunction
from tests.proofs.agents import prove_evolution_steps_along_the_estimate
from tests.proofs.toy_environments import DRIFT, LOG


@pytest.mark.parametrize("form", ("antithetic", "forward"))
def test_two_iterations_are_the_estimate_and_adams_steps_by_hand(form):
    prove_evolution_steps_along_the_estimate(Evolution, form)


def test_another_estimator_is_another_agent():
    def learned(form):
        agent = Evolution(DRIFT, hidden=(4,), population=9, estimator=GaussianSmoothing(0.2, form))
        LOG.clear()
        agent._iterate(10**6)
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
    dropping, seen, sizes = _Population(agent, points), [], set()

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


def test_a_generation_that_does_not_fit_is_paid_for_and_not_used():
    agent = Evolution(DRIFT, hidden=(), population=8)
    LOG.clear()
    before = agent.weights.clone()
    rows = agent.learn(20)
    assert torch.equal(agent.weights, before) and agent.spent.updates == 0
    assert agent.spent.steps == LOG.steps == 16
    assert rows[-1]["return"] is None and rows[-1]["steps"] == 16


def test_its_errors_name_it():
    with pytest.raises(ValueError, match="Evolution: estimator must be an Estimator that perturbs parameters, got Sc"):
        Evolution(DRIFT, estimator=ScoreFunction())
    with pytest.raises(
        ValueError, match="Evolution: estimator must be an Estimator that perturbs parameters, got 'es'"
    ):
        Evolution(DRIFT, estimator="es")
    with pytest.raises(ValueError, match="Evolution: population must be an integer >= 2, got 1"):
        Evolution(DRIFT, population=1)

"""ARS: three updates by hand in each version, what it normalises by, its offset, its first policy and its gradient."""

import gymnasium
import numpy as np
import pytest
import torch

from rllab.agents import ARS, Linear, load
from rllab.estimate import Kind
from tests.proofs.search_agents import (
    STILL,
    prove_ars_updates_by_hand,
    prove_cut_generations_go_on,
    prove_nothing_moves_where_costs_are_equal,
    prove_the_gradient_is_of_fresh_steps,
)
from tests.proofs.toy_environments import CHOICE, DRIFT


class _OnePerStep(gymnasium.RewardWrapper):
    def reward(self, reward):
        return 1.0


@pytest.mark.parametrize("normalize", (False, True), ids=("V1", "V2"))
@pytest.mark.parametrize("n_top", (None, 2, 1))
@pytest.mark.parametrize("offset", (0.0, 0.7))
def test_three_updates_are_the_sources_by_hand(n_top, offset, normalize):
    prove_ars_updates_by_hand(ARS, n_top=n_top, offset=offset, normalize=normalize)


def test_its_first_policy_acts_in_the_middle_of_the_box():
    agent = ARS(DRIFT)
    assert agent.hidden == () and not agent.weights.any()
    assert agent.act(np.array([1.0, 1.0])).tolist() == [0.5]  # of −1.5 to 2.5
    deep = ARS(DRIFT, hidden=(5,))
    assert deep.act(np.array([1.0, 1.0])).tolist() == [0.5]
    assert deep.weights[:-6].any() and not deep.weights[-6:].any()  # 5 weights and a bias
    assert ARS(DRIFT, zero_policy=False).weights.any()


def test_a_generation_that_is_cut_off_goes_on_in_the_next_call_and_after_loading(tmp_path):
    small = {"n_delta": 3, "n_top": 2, "environment_arguments": {"cap": 10}}
    prove_cut_generations_go_on(lambda: ARS(DRIFT, **small), tmp_path / "agent.pt")


def test_its_gradient_is_of_fresh_steps_and_leaves_it_as_it_was():
    e = prove_the_gradient_is_of_fresh_steps(lambda: ARS(DRIFT, n_delta=3, n_top=2))
    assert e.target.kind is Kind.DIRECTION and e.gradient.shape == (3,)


def test_where_all_episodes_cost_the_same_nothing_moves():
    prove_nothing_moves_where_costs_are_equal(ARS, n_delta=3, n_top=2, zero_policy=False)


def test_the_offset_is_off_as_it_comes_and_deletes_a_signal_of_survival_alone():
    assert ARS(DRIFT).alive_bonus_offset == 0.0
    survival = {"environment_arguments": {"fall": 1.1}, "wrappers": [_OnePerStep], "zero_policy": False}
    learned = {offset: ARS(DRIFT, n_delta=3, n_top=2, alive_bonus_offset=offset, **survival) for offset in (0.0, -1.0)}
    for offset, agent in learned.items():
        before = agent.weights.clone()
        rows = agent.learn(400)
        assert all(row["return"] is None or row["return"] > 1 for row in rows)  # reported without the offset
        assert torch.equal(agent.weights, before) == (offset == -1.0)


def test_evaluation_uses_the_statistics_of_training_and_leaves_them(tmp_path):
    agent = ARS(DRIFT, n_delta=3, n_top=2)
    agent.learn(300)
    assert agent.normalizer is not None and 0 < float(agent.normalizer.count) <= 300
    state = {name: value.clone() for name, value in agent.normalizer.state_dict().items()}
    evaluated = agent.evaluate(4).returns
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    assert isinstance(again, ARS) and again.normalizer is not None
    for name, value in state.items():
        assert torch.equal(agent.normalizer.state_dict()[name], value)
        assert torch.equal(again.normalizer.state_dict()[name], value)
    np.testing.assert_array_equal(again.evaluate(4).returns, evaluated)
    again.normalizer.load_state_dict({name: torch.zeros_like(value) for name, value in state.items()})
    assert (again.evaluate(4).returns != evaluated).any()


def test_discrete_actions_are_learned():
    agent = ARS(CHOICE, n_delta=4, n_top=2, lr=0.1, delta_std=0.2)
    agent.learn(400)
    assert agent.evaluate(2).returns.tolist() == [0.7 + 2.0] * 2  # the best of all outcomes: 0, then 1


@pytest.mark.filterwarnings("ignore:ARS. the learning rate was 0")
def test_its_step_size_can_be_scheduled():
    constant, falling = (ARS(DRIFT, n_delta=2, lr=lr, n_top=2) for lr in (0.1, Linear(0.1, 0.0, steps=100)))
    for agent in (constant, falling):
        agent.learn(200)
    still = falling.weights.clone()
    with pytest.warns(UserWarning, match="ARS: the learning rate was 0 in"):
        falling.learn(200)
    assert torch.equal(falling.weights, still) and not torch.equal(constant.weights, still)


def test_its_errors_name_it():
    with pytest.raises(ValueError, match="ARS: n_top must be <= n_delta, 2, got 3"):
        ARS(STILL, n_delta=2, n_top=3)
    with pytest.raises(ValueError, match="ARS: n_delta must be an integer >= 1, got 0"):
        ARS(STILL, n_delta=0)
    with pytest.raises(ValueError, match="ARS: delta_std must be positive and finite, got 0"):
        ARS(STILL, delta_std=0)
    with pytest.raises(ValueError, match="ARS: alive_bonus_offset must be finite, got inf"):
        ARS(STILL, alive_bonus_offset=float("inf"))
    with pytest.raises(ValueError, match="ARS: steps must suffice for 4 episodes, got 19, of which 16"):
        ARS(STILL, n_delta=2, n_top=1).gradient(steps=19, key=0)

"""Every agent learns a task of Gymnasium's in seconds.

Thresholds lie below the worst of all seeds that were measured, none of which is used here, and far above the untrained
policy. Learning is deterministic on one machine; other arithmetic amounts to another seed.
"""

import pytest

from rllab.agents import PPO, SAC, TD3, CrossQ, Evolution, Reinforce
from rllab.estimators import GaussianSmoothing

pytestmark = pytest.mark.slow


def untrained_and_trained(agent, steps):
    before = agent.evaluate(20).returns.mean()
    agent.learn(steps)
    assert agent.spent.steps <= steps
    return before, agent.evaluate(20).returns.mean()


def test_td3_swings_up_the_pendulum():
    # 24 seeds, 100–123, mean return of 20 episodes: −528 the worst, −181 to −167 the others.
    # Untrained: −1261 to −1186 (20 seeds).
    agent = TD3("Pendulum-v1", seed=0, lr=2e-3, gamma=0.97, tau=0.01)
    before, after = untrained_and_trained(agent, 5_500)
    assert before < -1_100 and after > -700


def test_sac_swings_up_the_pendulum():
    # 10 seeds, 0, 1 and 100–107, mean return of 20 episodes: −329 the worst, −183 to −172 the others.
    # Untrained: −1261 to −1189.
    agent = SAC("Pendulum-v1", seed=200, lr=2e-3, gamma=0.97, tau=0.02, learning_starts=500, train_freq=2)
    before, after = untrained_and_trained(agent, 2_500)
    assert before < -1_100 and after > -700


def test_crossq_swings_up_the_pendulum():
    # 7 seeds, 100–106, mean return of 20 episodes: −185 to −175. Untrained: −1261 to −1189.
    agent = CrossQ("Pendulum-v1", seed=0, lr=2e-3, gamma=0.97, learning_starts=500, critic_hidden=(64, 64))
    before, after = untrained_and_trained(agent, 3_000)
    assert before < -1_100 and after > -700


def test_reinforce_as_it_comes_balances_the_cart_pole_within_10_000_steps():
    # 8 seeds, 0–2 and 100–104, mean return of 20 episodes: 500 each.
    agent = Reinforce("CartPole-v1", seed=200)
    before, after = untrained_and_trained(agent, 10_000)
    assert before < 400 and after > 400


def test_ppo_as_it_comes_balances_the_cart_pole():
    # 3 seeds, 100–102, mean return of 20 episodes after 12,000 steps: 500 each. Untrained: 9 to 61.
    agent = PPO("CartPole-v1", seed=200)
    before, after = untrained_and_trained(agent, 12_288)
    assert before < 400 and after > 400


def test_evolution_balances_the_cart_pole():
    # 11 seeds, 0 and 100–109, mean return of 20 episodes: 483 the worst, 500 the others, the most there is.
    # Untrained: 9 to 500, as luck has it.
    agent = Evolution("CartPole-v1", seed=1, hidden=(), estimator=GaussianSmoothing(0.2), population=16, lr=0.1)
    before, after = untrained_and_trained(agent, 40_000)
    assert before < 200 and after > 400

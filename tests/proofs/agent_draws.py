"""What agents draw: it is scored as it was drawn, and drawn anew in every iteration."""

import torch

from tests.proofs.agents import Watched, td3_agent
from tests.proofs.toy_environments import DRIFT, LOG


def prove_reinforce_scores_what_it_drew(kind):
    """Episodes of one step, the spread so wide that most actions leave the box: gradients by torch's Normal."""
    agent = kind(DRIFT, seed=4, hidden=(3,), episodes=8, std=3.0, environment_arguments={"cap": 1})
    drawn, draw = [], agent.draw

    def watched(weights, inputs, generator):
        drawn.append((inputs, draw(weights, inputs, generator)))
        return drawn[-1][1].clone()

    agent.draw = watched
    agent.optimizer = Watched()
    costs = -torch.tensor(agent._iterate(10**6))
    ((inputs, actions),) = drawn
    assert (actions.abs() > 1).sum() > 3
    w, log_std = (p.detach().double().requires_grad_() for p in (agent.weights, agent.log_std))
    centre = torch.tanh(agent.policy.network(w, inputs.double()))
    log_p = torch.distributions.Normal(centre, log_std.exp()).log_prob(actions.double()).sum(-1)
    a = costs - (costs.sum() - costs) / 7
    expected = torch.autograd.grad((log_p * a).sum() / 8, (w, log_std))
    for ours, exact in zip(agent.optimizer.gradient.split((agent.policy.size, 1)), expected, strict=True):
        torch.testing.assert_close(ours.double(), exact, rtol=1e-4, atol=1e-5)


def prove_reinforce_meets_other_episodes_every_time(kind):
    agent = kind(DRIFT, seed=4, hidden=(3,), episodes=4)
    noise, draw = [], agent.draw

    def watched(weights, inputs, generator):
        actions = draw(weights, inputs, generator)
        noise.append((actions - agent.policy(agent.weights, inputs).detach()) / agent.log_std.detach().exp())
        return actions

    agent.draw = watched
    LOG.clear()
    for updates in range(1, 6):
        agent._iterate(10**6)
        assert len(set(LOG.seeds)) == len(LOG.seeds) == 4 * updates
    numbers = torch.cat(noise).flatten().sort().values
    assert (numbers.diff() > 1e-6).double().mean() > 0.9  # no normal number came twice, up to rounding


def prove_td3_draws_anew_in_every_block(kind, block):
    """Minibatches, the noise of targets and that of actions: no number comes again in another block."""
    agent = td3_agent(kind, learning_starts=1, action_noise=0.05)
    picks, noise, batch = [], [], agent.replay.batch

    def watched(uniform):
        picks.append(uniform.clone())
        return batch(uniform)

    agent.replay.batch = watched
    agent.update = lambda transitions, normal: noise.append(normal.clone())  # look, do not move
    agent.learn(3 * block)
    table = agent.replay.table[1 : 3 * block]
    moved = table[:, 2:3] - agent.policy(agent.weights.detach(), table[:, :2])
    for numbers in (torch.cat(picks), torch.cat(noise), moved):
        numbers = numbers.flatten().double().sort().values
        assert (numbers.diff() > 1e-7 * numbers.abs().max()).double().mean() > 0.9  # a share comes close by chance

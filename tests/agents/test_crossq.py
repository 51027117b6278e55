"""CrossQ: one update is its equations, computed by autograd; which statistics are taken where decides if it works."""

import pytest
import torch

from rllab import Key
from rllab.agents import CrossQ, load, off_policy
from rllab.agents.normalized_critics import NormalizedCritics
from tests.proofs.agents import prove_it_goes_on_after_loading
from tests.proofs.soft_actor_critics import (
    Normalised,
    mlp,
    prove_crossq_updates_as_its_equations_say,
    prove_the_actors_step_leaves_the_critics_alone,
    soft_agent,
)
from tests.proofs.toy_environments import DRIFT


def test_actor_critics_statistics_and_temperature_follow_the_equations_update_by_update():
    prove_crossq_updates_as_its_equations_say(CrossQ)


def test_the_actors_step_leaves_critics_alone_and_theirs_the_actor():
    prove_the_actors_step_leaves_the_critics_alone(CrossQ)


def critics():
    made = NormalizedCritics(2, 1, (6, 5), key=Key(1), lr=0.01)
    made.running[:, 0].normal_(generator=Key(2).generator())
    return made


def test_one_joint_pass_is_not_two_passes():
    generator = Key(3).generator()
    o, a = torch.randn(16, 2, generator=generator), torch.randn(16, 1, generator=generator)
    o[8:] += 1.0  # what follows is distributed otherwise
    first, following = (q.clone() for q in critics().joint(o, a, renormalize=False))
    joint = Normalised(critics().network, critics().running[0])
    together = joint(critics().weights[0].double(), torch.cat((o, a), 1).double(), training=True)[:, 0]
    torch.testing.assert_close(torch.cat((first[0], following[0])).double(), together, rtol=1e-4, atol=1e-5)
    apart = [
        joint(critics().weights[0].double(), torch.cat((o, a), 1)[half].double(), training=True)[:, 0]
        for half in (slice(0, 8), slice(8, 16))
    ]
    assert (torch.cat(apart) - together).abs().max() > 0.05


def test_through_the_statistics_the_gradient_reaches_what_followed():
    """With a constant target, moving (o', a') moves the statistics, and so the cost of (o, a)."""
    generator = Key(3).generator()
    o, a = torch.randn(16, 2, generator=generator), torch.randn(16, 1, generator=generator)
    made = critics()
    made.joint(o, a, renormalize=False)
    made.descend(torch.zeros(8))
    whole, joint = made.gradient[0].clone(), Normalised(made.network, critics().running[0])
    w = critics().weights[0].double().requires_grad_()
    q = joint(w, torch.cat((o, a), 1).double(), training=True)[:8, 0]
    torch.testing.assert_close(whole.double(), torch.autograd.grad(q.square().mean(), w)[0], rtol=1e-4, atol=1e-5)


def test_evaluated_it_is_a_plain_network_that_mixes_no_samples():
    agent = soft_agent(CrossQ)
    agent.learn(60)
    own, x = agent.normalized_actor.state_dict(), torch.randn(9, 2, generator=Key(1).generator())
    expected = Normalised(agent.learned_actor.network, own["running"])(
        own["weights"].double(), x.double(), training=False
    )
    torch.testing.assert_close(
        agent.learned_actor.network(agent.learned_actor.weights, x).double(), expected, rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(
        agent.policy(agent.weights, x).double(), torch.tanh(expected[:, :1]), rtol=1e-4, atol=1e-5
    )
    agent.critics.fold()
    pairs = torch.randn(9, 3, generator=Key(2).generator())
    for w, running, plain in zip(agent.critics.weights, agent.critics.running, agent.critics.evaluated, strict=True):
        exact = Normalised(agent.critics.network, running)(w.double(), pairs.double(), training=False)
        torch.testing.assert_close(mlp(agent.critics.network, plain, pairs).double(), exact, rtol=1e-4, atol=1e-5)


def test_the_warm_up_goes_on_after_loading_and_does_not_begin_again(tmp_path, monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 35)
    agent = soft_agent(CrossQ, renorm_warmup=45, learning_starts=20)
    agent.learn(110)
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    assert again._renormalizes(again.critic_updates) and not again._renormalizes(again.spent.updates)  # 90 and 30
    prove_it_goes_on_after_loading(agent, tmp_path / "agent.pt", 61)


@pytest.mark.parametrize("hidden", ((), (4,)))
def test_any_depth_learns(hidden):
    agent = CrossQ(DRIFT, hidden=hidden, critic_hidden=hidden, learning_starts=20, batch_size=8)
    before = agent.weights.clone()
    agent.learn(40)
    assert torch.isfinite(agent.weights).all() and not torch.equal(agent.weights, before)


def test_its_errors_name_it_and_the_argument():
    for arguments, message in (
        ({"renorm_warmup": -1}, "renorm_warmup must be an integer >= 0, got -1"),
        ({"policy_delay": 0}, "policy_delay must be an integer >= 1, got 0"),
        ({"critic_hidden": (4, 0)}, "critic_hidden must be widths >= 1, got"),
    ):
        with pytest.raises(ValueError, match=f"CrossQ: {message}"):
            CrossQ(DRIFT, **arguments)

"""PPO with one mistake each, as they have been published or shipped; the proofs of the right one must fail them."""

import inspect
import textwrap

import pytest
import torch

from rllab import Key
from rllab.agents import PPO, ppo
from rllab.agents.action_distributions import ChosenActions, GaussianActions
from rllab.agents.rounds import Segment
from tests.proofs.agents import mutant
from tests.proofs.ppo import Lights, ppo_agent, prove_ppo_updates_as_its_equations_say

PLAIN = {"ent_coef": 0.2, "vf_coef": 0.9, "max_grad_norm": None}


def altered(parent, method, old, new):
    """Return a class whose method has one piece of its text replaced."""
    text = textwrap.dedent(inspect.getsource(getattr(parent, method)))
    assert text.count(old) == 1, old
    space = vars(inspect.getmodule(parent)).copy()
    exec(text.replace(old, new), space)
    return mutant(parent, **{method: space[method]})


UPDATE = {
    "the smaller of two costs": ("torch.ge(plain, clipped", "torch.le(plain, clipped"),
    "no clipping": ('torch.ge(plain, clipped, out=b("u", n)).mul_(plain)', 'torch.mul(ratio, a, out=b("u", n))'),
    "clipped from above alone": ("torch.clamp(ratio, 1 - clip, 1 + clip", "torch.clamp(ratio, 0.0, 1 + clip"),
    "rewards for costs": ("plain = torch.mul(ratio, a", "plain = torch.mul(ratio.neg(), a"),
    "ratio left out": (".mul_(plain).div_(n)", ".mul_(a).div_(n)"),
    "ratio the other way round": ("torch.sub(log_p, batch.log_probability", "torch.sub(batch.log_probability, log_p"),
    "a sum for a mean": (".mul_(plain).div_(n)", ".mul_(plain)"),
    "half the slope of V": ("2 * self.vf_coef / n", "self.vf_coef / n"),
    "V to advantages": ("torch.sub(values, batch.returns", "torch.sub(values, batch.advantages"),
    "entropy is a cost": ("-self.ent_coef / n", "self.ent_coef / n"),
}
NORMALISED = {
    "not divided by the deviation": ('a.div_(torch.std(a, 0, out=b("std")).add_(1e-8))', "pass"),
    "not centred": ('torch.sub(a, torch.mean(a, 0, out=b("mean")), out=b("a", n))', "a.clone()"),
    "a long gradient stays long": (".clamp_(max=1.0)", ".clamp_(min=1.0)"),
    "each component is shortened": ("gradient.mul_(norm.add_(1e-6)", "gradient.clamp_(-0.1, 0.1); (norm.add_(1e-6)"),
}


@pytest.mark.parametrize("name", UPDATE)
def test_a_wrong_loss_is_caught(name):
    wrong = altered(PPO, "_descend", *UPDATE[name])
    with pytest.raises(AssertionError):
        prove_ppo_updates_as_its_equations_say(wrong, updates=3, normalize_advantage=False, **PLAIN)


@pytest.mark.parametrize("name", NORMALISED)
def test_wrong_normalisation_and_clipping_are_caught(name):
    wrong = altered(PPO, "_descend", *NORMALISED[name])
    with pytest.raises(AssertionError):
        prove_ppo_updates_as_its_equations_say(wrong, updates=3)


SLOPES = {
    "spread's slope without −1": (GaussianActions, "backward", "self._square.sub_(1.0).t()", "self._square.t()", None),
    "entropy once for all rows": (GaussianActions, "backward", ".add_(n * entropy)", ".add_(entropy)", None),
    "slope of choices without p": (ChosenActions, "backward", "self._encoded, self._p,", "self._encoded, 0.0,", Lights),
    "entropy's slope without H": (ChosenActions, "backward", ".addcmul_(p, own, value=entropy)", "", Lights),
}  # fmt: skip


@pytest.mark.parametrize("name", SLOPES)
def test_wrong_slopes_are_caught(name, monkeypatch):
    parent, method, old, new, environment = SLOPES[name]
    monkeypatch.setattr(parent, method, vars(altered(parent, method, old, new))[method])
    options = {} if environment is None else {"environment": environment}
    with pytest.raises(AssertionError):
        prove_ppo_updates_as_its_equations_say(PPO, updates=2, normalize_advantage=False, **PLAIN, **options)


def test_a_mutant_that_changes_nothing_passes():
    same = altered(PPO, "_descend", "torch.ge(plain, clipped", "torch.ge(plain,  clipped")
    prove_ppo_updates_as_its_equations_say(same, updates=3)


# ---- what is done with a rollout


def segment(agent, t=6):
    """A rollout that ends in every way, with observations far from those the agent was normalised by."""
    g, n, o = Key(5).generator(), agent.num_envs, len(agent.policy.scale)
    normal = lambda *shape: torch.randn(shape, generator=g)  # noqa: E731
    kind = torch.randint(0, 4, (t, n), generator=g)
    return Segment(normal(t, n, o) + 2, normal(t, n, 1), normal(t, n), kind == 0, kind == 1, normal(t, n, o) + 2)


def prove_a_rollout_is_learned_from_at_the_policy_that_acted(kind):
    """π_old has the statistics of acting, V and inputs the new ones; R = A + V_old."""
    agent = ppo_agent(kind, n_epochs=1, normalize_observations=True)
    agent.normalizer.update(torch.randn(50, 2, generator=Key(6).generator()))
    rollout, batches = segment(agent), []
    agent.update = lambda batch: batches.append(torch.cat([part.reshape(12, -1) for part in batch], 1))
    before = agent.networks.log_probability(
        agent.normalizer(rollout.observations).flatten(0, 1), rollout.actions.flatten(0, 1)
    )
    agent.learn_from(rollout)
    after = agent.normalizer(rollout.observations)
    v, following = agent.networks.values(after), agent.networks.values(agent.normalizer(rollout.next_observations))
    a = ppo.generalized_advantages(
        -rollout.rewards, v, following, rollout.terminated, rollout.truncated, gamma=0.99, gae_lambda=0.95
    )
    columns = torch.stack((before, a.flatten(), (a + v).flatten()), 1)
    expected = torch.cat((after.flatten(0, 1), rollout.actions.flatten(0, 1), columns), 1)
    order = lambda rows: rows[rows[:, 0].argsort()]  # noqa: E731
    torch.testing.assert_close(order(torch.cat(batches)), order(expected), rtol=1e-5, atol=1e-5)


def test_a_rollout_is_learned_from_at_the_policy_that_acted():
    prove_a_rollout_is_learned_from_at_the_policy_that_acted(PPO)


ROLLOUT = {
    "π_old with later statistics": ("learn_from", "self._seen(segment.observations)", "learned(self, segment)"),
    "V fitted to advantages": ("learn_from", "(advantages + values)", "advantages"),
    "rewards for costs": ("_judged", "costs = -segment.rewards", "costs = segment.rewards"),
    "the next row follows": ("_judged", "self._seen(segment.next_observations)", "learned(self, segment).roll(-1, 0)"),
}  # fmt: skip


def learned(self, segment):
    self.normalizer.update(segment.observations)
    return self.normalizer(segment.observations)


@pytest.mark.parametrize("name", ROLLOUT)
def test_a_rollout_learned_from_wrongly_is_caught(name, monkeypatch):
    monkeypatch.setattr(ppo, "learned", learned, raising=False)
    wrong = altered(PPO, *ROLLOUT[name])
    with pytest.raises(AssertionError):
        prove_a_rollout_is_learned_from_at_the_policy_that_acted(wrong)

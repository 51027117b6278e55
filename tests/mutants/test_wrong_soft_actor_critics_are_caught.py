"""SAC and CrossQ with one mistake each, as they have been published or shipped; the proof of the right one fails them.

The proofs are those of tests/agents.
"""

from contextlib import contextmanager

import pytest
import torch

from rllab.agents import SAC, CrossQ, off_policy
from rllab.agents.adam import Adam
from rllab.agents.batch_norm import BatchRenorm
from rllab.agents.larger_cost import LargerCost
from rllab.agents.normalized_critics import NormalizedCritics
from rllab.agents.normalized_mlp import NormalizedMLP
from rllab.agents.squashed import SquashedGaussian
from rllab.agents.temperature import Temperature
from tests.proofs.agents import mutant, prove_it_goes_on_after_loading
from tests.proofs.soft_actor_critics import (
    prove_crossq_updates_as_its_equations_say,
    prove_sac_updates_as_its_equations_say,
    prove_the_actors_step_leaves_the_critics_alone,
    soft_agent,
)

FORWARD, BACKWARD = SquashedGaussian.forward, SquashedGaussian.backward
THROUGH, STEP, JOINT, DESCEND = LargerCost.through, Temperature.step, NormalizedCritics.joint, NormalizedCritics.descend
RENORM, ADAM, MLP_FORWARD = BatchRenorm.forward, Adam.__init__, NormalizedMLP.forward


@contextmanager
def for_once(owner, name, value):
    kept = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, kept)


# ---- parts of both


def without_the_correction(self, outputs, noise):
    """log π of u, not of tanh u."""
    a, log_pi = FORWARD(self, outputs, noise)
    return a, log_pi + torch.log(1 - a.double() ** 2).sum(1).float()


def without_the_slope_of_log_pi(self, slope, weight):
    return BACKWARD(self, slope, torch.zeros(()))


def without_the_slope_of_tanh(self, slope, weight):
    a = self._buffers("a", *slope.shape)
    return BACKWARD(self, slope / (1 - a**2), weight)


def alpha_the_wrong_way(self, log_pi):
    STEP(self, -log_pi - 2 * self.target_entropy)


def alpha_without_a_target(self, log_pi):
    STEP(self, log_pi - self.target_entropy)


def alpha_itself_moves(self, log_pi):
    STEP(self, self.alpha * (log_pi + self.target_entropy) * 0 + 1.0)


def the_smaller_is_followed(self, weights, observations, actions):
    negated = weights.clone()
    *_, last = self._chains[0]._network.layers(negated)
    for part in last:
        part.neg_()
    cost, slope = THROUGH(self, negated, observations, actions)
    return -cost, -slope


def the_first_is_followed(self, weights, observations, actions):
    return THROUGH(self, weights[:1].expand(2, -1), observations, actions)


def adam_of_another_beta1(self, weights, lr, beta1=0.9, max_grad_norm=None):
    ADAM(self, weights, lr, 0.9 if beta1 == 0.5 else 0.5, max_grad_norm)


BOTH = [
    (SquashedGaussian, "forward", without_the_correction),
    (SquashedGaussian, "backward", without_the_slope_of_log_pi),
    (SquashedGaussian, "backward", without_the_slope_of_tanh),
    (Temperature, "step", alpha_the_wrong_way),
    (Temperature, "step", alpha_without_a_target),
    (Temperature, "step", alpha_itself_moves),
    (LargerCost, "through", the_smaller_is_followed),
    (LargerCost, "through", the_first_is_followed),
    (Adam, "__init__", adam_of_another_beta1),
]
PROOFS = {SAC: prove_sac_updates_as_its_equations_say, CrossQ: prove_crossq_updates_as_its_equations_say}


@pytest.mark.parametrize("kind", PROOFS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("owner", "name", "wrong"), BOTH, ids=[wrong.__name__ for *_, wrong in BOTH])
def test_a_wrong_part_is_caught(kind, owner, name, wrong, monkeypatch):
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(AssertionError):
        PROOFS[kind](kind)


# ---- SAC


def target_without_entropy(self, batch, noise, out=None):
    with for_once(self.temperature, "alpha", torch.zeros(())):
        return SAC.target(self, batch, noise, out)


def target_that_pays_for_order(self, batch, noise, out=None):
    with for_once(self.temperature, "alpha", -self.temperature.alpha):
        return SAC.target(self, batch, noise, out)


def target_of_current_critics(self, batch, noise, out=None):
    with for_once(self.critics, "targets", self.critics.weights):
        return SAC.target(self, batch, noise, out)


def entropy_after_the_end(self, batch, noise, out=None):
    """The mask on Q alone."""
    y = SAC.target(self, batch, noise, out)
    _, log_pi = self.learned_actor.sample(batch.next_observations, noise[:, :1])
    return y.addcmul_(batch.terminated * log_pi, self._price(), value=self.gamma)


def unscaled_price(self):
    return self.temperature.alpha


def targets_follow_every_step(self, batch, noise):
    before = self.spent.updates
    SAC.update(self, batch, noise)
    if self.spent.updates == before:
        self.critics.follow(self.tau)


def targets_never_follow(self):
    pass


def one_noise_for_both_draws(self, batch, noise):
    SAC.update(self, batch, noise[:, :1].expand(-1, 2))


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("target", target_without_entropy),
        ("target", target_that_pays_for_order),
        ("target", target_of_current_critics),
        ("target", entropy_after_the_end),
        ("_price", unscaled_price),
        ("update", targets_follow_every_step),
        ("update", one_noise_for_both_draws),
        ("_follow", targets_never_follow),
    ],
    ids=lambda given: getattr(given, "__name__", given),
)
def test_a_wrong_sac_is_caught(method, wrong):
    with pytest.raises(AssertionError):
        prove_sac_updates_as_its_equations_say(mutant(SAC, **{method: wrong}))


# ---- CrossQ


def two_passes(self, observations, actions, *, renormalize):
    """Statistics of (o, a) and of (o', a') by themselves."""
    n = len(actions) // 2
    halves = []
    for half in (slice(n, 2 * n), slice(0, n)):
        o, a = observations[half].repeat(2, 1), actions[half].repeat(2, 1)
        halves.append(JOINT(self, o, a, renormalize=renormalize)[0].clone())
    self._buffers("q", 2, 2 * n).copy_(torch.cat(halves[::-1], 1))
    return halves[1], halves[0]


def no_gradient_through_the_statistics(self, v, s, out):
    """As if mean and variance were constants."""
    n, h = v.shape
    normed = self._buffers("normed", n, h)
    torch.sum(v, 0, out=out[1])
    along = (v * normed).sum(0)
    torch.add(self._buffers("r", h) * along, self._buffers("d", h) * out[1], out=out[0])
    return v * self._buffers("scale", h) * self._buffers("inverse", h)


def never_renormalises(self, x, s, t, running, *, renormalize):
    return RENORM(self, x, s, t, running, renormalize=False)


def renormalises_at_once(self, x, s, t, running, *, renormalize):
    return RENORM(self, x, s, t, running, renormalize=True)


def running_statistics_stand_still(self, x, s, t, running, *, renormalize):
    return RENORM(self, x, s, t, tuple(part.clone() for part in running), renormalize=renormalize)


def target_moves_too(self, y):
    """No stop-gradient: y is differentiated as well."""
    n = len(y)
    q, v = self._buffers("q", 2, 2 * n), torch.zeros(2 * n, 1)
    self.errors = q[:, :n] - y
    best = q[:, n:].argmax(0)
    for i, (network, gradient) in enumerate(zip(self._networks, self.gradient, strict=True)):
        v[:n, 0] = self.errors[i] * 2 / n
        v[n:, 0] = -0.99 * (best == i) * self.errors.sum(0) * 2 / n
        network.backward(v, gradient)
    self.optimizer.step(self.gradient)


PARTS = [
    (NormalizedCritics, "joint", two_passes),
    (NormalizedCritics, "descend", target_moves_too),
    (BatchRenorm, "backward", no_gradient_through_the_statistics),
    (BatchRenorm, "forward", never_renormalises),
    (BatchRenorm, "forward", renormalises_at_once),
    (BatchRenorm, "forward", running_statistics_stand_still),
]


@pytest.mark.parametrize(("owner", "name", "wrong"), PARTS, ids=[wrong.__name__ for *_, wrong in PARTS])
def test_a_wrong_normalisation_is_caught(owner, name, wrong, monkeypatch):
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(AssertionError):
        prove_crossq_updates_as_its_equations_say(CrossQ)


def draws_what_follows_in_training(self, batch, noise, *read):
    """a' by the statistics of the batch, which the actor's running ones follow."""

    def sample(observations, xi):
        return self._gaussian.forward(self.normalized_actor.forward(observations, renormalize=False), xi)

    with for_once(self.learned_actor, "sample", sample):
        CrossQ._descend_critics(self, batch, noise)


def critics_in_training(self, batch, noise, *read):
    """∂Q/∂a by the statistics of the batch: samples are mixed, and running statistics move."""

    def through(weights, observations, actions):
        cost, slope = THROUGH(self.larger, weights, observations, actions)
        self.critics.joint(observations, actions, renormalize=False)
        return cost, slope

    with for_once(self.larger, "through", through):
        CrossQ._descend_actor(self, batch, noise)


def critics_of_before(self, batch, noise, *read):
    """The actor follows critics folded before their last step."""
    with for_once(self.critics, "fold", lambda: None):
        CrossQ._descend_actor(self, batch, noise)


def actor_every_step(self, batch, noise):
    delay, self.policy_delay = self.policy_delay, 1
    CrossQ.update(self, batch, noise)
    self.policy_delay = delay


MODES = [
    ("_descend_critics", draws_what_follows_in_training),
    ("_descend_actor", critics_in_training),
    ("_descend_actor", critics_of_before),
    ("update", actor_every_step),
]


@pytest.mark.parametrize(("method", "wrong"), MODES, ids=[wrong.__name__ for _, wrong in MODES])
def test_a_wrong_mode_is_caught(method, wrong):
    with pytest.raises(AssertionError):
        prove_crossq_updates_as_its_equations_say(mutant(CrossQ, **{method: wrong}))


@pytest.mark.parametrize("wrong", (draws_what_follows_in_training, critics_in_training), ids=lambda f: f.__name__)
def test_statistics_that_move_when_they_must_not_are_caught(wrong):
    method = dict((f, name) for name, f in MODES)[wrong]
    with pytest.raises(AssertionError):
        prove_the_actors_step_leaves_the_critics_alone(mutant(CrossQ, **{method: wrong}))


STATE = CrossQ._state


def forgets_the_warm_up(self):
    return STATE(self) | {"critic_updates": STATE(self)["critic_updates"] % 3}


def forgets_the_statistics(self):
    state = STATE(self)
    return state | {"critics": state["critics"] | {"running": torch.ones_like(self.critics.running)}}


def forgets_the_temperature(self):
    state = STATE(self)
    return state | {"temperature": state["temperature"] | {"log_alpha": torch.zeros(())}}


def forgets_the_first_optimiser(self):
    return STATE(self) | {"actor_optimizer": Adam(self.normalized_actor.state_dict()["weights"], self.lr).state_dict()}


FORGOTTEN = forgets_the_warm_up, forgets_the_statistics, forgets_the_temperature, forgets_the_first_optimiser


@pytest.mark.slow
@pytest.mark.parametrize("wrong", FORGOTTEN, ids=lambda f: f.__name__)
def test_what_a_checkpoint_forgets_is_caught(wrong, tmp_path, monkeypatch):
    monkeypatch.setattr(off_policy, "BLOCK", 35)
    monkeypatch.setattr(CrossQ, "_state", wrong)
    with pytest.raises((AssertionError, ValueError)):
        prove_it_goes_on_after_loading(soft_agent(CrossQ, renorm_warmup=45), tmp_path / "agent.pt", 60)


def test_mutants_that_change_nothing_pass(monkeypatch):
    monkeypatch.setattr(LargerCost, "through", lambda self, *given: THROUGH(self, *given))
    monkeypatch.setattr(BatchRenorm, "forward", lambda self, *given, **mode: RENORM(self, *given, **mode))
    prove_sac_updates_as_its_equations_say(mutant(SAC, update=lambda self, *given: SAC.update(self, *given)))
    prove_crossq_updates_as_its_equations_say(mutant(CrossQ, update=lambda self, *given: CrossQ.update(self, *given)))
    prove_the_actors_step_leaves_the_critics_alone(mutant(CrossQ))

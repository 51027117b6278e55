"""Critics with one mistake each; the tests of critics must fail every one of them."""

from dataclasses import replace

import pytest
import torch

from rllab.critics import Critic, CriticState, Residual
from tests.critics import test_critics as checks

_fold, _contributions = Residual._fold, Residual._contributions


def _at_the_centre(self, state, block, f):
    x, u = block.points.unflatten(0, (2, -1)), block.noise
    missed = f.unflatten(0, (2, -1)) - state.value(x)
    return state.gradient(x.mean(0)) + ((missed[0] - missed[1]) / (2 * self.smoothing.sigma)).unsqueeze(-1) * u


def _fitted_before(self, query, answered, per_unit, errors):
    answered = [(block, f) for block, f in answered]
    state, _ = Critic(hidden=(8,), gradient_steps=50).update(query.state, answered, query.key)
    parts = torch.cat([_contributions(self, state, block, f) for block, f in answered])
    return replace(_fold(self, query, answered, per_unit, errors), gradient=parts.mean(0), per_unit=parts)


def _scaled_twice(self, at):
    return _gradient(self, at) * self.scales[3]


def _keeps_the_oldest(self, points, costs, buffer_size):
    state = _remember(self, points, costs, 10**9)
    keep = -(-buffer_size // 2)
    return replace(state, points=state.points[:keep], costs=state.costs[:keep])


def _one_minibatch_for_all(self, state, key):
    randint = torch.randint

    def shared(*arguments, **options):
        picks = randint(*arguments, **options)
        return picks[:, :1].expand_as(picks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randint", shared)
        return _fit(self, state, key)


def _one_start_for_all(self, members, key):
    return _start(self, 1, key).expand(members, -1)


_gradient, _remember, _start, _fit = CriticState.gradient, CriticState.remember, CriticState.start, Critic.fit
unbiased, learns, differs, perfect, fits, fits_two, replays = (
    lambda m: checks.test_a_residual_is_exactly_unbiased_however_bad_the_critic(),
    lambda m: checks.test_a_black_box_hands_its_critic_what_else_a_cost_depends_on(),
    lambda m: checks.test_the_gradient_is_that_of_the_learned_cost(1),
    lambda m: checks.test_a_perfect_critic_leaves_no_two_point_noise(),
    lambda m: checks.test_a_fit_is_adam_on_costs_and_directional_differences(0.7, 1),
    lambda m: checks.test_a_fit_is_adam_on_costs_and_directional_differences(0.0, 2),
    lambda m: checks.test_the_replay_keeps_the_last_evaluations_in_the_order_in_which_they_came(),
)
MUTANTS = {
    "critic's slope at the centre": (Residual, "_contributions", _at_the_centre, unbiased),
    "fitted to the very values": (Residual, "_fold", _fitted_before, perfect),
    "correction added twice": (
        Residual,
        "_contributions",
        lambda self, s, b, f: 2 * _contributions(self, s, b, f) - s.gradient(b.points.unflatten(0, (2, -1))).mean(0),
        unbiased,
    ),
    "context forgotten": (Critic, "with_context", lambda self, state, context: state or self.init(), learns),
    "costs' scale twice": (CriticState, "gradient", _scaled_twice, differs),
    "points' scale forgotten": (
        CriticState,
        "gradient",
        lambda self, at: _gradient(self, at) * self.scales[1],
        differs,
    ),
    "the replay keeps the oldest": (CriticState, "remember", _keeps_the_oldest, replays),
    "the replay keeps one pair too few": (
        CriticState,
        "remember",
        lambda self, points, costs, buffer_size: _remember(self, points, costs, buffer_size - 2),
        replays,
    ),
    "members share one minibatch": (Critic, "fit", _one_minibatch_for_all, fits_two),
    "members share one start": (CriticState, "start", _one_start_for_all, fits_two),
    "slopes not matched": (
        Critic,
        "fit",
        lambda self, state, key: _fit(Critic(**{**vars(self), "slope_weight": 0.0}), state, key),
        fits,
    ),
}


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_wrong_critic_is_caught(mistake, monkeypatch):
    owner, method, wrong, check = MUTANTS[mistake]
    monkeypatch.setattr(owner, method, wrong)
    with pytest.raises((AssertionError, RuntimeError)):
        check(monkeypatch)

"""Critics: what is learned has the gradient it says, what is corrected is unbiased however bad the critic."""

import math

import pytest
import torch

import rllab
from rllab import estimators as est
from rllab.blackbox import BlackBox
from rllab.critics import Critic, CriticState, Residual, ThroughCritic
from rllab.critics.network import ScalarNetwork
from rllab.testing.check import RULES
from tests.proofs.checks import exact_moments

AT = torch.linspace(-0.7, 1.1, 4, dtype=torch.float64)
SMALL = Critic(hidden=(8,), sigma=0.3, gradient_steps=20)


def wavy(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(x).sum(-1) + 0.5 * x.square().sum(-1)


def fitted(critic: Critic = SMALL, calls: int = 3, f=wavy) -> CriticState:
    state = None
    for key in range(calls):
        state = critic(rllab.Cost(f), AT, evaluations=32, key=key, state=state).state
    return state


@pytest.mark.parametrize("members", [1, 3])
def test_the_gradient_is_that_of_the_learned_cost(members):
    critic = fitted(Critic(hidden=(8, 5), gradient_steps=20, ensemble=members))
    points = AT + torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    h, g = 1e-6, critic.gradient(points)
    for i in range(4):
        e = torch.zeros(4, dtype=torch.float64)
        e[i] = h
        slope = (critic.value(points + e) - critic.value(points - e)) / (2 * h)
        torch.testing.assert_close(g[..., i], slope, rtol=1e-6, atol=1e-8)
    assert (critic.std(points) > 0).all() if members > 1 else (critic.std(points) == 0).all()


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("slopes", [0.0, 0.7])
def test_a_fit_is_adam_on_costs_and_directional_differences(slopes, members):
    critic = Critic(
        hidden=(6,), sigma=0.3, gradient_steps=4, batch_size=5, lr=0.01, slope_weight=slopes, ensemble=members
    )
    mine = critic(rllab.Cost(wavy), AT, evaluations=20, key=3).state
    key = rllab.Key(3).child("critic")
    z, c, _ = mine.normalised()
    net = ScalarNetwork(4, (6,), torch.float64)
    starts = [net.initial(key.child("weights", i)) for i in range(members)]
    picks = torch.randint(10, (4, members, 5), generator=key.child("minibatch").generator())
    assert members == 1 or not torch.equal(picks[:, 0], picks[:, 1])  # each member sees minibatches of its own
    for member, start in enumerate(starts):
        w = start.clone().requires_grad_()
        adam = torch.optim.Adam([w], lr=0.01)
        for chosen in picks[:, member]:
            first, b, last, a = w[:24].view(6, 4), w[24:30], w[30:36], w[36]
            out = torch.tanh(z[chosen] @ first.T + b) @ last + a
            loss = (out - c[chosen]).square().mean()
            gap = (out[:, 0] - out[:, 1]) - (c[chosen][:, 0] - c[chosen][:, 1])
            loss = loss + slopes * gap.square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
        torch.testing.assert_close(mine.weights[member], w.detach(), rtol=1e-9, atol=1e-11)


def test_a_later_fit_goes_on_with_the_optimizer_in_the_units_of_what_is_kept_by_then():
    state = None
    for fits in (1, 2, 3):
        at = AT * 3**fits  # so that every call changes the spread of points and costs
        state = SMALL(rllab.Cost(wavy), at, evaluations=32, key=fits, state=state).state
        assert int(state.optimizer["state"][0]["step"]) == fits * SMALL.gradient_steps and state.fits == fits
        assert all(map(torch.equal, state.scales, state.normalised()[2]))


def test_a_critic_is_evaluated_on_points_before_it_is_fitted_to_them():
    before, (block,) = fitted(calls=2), SMALL.ask(AT, 32, 5)
    costs = wavy(block.points).unflatten(0, (2, -1))
    wanted = before.evaluate(block.points.unflatten(0, (2, -1)), costs)
    after = SMALL(rllab.Cost(wavy), AT, evaluations=32, key=5, state=before).state
    assert after.held_out == pytest.approx(wanted.held_out) and after.calibration == pytest.approx(wanted.calibration)


def test_a_critic_learns_the_gradient_and_reports_how_well_it_predicts():
    truth = torch.cos(AT) + AT
    state, errors = None, []
    for key in range(6):
        e = Critic(sigma=0.3, gradient_steps=100)(rllab.Cost(wavy), AT, evaluations=32, key=key, state=state)
        state = e.state
        errors.append(float((e.gradient - truth).norm() / truth.norm()))
    assert errors[-1] < 0.2 < 0.9 * errors[0] + 0.2 and state.spent == 6 * 32 and state.fits == 6
    assert state.held_out < 0.05 and abs(state.calibration - 1) < 0.2
    assert e.target.kind.name == "SURROGATE" and e.standard_error is None


def test_a_critic_of_random_costs_reports_that_it_predicts_nothing():
    noise = torch.Generator().manual_seed(1)
    state = None
    for key in range(4):
        cost = rllab.Cost(lambda x: torch.randn(len(x), generator=noise, dtype=torch.float64), noisy=True)
        state = Critic(sigma=0.3, gradient_steps=100)(cost, AT, evaluations=64, key=key, state=state).state
    assert state.held_out > 0.8 and state.calibration < 0.7


def test_no_evaluations_use_the_critic_that_is_there_and_need_one():
    state = fitted()
    cost = rllab.Cost(wavy)
    e = SMALL.predict(AT, state)
    assert e.evaluations == cost.evaluations == 0 and e.value is None
    assert torch.equal(e.gradient, state.gradient(AT))
    with pytest.raises(ValueError, match="nothing was fitted yet; give the critic evaluations first"):
        SMALL.predict(AT, CriticState((8,)))
    box = BlackBox(wavy, SMALL, 16, scope="cost", key=0)
    x = AT.repeat(3, 1).requires_grad_()
    box(x).sum().backward()
    spent, box.evaluations = box.calls, 0
    box(x).sum().backward()
    assert box.calls == spent + 3 and box.last_estimate.evaluations == 0


def test_it_is_fitted_when_told_and_forgets_what_is_old():
    state = None
    fits = []
    for key in range(5):
        critic = Critic(hidden=(4,), gradient_steps=1, train_freq=2, buffer_size=40)
        state = critic(rllab.Cost(wavy), AT, evaluations=16, key=key, state=state).state
        fits.append(state.fits)
    assert fits == [1, 2, 2, 3, 3] and state.points.shape == (20, 2, 4) and state.spent == 80


def test_the_replay_keeps_the_last_evaluations_in_the_order_in_which_they_came():
    critic, state = Critic(hidden=(4,), gradient_steps=1, buffer_size=40), None
    seen = []
    for key in range(3):
        query = critic.ask(AT, 16, key)
        seen += [block.points.unflatten(0, (2, -1)).transpose(0, 1) for block in query]
        state = critic(rllab.Cost(wavy), AT, evaluations=16, key=key, state=state).state
    last = torch.cat(seen)[-20:]  # pairs
    assert torch.equal(state.points, last) and torch.equal(state.costs, wavy(last))


@pytest.mark.parametrize("critic", [SMALL, Residual(SMALL, est.GaussianSmoothing(0.3)), ThroughCritic(critic=SMALL)])
def test_told_is_the_same_as_called_and_the_state_given_stays_as_it_was(critic):
    state = fitted()
    before = state.weights.clone(), state.points.clone()
    query = critic.ask(AT, 12, 5, state=state)
    told = critic.tell(query, torch.cat([wavy(block.points) for block in query]))
    called = critic(rllab.Cost(wavy), AT, evaluations=12, key=5, state=state)
    assert torch.equal(told.gradient, called.gradient) and torch.equal(told.state.weights, called.state.weights)
    assert torch.equal(state.weights, before[0]) and torch.equal(state.points, before[1])


def on(state):
    return lambda cost, at, **k: Residual(Critic(hidden=(8,), gradient_steps=1), SMOOTHING)(cost, at, state=state, **k)


SMOOTHING = est.GaussianSmoothing(0.3)


def test_a_residual_is_exactly_unbiased_however_bad_the_critic():
    # one pair in one dimension, integrated over its direction: f = x⁴ + 2x has f_σ' = 4x³ + 12σ²x + 2
    at, f = torch.tensor([0.4], dtype=torch.float64), lambda x: x[:, 0] ** 4 + 2 * x[:, 0]
    truth = 4 * at**3 + 12 * 0.3**2 * at + 2
    bad = lambda x: torch.cos(3 * x[:, 0])  # noqa: E731
    state = None
    for key in range(2):
        state = Critic(hidden=(8,), sigma=0.3, gradient_steps=20)(
            rllab.Cost(bad), at, evaluations=32, key=key, state=state
        ).state
    mean, _ = exact_moments(on(state), f, at, evaluations=2, units=1, order=150)
    torch.testing.assert_close(mean, truth, rtol=1e-8, atol=1e-8)
    # at the centre it would not be
    smooth_part = float(state.gradient(at))
    nodes = torch.linspace(-8, 8, 20001, dtype=torch.float64)
    density = torch.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi) * (nodes[1] - nodes[0])
    mean_slope = float(density @ state.gradient(at + 0.3 * nodes[:, None])[:, 0])
    assert abs(smooth_part - mean_slope) > 1e-3  # so this test would notice


def test_a_perfect_critic_leaves_no_two_point_noise():
    state = fitted()
    e = Residual(SMALL, SMOOTHING)(rllab.Cost(state.value), AT, evaluations=8, key=2, state=state, per_unit=True)
    x = torch.cat([block.points for block in SMOOTHING.ask(AT, 8, 2)]).unflatten(0, (2, -1))
    torch.testing.assert_close(e.per_unit, state.gradient(x).mean(0), rtol=1e-9, atol=1e-11)


def test_the_first_residual_is_plain_smoothing_and_its_error_is_over_pairs():
    plain = SMOOTHING(rllab.Cost(wavy), AT, evaluations=20, key=2)
    e = Residual(SMALL, SMOOTHING)(rllab.Cost(wavy), AT, evaluations=20, key=2)
    torch.testing.assert_close(e.gradient, plain.gradient)
    torch.testing.assert_close(e.standard_error, plain.standard_error)
    assert e.target == plain.target and e.state.spent == 20


def test_a_residual_has_the_variance_of_what_the_critic_misses():
    # a linear rest: trace of the covariance (d + 1) ‖∇f − ∇ĉ‖² a pair, on top of that of ∇ĉ, here constant
    flat = lambda x: x @ torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)  # noqa: E731
    state = fitted()
    miss = torch.tensor([0.2, 0.1, -0.3, 0.4], dtype=torch.float64)
    repeats = 4000
    f = lambda x: state.value(x) + x @ miss  # noqa: E731
    residual, at = Residual(Critic(hidden=(8,), gradient_steps=1), est.GaussianSmoothing(1e-3)), AT.expand(repeats, -1)
    g = residual(rllab.Cost(f), at, evaluations=2, key=1, state=state).gradient
    ratio = float(g.var(0).sum() / (5 * miss.square().sum()))
    assert abs(ratio - 1) < 0.15  # sd of the ratio 0.03
    plain = est.GaussianSmoothing(1e-3)(rllab.Cost(lambda x: f(x) + flat(x)), at, evaluations=2, key=1).gradient
    assert plain.var(0).sum() > 10 * g.var(0).sum()


def test_a_black_box_hands_its_critic_what_else_a_cost_depends_on():
    g = torch.Generator().manual_seed(0)
    y = torch.randn(64, 2, generator=g, dtype=torch.float64)
    label = torch.randint(0, 2, (64, 1), generator=g).double()
    signed = lambda z, k: (2 * k[:, 0] - 1) * z.sum(1)  # noqa: E731 - its slope depends on the label alone
    box = BlackBox(signed, Critic(hidden=(32,), sigma=0.5, gradient_steps=60, lr=0.01), 4, scope="cost", key=0)
    for _ in range(8):
        at = y.clone().requires_grad_()
        box(at, label).sum().backward()
    truth = (2 * label - 1).expand(64, 2)
    assert torch.cosine_similarity(at.grad, truth).min() > 0.8
    assert box.last_estimate.state.spent == 8 * 64 * 4 == box.calls - 8 * 64 - 1
    box.gradient = Residual(box.gradient, est.GaussianSmoothing(0.5))  # forgets, and goes on
    box(at, label).sum().backward()
    assert box.last_estimate.state.spent == 64 * 4


def test_differences_of_a_critic_are_taken_for_each_of_a_batch_beside_its_context():
    through = ThroughCritic(est.CentralDifference(1e-4), SMALL, critic_evaluations=8)
    at, context = AT.repeat(3, 1), torch.tensor([[0.0], [1.0], [-2.0]], dtype=torch.float64)
    signed = lambda x: x.sum(-1) * context[:, 0].repeat(len(x) // 3)  # noqa: E731
    e = through(
        rllab.Cost(signed, check_rows=False), at, evaluations=32, key=0, state=through.with_context(None, context)
    )
    torch.testing.assert_close(e.gradient, e.state.gradient(at), rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("critic", [SMALL, ThroughCritic(critic=SMALL)])
def test_the_contract_is_kept_but_for_what_a_critic_is_about(critic):
    rllab.testing.check_estimator(critic, rules=[rule for rule in RULES if rule != "batch members apart"])
    with pytest.raises(
        AssertionError, match="one of a batch must not feel its neighbours"
    ):  # they share what is learned
        rllab.testing.check_estimator(critic, rules=["batch members apart"])


def test_a_residual_keeps_the_whole_contract():
    rllab.testing.check_estimator(Residual(Critic(hidden=(4,), gradient_steps=2), est.GaussianSmoothing(0.2)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sigma": 0.0}, "Critic: sigma must be positive"),
        ({"gradient_steps": 0}, "Critic: gradient_steps must be an integer >= 1, got 0"),
        ({"batch_size": 2.5}, "Critic: batch_size must be an integer >= 1, got 2.5"),
        ({"train_freq": 0}, "Critic: train_freq must be an integer >= 1, got 0"),
        ({"hidden": 32}, r"Critic: hidden must be widths >= 1 of hidden layers, such as \(64, 64\), got 32"),
        ({"hidden": (0,)}, r"Critic: hidden must be widths >= 1, got \(0,\)"),
        ({"slope_weight": -1.0}, "Critic: slope_weight must be >= 0"),
    ],
)
def test_bad_settings_are_refused(wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Critic(**wrong)


def test_whole_numbers_are_taken_whatever_their_type():
    assert Critic(buffer_size=1e4, gradient_steps=50.0) == Critic() and type(Critic(buffer_size=1e4).buffer_size) is int
    assert ThroughCritic(critic_evaluations=64.0) == ThroughCritic()


def test_bad_parts_are_refused():
    with pytest.raises(TypeError, match="critic must be a Critic"):
        Residual(SMOOTHING, SMOOTHING)
    with pytest.raises(ValueError, match="smoothing must be antithetic GaussianSmoothing, got SPSA"):
        Residual(SMALL, est.SPSA())
    with pytest.raises(TypeError, match="estimator must be one that needs values only, got Backprop"):
        ThroughCritic(est.Backprop())

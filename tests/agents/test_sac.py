"""SAC: one update is its equations, computed by autograd; its Gaussian integrates to one; its temperature is pulled."""

import math

import pytest
import torch

from rllab.agents import SAC
from rllab.agents.squashed import HIGHEST, LOWEST, SquashedGaussian
from rllab.agents.temperature import Temperature
from tests.proofs.agents import prove_only_termination_stops_the_bootstrap, random_batch
from tests.proofs.soft_actor_critics import prove_sac_updates_as_its_equations_say, soft_agent
from tests.proofs.toy_environments import CHOICE, DRIFT


def test_actor_critics_targets_and_temperature_follow_the_equations_update_by_update():
    prove_sac_updates_as_its_equations_say(SAC)


@pytest.mark.parametrize("m", (-1.5, 0.0, 0.7))
@pytest.mark.parametrize("log_std", (-3.0, -0.5, 1.2))
def test_the_density_of_actions_integrates_to_the_distribution_of_the_normal(m, log_std):
    xi = torch.linspace(-8, 8, 4001)[:, None]
    outputs = torch.tensor([m, log_std]).expand(len(xi), 2)
    a, log_pi = SquashedGaussian(1).forward(outputs, xi)
    # ∫ π(a) da up to a(ξ) is Φ(ξ); da by the exact slope, as a itself has no digits left close to ±1
    u = m + math.exp(log_std) * xi.double()[:, 0]
    slope = math.exp(log_std) / torch.cosh(u) ** 2
    step = 16 / 4000
    mass = torch.cumsum(log_pi.double().exp() * slope, 0) * step
    torch.testing.assert_close(mass, torch.special.ndtr(xi.double()[:, 0] + step / 2), rtol=0, atol=2e-4)
    torch.testing.assert_close(a.double()[:, 0], torch.tanh(u), rtol=0, atol=1e-6)


def test_log_probabilities_stay_finite_and_right_where_tanh_is_one():
    u = torch.tensor([[-30.0], [-12.0], [9.5], [25.0]])
    outputs = torch.cat((u, torch.zeros_like(u)), 1)
    _, log_pi = SquashedGaussian(1).forward(outputs, torch.zeros_like(u))
    # log(1 − tanh² u) = log 4 − 2|u| − 2 log(1 + e^−2|u|)
    expected = -0.5 * math.log(2 * math.pi) - (math.log(4) - 2 * u.abs() - 2 * torch.log1p(torch.exp(-2 * u.abs())))
    torch.testing.assert_close(log_pi, expected[:, 0], rtol=1e-6, atol=0)


def test_both_gradients_of_the_gaussian_are_those_of_autograd_and_stop_where_it_is_clipped():
    generator = torch.Generator().manual_seed(3)
    outputs, noise, slope = (torch.randn(40, n, generator=generator) for n in (4, 2, 2))
    outputs[:, 2:] *= 4
    w = outputs.double().requires_grad_()
    m, log_std = w.chunk(2, 1)
    normal = torch.distributions.Normal(m, log_std.clamp(LOWEST, HIGHEST).exp())
    u = m + normal.stddev * noise
    log_pi = (normal.log_prob(u) - 2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))).sum(1)
    cost = (torch.tanh(u) * slope).sum() + 0.3 * log_pi.sum()
    gaussian = SquashedGaussian(2)
    ours = gaussian.forward(outputs, noise)
    torch.testing.assert_close(ours[1].double(), log_pi.detach(), rtol=1e-5, atol=1e-5)
    v = gaussian.backward(slope, torch.tensor(0.3)).double()
    torch.testing.assert_close(v, torch.autograd.grad(cost, w)[0], rtol=1e-4, atol=1e-5)
    clipped = (outputs[:, 2:] < LOWEST) | (outputs[:, 2:] > HIGHEST)
    assert clipped.any() and (v[:, 2:][clipped] == 0).all() and (v[:, 2:][~clipped] != 0).all()


def test_the_temperature_grows_while_entropy_is_below_its_target_and_not_if_it_is_fixed():
    low, high = Temperature("auto_0.5", -1.0, lr=0.1), Temperature("auto_0.5", -1.0, lr=0.1)
    fixed = Temperature(0.5, -1.0, lr=0.1)
    for _ in range(3):
        low.step(torch.tensor(2.0))  # entropy −2
        high.step(torch.tensor(0.0))
        fixed.step(torch.tensor(2.0))
    assert high.alpha < 0.5 < low.alpha and fixed.alpha == 0.5
    torch.testing.assert_close(low.log_alpha, torch.tensor(math.log(0.5) + 0.3))  # Adam's first steps are lr each
    assert torch.equal(low.alpha, low.log_alpha.exp())


def test_only_termination_stops_the_bootstrap():
    prove_only_termination_stops_the_bootstrap(SAC)


def test_it_explores_by_its_gaussian_and_is_judged_by_its_mean():
    agent = soft_agent(SAC, learning_starts=1, lr=1e-12, environment_arguments={"cap": 400})
    agent.learn(901)
    table = agent.replay.table[1:901]
    with torch.no_grad():
        m, log_std = agent.learned_actor.network(agent.learned_actor.weights, table[:, :2]).chunk(2, 1)
        evaluated = agent.policy(agent.weights, table[:, :2])
    xi = (torch.atanh(table[:, 2:3].double().clamp(-1 + 1e-7, 1 - 1e-7)) - m) / log_std.exp()
    assert xi.mean().abs() < 6.5 / 30 and (xi.std() - 1).abs() < 6.5 / 1800**0.5  # two-sided 8e-11 each
    torch.testing.assert_close(evaluated, torch.tanh(m), rtol=1e-5, atol=1e-6)


def test_rows_say_what_the_last_update_saw():
    agent = soft_agent(SAC, learning_starts=30, policy_delay=1)
    (row,) = agent.learn(60)
    assert row["ent_coef"] == agent.temperature.alpha.item() > 0
    y, errors = agent._buffers("y", 12), agent.critics.errors
    assert row["critic_loss"] == pytest.approx(errors.square().mean(1).sum().item())
    assert row["mean_q"] == pytest.approx((y + errors).mean().item())
    assert row["critic_norm"] == pytest.approx(agent.critics.gradient.norm().item()) and row["actor_norm"] > 0
    batch, _ = random_batch(500, 1)
    _, log_pi = agent.learned_actor.sample(batch.observations, torch.randn(500, 1))
    assert abs(row["entropy"] + log_pi.mean().item()) < 1.5  # other observations, the same policy


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tau": 0.0}, r"tau must be in \(0, 1\], got 0.0"),
        ({"ent_coef": 0.0}, 'ent_coef must be a number > 0, "auto", or "auto_0.1" and such, got 0.0'),
        ({"ent_coef": "automatic"}, "ent_coef must be a number > 0, .* got 'automatic'"),
        ({"ent_coef": "auto_-1"}, "ent_coef must be a number > 0, .* got 'auto_-1'"),
        ({"target_entropy": float("nan")}, "target_entropy must be finite, got nan"),
        ({"max_grad_norm": 0.0}, "max_grad_norm must be positive and finite, got 0.0"),
        ({"n_steps": 0}, "n_steps must be an integer >= 1, got 0"),
        ({"train_freq": 0}, "train_freq must be an integer >= 1, got 0"),
    ],
)
def test_its_errors_name_it_and_the_argument(arguments, message):
    with pytest.raises(ValueError, match=f"SAC: {message}"):
        SAC(DRIFT, **arguments)


def test_discrete_actions_are_refused():
    with pytest.raises(ValueError, match="SAC: actions must be a Box, got Discrete"):
        SAC(CHOICE)

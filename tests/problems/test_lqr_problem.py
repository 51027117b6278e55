"""LQR: two recursions that must agree, the exact critic, the optimum, and runs whose means are the exact numbers."""

from dataclasses import replace

import pytest
import torch

from rllab.estimators import ComplexStep
from rllab.problems import LQR
from tests.proofs.checks import assert_unbiased
from tests.proofs.problems import DTYPE, prove_runs, slope, unit

# three states, two actions, nothing symmetric that need not be, noise correlated
SYSTEM = LQR(
    a=((0.9, 0.3, -0.1), (0.0, 1.1, 0.2), (0.2, -0.4, 0.7)),
    b=((0.5, -0.2), (0.1, 0.8), (-0.3, 0.4)),
    q=((1.0, 0.2, 0.0), (0.2, 0.7, -0.1), (0.0, -0.1, 0.4)),
    r=((0.3, 0.05), (0.05, 0.6)),
    q_final=((2.0, 0.0, 0.3), (0.0, 1.0, 0.0), (0.3, 0.0, 0.5)),
    process_noise=((0.05, 0.01, 0.0), (0.01, 0.02, 0.0), (0.0, 0.0, 0.0)),
    action_noise=((0.2, 0.07), (0.07, 0.1)),
    start_mean=(1.0, -0.5, 0.3),
    start_noise=((0.1, 0.0, 0.02), (0.0, 0.2, 0.0), (0.02, 0.0, 0.05)),
    horizon=6,
    discount=0.9,
)
EACH = replace(SYSTEM, stationary=False)
K = torch.tensor([0.3, -0.2, 0.1, 0.05, 0.6, -0.1], dtype=DTYPE)
K_EACH = torch.cat([K * (1 + 0.1 * t) for t in range(6)])
both = pytest.mark.parametrize(("problem", "x"), ((SYSTEM, K), (EACH, K_EACH)), ids=("stationary", "each step"))


def matrices(problem):
    names = ("a", "b", "q", "r", "q_final", "process_noise", "action_noise", "start_mean", "start_noise")
    return [torch.tensor(getattr(problem, name), dtype=DTYPE) for name in names]


def gains(problem, x):
    return x.view(-1, 2, 3).expand(problem.horizon, 2, 3)


def second_moments(problem, x):
    """X_t for t = 0 … T, by the forward recursion."""
    a, b, _, _, _, w, sigma, m0, s0 = matrices(problem)
    moments = [s0 + torch.outer(m0, m0)]
    for k in gains(problem, x):
        closed = a - b @ k
        moments.append(closed @ moments[-1] @ closed.T + w + b @ sigma @ b.T)
    return moments


@both
def test_the_backward_value_is_the_forward_sum_of_costs(problem, x):
    _, _, q, r, q_final, _, sigma, _, _ = matrices(problem)
    *moments, last = second_moments(problem, x)
    total = problem.discount**6 * (q_final * last).sum()
    for t, (k, moment) in enumerate(zip(gains(problem, x), moments, strict=True)):
        actions = k @ moment @ k.T + sigma  # E u uᵀ
        total = total + problem.discount**t * ((q * moment).sum() + (r * actions).sum())
    torch.testing.assert_close(problem.value(x[None])[0], total, rtol=1e-13, atol=0)


@both
def test_the_policy_gradient_is_the_complex_step_and_the_central_difference(problem, x):
    gradient = problem.gradient(x[None])[0]
    for i in range(len(x)):
        step = torch.zeros(len(x), dtype=torch.complex128)
        step[i] = 1e-30j
        torch.testing.assert_close(problem.value((x + step)[None])[0].imag / 1e-30, gradient[i], rtol=1e-12, atol=1e-13)
        measured = slope(lambda t, i=i: problem.value((x + unit(len(x), i, t))[None])[0], 1e-3)
        torch.testing.assert_close(gradient[i], measured, rtol=1e-7, atol=1e-9)


def test_a_stationary_gain_has_the_sum_of_the_gradients_of_its_copies():
    copies = EACH.gradient(K.repeat(6)[None]).view(6, 6).sum(0)
    torch.testing.assert_close(SYSTEM.gradient(K[None])[0], copies, rtol=1e-13, atol=0)
    assert float(SYSTEM.value(K[None])) == pytest.approx(float(EACH.value(K.repeat(6)[None])), rel=1e-15)


def test_points_in_a_batch_do_not_mix():
    x = torch.stack((K, -K, 0.3 * K))
    for f in (SYSTEM.value, SYSTEM.gradient, SYSTEM.action_noise_gradient):
        torch.testing.assert_close(f(x), torch.cat([f(row[None]) for row in x]), rtol=1e-13, atol=1e-15)


def test_the_value_is_linear_in_the_action_noise_with_the_stated_slope():
    base = torch.tensor(SYSTEM.action_noise, dtype=DTYPE)
    gradient = SYSTEM.action_noise_gradient(K[None])[0]
    for change in ([[0.1, 0.0], [0.0, 0.0]], [[0.0, 0.03], [0.03, 0.0]], [[0.0, 0.0], [0.0, 0.2]]):
        delta = torch.tensor(change, dtype=DTYPE)
        louder = replace(SYSTEM, action_noise=tuple(map(tuple, (base + delta).tolist())))
        rise = louder.value(K[None])[0] - SYSTEM.value(K[None])[0]
        torch.testing.assert_close(rise, (gradient * delta).sum(), rtol=1e-11, atol=0)


def test_the_gradient_in_log_deviations_is_that_of_the_value():
    def louder(i, t):
        std = [0.5, 0.3]
        std[i] *= float(torch.tensor(t, dtype=DTYPE).exp())
        return replace(SYSTEM, action_noise=((std[0] ** 2, 0.0), (0.0, std[1] ** 2))).value(K[None])[0]

    gradient = replace(SYSTEM, action_noise=((0.25, 0.0), (0.0, 0.09))).log_std_gradient(K[None])[0]
    for i in range(2):
        torch.testing.assert_close(gradient[i], slope(lambda t, i=i: louder(i, t), 1e-3), rtol=1e-9, atol=0)
    with pytest.raises(ValueError, match="action_noise must be diagonal"):
        SYSTEM.log_std_gradient(K[None])


def sigma_points(covariance):
    """2n points whose second moment is the covariance: enough for the mean of a quadratic."""
    values, vectors = torch.linalg.eigh(covariance)
    root = (len(values) * values.clamp(min=0)).sqrt() * vectors
    return torch.cat((root.T, -root.T))


def test_an_exact_critic_gives_the_exact_policy_gradient():
    # E [∂Q_t/∂u (−x_tᵀ)] γᵗ = ∂J/∂K_t: the action gradient is linear, so second moments suffice
    critic, gradient = EACH.critic(K_EACH), EACH.gradient(K_EACH[None]).view(6, 2, 3)
    for t, (k, moment) in enumerate(zip(gains(EACH, K_EACH), second_moments(EACH, K_EACH)[:-1], strict=True)):
        states = sigma_points(moment)
        by_action = critic.action_gradient(t, states, -states @ k.T)
        through = -torch.einsum("si,sj->ij", by_action, states) / len(states)
        torch.testing.assert_close(EACH.discount**t * through, gradient[t], rtol=1e-11, atol=1e-13)


def test_the_critic_keeps_bellmans_equation_and_its_action_gradient():
    critic, k = SYSTEM.critic(K), K.view(2, 3)
    states = torch.tensor([[0.7, -0.2, 1.1], [-1.3, 0.4, 0.2]], dtype=DTYPE)
    sigma = torch.tensor(SYSTEM.action_noise, dtype=DTYPE)
    actions = torch.tensor([[0.3, -0.8], [1.2, 0.1]], dtype=DTYPE)
    for t in (0, 3, 5):
        around = -states @ k.T
        averaged = torch.stack([critic.action_value(t, states, around + e) for e in sigma_points(sigma)]).mean(0)
        torch.testing.assert_close(averaged, critic.value(t, states), rtol=1e-12, atol=0)
        for i in range(2):
            measured = slope(lambda h, i=i, t=t: critic.action_value(t, states, actions + unit(2, i, h)), 0.1)
            torch.testing.assert_close(
                critic.action_gradient(t, states, actions)[:, i], measured, rtol=1e-9, atol=1e-10
            )
    m0, s0 = matrices(SYSTEM)[7:]
    value = (critic.p[0] * (s0 + torch.outer(m0, m0))).sum() + critic.c[0]
    torch.testing.assert_close(value, SYSTEM.value(K[None])[0], rtol=1e-14, atol=0)


def test_at_the_optimum_the_gradient_is_zero_and_every_change_costs():
    best = EACH.optimal_gains().flatten()
    value, gradient = EACH.value(best[None])[0], EACH.gradient(best[None])[0]
    assert gradient.abs().max() < 1e-13
    for i in range(len(best)):
        for h in (-0.05, 0.05):
            assert EACH.value((best + unit(len(best), i, h))[None])[0] > value
    assert EACH.value(K_EACH[None])[0] > value


def test_runs_have_the_exact_mean_and_their_scores_the_exact_gradient():
    prove_runs(SYSTEM, K, runs=60_000)
    prove_runs(LQR(), torch.tensor([0.8, 0.5], dtype=DTYPE), runs=20_000, key=1)


def test_pathwise_gradients_have_the_exact_mean_and_are_the_slopes_of_their_runs():
    runs = 20_000
    g = SYSTEM.sample_gradient(K.expand(runs, -1), torch.arange(runs))
    assert_unbiased((g.mean(0) - SYSTEM.gradient(K[None])[0]) / (g.std(0) / runs**0.5))
    seeds = torch.arange(3)
    for i in range(6):
        measured = slope(lambda t, i=i: SYSTEM.sample((K + unit(6, i, t)).expand(3, -1), seeds), 1e-3)
        torch.testing.assert_close(g[:3, i], measured, rtol=1e-7, atol=1e-9)


@both
def test_runs_are_analytic_so_that_the_complex_step_gives_their_pathwise_gradient(problem, x):
    seeds, step = torch.arange(4), torch.zeros(len(x), dtype=torch.complex128)
    g = problem.sample_gradient(x.expand(4, -1), seeds)
    for i in range(len(x)):
        step[:] = 0
        step[i] = 1e-30j
        run = problem.run((x + step).expand(4, -1), seeds)
        torch.testing.assert_close(run.cost.imag / 1e-30, g[:, i], rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(run.cost.real, problem.sample(x.expand(4, -1), seeds), rtol=1e-14, atol=0)
    estimator = ComplexStep()
    query = estimator.ask(x, len(x), 3)
    g = problem.sample_gradient(x[None], query.seeds(query[0])[:1])[0]
    estimate = estimator(problem.cost(), x, evaluations=len(x), key=3)
    torch.testing.assert_close(estimate.gradient, g, rtol=1e-12, atol=1e-13)


def test_a_run_is_answered_in_the_dtype_of_its_gains():
    noise = torch.ones(1, 3), torch.ones(1, 6, 3), torch.ones(1, 6, 2)
    runs = [SYSTEM.simulate(K[None].to(dtype), *noise) for dtype in (torch.float32, DTYPE, torch.complex128)]
    assert [run.cost.dtype for run in runs] == [torch.float32, DTYPE, torch.complex128]
    torch.testing.assert_close(runs[0].states.double(), runs[1].states, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(runs[2].states.real, runs[1].states, rtol=1e-14, atol=1e-15)
    state = torch.tensor([[0.7, -0.2, 1.1]], dtype=torch.complex128)
    critic = SYSTEM.critic(K.to(torch.complex128))
    torch.testing.assert_close(critic.value(0, state).real, SYSTEM.critic(K).value(0, state.real), rtol=1e-14, atol=0)


def test_a_seed_names_a_run_whatever_stands_beside_it():
    x = torch.stack((K, -K, 0.3 * K, K))
    together = SYSTEM.sample(x, torch.tensor([5, -7, 9, 5]))
    alone = torch.cat([SYSTEM.sample(x[i : i + 1], torch.tensor([s])) for i, s in enumerate((5, -7, 9, 5))])
    torch.testing.assert_close(together, alone, rtol=1e-13, atol=0)
    assert together[0] == together[3]
    assert SYSTEM.sample(K.expand(9, -1), torch.arange(9)).unique().numel() == 9


def test_without_noise_a_run_is_the_deterministic_system():
    quiet = replace(SYSTEM, process_noise=((0.0,) * 3,) * 3, start_noise=((0.0,) * 3,) * 3)
    zero = torch.zeros(1, 3, dtype=DTYPE), torch.zeros(1, 6, 3, dtype=DTYPE), torch.zeros(1, 6, 2, dtype=DTYPE)
    runs = quiet.simulate(K[None], *zero)
    a, b, m0 = (matrices(quiet)[i] for i in (0, 1, 7))
    state = m0
    for t in range(7):
        torch.testing.assert_close(runs.states[0, t], state, rtol=1e-13, atol=1e-15)
        state = (a - b @ K.view(2, 3)) @ state
    still = replace(quiet, action_noise=((1e-30, 0.0), (0.0, 1e-30)))
    torch.testing.assert_close(runs.cost, still.value(K[None]), rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b": ((1.0,),)}, r"LQR: b must be a finite array of shape \(2, 1\)"),
        ({"a": ((1.0, 2.0), (3.0,))}, r"LQR: a must be a finite array of shape \(2, 2\)"),
        ({"q": ((1.0, 0.2), (0.0, 1.0))}, "LQR: q must be a symmetric finite array"),
        ({"process_noise": ((1.0, 2.0), (2.0, 1.0))}, "LQR: process_noise must be a covariance"),
        ({"action_noise": ((0.0,),)}, "LQR: action_noise must be a covariance, invertible for actions"),
        ({"horizon": 0}, "LQR: horizon must be an integer >= 1"),
        ({"discount": 1.5}, r"LQR: discount must be in \(0, 1\]"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        LQR(**changes)

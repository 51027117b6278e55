"""GuidedSmoothing: its exact mean βΣ∇f_Σ and variance, whatever it has been told, degenerate memories included."""

import math

import pytest
import torch

from rllab import Cost
from rllab.estimators import GuidedSmoothing, exact_moments
from tests.proofs.checks import HESSIAN, LINEAR, THETA, quadratic
from tests.proofs.probing import AT, SLOPE, assert_close, curved, prove_guided, straight

SURROGATE = torch.tensor([0.6, 1.1], dtype=torch.float64)


def sigma_matrix(alpha, *orthonormal, d=2):
    eye = torch.eye(d, dtype=torch.float64)
    if not orthonormal:
        return eye / d
    u = torch.stack(orthonormal)
    return alpha / d * eye + (1 - alpha) / len(u) * u.T @ u


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "beta"), ((0.5, 1.0), (0.2, 2.0), (1.0, 1.0), (0.0, 1.5)))
def test_mean_and_variance_are_the_closed_forms(alpha, beta):
    prove_guided(GuidedSmoothing(0.3, alpha, beta))


def test_the_mean_follows_the_smoothed_cost():
    # E exp(a·ε) = exp(σ² aᵀΣa/2): the mean is βΣ a exp(a·θ + σ²aᵀΣa/2)
    a, sigma, alpha, beta = torch.tensor([0.8, -0.5], dtype=torch.float64), 0.4, 0.3, 1.7
    estimator = GuidedSmoothing(sigma, alpha, beta)
    state = estimator.remember(None, SURROGATE)
    cov = sigma_matrix(alpha, SURROGATE / SURROGATE.norm())
    moments = exact_moments(estimator, Cost(lambda x: torch.exp(x @ a)), THETA, evaluations=2, nodes=15, state=state)
    assert_close(moments.mean, beta * cov @ a * math.exp(float(a @ THETA + sigma**2 * (a @ cov @ a) / 2)), 1e-10)


def test_pairs_are_averaged_not_summed():
    # P pairs leave the mean as it is and divide the variance by P
    estimator, f = GuidedSmoothing(0.3), Cost(quadratic)
    state = estimator.remember(None, SURROGATE)
    one, two = (exact_moments(estimator, f, THETA, evaluations=2 * p, nodes=3, state=state) for p in (1, 2))
    assert_close(two.mean, one.mean)
    # 3 nodes do not integrate the variance of fourth powers; compare it by drawing: 10 pairs against 40
    at = THETA.expand(20_000, -1)
    wide = estimator.remember(None, SURROGATE.expand(20_000, -1))
    few, many = (estimator(f, at, evaluations=2 * p, key=1, state=wide).gradient for p in (10, 40))
    assert float(few.var(0).sum() / many.var(0).sum()) == pytest.approx(4, rel=0.1)  # sd of the ratio 1.5 %


def test_with_alpha_one_it_is_a_gradient_over_d():
    estimator = GuidedSmoothing(0.3, alpha=1.0, beta=2.0)
    m = exact_moments(estimator, Cost(quadratic), THETA, evaluations=2, state=None)
    assert_close(m.mean, 2 / 2 * LINEAR)
    assert estimator.target.kind.name == "DIRECTION" and not estimator.unbiased


def covariance_of_probes(estimator, state, at, n=200_000):
    noise = estimator.ask(at, 2 * n, 3, state=state)
    u = torch.cat([block.noise for block in noise]).double()
    return u.T @ u / len(u), 6.2 * math.sqrt(2 / len(u)) * float(u.square().mean(0).max())


E1, E2, E3 = torch.eye(3, dtype=torch.float64)
MEMORIES = {
    "none": ([], []),
    "zeros": ([torch.zeros(3)], []),
    "one": ([3 * E2], [E2]),
    "two": ([E1, E1 + E2], [E1, E2]),
    "the same twice": ([E3, -7 * E3], [E3]),
    "one of them zero": ([E1, torch.zeros(3)], [E1]),
    "nearly the same": ([E1, E1 + 1e-18 * E2], [E1]),
    "of very different length": ([1e-12 * E1, 1e12 * E2], [E1, E2]),
    "more than dimensions": ([E1, E2, E3, E1 + E3], [E1, E2, E3]),
}


@pytest.mark.parametrize("memory", MEMORIES)
def test_probes_have_the_covariance_of_what_is_remembered(memory):
    given, span = MEMORIES[memory]
    estimator = GuidedSmoothing(0.1, alpha=0.4, memory=4)
    state = None
    for surrogate in given:
        state = estimator.remember(state, surrogate.double())
    got, tolerance = covariance_of_probes(estimator, state, torch.zeros(3, dtype=torch.float64))
    # 6 entries at 6.2 standard deviations: false alarm 4e-9
    torch.testing.assert_close(got, sigma_matrix(0.4, *span, d=3), rtol=0, atol=tolerance)
    assert float(sigma_matrix(0.4, *span, d=3).trace()) == pytest.approx(1)


def test_a_memory_in_which_only_one_problem_has_a_surrogate_serves_each_as_its_own():
    estimator = GuidedSmoothing(0.3, alpha=0.0)
    state = estimator.remember(None, torch.stack((SLOPE, torch.zeros(3, dtype=torch.float64))))
    assert state.rank.tolist() == [1, 0]
    g = estimator(Cost(straight), AT.expand(2, -1), evaluations=2_000, key=0, state=state).gradient
    assert float(g[0] @ SLOPE / (g[0].norm() * SLOPE.norm())) == pytest.approx(1)  # the span is all it looks at
    assert float(g[1].norm()) == pytest.approx(float(SLOPE.norm()) / 3, rel=0.2)  # Σ = I/3; sd about 3 %


def test_the_oldest_surrogate_is_forgotten():
    estimator = GuidedSmoothing(memory=2)
    state = None
    for surrogate in (E1, E2, E3):
        state = estimator.remember(state, surrogate)
    assert torch.equal(state.surrogates, torch.stack((E3, E2)))
    assert int(state.rank) == 2
    assert_close(state.basis @ E1, torch.zeros(2, dtype=torch.float64))


def test_the_state_is_handed_on_unchanged():
    estimator = GuidedSmoothing()
    state = estimator.remember(None, E1)
    e = estimator(Cost(straight), AT, evaluations=8, key=0, state=state)
    assert e.state is state
    assert_close(e.value, straight(AT[None])[0])  # the mean of ± pairs on a line


def test_guiding_by_the_gradient_beats_not_guiding():
    d = 100
    slope = torch.linspace(1, 2, d, dtype=torch.float64)

    def cosine(state):
        at = torch.zeros(500, d, dtype=torch.float64)
        g = estimator(Cost(lambda x: x @ slope), at, evaluations=8, key=5, state=state, errors=False).gradient
        return float((g @ slope / (g.norm(dim=-1) * slope.norm())).mean())

    estimator = GuidedSmoothing(0.1)
    noisy = slope + 1.5 * slope.norm() / d**0.5 * torch.cos(torch.arange(d, dtype=torch.float64) ** 2)
    guided, blind = cosine(estimator.remember(None, noisy.expand(500, d))), cosine(None)
    print(f"cosine with the gradient at 4 pairs of 100 dimensions: guided {guided:.2f}, blind {blind:.2f}")
    assert guided > 3 * blind


def test_what_does_not_fit_is_named():
    estimator = GuidedSmoothing()
    state = estimator.remember(None, E1)
    with pytest.raises(ValueError, match=r"surrogate must be \(3,\) like those before, got \(2,\)"):
        estimator.remember(state, E1[:2])
    with pytest.raises(ValueError, match="surrogate must be finite"):
        estimator.remember(None, E1 / 0)
    with pytest.raises(ValueError, match=r"surrogates must be \(2,\) like at, got \(3,\)"):
        estimator(Cost(quadratic), THETA, evaluations=2, key=0, state=state)
    with pytest.raises(TypeError, match="state must be None or come from `remember`, got Tensor"):
        estimator(Cost(quadratic), THETA, evaluations=2, key=0, state=E1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": 0}, "sigma must be positive"),
        ({"beta": 0}, "beta must be positive"),
        ({"alpha": 1.1}, r"alpha must be in \[0, 1\], got 1.1"),
        ({"memory": 0}, "memory must be an integer >= 1, got 0"),
    ],
)
def test_bad_hyperparameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"GuidedSmoothing: {message}"):
        GuidedSmoothing(**arguments)


def test_the_hessian_of_a_quadratic_does_not_show():
    # odd differences of a quadratic are those of its tangent
    estimator = GuidedSmoothing(0.3)
    state = estimator.remember(None, SURROGATE)
    bent = estimator(Cost(quadratic), THETA, evaluations=6, key=2, state=state).gradient
    flat = estimator(Cost(lambda x: (x - THETA) @ LINEAR), THETA, evaluations=6, key=2, state=state).gradient
    assert float(HESSIAN.abs().max()) > 0.5
    assert_close(bent, flat, 1e-10)
    assert_close(
        estimator(Cost(curved), AT, evaluations=6, key=2).gradient,
        estimator(Cost(straight), AT, evaluations=6, key=2).gradient,
        1e-10,
    )

"""ScoreFunction on Gaussians, against its closed-form mean and variance, exactly, at an asymmetric point."""

import math

import pytest
import torch

from rllab import Cost, Gaussian
from rllab.estimators import GaussianSmoothing, ScoreFunction
from rllab.estimators.score.baselines import MovingMean, advantages
from tests.proofs.checks import HESSIAN, LINEAR, OFFSET, THETA, exact_moments, linear, quadratic
from tests.proofs.prescribed import Prescribed
from tests.proofs.sampling import REACH, panels, path_moments

D, SCALE = 2, 0.3
G = float(LINEAR @ LINEAR)


def test_without_baseline_the_mean_gradient_has_the_closed_form_moments():
    moments = exact_moments(ScoreFunction(None), linear, THETA, 1, units=1, scale=SCALE)
    mean, variance = moments["mean"]
    torch.testing.assert_close(mean, LINEAR, rtol=1e-10, atol=1e-10)
    # Var = d f(μ)²/s² + (d+1) G, Mohamed et al. (2020), section 4.3.1
    assert float(variance) == pytest.approx(D * OFFSET**2 / SCALE**2 + (D + 1) * G, rel=1e-10)


def test_the_scale_gradient_is_that_of_the_expected_quadratic():
    # E f = f(μ) + Σ A_ii s_i²/2, so ∂/∂s_i = A_ii s_i
    scale = torch.tensor([0.3, 0.8], dtype=torch.float64)
    mean, _ = exact_moments(ScoreFunction(None), quadratic, THETA, 1, units=1, scale=scale)["scale"]
    torch.testing.assert_close(mean, HESSIAN.diagonal() * scale, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("a", "s"), [(4.0, 1.0), (-0.7, 0.3), (1.2, 2.5)])
def test_the_square_cost_has_the_variance_known_in_one_dimension(a, s):
    # f = (x − k)², a = μ − k: Var_μ = (a⁴ + 18a²s² + 15s⁴)/s² − 4a², which is 495 at a = 4, s = 1; and by the scale
    # E (a + su)⁴ (u² − 1)²/s² − 4s², where E (u² − 1)² = 2, E u² (u² − 1)² = 10, E u⁴ (u² − 1)² = 78
    at = torch.tensor([1.0], dtype=torch.float64)
    m = exact_moments(ScoreFunction(None), lambda x: (x[:, 0] - 1 + a) ** 2, at, 1, units=1, scale=s)
    by_mean = (a**4 + 18 * a**2 * s**2 + 15 * s**4) / s**2 - 4 * a**2
    by_scale = (2 * a**4 + 60 * a**2 * s**2 + 78 * s**4) / s**2 - 4 * s**2
    if (a, s) == (4.0, 1.0):
        assert (by_mean, by_scale) == (495, 1546)
    for name, mean, variance in (("mean", 2 * a, by_mean), ("scale", 2 * s, by_scale)):
        assert float(m[name][0]) == pytest.approx(mean, rel=1e-10)
        assert float(m[name][1]) == pytest.approx(variance, rel=1e-10)


def test_a_constant_baseline_shifts_the_cost_it_multiplies():
    b = 2.4
    mean, variance = exact_moments(ScoreFunction(b), linear, THETA, 1, units=1, scale=SCALE)["mean"]
    torch.testing.assert_close(mean, LINEAR, rtol=1e-10, atol=1e-10)
    assert float(variance) == pytest.approx(D * (OFFSET - b) ** 2 / SCALE**2 + (D + 1) * G, rel=1e-10)


@pytest.mark.parametrize(("k", "d"), [(2, 1), (3, 1), (2, 2), (3, 2), (4, 2), (2, 3), (3, 3)])
def test_leave_one_out_is_unbiased_with_the_closed_form_variance(k, d):
    at, slope = (torch.tensor(v[:d], dtype=torch.float64) for v in ([0.7, -1.3, 0.4], [1.9, -0.4, 1.1]))

    def line(x):
        return OFFSET + x @ slope

    # squared estimates by the mean are of degree 4 in each number, so three nodes an axis are exact
    m = exact_moments(ScoreFunction("leave-one-out"), line, at, k, units=k, order=3, scale=SCALE)
    mean, variance = m["mean"]
    torch.testing.assert_close(mean, slope, rtol=1e-10, atol=1e-10)
    assert float(variance) == pytest.approx((d + 1) * float(slope @ slope) / (k - 1), rel=1e-10)  # (d+1)G/(K−1)
    torch.testing.assert_close(m["scale"][0], torch.zeros_like(at), rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", (2, 3))
def test_the_mean_of_the_batch_as_baseline_is_biased_by_exactly_one_over_k(k):
    at = torch.tensor([0.7], dtype=torch.float64)
    mean, _ = exact_moments(ScoreFunction("mean"), lambda x: x[:, 0] ** 2, at, k, units=k, scale=SCALE)["mean"]
    assert float(mean) == pytest.approx((1 - 1 / k) * 2 * 0.7, rel=1e-10)
    assert not ScoreFunction("mean").unbiased


@pytest.mark.parametrize("baseline", (None, 1.5, "mean", "leave-one-out"))
def test_gradient_is_the_mean_of_its_rows_and_rows_use_the_shared_advantages(baseline):
    costs = []

    def recording(x):
        costs.append(quadratic(x))
        return costs[-1]

    at = Gaussian(THETA, SCALE)
    e = ScoreFunction(baseline)(Cost(recording, check_rows=False), at, evaluations=7, key=3, per_unit=True)
    query = ScoreFunction(baseline).ask(at, 7, 3)
    score = (query[0].points - THETA) / SCALE**2
    expected = advantages(torch.cat(costs), baseline)[:, None] * score
    torch.testing.assert_close(e.per_unit["mean"], expected, rtol=1e-6, atol=1e-6)  # u is recovered from x in float64
    for name in ("mean", "scale"):
        torch.testing.assert_close(e.per_unit[name].mean(0), e.gradient[name])
        torch.testing.assert_close(e.per_unit[name].std(0) / math.sqrt(7), e.standard_error[name])


def test_one_point_smoothing_is_the_score_function_of_a_gaussian_mean_sample_by_sample():
    u = torch.tensor([[0.3, -1.1], [2.0, 0.4], [-0.7, 0.9]], dtype=torch.float64)
    key = Prescribed({"normal": u})
    smoothing = GaussianSmoothing(SCALE, "one-point")(Cost(quadratic), THETA, evaluations=3, key=key)
    score = ScoreFunction(None)(Cost(quadratic), Gaussian(THETA, SCALE), evaluations=3, key=key)
    torch.testing.assert_close(smoothing.gradient, score.gradient["mean"], rtol=1e-12, atol=1e-12)


def test_a_large_constant_leaves_leave_one_out_unchanged():
    at = Gaussian(THETA, SCALE)
    plain = ScoreFunction()(Cost(quadratic), at, evaluations=40_000, key=1)
    shifted = ScoreFunction()(Cost(lambda x: quadratic(x) + 2.0**20), at, evaluations=40_000, key=1)
    torch.testing.assert_close(plain.gradient["mean"], shifted.gradient["mean"], rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(plain.standard_error["mean"], shifted.standard_error["mean"], rtol=1e-6, atol=1e-7)


# Mohamed et al. (2020), figures 2 and 3: x ~ N(1, 1); variance without baseline, with E f, and with the best one
FIGURES = {
    "square": lambda k: lambda x: (x[:, 0] - k) ** 2,
    "exp": lambda k: lambda x: torch.exp(-k * x[:, 0] ** 2),
    "cos": lambda k: lambda x: torch.cos(k * x[:, 0]),
}
TABLE = [
    ("square", -3.0, "mean", 8, 495, 138, 134),
    ("square", -3.0, "scale", 2, 1546, 696, 664),
    ("square", 0.0, "mean", 2, 30, 18, 14),
    ("square", 0.0, "scale", 2, 136, 96, 64),
    ("square", 3.0, "mean", -4, 87, 42, 38),
    ("square", 3.0, "scale", 2, 346, 216, 184),
    ("exp", 0.1, "mean", -0.1400, 0.5635, 0.05407, 0.04047),
    ("exp", 0.1, "scale", -0.1167, 0.9354, 0.2289, 0.1410),
    ("exp", 1.0, "mean", -0.2758, 0.1758, 0.08067, 0.07222),
    ("exp", 1.0, "scale", -0.0919, 0.1767, 0.2232, 0.1128),
    ("exp", 10.0, "mean", -0.1291, 0.07694, 0.06023, 0.0602),
    ("exp", 10.0, "scale", -0.0061, 0.009035, 0.03919, 0.008739),
    ("cos", 0.5, "mean", -0.2115, 0.4552, 0.1554, 0.1179),
    ("cos", 0.5, "scale", -0.1936, 0.7987, 0.7237, 0.4601),
    ("cos", 1.0, "mean", -0.5104, 0.3240, 0.4314, 0.3240),
    ("cos", 1.0, "scale", -0.3277, 0.8363, 1.266, 0.7826),
    ("cos", 5.0, "mean", 0, 0.5, 0.5, 0.5),
    ("cos", 5.0, "scale", 0, 1, 1, 1),
]


@pytest.mark.parametrize(("cost", "k", "name", "gradient", "plain", "with_mean", "with_best"), TABLE)
def test_variances_of_the_published_figures(cost, k, name, gradient, plain, with_mean, with_best):
    f = FIGURES[cost](k)
    u, weights = panels(torch.arange(-REACH, REACH + 1), 16)
    weights = weights * torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    values, square = f(1 + u[:, None]), {"mean": u * u, "scale": (u * u - 1) ** 2}[name]
    best = float((weights * values) @ square / (weights @ square))  # b* = E f s²/E s²
    baselines = {None: plain, float(weights @ values): with_mean, best: with_best}
    for baseline, variance in baselines.items():
        mean, covariance = path_moments(ScoreFunction(baseline), f)[name]
        assert float(mean) == pytest.approx(gradient, rel=6e-4, abs=6e-5)  # four digits are known
        assert float(covariance) == pytest.approx(variance, rel=6e-4, abs=1e-6)


def test_the_best_baseline_of_a_quadratic_has_its_closed_form():
    # Var is a parabola in b; its lowest point is f(μ) + (s²/2) tr A (d+2)/d
    b = (-1.0, 0.0, 1.0)
    low, middle, high = (
        float(exact_moments(ScoreFunction(x), quadratic, THETA, 1, units=1, scale=SCALE)["mean"][1]) for x in b
    )
    lowest = (low - high) / 2 / (low - 2 * middle + high)
    expected = OFFSET + SCALE**2 / 2 * float(HESSIAN.trace()) * (D + 2) / D
    assert lowest == pytest.approx(expected, rel=1e-8)


def fifth_degree(n):
    """Return nodes (N, n) and weights that integrate degree 5 under N(0, I): Stroud (1971), rule 5-2 of E_n^r²."""
    axes, r = torch.eye(n, dtype=torch.float64), math.sqrt(n + 2)
    pairs = [p * axes[i] + q * axes[j] for i in range(n) for j in range(i) for p in (1, -1) for q in (1, -1)]
    nodes = torch.cat((torch.zeros(1, n), r * axes, -r * axes, r / math.sqrt(2) * torch.stack(pairs)))
    weights = [2 / (n + 2), *[(4 - n) / (2 * (n + 2) ** 2)] * (2 * n), *[1 / (n + 2) ** 2] * len(pairs)]
    return nodes, torch.tensor(weights, dtype=torch.float64)


def on_a_line(baseline, at, k, key=0):
    return ScoreFunction(baseline)(Cost(lambda x: OFFSET + 1.9 * x[:, 0]), at, evaluations=k, key=key)


# of the true deviation, at K
OF_THE_OTHERS = [(2, 0.71), (3, 0.87), (4, 0.91), (10, 0.97)]
OPTIMAL = [(2, 0.71), (3, 0.79), (4, 0.81), (10, 0.87)]


@pytest.mark.parametrize("baseline", ("leave-one-out", "mean"))
@pytest.mark.parametrize(("k", "documented"), OF_THE_OTHERS)
def test_the_standard_error_with_the_others_mean_is_low_by_the_documented_share(baseline, k, documented):
    # se² and the square of the estimate are of degree 4 in the K normal numbers
    nodes, weights = fifth_degree(k)
    at = Gaussian(THETA[:1].expand(len(nodes), 1), SCALE)
    e = on_a_line(baseline, at, k, Prescribed({"normal": nodes.T[..., None]}))
    g = e.gradient["mean"][:, 0]
    variance = float(weights @ g.square() - (weights @ g) ** 2)
    scaled = (1 - 1 / k) ** 2 if baseline == "mean" else 1
    assert variance == pytest.approx(scaled * 2 * 1.9**2 / (k - 1), rel=1e-8)
    share = float(weights @ e.standard_error["mean"][:, 0].square()) / variance
    assert share == pytest.approx(1 - 1 / (2 * (k - 1)), rel=1e-8)
    assert round(math.sqrt(share), 2) == documented


@pytest.mark.parametrize(("k", "documented"), OPTIMAL)
def test_the_standard_error_with_the_optimal_baseline_is_low_by_the_documented_share(k, documented):
    # √(E se²/Var ĝ) from N estimates, known to σ by the delta method: a false alarm has a rate of 1e-9, and a share
    # that is off by 0.02 beside the documented digits is missed with a rate of 1e-4 (10 deviations wide, 6.1 allowed)
    n, slope = 500_000, 1.9
    e = on_a_line("optimal", Gaussian(THETA[:1].expand(n, 1), SCALE), k, key=3)
    error, claimed = (e.gradient["mean"][:, 0] - slope).square(), e.standard_error["mean"][:, 0].square()
    ratio = float(claimed.mean() / error.mean())
    sigma = float((claimed - ratio * error).std() / error.mean()) / math.sqrt(n) / (2 * math.sqrt(ratio))
    assert 10 * sigma < 0.02
    assert abs(math.sqrt(ratio) - documented) < 0.005 + 6.1 * sigma


@pytest.mark.parametrize("k", (2, 3, 4, 7, 1001))
def test_the_optimal_baseline_gives_each_half_what_the_other_found(k):
    at = Gaussian(THETA, SCALE)
    e = ScoreFunction("optimal")(Cost(quadratic), at, evaluations=k, key=3, per_unit=True)
    x = ScoreFunction("optimal").ask(at, k, 3)[0].points
    f, u = quadratic(x)[:, None], (x - THETA) / SCALE
    for name, score in {"mean": u / SCALE, "scale": (u * u - 1) / SCALE}.items():
        even, odd = slice(0, None, 2), slice(1, None, 2)
        b = torch.empty_like(score)
        for mine, other in ((even, odd), (odd, even)):
            b[mine] = (f * score**2)[other].sum(0) / (score**2)[other].sum(0)
        expected = (f - b) * score
        torch.testing.assert_close(e.per_unit[name], expected, rtol=1e-5, atol=1e-5)  # u is recovered from x
        torch.testing.assert_close(e.gradient[name], expected.mean(0), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(e.standard_error[name], e.per_unit[name].std(0) / math.sqrt(k), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ("mean", "scale"))
def test_the_optimal_baseline_nears_the_least_variance(name):
    # cos x under N(1, 1): 0.324 and 0.783 a sample, where the mean as a baseline has 0.431 and 1.27. With 4,000
    # estimates a variance is known to about 7 % at six deviations (the estimates are nearly normal).
    k, repeats, least = 200, 4_000, {"mean": 0.3240, "scale": 0.7826}[name]
    at = Gaussian(torch.ones(repeats, 1, dtype=torch.float64))
    g = ScoreFunction("optimal")(Cost(FIGURES["cos"](1.0)), at, evaluations=k, key=2).gradient[name]
    assert 0.9 * least < k * float(g.var()) < 1.2 * least


def test_the_moving_baseline_is_the_mean_of_earlier_costs_and_leaves_the_mean_alone():
    estimator, at = ScoreFunction("moving", decay=0.5), Gaussian(THETA, SCALE)
    first = estimator(Cost(linear), at, evaluations=5, key=1)
    assert torch.equal(
        first.gradient["mean"], ScoreFunction(None)(Cost(linear), at, evaluations=5, key=1).gradient["mean"]
    )
    second = estimator(Cost(quadratic), at, evaluations=7, key=2, state=first.state)
    third = estimator(Cost(linear), at, evaluations=4, key=3, state=second.state)
    b = float((0.5 * first.value + second.value) / 1.5)
    expected = ScoreFunction(b)(Cost(linear), at, evaluations=4, key=3)
    torch.testing.assert_close(third.gradient["mean"], expected.gradient["mean"], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(third.standard_error["scale"], expected.standard_error["scale"], rtol=1e-12, atol=1e-12)
    query = estimator.ask(at, 4, 3, state=second.state)
    told = estimator.tell(query, linear(query[0].points))
    assert torch.equal(told.gradient["mean"], third.gradient["mean"])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (0.3, "ScoreFunction: state must be that of an earlier estimate, or None, got float"),
        (MovingMean(torch.zeros(2), 1.0), r"state must be that of an estimate of batch shape \(\), got one of \(2,\)"),
    ],
)
def test_a_state_of_something_else_is_refused_before_anything_is_spent(state, message):
    cost = Cost(linear)
    with pytest.raises((TypeError, ValueError), match=message):
        ScoreFunction("moving")(cost, Gaussian(THETA, 1.0), evaluations=4, key=0, state=state)
    assert cost.evaluations == 0


def test_blocks_change_the_fold_by_rounding_alone():
    # 1,000 numbers a sample: 262 samples a block; the same samples as one batch, weighed by hand
    at = Gaussian(torch.linspace(-1, 2, 1_000, dtype=torch.float64), 0.3)
    for baseline in ("leave-one-out", "mean", None, 0.4):
        query = ScoreFunction(baseline).ask(at, 601, 4)
        assert len(query) == 3
        f = [torch.cos(block.points).sum(-1) for block in query]
        a = advantages(torch.cat(f), baseline)
        expected = a @ torch.cat([block.noise for block in query]) / 0.3 / 601
        e = ScoreFunction(baseline).tell(query, torch.cat(f))
        torch.testing.assert_close(e.gradient["mean"], expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("baseline", ("median", True, math.inf, (1,)))
def test_an_unknown_baseline_is_named(baseline):
    with pytest.raises(ValueError, match="ScoreFunction: baseline must be None"):
        ScoreFunction(baseline)


@pytest.mark.parametrize("decay", ("a", None, -0.1, 1.0, math.nan))
def test_a_decay_that_is_no_share_is_named(decay):
    with pytest.raises(ValueError, match=r"ScoreFunction: decay must be a number in \[0, 1\), got"):
        ScoreFunction("moving", decay)


def test_leave_one_out_needs_two_samples():
    with pytest.raises(ValueError, match="evaluations must be >= 2, got 1"):
        ScoreFunction()(Cost(linear), Gaussian(THETA, 1.0), evaluations=1, key=0)


def test_a_tensor_is_no_distribution():
    with pytest.raises(TypeError, match="at must be a Distribution, got Tensor"):
        ScoreFunction()(Cost(linear), THETA, evaluations=4, key=0)


@pytest.mark.parametrize(
    ("mean", "scale", "message"),
    [
        (THETA, -1.0, "scale must be positive"),
        (THETA, torch.ones(3), "scale must broadcast"),
        (torch.tensor([1, 2]), 1.0, "mean must be a floating tensor"),
    ],
)
def test_a_gaussian_checks_its_parameters(mean, scale, message):
    with pytest.raises(ValueError, match=message):
        Gaussian(mean, scale)

"""What holds for every estimator that probes random directions, whatever their law; and what distinguishes the laws."""

import math

import pytest
import torch

from rllab import Cost
from rllab.estimators import (
    SPSA,
    GaussianSmoothing,
    GuidedSmoothing,
    OrthogonalSmoothing,
    SobolSmoothing,
    SphereSmoothing,
)
from tests.proofs.checks import assert_unbiased, dyadic
from tests.proofs.probing import (
    AT,
    PROBES,
    RADIUS,
    SLOPE,
    D,
    G,
    assert_close,
    curved,
    evaluations_for,
    frame_rule,
    independent,
    normal_rule,
    over,
    sign_rule,
    sphere_rule,
    straight,
    wave,
)

LAWS = {
    "gaussian": lambda form: GaussianSmoothing(RADIUS, form),
    "signs": lambda form: SPSA(RADIUS, form),
    "sphere": lambda form: SphereSmoothing(RADIUS, form),
    "haar": lambda form: OrthogonalSmoothing(RADIUS, "haar", form),
    "lengths": lambda form: OrthogonalSmoothing(RADIUS, "gaussian", form),
    "axes": lambda form: OrthogonalSmoothing(RADIUS, "coordinate", form),
    "hadamard": lambda form: OrthogonalSmoothing(RADIUS, "hadamard", form),
    "sobol": lambda form: SobolSmoothing(RADIUS, form),
}
PAIRED = {name: law("antithetic") for name, law in LAWS.items()} | {"guided": GuidedSmoothing(RADIUS)}
every_law = pytest.mark.parametrize("law", LAWS)
every_form = pytest.mark.parametrize("form", PROBES)
every_paired = pytest.mark.parametrize("estimator", PAIRED.values(), ids=PAIRED.keys())


def estimate(estimator, f, at=AT, evaluations=13, key=5, **call):
    return estimator(Cost(f, check_rows=False), at, evaluations=evaluations, key=key, **call)


@every_law
@pytest.mark.parametrize("form", ("antithetic", "forward"))
def test_a_constant_added_to_the_cost_changes_nothing(law, form):
    estimator = LAWS[law](form)
    f = dyadic(curved)  # of whose differences not a bit is lost
    plain, shifted = estimate(estimator, f), estimate(estimator, lambda x: f(x) + 1024)
    assert torch.equal(shifted.gradient, plain.gradient)


@every_law
@every_form
def test_scaling_the_cost_scales_estimate_and_error(law, form):
    estimator = LAWS[law](form)
    plain, scaled = estimate(estimator, curved), estimate(estimator, lambda x: -4 * curved(x))
    assert_close(scaled.gradient, -4 * plain.gradient, 1e-12)
    if plain.standard_error is not None:
        assert_close(scaled.standard_error, 4 * plain.standard_error, 1e-7)


@every_paired
def test_an_even_cost_has_no_gradient_at_all(estimator):
    at = torch.zeros(D, dtype=torch.float64)
    assert torch.equal(estimate(estimator, wave, at=at).gradient, at)


@every_law
@pytest.mark.parametrize("form", ("antithetic", "forward"))
def test_noise_that_does_not_depend_on_the_point_cancels(law, form):
    def noisy(x, seeds):
        return curved(x) + 100.0 * (seeds % 1000).to(x)

    estimator = LAWS[law](form)
    quiet = estimate(estimator, curved).gradient
    loud = estimator(Cost(noisy, seeded=True), AT, evaluations=13, key=5).gradient
    assert_close(loud, quiet, 1e-9)


@every_paired
def test_a_cost_that_is_all_noise_has_a_gradient_of_exactly_zero(estimator):
    g = estimator(Cost(lambda x, seeds: (seeds % 97).to(x), seeded=True), AT, evaluations=12, key=1).gradient
    assert torch.equal(g, torch.zeros_like(AT))


@every_law
@every_form
def test_the_estimate_is_the_mean_of_its_rows(law, form):
    e = estimate(LAWS[law](form), curved, evaluations=40, per_unit=True)
    assert e.per_unit.shape == ({"antithetic": 20, "forward": 39, "one-point": 40}[form], D)
    assert_close(e.per_unit.mean(0), e.gradient, 1e-12)


@every_form
@pytest.mark.parametrize("law", ("gaussian", "signs", "sphere"))
def test_the_error_of_independent_directions_is_that_of_their_rows(law, form):
    e = estimate(LAWS[law](form), curved, evaluations=40, per_unit=True)
    assert_close(e.per_unit.std(0) / math.sqrt(len(e.per_unit)), e.standard_error, 1e-10)
    alone = estimate(LAWS[law](form), curved, evaluations=evaluations_for(form, 1))
    assert alone.standard_error is None


@every_law
def test_asking_for_no_errors_or_rows_changes_no_bit_of_the_gradient(law):
    plain = estimate(LAWS[law]("antithetic"), curved, errors=False)
    full = estimate(LAWS[law]("antithetic"), curved, per_unit=True)
    assert torch.equal(plain.gradient, full.gradient)
    assert plain.standard_error is None and plain.per_unit is None


@every_paired
def test_errors_do_not_write_into_what_was_told(estimator):
    query = estimator.ask(AT, 12, 0)
    values = torch.linspace(-1, 2, 12, dtype=torch.float64)
    kept = values.clone()
    first, second = estimator.tell(query, values), estimator.tell(query, values)
    assert torch.equal(values, kept)
    assert torch.equal(first.gradient, second.gradient)


@every_law
def test_the_mean_probe_is_the_value_where_probes_follow_the_kernel(law):
    seen = []
    e = estimate(LAWS[law]("forward"), lambda x: seen.append(curved(x)) or seen[-1])
    if law in ("sphere", "haar", "axes"):
        assert e.value is None
    else:
        assert_close(e.value, torch.cat(seen)[1:].mean(), 1e-12)


@every_paired
def test_independent_noise_adds_its_share_of_every_pair(estimator):
    # ĝ = M f is linear in the values, so noise τ² in each gives it τ² tr MMᵀ, which is s²/2m² Σ‖u_i‖² τ² for pairs with
    # s = 1/h: in the mean dτ²/2h²m for E‖u‖² = d
    m, scale = 20, {SphereSmoothing: D}.get(type(estimator), 1.0)
    if isinstance(estimator, OrthogonalSmoothing) and estimator.law in ("haar", "coordinate"):
        scale = D
    query = estimator.ask(AT, 2 * m, 3)
    u = torch.cat([block.noise for block in query])
    influence = torch.stack([estimator.tell(query, e).gradient for e in torch.eye(2 * m, dtype=torch.float64)])
    assert_close(influence.square().sum(), (scale / RADIUS / m) ** 2 / 2 * u.square().sum(), 1e-10)


@pytest.mark.parametrize("rho", (0.0, 0.5, 0.9))
def test_noise_that_a_pair_shares_in_part_adds_the_rest_of_it(rho):
    # f = τ(√ρ z(seed) + √(1 − ρ) z(seed, side)): of dτ²/2h²m, 1 − ρ remains. SPSA, where ‖Δ‖² = d is no source of noise
    repeats, m = 40_000, 5

    def uniform(seeds, multiplier):  # of variance 1 (in 31 bits of a product modulo 2⁶³)
        return (((seeds * multiplier) & (2**31 - 1)).double() / 2**31 - 0.5) * math.sqrt(12)

    def noisy(x, seeds):
        side = (x[:, 0] > AT[0]).long()
        own = uniform(seeds >> 13, 6364136223846793005) * side + uniform(seeds >> 7, 2862933555777941757) * (1 - side)
        return math.sqrt(rho) * uniform(seeds >> 3, 3935559000370003845) + math.sqrt(1 - rho) * own

    g = SPSA(RADIUS)(Cost(noisy, seeded=True), AT.expand(repeats, -1), evaluations=2 * m, key=2).gradient
    square = g.square().sum(-1)
    wanted = D * (1 - rho) / (2 * RADIUS**2 * m)
    assert_unbiased(((square.mean() - wanted) / (square.std() / math.sqrt(repeats)))[None])


CLOUDS = {  # the law of one estimate's directions, as a rule, and where the estimator draws them
    "gaussian": ("normal", independent(normal_rule(), 1), True),
    "sphere": ("sphere", independent(sphere_rule(), 1), True),
    "haar": ("orthonormal", (frame_rule()[0][:, :2], frame_rule()[1]), True),
    "signs": ("sign", independent(sign_rule(), 1), False),
    "axes": (
        "axes",
        (torch.eye(D, dtype=torch.float64)[:, None], torch.full((D,), 1 / D, dtype=torch.float64)),
        False,
    ),
}


@pytest.mark.parametrize("law", CLOUDS)
def test_turning_the_cost_turns_the_estimates_unless_directions_prefer_the_axes(law):
    source, rule, invariant = CLOUDS[law]
    turn = frame_rule()[0][17]  # some orthogonal matrix
    evaluations = 2 * rule[0].shape[1]
    covariances = []
    for slope in (SLOPE, turn @ SLOPE):
        mean, covariance = over(source, rule, LAWS[law]("antithetic"), lambda x, g=slope: (x - AT) @ g, evaluations)
        assert_close(mean, slope)
        covariances.append(covariance)
    turned = turn @ covariances[0] @ turn.T
    if invariant:
        assert_close(covariances[1], turned)
    else:
        assert float((covariances[1] - turned).abs().max()) > 0.1 * G


def test_forward_differences_have_twice_the_directions_of_pairs_and_half_the_variance_on_a_line():
    # equal evaluations: 2 pairs cost 4, 3 directions and the centre cost 4
    _, pairs = over("sign", independent(sign_rule(), 2), SPSA(RADIUS), straight, 4)
    _, forward = over("sign", independent(sign_rule(), 3), SPSA(RADIUS, "forward"), straight, 4)
    assert float(pairs.trace() / forward.trace()) == pytest.approx(3 / 2)


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
@every_paired
def test_half_precision_parameters_get_half_precision_gradients(estimator, dtype):
    at = AT.to(dtype)
    e = estimate(estimator, lambda x: (x.float() @ SLOPE.float()).to(dtype), at=at, evaluations=40)
    assert e.gradient.dtype == dtype
    assert bool(torch.isfinite(e.gradient).all())


@pytest.mark.parametrize("law", [law for law in LAWS if law != "axes"])
def test_squared_errors_average_to_the_variance(law):
    # In 8 dimensions, with 4 groups or more. Each sum of 8 sample variances over 4,000 repeats has an sd of about 1 %,
    # so 10 % is ten of them. (Whole groups of axes have no variance.)
    a, repeats, m = torch.linspace(-2, 1.5, 8, dtype=torch.float64), 4_000, 32
    estimator = SobolSmoothing(RADIUS, group=8) if law == "sobol" else LAWS[law]("antithetic")
    at = torch.linspace(-1, 2, 8, dtype=torch.float64).expand(repeats, -1)
    e = estimate(estimator, lambda x: torch.cos(3 * x @ a) + torch.sin(5 * x).sum(-1), at=at, evaluations=2 * m)
    assert float(e.standard_error.square().mean(0).sum() / e.gradient.var(0).sum()) == pytest.approx(1, rel=0.1)

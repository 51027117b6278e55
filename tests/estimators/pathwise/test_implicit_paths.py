"""ImplicitPathwise at Dirichlets and Gaussian mixtures: exact means, each sample's path, tails, precision."""

import math

import pytest
import torch

from rllab import Cost, Dirichlet, GaussianMixture, Key
from rllab.estimators import ImplicitPathwise, Pathwise
from rllab.estimators.pathwise.mixture_paths import pull_back
from tests.proofs.paths import (
    MIXTURES,
    bent,
    numbers,
    prove_drawn_means,
    prove_mixture,
    prove_shares,
    tensor,
    transported,
)
from tests.proofs.sampling import assert_close


def test_it_has_the_exact_means_of_mixtures_in_one_and_two_dimensions():
    prove_mixture(ImplicitPathwise())


def test_it_has_the_exact_mean_of_two_shares_and_moves_three_as_their_quantiles():
    prove_shares(ImplicitPathwise())


def test_its_own_draws_have_the_means_they_should():
    prove_drawn_means(ImplicitPathwise())


def test_a_moved_sample_keeps_its_conditional_probabilities():
    # three components of three coordinates: z(x + dx, φ + dφ) = z(x, φ) to the second order, for every single number
    at = GaussianMixture(
        tensor(0.4, -0.3, 0.2),
        tensor([-0.6, 0.2, 0.9], [0.5, 1.3, -0.4], [0.1, -0.8, 0.3]),
        tensor([0.8, 0.9, 1.1], [1.0, 0.7, 0.6], [1.3, 0.5, 0.9]),
    )
    x, step = tensor(0.35, 0.62, -0.17), 1e-4
    slopes = [pull_back(at, x[None], e[None]) for e in torch.eye(3, dtype=torch.float64)]
    for name, index in numbers(at):
        moved = torch.stack([slope[name][0][index] for slope in slopes])
        ends = []
        for side in (-step, step):
            value = at.parameters[name].clone()
            value[index] += side
            ends.append(transported(at.replace(**{name: value}), x + side * moved))
        assert float(moved.abs().max()) > 1e-3
        assert_close((ends[1] - ends[0]) / (2 * step), torch.zeros(3), atol=1e-7)


def test_a_single_component_is_the_plain_pathwise_gradient():
    at, x = MIXTURES[0], tensor([0.7], [-1.9], [4.0])
    slope = torch.cos(x)
    found = pull_back(at, x, slope)
    assert_close(found["mean"].flatten(), slope.flatten())
    assert_close(found["scale"].flatten(), (slope * (x - at.mean) / at.scale).flatten())
    assert_close(found["logits"], torch.zeros(3))


def test_far_tails_keep_their_digits():
    # two laws about one point: what holds above holds below, with as many digits
    at = GaussianMixture(tensor(0.3, -0.2), tensor([0.5], [0.5]), tensor([1.0], [3.0]))
    away = tensor([7.0], [15.0], [30.0])
    above, below = (pull_back(at, 0.5 + sign * away, torch.ones_like(away)) for sign in (1.0, -1.0))
    assert_close(above["logits"], -below["logits"], rtol=1e-12)
    assert_close(above["scale"], -below["scale"], rtol=1e-12)
    # where the wide law is all that is left: ∂x/∂l_2 = π_1 s Φ̄(v)/φ(v), v = (x − μ)/s, by Mills' ratio Φ̄/φ
    mills = math.sqrt(math.pi / 2) * torch.special.erfcx(away[:, 0] / 3 / math.sqrt(2))
    assert_close(above["logits"][1:, 1], (torch.softmax(at.logits, -1)[0] * 3 * mills)[1:], rtol=1e-12)


def test_the_gradient_is_the_mean_of_its_rows_and_a_sample_is_charged_as_one_gradient():
    for at in (MIXTURES[3], Dirichlet(tensor(0.4, 2.0, 1.1))):
        cost = Cost(bent)
        e = ImplicitPathwise()(cost, at, evaluations=6, key=0, per_unit=True)
        assert cost.spent["gradient"] == e.evaluations == 6 and cost.spent["value"] == 0
        for name, rows in e.per_unit.items():
            assert rows.shape == (6, *at.parameters[name].shape)
            assert_close(rows.mean(0), e.gradient[name])


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=str)
def test_tiny_and_huge_shares_are_finite_in_either_precision(dtype):
    at = Dirichlet(torch.tensor([1e-4, 0.01, 1.0, 1e4], dtype=dtype))
    e = ImplicitPathwise()(Cost(lambda x: torch.sin(x).sum(-1)), at, evaluations=50, key=Key(2))
    assert torch.isfinite(e.gradient["concentration"]).all() and e.gradient["concentration"].dtype == dtype


def test_the_variance_by_the_weights_grows_without_bound_as_modes_part():
    # as e^(Δ²/8): by e² from Δ = 6 to √52, but for factors of a power of Δ
    errors = []
    for apart in (6.0, 52**0.5):
        nodes = torch.linspace(-12, 12 + apart, 4001, dtype=torch.float64)[:, None]
        at = GaussianMixture(tensor(0.0, 0.0), tensor([0.0], [apart]))
        paths = pull_back(at, nodes, torch.ones_like(nodes))["logits"][:, 0]
        errors.append(float(torch.trapezoid(paths**2 * at.log_prob(nodes).exp(), nodes[:, 0])))
    assert 0.7 * math.e**2 < errors[1] / errors[0] < 1.3 * math.e**2


def test_mixtures_and_shares_are_not_for_the_plain_pathwise_gradient():
    with pytest.raises(TypeError, match="Pathwise: at must be a Gaussian, got GaussianMixture"):
        Pathwise().ask(MIXTURES[0], 4, 0)

"""Logistic regression: its likelihood and KL against torch's own, its bill, and means that must agree."""

import math

from experiments.common.data import Data
from experiments.score_function import logistic

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from rllab import Gaussian, Key
from rllab.runs import Job, Record


def a_batch():
    g = torch.Generator().manual_seed(3)
    return Data(torch.randn(5, 3, generator=g, dtype=torch.float64), torch.tensor([0, 1, 1, 0, 1]))


def test_the_cost_is_the_log_likelihood_of_torch_scaled_to_all_samples():
    batch, w = a_batch(), torch.tensor([[0.3, -1.2, 0.7], [2.0, 0.1, -0.4]], dtype=torch.float64)
    wanted = [-Bernoulli(logits=batch.x @ one).log_prob(batch.y.double()).sum() * 40 / 5 for one in w]
    torch.testing.assert_close(logistic.negative_log_likelihood(w, batch, 40), torch.stack(wanted))


def test_kl_and_its_gradient_are_those_of_torch_and_of_autograd():
    mean = torch.tensor([0.4, -1.1], dtype=torch.float64, requires_grad=True)
    log_scale = torch.tensor([-0.3, 0.6], dtype=torch.float64, requires_grad=True)
    wanted = kl_divergence(Normal(mean, log_scale.exp()), Normal(0.0, 1.0)).sum()
    by_mean, by_log_scale = torch.autograd.grad(wanted, (mean, log_scale))
    found = logistic.kl(mean.detach(), log_scale.detach())
    for a, b in zip(found, (wanted.detach(), by_mean, by_log_scale), strict=True):
        torch.testing.assert_close(a, b)


def test_loss_and_accuracy_of_a_sure_posterior_are_those_of_its_mean():
    batch, mean = a_batch(), torch.tensor([0.3, -1.2, 0.7], dtype=torch.float64)
    found = logistic.quality(mean, torch.full_like(mean, -25.0), batch, batch, Key(0))
    loss = binary_cross_entropy_with_logits(batch.x @ mean, batch.y.double())
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-9)
    assert found["accuracy"] == ((batch.x @ mean > 0) == (batch.y == 1)).double().mean().item()


def test_loss_of_an_unsure_posterior_is_that_of_the_mean_probability_and_not_of_the_mean_loss():
    batch, mean = a_batch(), torch.zeros(3, dtype=torch.float64)
    found = logistic.quality(mean, torch.full_like(mean, 1.5), batch, batch, Key(0))
    # E σ(xᵀw) = ½ by symmetry; of 500 draws within 0.12 at 5 standard deviations of at most ½/√500
    assert abs(found["loss"] - math.log(2)) < 0.25
    assert found["elbo"] < -5 * (math.log(2) + 0.25)  # E −log σ is far more, at scales of 4.5


def test_one_measure_valued_sample_takes_all_evaluations_of_a_step():
    place = Gaussian(torch.zeros(31, dtype=torch.float64), 0.5)
    assert logistic.METHODS["measure-valued"][0].minimum(place) == logistic.EVALUATIONS


def test_test_samples_are_standardised_by_training_samples_and_end_in_ones():
    train, test = logistic.samples(Key(0))
    assert (len(train), len(test)) == (569 - logistic.TEST, logistic.TEST)
    torch.testing.assert_close(train.x[:, :-1].mean(0), torch.zeros(30, dtype=torch.float64), atol=1e-10, rtol=0)
    assert test.x[:, :-1].mean(0).abs().max() > 0.01
    assert (train.x[:, -1] == 1).all() and (test.x[:, -1] == 1).all()


@pytest.mark.parametrize("scale", [0.2, 0.6])
def test_measured_means_agree_between_methods(scale):
    train, _ = logistic.samples(Key(1))
    at = Gaussian(torch.full((31,), 0.1, dtype=torch.float64), scale)
    rows = list(logistic.variances(at, train, Key(2)))
    assert {row["measured"] for row in rows} == set(logistic.MEASURED)
    # 62 parameters, 4 methods; 9 standard errors leave room for tails that are not normal
    assert max(row["off"] for row in rows) < 9


def test_a_moving_baseline_known_from_other_batches_lowers_the_variance():
    train, _ = logistic.samples(Key(1))
    rows = logistic.variances(Gaussian(torch.full((31,), 0.1, dtype=torch.float64), 0.4), train, Key(2))
    variance = {row["measured"]: row["variance"] for row in rows}
    assert variance["moving"] < variance["none"] / 1.5  # 5 to 7 times less on other keys


@pytest.mark.parametrize(
    ("steps", "checks", "wanted"),
    [(5, 10, {0, 1, 2, 3, 4, 5}), (23, 10, {*range(0, 23, 2), 23}), (100, 10, {*range(0, 101, 10)}), (1, 3, {0, 1})],
)
def test_any_number_of_steps_is_measured_from_its_start_to_its_end(steps, checks, wanted):
    assert logistic.measured_steps(steps, checks) == wanted


def test_a_run_of_a_few_steps_ends_measured_pays_its_bill_and_remembers_its_baseline(tmp_path, monkeypatch):
    moving, told = logistic.METHODS["moving"][0], []

    def spy(cost, at, **options):
        told.append(options["state"])
        return moving(cost, at, **options)

    monkeypatch.setitem(logistic.METHODS, "moving", (spy, logistic.EVALUATIONS))
    job = Job("few", {"method": "moving", "steps": 5, "checks": 2}, 3)
    with Record.create(tmp_path / "few", job.config, seed=3) as record:
        summary = logistic.run(job, record)
    assert summary == {"values": 5 * logistic.EVALUATIONS, "gradients": 0}
    assert [row["step"] for row in record.rows] == [0, 2, 4, 5]
    assert told[0] is None and all(state is not None for state in told[1:])

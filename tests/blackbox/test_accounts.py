"""BlackBox keeps its accounts: what was paid, what was learned, which noise each row met, how a loss is scaled."""

import pytest
import torch
from torch import nn

import rllab
from rllab import estimators as est
from rllab.blackbox import BlackBox
from rllab.blackbox.asker import Asker
from rllab.critics import Critic

N = 5


def points():
    return torch.linspace(-1, 1, 2 * N, dtype=torch.float64).reshape(N, 2).requires_grad_()


def test_the_gradient_of_a_scaled_loss_through_a_distribution_is_scaled():
    found = []
    for scale in (1.0, 3.0):
        x = points()
        box = BlackBox(lambda b: b.sum(1), est.ScoreFunction(), 8, scope="cost", distribution=rllab.Bernoulli, key=5)
        (scale * box(x)).sum().backward()
        found.append(x.grad)
    assert found[0].abs().sum() > 0
    torch.testing.assert_close(found[1], 3 * found[0], rtol=1e-12, atol=0)


def test_a_forward_pass_that_raises_is_paid_for():
    def fails(z):
        raise RuntimeError("no power")

    box = BlackBox(fails, scope="cost", check_rows=False, key=0)
    with pytest.raises(RuntimeError, match="no power"):
        box(points())
    assert box.ledger.spent["value"] == box.calls == N


def test_another_gradient_starts_with_nothing_learned():
    critic = Critic(hidden=(4,), sigma=0.3, gradient_steps=2)
    boxes = [BlackBox(lambda z: z.square().sum(1), critic, 8, scope="cost", key=0) for _ in range(2)]
    found = []
    for box, forgets in zip(boxes, (False, True), strict=True):
        box(points()).sum().backward()
        if forgets:
            box.gradient = Critic(hidden=(4,), sigma=0.3, gradient_steps=2)
        x = points()
        box(x).sum().backward()
        found.append(x.grad)
    assert not torch.equal(*found)  # the first learned from both passes, the second from the last alone


def test_every_row_of_a_forward_pass_meets_noise_of_its_own():
    met = []

    def noisy(z, seeds):
        met.extend(int(seed) for seed in seeds)
        return z.sum(1)

    box = BlackBox(noisy, est.GaussianSmoothing(0.1), 4, scope="cost", seeded=True, check_rows=False, key=4)
    with torch.no_grad():
        box(points())
    assert len(met) == N == len(set(met))


def test_an_input_that_needs_no_gradient_is_the_context_of_what_is_learned(monkeypatch):
    given, ask = [], Asker.ask
    monkeypatch.setattr(
        Asker, "ask", lambda self, f, at, key, context: given.append(context) or ask(self, f, at, key, context)
    )
    fixed = torch.arange(N, dtype=torch.float64)[:, None]
    box = BlackBox(lambda z, k: (k * z).sum(1), est.GaussianSmoothing(0.1), 4, scope="cost", key=0)
    box(points(), fixed).sum().backward()
    torch.testing.assert_close(given[0].to(fixed), fixed, rtol=0, atol=0)


def test_a_state_is_loaded_into_the_ledger_that_blocks_share():
    box = BlackBox(lambda z: z.sum(1), est.GaussianSmoothing(0.1), 4, scope="cost", key=0)
    fresh, shared = box.get_extra_state(), box.ledger.spent
    box(points()).sum().backward()
    assert shared["value"] > 0
    box.set_extra_state(fresh)
    assert shared["value"] == 0 and box.ledger.spent is shared


def test_labels_in_an_input_of_their_own_stay_as_they_are_and_in_a_row_with_outputs_they_do_not():
    label, seen = torch.tensor([0, 2, 1, 2]), []

    def cost(z, y):
        seen.append(y.clone())
        return nn.functional.cross_entropy(z, y.long(), reduction="none")

    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    apart = BlackBox(cost, est.CentralDifference(), 6, scope="cost", check_rows=False, key=0)
    apart(z, label).mean().backward()
    assert all(torch.equal(y.view(-1, 4), label.expand(len(y) // 4, 4)) for y in seen)
    truth = torch.autograd.grad(nn.functional.cross_entropy(z, label), z)[0]
    torch.testing.assert_close(z.grad, truth, rtol=1e-6, atol=1e-9)

    seen.clear()  # three outputs and the label in one row: each of four columns is perturbed
    box = BlackBox(lambda row: cost(row[:, :3], row[:, 3].clamp(0, 2)), est.GaussianSmoothing(1.0), scope="cost", key=0)
    box(torch.cat([z, label[:, None]], 1)).mean().backward()
    assert not all(torch.equal(y.view(-1, 4), label.expand(len(y) // 4, 4)) for y in seen if len(y) > 4)

"""Action distributions: probabilities, entropies and slopes of torch's distributions, and draws that follow them."""

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, Normal

from rllab import Key
from rllab.agents.action_distributions import ChosenActions, GaussianActions
from rllab.agents.actions import BoxActions, Choices

N, COUNTS = 7, (2, 4, 3)


def normal(*shape, key=0):
    return torch.randn(shape, generator=Key(key).generator())


def gaussian_case():
    y, log_std, a = normal(N, 3), 0.3 * normal(3, key=1), 2 * normal(N, 3, key=2)
    return GaussianActions(BoxActions((-1.0,) * 3, (1.0,) * 3)), y, log_std, a, a


def chosen_case():
    chosen = ChosenActions(Choices(COUNTS, shape=(3,)))
    a = torch.stack([torch.arange(N) % n for n in COUNTS], 1)
    return chosen, normal(N, sum(COUNTS)), torch.zeros(0), a, chosen.encode(a)


def of_torch(y, log_std, a):
    """Return log π (n,) and H (n,) by torch's distributions."""
    if len(log_std):
        law = Independent(Normal(y, log_std.exp()), 1)
        return law.log_prob(a), law.entropy()
    laws = [Categorical(logits=z) for z in y.split(COUNTS, 1)]
    scores = [law.log_prob(part) for law, part in zip(laws, a.unbind(1), strict=True)]
    return torch.stack(scores).sum(0), torch.stack([law.entropy() for law in laws]).sum(0)


@pytest.mark.parametrize("case", (gaussian_case, chosen_case))
@pytest.mark.parametrize("weight", (0.0, 0.7))
def test_scores_entropies_and_slopes_are_those_of_torch(case, weight):
    law, y, log_std, a, encoded = case()
    for _ in range(2):  # the second time in the buffers of the first
        u = normal(N, key=3)
        log_p, entropy = law.forward(y, log_std, encoded)
        exact_y, exact_spread = y.double().requires_grad_(), log_std.double().requires_grad_()
        expected_p, expected_entropy = of_torch(exact_y, exact_spread, a.double() if len(log_std) else a)
        torch.testing.assert_close(log_p.double(), expected_p, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(entropy.double().expand(N), expected_entropy, rtol=1e-5, atol=1e-6)
        total = (u.double() * expected_p).sum() + weight * expected_entropy.sum()
        slopes = torch.autograd.grad(total, (exact_y, exact_spread), materialize_grads=True)
        for ours, exact in zip(law.backward(u, weight), slopes, strict=True):
            torch.testing.assert_close(ours.double(), exact, rtol=1e-4, atol=1e-5)
        y = y.flip(0)


def test_draws_of_a_box_have_the_mean_and_spread_that_are_scored():
    n, (law, y, log_std, *_) = 40_000, gaussian_case()
    drawn = law.draw(y[:1].expand(n, -1).numpy(), log_std.numpy(), law.noise((n,), Key(5).generator()))
    sigma = log_std.exp().numpy()
    assert drawn.shape == (n, 3) and drawn.dtype == np.float32
    assert (abs(drawn.mean(0) - y[0].numpy()) < 6.5 * sigma / n**0.5).all()  # three two-sided tests at 8e-11
    assert (abs(drawn.std(0) - sigma) < 6.5 * sigma / (2 * n) ** 0.5).all()


def test_choices_are_drawn_with_the_probabilities_that_are_scored():
    n, (law, y, *_) = 40_000, chosen_case()
    drawn = law.draw(y[:1].expand(n, -1).numpy(), np.zeros(0, np.float32), law.noise((n,), Key(6).generator()))
    assert drawn.shape == (n, 3) and drawn.dtype == np.int64
    for a, z, count in zip(drawn.T, y[0].split(COUNTS), COUNTS, strict=True):
        p, share = z.softmax(0).numpy(), np.bincount(a, minlength=count) / n
        assert (abs(share - p) < 6.5 * np.sqrt(p * (1 - p) / n)).all()  # nine two-sided tests at 8e-11
    joint = (drawn[:, 0] == 0) & (drawn[:, 1] == 1)  # independent of one another
    p = float(y[0, :2].softmax(0)[0] * y[0, 2:6].softmax(0)[1])
    assert abs(joint.mean() - p) < 6.5 * (p * (1 - p) / n) ** 0.5

"""A chain of two bits with known derivatives of every order, for surrogates that are differentiated again and again.

The first bit has logit θ_0, the second θ_1 + θ_0 b_1; c_1 depends on the first, c_2 on both.
"""

import itertools

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from tests.proofs.sampling import assert_close

THETA = torch.tensor([0.4, -0.7], dtype=torch.float64)
OUTCOMES = torch.tensor(list(itertools.product((0.0, 1.0), repeat=2)), dtype=torch.float64)
COSTS = torch.stack((2.0 - 1.3 * OUTCOMES[:, 0], 0.5 + OUTCOMES[:, 1] * (1.1 - 2.7 * OUTCOMES[:, 0])), -1)


def log_p(theta: Tensor) -> Tensor:
    """log p of each draw given those before, of all outcomes: (4, 2)."""
    sign = 2 * OUTCOMES - 1
    return logsigmoid(sign * torch.stack((theta[0].expand(4), theta[1] + theta[0] * OUTCOMES[:, 0]), -1))


def _baseline() -> Tensor:
    """Return the expected costs to come given what was drawn before: E(c_1 + c_2), and E(c_2 | b_1)."""
    p = log_p(THETA).exp()
    second = (p[:, 1] * COSTS[:, 1]).view(2, 2).sum(-1).repeat_interleave(2)
    first = (p.prod(-1) @ COSTS.sum(-1)).expand(4)
    return torch.stack((first, second), -1)


BASELINE = _baseline()


def derivatives(value: Tensor, theta: Tensor, order: int) -> Tensor:
    """Return the tensor of all derivatives of one order, flat."""
    found = [value]
    for _ in range(order):
        found = [
            g for v in found for g in torch.autograd.grad(v, theta, create_graph=True, allow_unused=False)[0].unbind()
        ]
    return torch.stack(found).detach()


def expected(order: int) -> Tensor:
    """Derivatives of E Σ_t c_t."""
    theta = THETA.clone().requires_grad_()
    return derivatives(log_p(theta).sum(-1).exp() @ COSTS.sum(-1), theta, order)


def of_each_outcome(surrogate, order: int, baseline: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return derivatives of a surrogate of each outcome alone, (4, 2^order), and its probability."""
    rows = []
    for i in range(4):
        theta = THETA.clone().requires_grad_()
        b = None if baseline is None else baseline[i : i + 1]
        rows.append(derivatives(surrogate(COSTS[i : i + 1], log_p(theta)[i : i + 1], b), theta, order))
    return torch.stack(rows), log_p(THETA).sum(-1).exp()


def prove_surrogate(surrogate) -> None:
    """The value exactly, and the means of first, second and third derivatives, with and without a baseline."""
    for baseline in (None, BASELINE):
        value = surrogate(COSTS, log_p(THETA.clone().requires_grad_()), baseline)
        assert float(value.detach()) == float(COSTS.sum(-1).mean())
        for order in (1, 2, 3):
            rows, p = of_each_outcome(surrogate, order, baseline)
            assert_close(p @ rows, expected(order), rtol=1e-10, atol=1e-12)

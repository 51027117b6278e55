"""What shaping and search directions claim, computed again in plain Python and numpy. Each takes what it judges."""

import math

import numpy as np
import scipy.linalg
import torch

from rllab import Cost

COSTS = [3.0, -1.0, 7.5, 3.0, 0.25, -1.0, 9.0, 3.0]  # ties of two and of three
SLOPE = torch.tensor([1.5, -0.5, 2.0], dtype=torch.float64)
AT = torch.tensor([0.3, -1.1, 0.6], dtype=torch.float64)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def mean_entries(costs, entries):
    """Give the k-th least cost the k-th entry, then equal costs the mean of theirs."""
    order = sorted(range(len(costs)), key=lambda i: costs[i])
    given = {i: entry for i, entry in zip(order, entries, strict=True)}
    alike = {f: [given[i] for i, g in enumerate(costs) if g == f] for f in costs}
    return tensor([sum(alike[f]) / len(alike[f]) for f in costs])


def assert_shaped(shape, costs, expected):
    got = shape(tensor(costs))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-14)
    others = [2 * f**3 - 1 for f in costs]
    pair = torch.stack((tensor(costs), tensor(others[::-1])), 1)  # each of a batch by itself
    torch.testing.assert_close(shape(pair)[:, 0], got, rtol=0, atol=0)
    torch.testing.assert_close(shape(pair)[:, 1], shape(tensor(others[::-1])), rtol=0, atol=0)


def prove_ranks(shape):
    for costs in (COSTS, COSTS[:2], COSTS[:5]):
        n = len(costs)
        assert_shaped(shape, costs, mean_entries(costs, [k / (n - 1) - 0.5 for k in range(n)]))
    assert shape(tensor([4.0])).tolist() == [0.0]


def prove_utilities(shape):
    for costs in (COSTS, COSTS[:2], COSTS[:5]):
        n = len(costs)
        raw = [max(0.0, math.log(n / 2 + 1) - math.log(k)) for k in range(1, n + 1)]
        assert_shaped(shape, costs, mean_entries(costs, [1 / n - r / sum(raw) for r in raw]))


def prove_the_best(shape):
    """0.4 of 8 are 3; the third least of these costs is alone."""
    assert_shaped(lambda f: shape(f, 0.4), COSTS, tensor([0, -1, 0, 0, -1, -1, 0, 0]))
    assert_shaped(lambda f: shape(f, 0.5), COSTS, tensor([-1 / 3, -1, 0, -1 / 3, -1, -1, 0, -1 / 3]))
    assert_shaped(lambda f: shape(f, 0.01), COSTS[:3], tensor([0, -1, 0]))


def prove_z_scores(shape):
    expected = (np.array(COSTS) - np.mean(COSTS)) / np.std(COSTS)
    assert_shaped(shape, COSTS, tensor(expected.tolist()))
    assert shape(tensor([0.1] * 10)).tolist() == [0.0] * 10


def jumpy(x):
    bend = 9 * torch.cos(3 * (x[:, -1] - 1))  # so that a good pair need not be one with a large difference
    return torch.floor(8 * x[:, 0]) + (x * torch.linspace(-1, 2, x.shape[-1], dtype=x.dtype)).mean(-1) + bend


def prove_top_directions(kind, d=3, m=7, sigma=0.3):
    """ĝ by a loop over the pairs, in one block and in several, of which the last is not full."""
    for top in (None, 1, 3):
        estimator, at = kind(sigma, top), torch.linspace(-1, 1, d, dtype=torch.float64)
        query = estimator.ask(at, 2 * m + 1, 5)
        u, pairs, all_costs = [], [], []
        for block in query:
            n = len(block.points) // 2
            f = jumpy(block.points).tolist()
            all_costs += f
            for k in range(n):
                u.append(((block.points[k] - block.points[n + k]) / (2 * sigma)).numpy())
                pairs.append((f[k], f[n + k]))
        assert len(pairs) == m and query.evaluations == 2 * m
        b = top or m
        best = sorted(range(m), key=lambda k: min(pairs[k]))[:b]
        spread = np.std([f for k in best for f in pairs[k]])
        expected = sum((pairs[k][0] - pairs[k][1]) * u[k] for k in best) / (b * spread)
        e = estimator(Cost(jumpy), at, evaluations=2 * m, key=5)
        np.testing.assert_allclose(e.gradient.numpy(), expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(float(e.value), np.mean(all_costs), rtol=1e-12)


def prove_top_directions_in_blocks(kind):
    prove_top_directions(kind, d=90_001, m=5)


def prove_flat_costs_move_nothing(kind):
    e = kind(0.2)(Cost(lambda x: torch.full_like(x[:, 0], 0.1)), AT, evaluations=20, key=1)
    assert torch.equal(e.gradient, torch.zeros_like(AT))


def mean_of_single_pairs(estimator, repeats=40_000):
    """The mean over many queries of one pair, on a line; its components have standard errors of at most size/√repeats.

    E sign(g·u) u = √(2/π) g/‖g‖ for u ~ N(0, I), and each component of sign(g·u) u has a variance below 1.
    """
    line = Cost(lambda x: 1e3 + 0.01 * (x @ SLOPE))
    g = estimator(line, AT.expand(repeats, -1), evaluations=2, key=3).gradient
    return g.mean(0), math.sqrt(2 / math.pi) * SLOPE / SLOPE.norm(), 1 / math.sqrt(repeats)


def assert_mean_on_a_line(estimator, size):
    """ĝ of a pair is size sign(g·u) u. False alarms: 3 components beyond 6.3 standard errors, 1e-9."""
    mean, expected, error = mean_of_single_pairs(estimator)
    assert ((mean - size * expected).abs() < 6.3 * size * error).all()


# ---- searches whose spread follows

FIRST = torch.tensor([0.4, 1.5, 0.2], dtype=torch.float64)  # deviations, or the diagonal of A
FACTOR = torch.diag(FIRST) + torch.tensor([[0, 0.3, 0], [-0.2, 0, 0], [0.1, 0, 0]], dtype=torch.float64)


def bowl(x):
    return (x @ SLOPE).square() + x[:, 0].sin()


def told(estimator, n, state):
    """Points, their costs, and the estimate of one query at AT."""
    query = estimator.ask(AT, n, 5, state=state)
    points = torch.cat([block.points for block in query])
    return points, bowl(points), estimator.tell(query, bowl(points))


def utilities_of(costs):
    n = len(costs)
    raw = [max(0.0, math.log(n / 2 + 1) - math.log(k)) for k in range(1, n + 1)]
    return mean_entries(costs.tolist(), [r / sum(raw) - 1 / n for r in raw])


def weighted_score(log_density, coordinates, weights):
    """∂/∂coordinates of Σ_k weights_k log p(x_k), by autograd."""
    return torch.autograd.grad((weights * log_density).sum(), coordinates)


def prove_pgpe(kind):
    """Scores of a normal distribution by autograd, times σ²; costs z-scored by numpy, a baseline without the pair."""
    points, costs, e = told(kind(sigma=9.0, lr_sigma=0.07, max_change=1.0), 12, FIRST)
    z = tensor(((costs.numpy() - np.mean(costs.numpy())) / np.std(costs.numpy())).tolist())
    pairs = (z[:6] + z[6:]) / 2
    above = tensor([float(pairs[k] - pairs[torch.arange(6) != k].mean()) for k in range(6)])
    mean, sigma = AT.clone().requires_grad_(), FIRST.clone().requires_grad_()
    log_p = torch.distributions.Normal(mean, sigma).log_prob(points).sum(-1)
    (by_mean,) = torch.autograd.grad((z * log_p).sum() / 12, mean, retain_graph=True)
    both = (log_p[:6] + log_p[6:]) / 2
    (by_sigma,) = weighted_score(both, sigma, above / 6)
    torch.testing.assert_close(e.gradient, FIRST**2 * by_mean, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(e.state, FIRST - 0.07 * FIRST**2 * by_sigma, rtol=1e-10, atol=1e-12)


def prove_snes(kind):
    """Natural coordinates x ~ N(θ + σδ, σ² e^{2τ}): there Fisher's matrix is (1, 2), and scores are by autograd."""
    points, costs, e = told(kind(sigma=9.0, lr_sigma=0.3), 11, FIRST)
    delta, tau = (torch.zeros(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    log_p = torch.distributions.Normal(AT + FIRST * delta, FIRST * tau.exp()).log_prob(points).sum(-1)
    by_delta, by_tau = weighted_score(log_p, (delta, tau), utilities_of(costs))
    torch.testing.assert_close(e.gradient, -FIRST * by_delta, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(e.state, FIRST * (0.3 * by_tau / 2).exp(), rtol=1e-10, atol=1e-12)


def prove_xnes(kind):
    """Natural coordinates x ~ N(θ + Aδ, A e^M Aᵀ), M symmetric: a step of M by twice its score is A ← A e^{M/2}."""
    points, costs, e = told(kind(sigma=9.0, lr_sigma=0.3), 11, FACTOR)
    delta = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    m = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    covariance = FACTOR @ torch.matrix_exp((m + m.T) / 2) @ FACTOR.T
    log_p = torch.distributions.MultivariateNormal(AT + FACTOR @ delta, covariance).log_prob(points)
    by_delta, by_m = weighted_score(log_p, (delta, m), utilities_of(costs))
    torch.testing.assert_close(e.gradient, -FACTOR @ by_delta, rtol=1e-9, atol=1e-11)
    moved = FACTOR.numpy() @ scipy.linalg.expm(0.3 * by_m.numpy())
    torch.testing.assert_close(e.state, torch.from_numpy(moved), rtol=1e-9, atol=1e-11)

"""What advantages of a rollout must be, computed as sums and on chains whose values are known."""

import torch

from rllab import Key

GAMMA, LAMBDA = 0.9, 0.7


def random_rollout(t=9, n=4, key=0):
    """Costs, values, values of what follows, terminated and truncated, float64 (t, n); every kind of end occurs."""
    g = Key(key).generator()
    costs, values, following = (torch.randn(t, n, generator=g, dtype=torch.float64) for _ in range(3))
    kind = torch.randint(0, 4, (t, n), generator=g)
    assert ((kind == 0).sum(), (kind == 1).sum()) > (2, 2)
    return costs, values, following, kind == 0, kind == 1


def prove_advantages_are_their_sums(function, gamma=GAMMA, gae_lambda=LAMBDA):
    """A_t = Σ_k (γλ)^k δ_{t+k}, up to the first step that ends an episode in whatever way."""
    costs, values, following, terminated, truncated = random_rollout()
    got = function(costs, values, following, terminated, truncated, gamma=gamma, gae_lambda=gae_lambda)
    for t in range(len(costs)):
        for i in range(costs.shape[1]):
            total, k = 0.0, 0
            while t + k < len(costs):
                ahead = 0.0 if terminated[t + k, i] else float(following[t + k, i])
                delta = float(costs[t + k, i]) + gamma * ahead - float(values[t + k, i])
                total += (gamma * gae_lambda) ** k * delta
                if terminated[t + k, i] or truncated[t + k, i]:
                    break
                k += 1
            torch.testing.assert_close(float(got[t, i]), total, rtol=1e-12, atol=1e-12)


def prove_a_chain_has_no_advantage_at_its_true_values(function, cut):
    """Two states, one after the other, each step costs 1; after the second the episode is cut off, or it is over.

    Cut off, it would go on for ever: V = 1/(1 − γ) of both states. Over, V is 1 + γ of the first and 1 of the second.
    """
    v = torch.tensor([1 / (1 - GAMMA)] * 2 if cut else [1 + GAMMA, 1.0], dtype=torch.float64)
    values = v.repeat(4)[:, None]
    following = torch.tensor([v[1], 1 / (1 - GAMMA) if cut else 123.0], dtype=torch.float64).repeat(4)[:, None]
    ends = torch.tensor([False, True]).repeat(4)[:, None]
    never = torch.zeros_like(ends)
    terminated, truncated = (never, ends) if cut else (ends, never)
    got = function(
        torch.ones(8, 1, dtype=torch.float64),
        values,
        following,
        terminated,
        truncated,
        gamma=GAMMA,
        gae_lambda=LAMBDA,
    )
    torch.testing.assert_close(got, torch.zeros_like(got), rtol=0, atol=1e-12)

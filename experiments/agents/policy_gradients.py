"""Policy gradients of a linear system under quadratic cost: perturbed, scored, through a critic, from given steps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from experiments.common.estimates import only

import numpy as np
import torch
from torch import Tensor

from rllab import Key
from rllab import estimators as est
from rllab.critics.network import ScalarNetwork
from rllab.problems import LQR
from rllab.problems.lqr import Trajectories

POLICIES = 10
RIDGE = 1e-3
NET_FROM = 20_000  # steps: its fit takes most of the time
HELD_OUT = 5  # every n-th episode tells the net when to stop
MOST, CHECKED, PATIENCE = 3_000, 100, 4  # minibatches at most; between two looks; looks without a better one


@dataclass(frozen=True)
class Settings:
    """What is tuned: the radius of smoothing, learning rate and widths of the net."""

    sigma: float
    lr: float
    hidden: tuple[int, ...]


def task() -> LQR:
    dt, zero = 0.1, 0.0
    one = ((1.0, dt, zero, zero), (zero, 1.0, zero, zero), (zero, zero, 1.0, dt), (zero, zero, zero, 1.0))
    pushes = ((0.005, zero), (dt, zero), (zero, 0.005), (0.02, dt))
    diagonal = lambda *d: tuple(tuple(float(x) if i == j else 0.0 for j in range(len(d))) for i, x in enumerate(d))  # noqa: E731
    return LQR(
        a=one, b=pushes, q=diagonal(1, 0.1, 2, 0.1), r=diagonal(0.01, 0.02), q_final=diagonal(1, 0.1, 2, 0.1),
        process_noise=diagonal(1e-4, 1e-2, 1e-4, 1e-2), action_noise=diagonal(0.25, 0.16),
        start_mean=(1.0, 0.0, -0.5, 0.0), start_noise=diagonal(0.05, 0.05, 0.05, 0.05),
    )  # fmt: skip


@lru_cache(maxsize=1)
def policies(last: int = 400) -> Tensor:
    """Return gains (10, 8) along a descent by the exact gradient, at steps that grow by a factor, from K = 0."""
    wanted = {0, *np.geomspace(1, last, POLICIES - 1).round().astype(int)}
    return torch.stack([gains for step, gains in zip(range(last + 1), descent(), strict=False) if step in wanted])


def descent() -> Iterator[Tensor]:
    """Yield the gains (8,) of a descent by the exact gradient, from K = 0, without end."""
    problem, at = task(), torch.zeros(1, 8, dtype=torch.float64)
    while True:
        yield at[0]
        at = at - 0.02 * problem.gradient(at)


def estimates(problem: LQR, gains: Tensor, steps: int, key: Key, settings: Settings) -> Iterator[tuple[str, Tensor]]:
    """Yield each method's gradient from so many fresh steps: smoothing's own, and those that all others share."""
    episodes = steps // problem.horizon
    yield "smoothing", smoothed(problem, gains, episodes, key.child("smoothing"), settings.sigma)
    runs = simulated(problem, gains, episodes, key.child("episodes"))
    to_go = costs_to_go(problem, runs)
    for method, estimator in UNBIASED.items():
        yield method, estimator(problem, gains, runs, to_go)
    yield "critic, right", through_quadratic(problem, runs, to_go)
    if steps >= NET_FROM:
        yield "critic, net", fitted_net(problem, runs, to_go, key.child("net"), settings).gradient


def smoothed(problem: LQR, gains: Tensor, episodes: int, key: Key, sigma: float) -> Tensor:
    smoothing = est.GaussianSmoothing(sigma)
    return only(smoothing(problem.cost(), gains, evaluations=episodes, key=key, errors=False).gradient)


def simulated(problem: LQR, gains: Tensor, n: int, key: Key) -> Trajectories:
    g = key.generator()
    normal = lambda *shape: torch.randn(n, *shape, generator=g, dtype=torch.float64)  # noqa: E731
    return problem.simulate(gains.expand(n, -1), normal(4), normal(problem.horizon, 4), normal(problem.horizon, 2))


def costs_to_go(problem: LQR, runs: Trajectories) -> Tensor:
    """Return Σ_{k>=t} γ^{k−t} c_k (n, T), the last state's cost included."""
    q, r, last = (torch.tensor(m, dtype=torch.float64) for m in (problem.q, problem.r, problem.q_final))
    x, u = runs.states, runs.actions
    steps = ((x[:, :-1] @ q) * x[:, :-1]).sum(-1) + ((u @ r) * u).sum(-1)
    total, made = ((x[:, -1] @ last) * x[:, -1]).sum(-1), []
    for t in reversed(range(problem.horizon)):
        total = steps[:, t] + problem.discount * total
        made.append(total)
    return torch.stack(made[::-1], 1)


def discounts(problem: LQR) -> Tensor:
    return problem.discount ** torch.arange(problem.horizon, dtype=torch.float64)


def scored(problem: LQR, runs: Trajectories, advantage: Tensor) -> Tensor:
    """Return the mean of Σ_t γᵗ A_t ∇_K log π(u_t|x_t), ∇_K log π = −Σ⁻¹ e xᵀ, as (8,)."""
    sigma = torch.tensor(problem.action_noise, dtype=torch.float64)
    scores = -torch.einsum("ntm,mk,ntj->ntkj", runs.action_noise, torch.linalg.inv(sigma), runs.states[:, :-1])
    return torch.einsum("nt,t,ntkj->kj", advantage, discounts(problem), scores).flatten() / len(advantage)


def quadratic(z: Tensor) -> Tensor:
    """Return 1, z_i and z_i z_j for i <= j, of (…, d)."""
    i, j = torch.triu_indices(z.shape[-1], z.shape[-1])
    return torch.cat((torch.ones_like(z[..., :1]), z, z[..., i] * z[..., j]), -1)


def ridge(features: Tensor, y: Tensor) -> Tensor:
    """Return coefficients (T, k) for each step, of features (n, T, k) to y (n, T)."""
    f = features.transpose(0, 1)
    gram = f.mT @ f + RIDGE * torch.eye(f.shape[-1], dtype=f.dtype)
    return torch.linalg.solve(gram, f.mT @ y.T.unsqueeze(-1))[..., 0]


def crossed(states: Tensor, to_go: Tensor) -> Tensor:
    """Return a baseline (n, T) of the states, each half of the episodes predicted from the other half."""
    features, half, made = quadratic(states), len(states) // 2, torch.empty_like(to_go)
    for mine, other in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
        made[mine] = torch.einsum("ntk,tk->nt", features[mine], ridge(features[other], to_go[other]))
    return made


def backpropagated(problem: LQR, runs: Trajectories, slope: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the mean of Σ_t γᵗ ∂Q_t/∂u (−x_tᵀ) at the policy's own actions −Kx + e, as (8,)."""
    x = runs.states[:, :-1]
    return torch.einsum("ntm,ntj,t->mj", slope(x, runs.actions), -x, discounts(problem)).flatten() / len(x)


def through_exact(problem: LQR, gains: Tensor, runs: Trajectories, to_go: Tensor) -> Tensor:
    true = problem.critic(gains)
    return backpropagated(
        problem,
        runs,
        lambda x, u: torch.stack([true.action_gradient(t, x[:, t], u[:, t]) for t in range(problem.horizon)], 1),
    )


def with_baseline(problem: LQR, gains: Tensor, runs: Trajectories, to_go: Tensor) -> Tensor:
    return scored(problem, runs, to_go - crossed(runs.states[:, :-1], to_go))


def without_baseline(problem: LQR, gains: Tensor, runs: Trajectories, to_go: Tensor) -> Tensor:
    return scored(problem, runs, to_go)


UNBIASED: dict[str, Callable[[LQR, Tensor, Trajectories, Tensor], Tensor]] = {
    "score": without_baseline,
    "score, baseline": with_baseline,
    "exact critic": through_exact,
}


def through_quadratic(problem: LQR, runs: Trajectories, to_go: Tensor) -> Tensor:
    z = torch.cat((runs.states[:, :-1], runs.actions), -1)
    w = ridge(quadratic(z), to_go)

    def slope(x: Tensor, u: Tensor) -> Tensor:
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            q = torch.einsum("ntk,tk->", quadratic(torch.cat((x, u), -1)), w)
            return torch.autograd.grad(q, u)[0]

    return backpropagated(problem, runs, slope)


@dataclass(frozen=True)
class FittedNet:
    """The gradient through a net, how many minibatches its weights took, and its error on episodes held out.

    The error is squared, over the variance of the costs to go: 1 is as good as their mean.
    """

    gradient: Tensor
    minibatches: int
    held_out: float


def fitted_net(problem: LQR, runs: Trajectories, to_go: Tensor, key: Key, settings: Settings) -> FittedNet:
    """Fit a net Q(x, u, t) until its error on every fifth episode falls no more, and backpropagate through the best."""
    t = torch.linspace(-1, 1, problem.horizon, dtype=torch.float64).expand(len(to_go), -1).unsqueeze(-1)
    z = torch.cat((runs.states[:, :-1], runs.actions, t), -1)
    rows, y = z.flatten(0, 1), to_go.flatten()
    m_z, s_z, m_y, s_y = rows.mean(0), rows.std(0), y.mean(), y.std()
    held = (torch.arange(len(to_go)) % HELD_OUT == 0).repeat_interleave(problem.horizon)
    rows, y = ((rows - m_z) / s_z).float(), ((y - m_y) / s_y).float()  # half the time; the fit is far from rounding
    (seen, costs), (unseen, unseen_costs) = (rows[~held], y[~held]), (rows[held], y[held])
    net = ScalarNetwork(rows.shape[1], settings.hidden, torch.float32)
    w = net.initial(key.child("weights")).requires_grad_()
    adam, picks = torch.optim.Adam([w], lr=settings.lr, fused=True), key.child("minibatch").generator()
    flat, w.grad = w.detach(), torch.empty_like(w)
    best, least, taken = flat.clone(), float("inf"), 0
    for k in range(MOST + 1):
        if k % CHECKED == 0:
            error = float((net.forward(flat, unseen) - unseen_costs).square().mean() / unseen_costs.var())
            if error < least:
                best, least, taken = flat.clone(), error, k
            elif k - taken >= PATIENCE * CHECKED:
                break
        chosen = torch.randint(len(seen), (256,), generator=picks)
        net.backward(2 * (net.forward(flat, seen[chosen]) - costs[chosen]), w.grad)
        adam.step()

    def slope(x: Tensor, u: Tensor) -> Tensor:
        here = torch.cat((x, u, t), -1).flatten(0, 1)
        g = net.slope(best, ((here - m_z) / s_z).float()).double() * s_y / s_z
        return g[:, 4:6].view(u.shape)

    return FittedNet(backpropagated(problem, runs, slope), taken, least)

"""From the same fresh steps of an environment, which gradient of a policy is the best: perturbed, scored, or learned?

A linear system under quadratic cost (two double integrators, 20 steps), whose policy gradient is known exactly. At ten
policies along an exact descent, frozen, each method gets 1,000, 5,000 or 20,000 fresh steps and nothing else:

    smoothing        antithetic pairs of gains, the two of a pair under the same noise
    score            Σ_t γᵗ ∇log π(u_t|x_t) (cost to go)
    score, baseline  less a quadratic baseline of x_t for each step, fitted to the other half of the episodes
    critic, right    Q_t(x, u) quadratic for each step, fitted to costs to go; ∂Q_t/∂u (−x_tᵀ), backpropagated
    critic, net      Q(x, u, t) a tanh net, fitted to the same
    exact critic     the true Q_t instead, which nobody has: what is left is the scatter of states and actions

Written down before the first run, to be found wrong:

    1. the score without a baseline is the worst at every number of steps;
    2. a baseline makes it better than smoothing at every number of steps;
    3. the critic of the right kind is no better than smoothing from 1,000 steps, and better from 20,000;
    4. the net, which must also learn that costs are quadratic, is worse than the right kind from 20,000;
    5. near the optimum, where ∇J is small, every cosine falls.

    python experiments/agents/contrast.py             about two minutes on 2 cores
    python experiments/agents/contrast.py --replot    claims and figure from disk
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from experiments.common.drawing import legend_below, look
from experiments.common.frame import Flags, Judge, main

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from rllab import Key, plots
from rllab import estimators as est
from rllab.critics.network import ScalarNetwork
from rllab.problems import LQR
from rllab.problems.lqr import Trajectories
from rllab.runs import Job, Record

STEPS = (1_000, 5_000, 20_000)
POLICIES = 10
SIGMA = 0.1  # of the smoothing; tried 0.03, 0.1 and 0.3 on seeds 100 to 102
RIDGE = 1e-3
STYLES = {
    "smoothing": "gaussian",
    "score": "score-function",
    "score, baseline": "reinforce",
    "critic, right": "td3",
    "critic, net": "sac",
    "exact critic": "backprop",
}

FAIR = [method for method in STYLES if method != "exact critic"]


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
def policies() -> Tensor:
    """Return gains (10, 8) along a descent by the exact gradient, at steps that grow by a factor, from K = 0."""
    problem, at, chosen = task(), torch.zeros(1, 8, dtype=torch.float64), []
    wanted = np.unique(np.geomspace(1, 400, POLICIES - 1).round().astype(int))
    for step in range(401):
        if step == 0 or step in wanted:
            chosen.append(at[0])
        at = at - 0.02 * problem.gradient(at)
    return torch.stack(chosen)


@dataclass(frozen=True)
class Config(Flags):
    """What is run; the flags of the script."""

    repeats: int = 3
    """Estimates of each method at each policy and number of steps, for each seed."""

    def faster(self) -> Self:
        return replace(self, seeds=2, repeats=1, processes=1)


def jobs_of(config: Config) -> Iterator[Job]:
    for seed in config.all_seeds:
        yield Job(f"contrast-{seed}", {"repeats": config.repeats, "fast": config.fast}, seed)


def run(job: Job, record: Record) -> dict[str, Any]:
    """Estimate the gradient of every policy by every method, and compare it with the exact one."""
    exact: list[list[float]] = []
    problem, key, fast = task(), Key(job.seed), job.config["fast"]
    for p, gains in enumerate(policies()):
        if fast and p % 5:
            continue
        truth = problem.gradient(gains[None])[0]
        exact.append(truth.tolist())
        for steps in STEPS[: 2 if fast else None]:
            for repeat in range(job.config["repeats"]):
                here = key.child(p, steps, repeat)
                for method, g in estimates(problem, gains, steps, here):
                    error = float((g - truth).square().sum() / truth.square().sum())
                    cosine = float(cosine_similarity(g, truth, 0))
                    record.append({"policy": p, "steps": steps, "method": method, "cosine": cosine, "error": error,
                                   **{f"g{i}": x for i, x in enumerate(g.tolist())}})  # fmt: skip
    return {"exact": exact}


def estimates(problem: LQR, gains: Tensor, steps: int, key: Key) -> Iterator[tuple[str, Tensor]]:
    """Yield each method's gradient from so many fresh steps: smoothing's own, and those that all others share."""
    episodes = steps // problem.horizon
    e = est.GaussianSmoothing(SIGMA)(
        problem.cost(), gains, evaluations=episodes, key=key.child("smoothing"), errors=False
    )
    assert isinstance(e.gradient, Tensor)
    yield "smoothing", e.gradient
    runs = simulated(problem, gains, episodes, key.child("episodes"))
    to_go = costs_to_go(problem, runs)
    yield "score", scored(problem, runs, to_go)
    yield "score, baseline", scored(problem, runs, to_go - crossed(runs.states[:, :-1], to_go))
    yield "critic, right", through_quadratic(problem, runs, to_go)
    true = problem.critic(gains)
    exact = lambda x, u: torch.stack([true.action_gradient(t, x[:, t], u[:, t]) for t in range(problem.horizon)], 1)  # noqa: E731
    yield "exact critic", backpropagated(problem, runs, exact)
    yield "critic, net", through_net(problem, runs, to_go, key.child("net"))


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


def through_quadratic(problem: LQR, runs: Trajectories, to_go: Tensor) -> Tensor:
    z = torch.cat((runs.states[:, :-1], runs.actions), -1)
    w = ridge(quadratic(z), to_go)

    def slope(x: Tensor, u: Tensor) -> Tensor:
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            q = torch.einsum("ntk,tk->", quadratic(torch.cat((x, u), -1)), w)
            return torch.autograd.grad(q, u)[0]

    return backpropagated(problem, runs, slope)


def through_net(problem: LQR, runs: Trajectories, to_go: Tensor, key: Key, fits: int = 300) -> Tensor:
    t = torch.linspace(-1, 1, problem.horizon, dtype=torch.float64).expand(len(to_go), -1).unsqueeze(-1)
    z = torch.cat((runs.states[:, :-1], runs.actions, t), -1)
    rows, y = z.flatten(0, 1), to_go.flatten()
    m_z, s_z, m_y, s_y = rows.mean(0), rows.std(0), y.mean(), y.std()
    rows, y = (rows - m_z) / s_z, (y - m_y) / s_y
    net = ScalarNetwork(rows.shape[1], (64, 64), torch.float64)
    w = net.initial(key.child("weights")).requires_grad_()
    adam, picks = torch.optim.Adam([w], lr=3e-3, fused=True), key.child("minibatch").generator()
    flat, w.grad = w.detach(), torch.empty_like(w)
    for _ in range(fits):
        chosen = torch.randint(len(rows), (256,), generator=picks)
        net.backward(2 * (net.forward(flat, rows[chosen]) - y[chosen]), w.grad)
        adam.step()

    def slope(x: Tensor, u: Tensor) -> Tensor:
        here = torch.cat((x, u, t), -1).flatten(0, 1)
        g = net.slope(flat, (here - m_z) / s_z) * s_y / s_z
        return g[:, 4:6].view(u.shape)

    return backpropagated(problem, runs, slope)


def table(records: list[Record], what: str, method: str, steps: int) -> np.ndarray:
    """Return a quantity by policy and repeat, (policies, repeats of all seeds)."""
    shown = sorted({row["policy"] for row in records[0].rows})
    rows = [row for record in records for row in record.rows if row["method"] == method and row["steps"] == steps]
    return np.array([[row[what] for row in rows if row["policy"] == p] for p in shown])


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    all_steps = sorted({row["steps"] for row in records[0].rows})
    mean = {(m, s): float(table(records, "cosine", m, s).mean()) for m in STYLES for s in all_steps}
    for s in all_steps:
        judge.note(f"{s:,} steps: mean cosine " + ", ".join(f"{m} {mean[m, s]:.3f}" for m in STYLES))
    truth = np.array((records[0].summary or {})["exact"])  # (policies, 8)
    for method in ("score", "score, baseline", "exact critic"):
        worst = 0.0
        for s in all_steps:
            g = np.stack([table(records, f"g{i}", method, s) for i in range(8)], -1)
            z = (g.mean(1) - truth) / (g.std(1, ddof=1) / np.sqrt(g.shape[1]))
            worst = float(np.maximum(worst, np.abs(z).max()))  # a NaN stays one
        if not config.fast:
            # Student's t with 29 degrees: 8 is exceeded once in 10⁸
            judge(worst <= 8, f"{method} is unbiased: its mean is at most {worst:.1f} standard errors off (needs 8)")
    low, high = all_steps[0], all_steps[-1]
    near, far = (np.mean([table(records, "cosine", m, low)[i].mean() for m in FAIR]) for i in (-1, 0))
    predicted = {
        "1. the score without a baseline is the worst": all(
            mean["score", s] <= min(mean[m, s] for m in FAIR) for s in all_steps
        ),
        "2. a baseline makes it better than smoothing": all(
            mean["score, baseline", s] > mean["smoothing", s] for s in all_steps
        ),
        "3. the right critic loses to smoothing from few steps, wins from many": (
            mean["critic, right", low] <= mean["smoothing", low]
            and mean["critic, right", high] > mean["smoothing", high]
        ),
        "4. the net is worse than the right critic from many": mean["critic, net", high] < mean["critic, right", high],
        "5. cosines fall towards the optimum": near < far,
    }
    for text, held in predicted.items():
        judge.note(f"predicted beforehand: {text}: {'so it was' if held else 'it was NOT'}")
    judge(
        mean["exact critic", high] >= 0.9,
        f"through the exact critic the mean cosine is {mean['exact critic', high]:.3f} from {high:,} steps (needs 0.9)",
    )
    if not config.fast:
        right = mean["critic, right", high]
        judge(right >= 0.9, f"through the right critic, fitted, it is {right:.3f} (needs 0.9)")
        better = [m for m in STYLES if mean[m, high] > mean[m, low]]
        judge(len(better) == len(STYLES), f"more steps make better gradients: {', '.join(better)} (needs all)")


def figure(records: list[Record], config: Config) -> Path:
    """Draw the cosine and the error against steps, and the cosine along the descent."""
    drawing, axes = plots.panels(3, 1, width=4.7, height=4.3)
    all_steps = sorted({row["steps"] for row in records[0].rows})
    shown = sorted({row["policy"] for row in records[0].rows})
    with plots.style():
        for i, (method, name) in enumerate(STYLES.items()):
            how, off = plots.METHODS[name], 1.04 ** (i - 2)
            style = look(how, label=method)
            for ax, what in zip(axes, ("cosine", "error"), strict=False):
                each = [table(records, what, method, s).ravel() for s in all_steps]
                middle = np.array([np.median(e) for e in each])
                spread = np.abs([np.quantile(e, (0.1, 0.9)) - m for e, m in zip(each, middle, strict=True)]).T
                ax.errorbar(np.array(all_steps) * off, middle, spread, capsize=2, **style)
            along = table(records, "cosine", method, all_steps[0])
            axes[2].plot(shown, np.median(along, 1), **style)
            axes[2].fill_between(shown, *np.quantile(along, (0.25, 0.75), axis=1), color=how.color, alpha=0.12, lw=0)
        for ax in axes[:2]:
            ax.set(xscale="log", xlabel="fresh steps of the environment")
        axes[0].set(ylabel="cosine to the exact gradient", title="Angle: median, 10 % to 90 %")
        axes[1].set(yscale="log", ylabel="‖ĝ − ∇J‖²/‖∇J‖²", title="Error: median, 10 % to 90 %")
        axes[2].set(xlabel="policy, from K = 0 towards the optimum", ylabel="cosine to the exact gradient")
        axes[2].set_title(f"{all_steps[0]:,} steps: median and quartiles")
        for ax in axes:
            legend_below(ax)
        repeats = config.seeds * config.repeats
        drawing.suptitle(f"Policy gradients of an LQR, {len(shown)} frozen policies, {repeats} repeats each")
    return plots.save(drawing, config.out / "contrast.png")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)

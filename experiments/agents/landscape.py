"""Where does a gradient come from if the cost is a count of steps, which has none?

A rider turns the handlebar by T = clip(k₁ ω + k₂ ω̇ − 10 θ, ±2 N·m). Its steps upright, over the torque k₁ per lean and
k₂ per lean rate, under one noise for all rides, are stairs and plateaus. At points of a grid, each at the price of
`RIDES` rides, three ways to a direction:

    perturb  w ± σu are ridden, and differences weigh u              ∇f_σ,  f_σ(w) = E f(w + σu),  u ~ N(0, I)
    score    w' ~ N(w, σ² I) are ridden, and costs weigh ∇ log p     ∇f_σ, the same
    learn    a net is fitted to the costs of rides around all points, and backpropagation gives its slope

The truth beneath the arrows is ∇f_σ by quadrature over the recorded landscape. Written down before the run on seeds
2000 to 2009: at least 95 % of the differences at h = 1e-6 are exactly 0; of the arrows of perturbing and of scoring at
least 20 % stand out (χ² of two components at 1 %), and of these at least 95 % point within 90° of the truth; the
learned slope's cosine to the truth, mean over points, has a 99 % interval over seeds above 0.

    python experiments/agents/landscape.py    half a minute
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

from experiments.agents.landscape_figure import draw
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, by_seed, half_width, main, select

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.special import gammaincinv
from torch import Tensor

from rllab import Cost, Gaussian, Key
from rllab import estimators as est
from rllab.critics import Critic
from rllab.files import write_atomically
from rllab.runs import Job, Record
from rllab_envs.bicycle import Parameters, step

CAP = 1000  # steps: 10 s
UNIT = (60.0, 24.0)  # N·m/rad and N·m·s/rad: what k₁ and k₂ are measured in, so that one σ suits both
LOW, HIGH, MARGIN = -1.6, 3.2, 1.6  # of the landscape that is drawn, in these units, and of what is ridden around it
STEER = -10.0  # N·m/rad, on θ
SIGMA = 0.4
RIDES = 32  # a point
FITS = 1000  # steps of Adam on the learned cost
STEP = 1e-6
FILE = "landscape.npz"
WAYS = ("perturb", "score", "learn")


@dataclass(frozen=True)
class Config(Flags):
    first_seed: ClassVar[int] = 2000  # a look at 1000 to 1002 came before the thresholds
    spacing: float = 0.04
    """Between two rides of the landscape, in units of (60, 24)."""
    points: int = 6
    """Along either side of the grid of points at which gradients are estimated."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "spacing": 0.2}


def jobs_of(config: Config) -> Iterator[Job]:
    """Yield the landscape, and the estimates of each seed."""
    yield Job("landscape", {"part": "landscape", "spacing": config.spacing}, seed=0)
    for seed in config.all_seeds:
        yield Job(f"arrows-{seed}", {"part": "arrows", "points": config.points}, seed)


def upright(w: np.ndarray) -> np.ndarray:
    """Return the steps upright, at most CAP, of riders with weights w (n, 2) in units, all in the same noise."""
    noise = Key(0).child("noise").generator()
    delta = 0.04 * torch.rand(CAP, generator=noise, dtype=torch.float64).numpy() - 0.02  # m
    k, limit = w * np.array(UNIT), Parameters().max_torque
    state, live, steps = np.zeros((len(w), 4)), np.arange(len(w)), np.full(len(w), CAP)
    for i in range(CAP):
        torque = np.clip(k[live, 0] * state[:, 0] + k[live, 1] * state[:, 1] + STEER * state[:, 2], -limit, limit)
        state = step(state, np.stack((torque, np.zeros_like(torque)), 1), np.full(len(live), delta[i]))
        fell = np.abs(state[:, 0]) > np.pi / 15
        steps[live[fell]] = i + 1
        live, state = live[~fell], state[~fell]
        if len(live) == 0:
            break
    return steps


def cost_of(points: Tensor) -> Tensor:
    """Return minus the seconds upright, (n,), of weights (n, 2)."""
    return torch.from_numpy(-upright(points.numpy()) / 100.0)


def grid(points: int) -> np.ndarray:
    """Return the points at which gradients are estimated, (points², 2)."""
    along = np.linspace(LOW + 0.4, HIGH - 0.4, points)
    return np.stack(np.meshgrid(along, along), -1).reshape(-1, 2)


def run(job: Job, record: Record) -> None:
    """Ride the landscape, or estimate gradients at every point."""
    {"landscape": surface, "arrows": arrows}[job.config["part"]](job, record)


def surface(job: Job, record: Record) -> None:
    """Store the steps upright over the whole domain, and at the points every difference."""
    n = round((HIGH - LOW + 2 * MARGIN) / job.config["spacing"]) + 1
    along = np.linspace(LOW - MARGIN, HIGH + MARGIN, n)
    steps = upright(np.stack(np.meshgrid(along, along), -1).reshape(-1, 2)).reshape(n, n)
    # f_σ = f * N(0, σ² I)
    smoothed = gaussian_filter(steps.astype(float), SIGMA / job.config["spacing"], mode="nearest")
    store(record, along=along, steps=steps.astype(np.int16), smoothed=smoothed.astype(np.float32))
    drawn, moves = grid(30), STEP * np.eye(2)
    for i, move in enumerate(moves):
        flat = upright(drawn + move) == upright(drawn - move)
        record.append({"weight": i, "flat": flat.mean(), "points": len(drawn)})


def arrows(job: Job, record: Record) -> None:
    """Append a row for each point and way: the estimate of −∇, its standard error, and what it cost."""
    at, key = torch.from_numpy(grid(job.config["points"])), Key(job.seed)
    costs, critic = {way: Cost(cost_of) for way in WAYS}, Critic(sigma=SIGMA, gradient_steps=FITS, lr=5e-3)
    more = {way: {"evaluations": RIDES, "key": key.child(way)} for way in WAYS}
    estimates = {
        "perturb": est.GaussianSmoothing(SIGMA)(costs["perturb"], at, **more["perturb"]),
        "score": est.ScoreFunction()(costs["score"], Gaussian(at, SIGMA), **more["score"]),
        "learn": critic(costs["learn"], at, **more["learn"]),
    }
    for way, e in estimates.items():
        g, error = only(e.gradient), None if e.standard_error is None else only(e.standard_error)
        for i, place in enumerate(at.tolist()):
            row = {"way": way, "x": place[0], "y": place[1], "dx": -g[i, 0].item(), "dy": -g[i, 1].item()}
            sx, sy = (None, None) if error is None else error[i].tolist()
            record.append({**row, "sx": sx, "sy": sy, "rides": costs[way].evaluations / len(at)})
    if job.seed == Config.first_seed:
        along = np.linspace(LOW, HIGH, 97)
        everywhere = torch.from_numpy(np.stack(np.meshgrid(along, along), -1).reshape(-1, 2))
        learned = -100.0 * estimates["learn"].state.value(everywhere).numpy().reshape(97, 97)
        store(record, along=along, learned=learned.astype(np.float32))


def store(record: Record, **arrays: Any) -> None:
    """Write arrays into a run's folder."""
    file = BytesIO()
    np.savez_compressed(file, **arrays)
    write_atomically(record.folder / FILE, file.getvalue())


def stored(record: Record) -> dict[str, np.ndarray]:
    """Return the arrays of a run."""
    with np.load(record.folder / FILE) as file:
        return dict(file)


def truth(land: Record, places: np.ndarray) -> np.ndarray:
    """Return ∇f_σ in steps per unit, (n, 2), at places (n, 2): differences of what was recorded, then smoothed."""
    arrays = stored(land)
    along, smoothed = arrays["along"], arrays["smoothed"].astype(float)
    by_y, by_x = np.gradient(smoothed, along, along)
    i, j = (np.abs(along[None] - places[:, k, None]).argmin(1) for k in (1, 0))
    return np.stack((by_x[i, j], by_y[i, j]), -1)


def field(record: Record, way: str) -> dict[str, np.ndarray]:
    """Return the columns of one way: places and directions (n, 2), and whether each stands out, (n,)."""
    one = [record]
    x, y, dx, dy, sx, sy = (by_seed(one, name, way=way)[0] for name in ("x", "y", "dx", "dy", "sx", "sy"))
    with np.errstate(invalid="ignore", divide="ignore"):
        # g_x²/s_x² + g_y²/s_y² ~ χ² of two components where the truth is 0
        out = (np.where(dx == 0, 0, dx / sx) ** 2 + np.where(dy == 0, 0, dy / sy) ** 2) > 2 * gammaincinv(1, 0.99)
    return {"at": np.stack((x, y), -1), "direction": np.stack((dx, dy), -1), "out": out | np.isnan(sx)}


def cosines(directions: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the cosine of every direction to the truth, (n,); 0 where either is 0."""
    product = np.linalg.norm(directions, axis=1) * np.linalg.norm(true, axis=1)
    return np.divide((directions * true).sum(1), product, out=np.zeros(len(product)), where=product > 0)


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    """Judge what was written down beforehand."""
    land, runs = select(records, part="landscape")[0], select(records, part="arrows")
    flat, points = land.column("flat"), int(land.column("points")[0])
    judge(
        flat.min() >= 0.95,
        f"(a) no slope: at {flat.mean():.1%} of {points} points the difference at h = {STEP:g} is exactly 0 "
        "(needs >= 95 %, in either weight)",
    )
    paid = {way: by_seed(runs, "rides", way=way) for way in WAYS}
    judge(all((rides == RIDES).all() for rides in paid.values()), f"(b) each way pays {RIDES} rides a point")
    fields = {way: [field(run, way) for run in runs] for way in WAYS}
    for way in ("perturb", "score"):
        out = np.concatenate([f["out"] for f in fields[way]])
        right = np.concatenate([cosines(f["direction"], truth(land, f["at"])) > 0 for f in fields[way]])
        share = right[out].mean() if out.any() else 0.0
        judge(
            share >= 0.95 and out.mean() >= 0.2,
            f"(c) {way}: {out.mean():.0%} of {len(out)} arrows stand out of their error (needs >= 20 %), and of these "
            f"{share:.1%} point within 90° of the truth (needs >= 95 %)",
        )
    each = np.array([cosines(f["direction"], truth(land, f["at"])).mean() for f in fields["learn"]])
    low = each.mean() - half_width(each, level=0.99)
    text = f"(d) learn: mean cosine to the truth {each.mean():.2f}, 99 % interval above {low:.2f}"
    if config.fast:
        judge.note(f"{text} (not judged of so few seeds)")
    else:
        judge(low > 0, f"{text} (needs > 0)")
    for way in ("perturb", "score"):
        mean = np.mean([cosines(f["direction"], truth(land, f["at"])).mean() for f in fields[way]])
        judge.note(f"mean cosine of {way} to the truth {mean:.2f}, all arrows")


def figure(records: list[Record], config: Config) -> Path:
    """Draw the landscape, what smoothing and learning make of it, and the arrows of the first seed."""
    land, first = select(records, part="landscape")[0], select(records, part="arrows")[0]
    fields = {way: field(first, way) for way in WAYS}
    true = truth(land, fields["perturb"]["at"])
    return draw(stored(land), stored(first), fields, true, (LOW, HIGH), UNIT, RIDES, config.out / "landscape.png")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)

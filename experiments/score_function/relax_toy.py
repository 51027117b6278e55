"""Is a learned control variate worth it on the toy it was published on, and at equal evaluations?

One bit, f(b) = (b − t)², p = σ(l): the gradient (1 − 2t) p(1 − p) is 1/250 (t = 0.499) or 1/5 (t = 0.45) of what a
score-function estimate scatters by at the start. Grathwohl et al. (2018), figure 1, descend it from l = 0 by Adam with
one sample an iteration: REBAR is not clearly faster than REINFORCE, RELAX finds the better corner, p = 0. Beside them
here the leave-one-out baseline, ARM and DisARM, which need two evaluations and learn nothing.

E f − t² = p (1 − 2t), so p is what is drawn. Variances are exact along the way, for the parameters and the control
variate of that moment: closed forms, or Gauss–Legendre quadrature over both noises, split where the bit changes.

    python experiments/score_function/relax_toy.py    about a minute on 2 cores
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.drawing import band, shared_legend
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, column, main, select

import numpy as np
import torch
from matplotlib.axes import Axes
from scipy.stats import mannwhitneyu
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from rllab import Bernoulli, Cost, Key, plots
from rllab import estimators as est
from rllab.estimators import ControlVariateState, Rebar, Relax
from rllab.estimators.base import Estimator
from rllab.runs import Job, Record

TARGETS = (0.499, 0.45)
RATE = 0.01  # of Adam, on the logit and on what is learned
METHODS: dict[str, tuple[Estimator, int]] = {  # and evaluations an iteration; the slowest first
    "RELAX": (Relax(lr=RATE), 1),
    "REBAR, learned": (Rebar(learn_eta=True, learn_temperature=True, lr=RATE), 5),
    "REBAR": (Rebar(lr=RATE), 3),
    "REINFORCE": (est.ScoreFunction(baseline=None), 1),
    "leave-one-out": (est.ScoreFunction(), 2),
    "ARM": (est.ARM(), 2),
    "DisARM": (est.DisARM(), 2),
}
TRICKS = ("leave-one-out", "ARM", "DisARM")
LEADS = {0.499: "all baselines lead", 0.45: "RELAX leads"}  # what is seen at equal evaluations
STYLES = {
    "REINFORCE": plots.MethodStyle(plots.ORANGE, plots.DASHED, "s"),
    "REBAR": plots.MethodStyle(plots.PURPLE, plots.DASHDOT, "D"),
    "REBAR, learned": plots.MethodStyle(plots.SKY, plots.DASHED, "v"),
    "RELAX": plots.MethodStyle(plots.VERMILLION, plots.SOLID, "o"),
    "leave-one-out": plots.MethodStyle(plots.BLACK, plots.DOTTED, "X"),
    "ARM": plots.MethodStyle(plots.BLUE, plots.DASHED, "^"),
    "DisARM": plots.MethodStyle(plots.GREEN, plots.SOLID, "P"),
}
NODES = 48  # of each noise, for each value of the bit


@dataclass(frozen=True)
class Config(Flags):
    seeds: int = 20
    """Descents of every method and target, all at once."""
    iterations: int = 10_000
    """Of Adam."""
    looks: int = 40
    """How often p and the variance are recorded."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 6, "iterations": 200, "looks": 2}


def jobs_of(config: Config) -> Iterator[Job]:
    for method in METHODS:
        settings = {"method": method, "repeats": config.seeds, "iterations": config.iterations, "looks": config.looks}
        yield Job(f"{method.replace(', ', '-')}-{config.seeds}", settings, config.first_seed)


def run(job: Job, record: Record) -> dict[str, float]:
    """Descend from l = 0 for all repeats and targets at once, as one batch."""
    estimator, evaluations = METHODS[job.config["method"]]
    iterations, key = job.config["iterations"], Key(job.seed).child(job.config["method"])
    t = torch.tensor(TARGETS, dtype=torch.float64).repeat_interleave(job.config["repeats"])
    logits, state = torch.zeros(len(t), 1, dtype=torch.float64), None
    adam, cost = torch.optim.Adam([logits], lr=RATE), toy(t)
    marks = set(np.linspace(0, iterations, job.config["looks"] + 1).round().astype(int).tolist())
    for i in range(iterations + 1):
        if i in marks:
            spread = variance(job.config["method"], estimator, logits, t, state)
            for b, (target, p, v) in enumerate(zip(t.tolist(), torch.sigmoid(logits), spread, strict=True)):
                record.append({"target": target, "repeat": b % job.config["repeats"], "iteration": i,
                               "evaluations": i * evaluations, "p": float(p), "variance": float(v)})  # fmt: skip
        if i == iterations:
            break
        e = estimator(cost, Bernoulli(logits), evaluations=evaluations, key=key.child(i), state=state, errors=False)
        logits.grad, state = only(e.gradient), e.state
        adam.step()
    if not isinstance(estimator, (Rebar, Relax)):
        return {}
    coarse, fine = (quadrature(estimator, logits, t, state, n) for n in (NODES, NODES * 5 // 4))
    return {"quadrature_error": float((coarse / fine - 1).abs().max())}


def toy(t: Tensor) -> Cost:
    """Return the cost of a batch that comes repeated, one target (B,) each."""
    # the k-th of a batch has the k-th target
    return Cost(lambda x: (x.view(-1, len(t)) - t).square().view(-1), relaxed=True, check_rows=False)


def variance(method: str, estimator: Estimator, logits: Tensor, t: Tensor, state: ControlVariateState | None) -> Tensor:
    """Return the exact variance of what one iteration estimates, (B,)."""
    l = logits[:, 0]  # noqa: E741 - the papers' letter
    p, q, zero, one = torch.sigmoid(l), torch.sigmoid(-l), t**2, (1 - t) ** 2
    pq, gap = p * q, one - zero
    if isinstance(estimator, (Rebar, Relax)):
        return quadrature(estimator, logits, t, state)
    if method == "REINFORCE":
        return pq * (q * one**2 + p * zero**2) - (pq * gap) ** 2
    if method == "leave-one-out":
        return gap**2 * pq * (0.5 - pq)
    low = torch.minimum(p, q)
    if method == "ARM":
        # (1 − (1 − 2q)³)/12 − q² (1 − q)², the first with its powers multiplied out
        return gap**2 * ((low - 2 * low**2 + 4 / 3 * low**3) / 2 - pq**2)
    return gap**2 * (1 - low) ** 2 * low * (0.5 - low)


def quadrature(
    estimator: Rebar | Relax, logits: Tensor, t: Tensor, state: ControlVariateState | None, n: int = NODES
) -> Tensor:
    """Integrate REBAR or RELAX, as implemented, over the noise of z and z̃: given the bit these have one law."""
    xi, w = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(n))
    s = (xi + 1) / 2
    xi, w = s**2 * (3 - 2 * s), w * 3 * s * (1 - s)  # nodes crowd at 0 and 1, where the noise is infinite
    x, u, v = torch.meshgrid(torch.tensor([0.0, 1.0]).double(), xi, xi, indexing="ij")
    x, u, v = (a.reshape(-1, 1, 1) for a in (x, u, v))  # (N, 1, 1), beside logits (B, 1)
    sign = 2 * x - 1
    weights = torch.sigmoid(sign * logits)[..., 0] * (w[:, None] * w).repeat(2, 1).reshape(-1, 1)
    z, z_given = (sign * softplus(torch.logit(a) - logsigmoid(-sign * logits)) for a in (u, v))
    shape, fixed = z.shape[:2], replace(estimator, lr=0.0)
    many = Bernoulli(logits.expand(*shape, 1).reshape(-1, 1))
    if state is not None:
        state = ControlVariateState(state.values.expand(*shape, -1).reshape(len(many.logits), -1))
    query = fixed.ask(many, fixed.minimum(many), 0, state=state)
    x = x.expand(*shape, 1)
    block = fixed.block_of(query, 0, 1, *(a.reshape(1, -1, 1) for a in (x, z, z_given)))
    points, cost = block.points.reshape(-1, 1), toy(t)
    if fixed.kind == "value":
        answer: Any = cost(points).view(block.points.shape[:2])
    else:
        f, g = cost.value_and_gradient(points)
        answer = f.view(block.points.shape[:2]), g.view(block.points.shape)
    rows = only(fixed._fold(query, [(block, answer)], per_unit=False, errors=False).gradient).view(shape)
    mean = (weights * rows).sum(0)
    return (weights * (rows - mean).square()).sum(0)


def curve(records: list[Record], method: str, target: float, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return evaluations (looks,) and a number of every repeat, (repeats, looks)."""
    (record,) = select(records, method=method)
    rows = [row for row in record.rows if row["target"] == target]
    found = np.array([row[name] for row in rows]).reshape(-1, record.config["repeats"])
    return np.array([row["evaluations"] for row in rows])[:: record.config["repeats"]], found.T


def after(records: list[Record], method: str, target: float, evaluations: int) -> np.ndarray:
    """Return every repeat's p at the last look within a number of evaluations, (repeats,)."""
    spent, p = curve(records, method, target, "p")
    return p[:, np.searchsorted(spent, evaluations, side="right") - 1]


def saved(records: list[Record], method: str, target: float) -> np.ndarray:
    """Return a method's variance over that of REINFORCE at the same p, at every look but the first, as one row."""
    _, p = curve(records, method, target, "p")
    _, spread = curve(records, method, target, "variance")
    logits = torch.logit(torch.from_numpy(p)).reshape(-1, 1)
    t = torch.full((len(logits),), target, dtype=torch.float64)
    plain = variance("REINFORCE", METHODS["REINFORCE"][0], logits, t, None).reshape(p.shape).numpy()
    return (spread / plain)[:, 1:].ravel()


def ahead(one: np.ndarray, other: np.ndarray) -> float:
    """Return the level at which the Mann-Whitney test finds the first smaller."""
    return float(mannwhitneyu(one, other, alternative="less").pvalue)


def spell(p: np.ndarray) -> str:
    return f"{np.median(p):.2g} ({p.min():.2g} to {p.max():.2g})"


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    at_half = {"REINFORCE": 0.015625, "REBAR": 0.0223, "leave-one-out": 2.5e-7, "ARM": 8.33e-8, "DisARM": 0.0}
    for method, known in at_half.items():
        got = curve(records, method, 0.499, "variance")[1][0, 0]
        judge(
            abs(got - known) <= 0.003 * known,
            f"{method}: variance of an estimate {got:.3g} at p = ½, t = 0.499 (needs {known:g} within 0.3 %)",
        )
    errors = column(records, "quadrature_error")
    judge(
        np.nanmax(errors) <= 1e-3,
        f"a quarter more nodes change no final variance by more than {np.nanmax(errors):.1g} of it (needs <= 1e-3)",
    )
    n = config.iterations
    if n < Config.iterations:
        judge.note(f"{n:,} iterations are too few for what is published about {Config.iterations:,}")
        return
    for t in TARGETS:
        plain = after(records, "REINFORCE", t, n)
        judge.note(f"t = {t}, p after {n:,} iterations: REINFORCE {spell(plain)}")
        for method in ("REBAR", "REBAR, learned"):
            p = after(records, method, t, n * METHODS[method][1])
            level = ahead(p, plain)
            judge(
                level > 0.01,
                f"t = {t}, {method}: {spell(p)}, with {METHODS[method][1]} evaluations each, not clearly faster than "
                f"REINFORCE (needs a level > 0.01 of the Mann-Whitney test, got {level:.2g})",
            )
        p = after(records, "RELAX", t, n)
        level = ahead(p, plain)
        judge(
            level < 1e-4 and np.median(p) < 0.1,
            f"t = {t}, RELAX: {spell(p)}, converges and is faster than REINFORCE (needs a median < 0.1, and a level "
            f"< 1e-4, got {level:.1g})",
        )
        share = saved(records, "RELAX", t)
        low, high = np.quantile(share, (0.1, 0.9))
        text = (
            f"t = {t}, RELAX: {np.median(share):.1g} of REINFORCE's variance at the same p, median over looks and "
            f"repeats (80 % from {low:.1g} to {high:.1g})"
        )
        if t == TARGETS[0]:
            judge(np.median(share) <= 0.01, f"{text[:-1]}; needs <= 0.01)")
        else:
            judge.note(f"{text}: c does not follow p for sure, near the corner")
        for method in TRICKS:
            few, many = after(records, method, t, n), after(records, method, t, 2 * n)
            text = (
                f"t = {t}, {method}: {spell(few)} at {n:,} evaluations, RELAX {np.median(p) / np.median(few):.2g} times"
            )
            if t == TARGETS[0]:
                judge(np.median(few) <= np.median(p) / 5, f"{text} as far from the corner (needs >= 5)")
            else:
                judge.note(
                    f"{text} that: half the iterations count more than noise here; {spell(many)} after {n:,} of them"
                )


def figure(records: list[Record], config: Config) -> Path:
    """Draw p against iterations as published, p and variance against evaluations for all."""
    drawing, axes = plots.panels(len(TARGETS), 3, width=5.2, height=3.0)
    published = [method for method in METHODS if method not in TRICKS]
    with plots.style():
        for j, t in enumerate(TARGETS):
            by_iteration, by_evaluation, noise = axes[j :: len(TARGETS)]
            for method, (_, cost) in METHODS.items():
                spent, p = curve(records, method, t, "p")
                if method in published:
                    draw(by_iteration, spent / cost, p, method)
                within = spent <= config.iterations
                draw(by_evaluation, spent[within], p[:, within], method)
                draw(noise, spent[within], cost * curve(records, method, t, "variance")[1][:, within], method)
            by_iteration.set(
                xlabel="iterations, of one estimate each",
                ylabel="p, best 0",
                title=f"As published, t = {t}: RELAX leads",
            )
            by_evaluation.set(
                xlabel="evaluations of the cost or its gradient",
                ylabel="p, best 0",
                title=f"At equal evaluations, t = {t}: {LEADS[t]}",
            )
            noise.set(
                xlabel="evaluations of the cost or its gradient", ylabel="variance × evaluations an estimate",
                title=f"Exact variance on the way, t = {t}",
            )  # fmt: skip
        shared_legend(drawing, axes[len(TARGETS)], 4)
        repeats = select(records, method="RELAX")[0].config["repeats"]
        drawing.suptitle(
            "RELAX beats REINFORCE as published; at equal evaluations baselines beat RELAX for t = 0.499\n"
            f"(b − t)² of one bit, P(b = 1) = p; lines: medians of {repeats} descents, bands: their ranges"
        )
    return plots.save(drawing, config.out / "relax_toy.png")


def draw(ax: Axes, x: np.ndarray, y: np.ndarray, method: str) -> None:
    y = np.where(y > 0, y, np.nan)  # DisARM's variance is 0 at p = ½
    band(ax, x, y, STYLES[method], label=method, markevery=max(1, len(x) // 6))
    ax.set_yscale("log")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)

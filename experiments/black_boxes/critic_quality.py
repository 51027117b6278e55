"""When is the gradient of a learned cost better than an estimate from the same evaluations, and when is it worse?

A critic ĉ with the error D = E‖∇ĉ − ∇f‖²/E‖∇f‖² at points it has not seen, m antithetic pairs in d dimensions:

    smoothing       E‖ĝ − ∇f‖²/‖∇f‖² = (d + 1)/m        averages out, from a high start
    critic                             D                does not average out
    residual                           (d + 1)/m · D    averages out too; less than the critic's once m > d + 1

What decides is D: a smooth cost with noise is learned from few evaluations that smoothing would need for itself, and a
cost that waves faster than it was sampled is not learned at all. A critic that is not fitted again goes stale: it
is right where the parameters were.

    python experiments/black_boxes/critic_quality.py             about two minutes on 2 cores
    python experiments/black_boxes/critic_quality.py --replot    claims and figure from disk
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from experiments.common.acceptance import AtLeast, AtMost, row
from experiments.common.drawing import REFERENCE, band, legend_below
from experiments.common.frame import Flags, Judge, by_seed, main, select

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from rllab import Cost, Key, plots
from rllab import estimators as est
from rllab.critics import Critic, CriticState, Residual
from rllab.runs import Job, Record

SIGMA = 0.1  # of the smoothing: small beside the cost's waves
HELD_OUT = 200  # points at which gradients are judged
PAIRS = (1, 2, 4, 8, 16, 32, 64, 128)
SHOWN = (64, 256, 1024, 4096)  # evaluations that the critic is fitted to
# dimension, waves a unit, noise of one evaluation
CASES = {
    "smooth": (10, 1.0, 0.0),
    "smooth, noisy": (10, 1.0, 0.3),
    "smooth, wide": (40, 1.0, 0.0),
    "fast waves": (10, 6.0, 0.0),
}
REFITS = (1, 10, 10_000)  # steps of an actor between two fits
STEPS = 150
METHODS = {"smoothing": "gaussian", "critic": "td3", "residual": "guided"}


@dataclass(frozen=True)
class Config(Flags):
    """What is run; the flags of the script."""

    seeds: int = 5
    """Seeds, from the first on: repetitions of everything."""

    def faster(self) -> Self:
        return replace(self, seeds=1, processes=1)


def jobs_of(config: Config) -> Iterator[Job]:
    cases = ("smooth, noisy", "fast waves") if config.fast else tuple(CASES)
    for case in cases:
        for seed in config.all_seeds:
            yield Job(f"{case.replace(', ', '-').replace(' ', '')}-{seed}", {"case": case, "fast": config.fast}, seed)


@dataclass(frozen=True)
class Waves:
    """f(x) = Σ_i a_i sin(ωx_i + b_i)/ω + ½ Σ_i x_i²/2, a and b drawn; its slope is a_i cos(ωx_i + b_i) + x_i/2."""

    a: Tensor
    b: Tensor
    omega: float

    @classmethod
    def drawn(cls, d: int, omega: float, key: Key) -> "Waves":
        g = key.generator()
        a, b = (torch.rand(d, generator=g, dtype=torch.float64) for _ in range(2))
        return cls(0.5 + a, 6.28 * b, omega)

    def value(self, x: Tensor) -> Tensor:
        return (self.a * torch.sin(self.omega * x + self.b) / self.omega + x.square() / 4).sum(-1)

    def gradient(self, x: Tensor) -> Tensor:
        return self.a * torch.cos(self.omega * x + self.b) + x / 2

    def cost(self, tau: float, key: Key) -> Cost:
        """Return the cost with independent noise of standard deviation τ in every value."""
        draws = key.generator()
        return Cost(lambda x: self.value(x) + tau * torch.randn(len(x), generator=draws, dtype=x.dtype), noisy=True)


def learner(steps: int = 400) -> Critic:
    return Critic(hidden=(64, 64), sigma=1.0, gradient_steps=steps, batch_size=128, lr=3e-3)


def run(job: Job, record: Record) -> dict[str, Any]:
    """Fit a critic to more and more evaluations, compare its gradient with the truth, and correct it with m pairs."""
    fast = job.config["fast"]
    d, omega, tau = CASES[job.config["case"]]
    key = Key(job.seed)
    waves = Waves.drawn(d, omega, key.child("waves"))
    cost = waves.cost(tau, key.child("noise"))
    at = points(HELD_OUT, d, key.child("held out"))
    truth = waves.gradient(at)
    state: CriticState | None = None
    for n in SHOWN[: 2 if fast else None]:
        state = fitted(learner(100 if fast else 400), cost, d, n, key.child("fresh", n), state)
        angle, error = compared(state.gradient(at), truth)
        record.append({"part": "fit", "shown": n, "cosine": angle, "error": error, "held_out": state.held_out})
    assert state is not None
    for m in PAIRS:
        smoothing = est.GaussianSmoothing(SIGMA)
        plain = smoothing(cost, at, evaluations=2 * m, key=key.child("smoothing", m), errors=False).gradient
        corrected = Residual(learner(1), smoothing)(
            cost, at, evaluations=2 * m, key=key.child("residual", m), state=state, errors=False
        ).gradient
        for method, g in (("smoothing", plain), ("critic", state.gradient(at)), ("residual", corrected)):
            assert isinstance(g, Tensor)
            record.append({"part": "pairs", "method": method, "pairs": m, "error": compared(g, truth)[1]})
    for every in REFITS:
        for i, gap in enumerate(actor(waves, cost, d, every, key.child("actor", every), 10 if fast else STEPS)):
            record.append({"part": "actor", "every": every, "step": i, "value": gap})
    return {"d": d, "error": error, "cosine": angle}


def points(n: int, d: int, key: Key) -> Tensor:
    return torch.randn(n, d, generator=key.generator(), dtype=torch.float64)


def fitted(critic: Critic, cost: Cost, d: int, total: int, key: Key, state: CriticState | None) -> CriticState:
    """Return the critic after `total` evaluations in all, in pairs around 0 as wide as the held-out points are."""
    spent = 0 if state is None else state.spent
    made = critic(cost, torch.zeros(d, dtype=torch.float64), evaluations=total - spent, key=key, state=state)
    return made.state


def compared(g: Tensor, truth: Tensor) -> tuple[float, float]:
    """Return the median cosine, and the mean squared error over the mean square of the truth."""
    error = (g - truth).square().sum() / truth.square().sum()
    return float(cosine_similarity(g, truth).median()), float(error)


def actor(waves: Waves, cost: Cost, d: int, every: int, key: Key, steps: int) -> Iterator[float]:
    """Yield the true cost along a descent through a critic that is fitted at every n-th step only."""
    w = torch.full((d,), 2.0, dtype=torch.float64, requires_grad=True)
    adam, state = torch.optim.Adam([w], lr=0.05), None
    critic = Critic(
        hidden=(32,), sigma=0.3, gradient_steps=40, batch_size=64, lr=5e-3, train_freq=every, buffer_size=400
    )
    for step in range(steps):
        yield float(waves.value(w.detach()))
        e = critic(cost, w.detach(), evaluations=16, key=key.child(step), state=state)
        assert isinstance(e.gradient, Tensor)
        state, w.grad = e.state, e.gradient
        adam.step()


def fitted_cosine(seed: int, fast: bool, shown: int, labels: str = "true") -> float:
    """Return the median cosine between ∇ĉ and ∇f on held-out points after so many evaluations."""
    key, d = Key(seed), 5
    waves = Waves.drawn(d, 1.0, key.child("waves"))
    at = points(HELD_OUT, d, key.child("held out"))
    if shown == 0:
        net = learner().init().remember(at.expand(2, -1, -1), waves.value(at).expand(2, -1), 1000)
        net = replace(net, weights=net.start(1, key), scales=net.normalised()[2])
        return compared(net.gradient(at), waves.gradient(at))[0]
    cost = waves.cost(0.0, key) if labels == "true" else Cost(lambda x: waves.value(x.flip(0)), check_rows=False)
    state = fitted(learner(150 if fast else 400), cost, d, shown, key.child("fresh"), None)
    return compared(state.gradient(at), waves.gradient(at))[0]


@row("L42", AtLeast(0.9), wrong={"costs shuffled": lambda seed, fast: fitted_cosine(seed, fast, 1000, "shuffled")})
def cosine_after_training(seed: int, fast: bool) -> float:
    """A critic is a second cost, known, trainable and differentiable: after training its gradient is the cost's.

    Measures: median cosine of ∇ĉ to ∇f at held-out points after 1,000 evaluations (5 dimensions).
    """
    return fitted_cosine(seed, fast, 1000)


@row("L42", AtMost(0.3), wrong={"a trained critic": lambda seed, fast: cosine_after_training(seed, fast)})
def cosine_before_training(seed: int, fast: bool) -> float:
    """Before training its gradient knows nothing of the cost.

    Measures: |mean| of the median cosine of ∇ĉ to ∇f, of 20 critics before training.
    """
    return abs(float(np.mean([fitted_cosine(1000 * seed + i, fast, 0) for i in range(20)])))


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    for case in {record.config["case"]: None for record in records}:
        cosines = by_seed(select(records, case=case), "cosine", part="fit")
        said = ", ".join(f"{c:.2f} after {n:,}" for c, n in zip(np.median(cosines, 0), SHOWN, strict=False))
        judge.note(f"{case}: cosine of ∇ĉ to ∇f {said} evaluations; D = {middle(records, case, 'critic')[0]:.3g}")
        if CASES[case][2] == 0 and not config.fast:
            laws(records, case, judge)
    shown = [row["shown"] for row in records[0].rows if row["part"] == "fit"][-1]
    # as many evaluations at every point as the critic had in all, or a few more
    k = next(i for i, m in enumerate(PAIRS) if 2 * m * HELD_OUT >= shown)
    for case, wins in (("smooth, noisy", True), ("fast waves", False)):
        if config.fast and not wins:
            continue  # so few evaluations make nobody's gradient
        critic, fresh = middle(records, case, "critic")[k], middle(records, case, "smoothing")[k]
        judge(
            bool(critic < fresh) == wins,
            f"{case}: from {shown:,} evaluations the critic's error is {critic:.2f}, that of smoothing from "
            f"{2 * PAIRS[k] * HELD_OUT:,} {fresh:.2f} (the critic must {'win' if wins else 'lose'})",
        )
    if not config.fast:
        ends = {every: float(np.median(values(records, "smooth", every)[:, -1])) for every in REFITS}
        judge(
            ends[1] < ends[REFITS[-1]] - 1,
            f"an actor through a critic fitted at every step ends at {ends[1]:.2f}, at every 10th {ends[10]:.2f}, once "
            f"{ends[REFITS[-1]]:.2f} (needs the first 1 below the last)",
        )


def laws(records: list[Record], case: str, judge: Judge) -> None:
    """Judge smoothing's error, and where the residual crosses the critic."""
    d = CASES[case][0]
    off = np.abs(middle(records, case, "smoothing") * np.array(PAIRS) / (d + 1) - 1).max()
    judge(off <= 0.25, f"{case}: smoothing's error is (d + 1)/m within {off:.0%} (needs 25 %)")
    ahead = np.log(middle(records, case, "critic") / middle(records, case, "residual"))
    crossing = float(np.exp(np.interp(0, ahead, np.log(PAIRS))))
    judge(
        0.5 <= crossing / (d + 1) <= 2,
        f"{case}: the residual beats the critic from {crossing:.1f} pairs, {crossing / (d + 1):.2f} (d + 1) (needs 1/2 "
        "to 2)",
    )


def errors(records: list[Record], case: str, method: str) -> np.ndarray:
    """Return the errors of each seed at every number of pairs, (seeds, pairs)."""
    return by_seed(select(records, case=case), "error", method=method)


def middle(records: list[Record], case: str, method: str) -> np.ndarray:
    return np.median(errors(records, case, method), 0)


def values(records: list[Record], case: str, every: int) -> np.ndarray:
    """Return the true cost at every step of the actor, (seeds, steps)."""
    return by_seed(select(records, case=case), "value", every=every)


def figure(records: list[Record], config: Config) -> Path:
    """Draw for each case the error against pairs; how the critic's angle grows; and what a stale critic does."""
    cases = list({record.config["case"]: None for record in records})
    drawing, axes = plots.panels(3, 2, width=4.6, height=3.9)
    styles = plots.method_styles(METHODS.values())
    with plots.style():
        for ax, case in zip(axes, cases, strict=False):
            d, omega, tau = CASES[case]
            for method, name in METHODS.items():
                band(ax, PAIRS, errors(records, case, method), styles[name], label=method)
            ax.axvline(d + 1, **REFERENCE, label="m = d + 1")
            title = f"{case}: d = {d}, ω = {omega:g}, noise {tau:g}"
            ax.set(xscale="log", yscale="log", xlabel="antithetic pairs m at each point", ylabel="E‖ĝ − ∇f‖²/E‖∇f‖²")
            ax.set_title(title)
        for case, how in plots.method_styles(cases).items():
            each = by_seed(select(records, case=case), "cosine", part="fit")
            band(axes[4], SHOWN[: each.shape[1]], each, how, label=case)
        axes[4].set(xscale="log", ylim=(-0.1, 1.02), xlabel="evaluations the critic is fitted to")
        axes[4].set(ylabel="median cosine of ∇ĉ to ∇f", title="At points it has not seen")
        for every, line, colour in zip(REFITS, plots.LINES, (plots.VERMILLION, plots.BLUE, plots.BLACK), strict=False):
            each = values(records, cases[0], every)
            label = {1: "at every step", 10: "at every 10th"}.get(every, "once")
            how = plots.MethodStyle(colour, line, "")
            band(axes[5], range(each.shape[1]), each, how, label=f"fitted {label}")
        axes[5].set(xlabel="steps of the actor, 16 evaluations each", ylabel="true cost")
        axes[5].set_title(f"Stale critics, {cases[0]}")
        for ax in axes[: len(cases)] + axes[4:]:
            legend_below(ax, down=0.17)
        drawing.suptitle(f"Critics of 4 costs, held to the truth at {HELD_OUT} points; median and range of seeds")
    return plots.save(drawing, config.out / "critic_quality.png")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)

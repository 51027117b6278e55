"""When is the gradient of a learned cost better than an estimate from the same evaluations, and when is it worse?

A critic ĉ with the error D = E‖∇ĉ − ∇f‖²/E‖∇f‖² at points it has not seen, m antithetic pairs in d dimensions at the
radius σ, noise of standard deviation τ in every evaluation, and B = E‖∇f_σ − ∇f‖²/E‖∇f‖² (all errors are squared):

    smoothing       E‖ĝ − ∇f‖²/E‖∇f‖² = B + [(d + 1) + dτ²/(2σ²E‖∇f‖²)]/m           averages out, from a high start
    critic                              D                                           does not average out
    residual                            B + [(d + 1)D + dτ²/(2σ²E‖∇f‖²)]/m          averages out too

to leading order in σ. Without noise and for small σ the residual is better than the critic once m > d + 1. What decides
is D: a smooth cost with noise is learned from few evaluations that smoothing would need for itself, and a cost that
waves faster than it was sampled is not learned at all. A critic that is not fitted again goes stale: it is right where
the parameters were.

Laws are judged at small radii. Methods are compared at the radius of least error at 16 pairs, tuned for each cost and
method, as the critic's learning rate is for each cost, on seeds of their own.

    python experiments/black_boxes/critic_quality.py             about six minutes on 2 cores
    python experiments/black_boxes/critic_quality.py --tune      the trials from which radii and learning rates come
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.acceptance import AtLeast, AtMost, row
from experiments.common.claims import judge_paired
from experiments.common.drawing import REFERENCE, band, label_end, line
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, Switch, by_seed, main, select
from experiments.common.frame import values as rows_of

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from rllab import Cost, Key, plots
from rllab import estimators as est
from rllab.critics import Critic, CriticState, Residual
from rllab.files import write_atomically
from rllab.runs import Job, Record

HELD_OUT = 128  # points at which gradients are judged: 16 pairs at each are what the critic is fitted to in all
PAIRS, TUNED_AT = (1, 4, 16, 64), 16
SHOWN = (64, 512, 4096)  # evaluations that the critic is fitted to
# dimension, waves a unit, noise of one evaluation, radius at which laws are judged
CASES = {
    "smooth": (10, 1.0, 0.0, 0.03),
    "smooth, noisy": (10, 1.0, 0.3, 0.2),
    "smooth, wide": (40, 1.0, 0.0, 0.03),
    "fast waves": (10, 6.0, 0.0, 0.03),
}
REFITS = (1, 10, 10_000)  # steps of an actor between two fits
STEPS, ACTORS = 100, range(1000, 1010)  # and the seeds on which it walks, ten for its price
WORDS = {1: "at every step", 10: "at every 10th", 10_000: "once"}
LAW = 1.3  # factor within which the law must hold
METHODS = {"smoothing": plots.METHODS["gaussian"], "critic": plots.METHODS["td3"], "residual": plots.METHODS["guided"]}
RADII = ("smoothing", "residual")  # the methods that have one
TUNED = Path(__file__).parent / "critic_quality_tuned.json"
TUNING_SEEDS = (100, 101, 102)
SIGMAS, RATES = (0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4), (1e-3, 3e-3, 1e-2)  # what --tune tries


@dataclass(frozen=True)
class Config(Flags):
    first_seed: ClassVar[int] = 1000
    seeds: int = 20
    """Seeds, from the first on: repetitions of everything."""
    tune: Switch = False
    """Run the trials: each radius and learning rate, on seeds of their own; write what came out."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 1}


@lru_cache(maxsize=1)
def settings() -> dict[str, dict[str, Any]]:
    """Return for each cost the critic's learning rate, and the radius of each method."""
    return json.loads(TUNED.read_text("utf-8"))


def jobs_of(config: Config) -> Iterator[Job]:
    for case in ("smooth, noisy", "fast waves") if config.fast else CASES:
        name, shared = case.replace(", ", "-").replace(" ", ""), {"case": case, "fast": config.fast}
        if config.tune:
            radii = {method: list(SIGMAS) for method in RADII}
            for seed in TUNING_SEEDS:
                for lr in RATES:
                    yield Job(f"{name}-{lr:g}-{seed}", {**shared, "lr": lr, "radii": radii, "pairs": [TUNED_AT]}, seed)
        else:
            chosen = settings()[case]
            radii = {method: sorted({CASES[case][3], chosen[method]}) for method in RADII}
            for seed in config.all_seeds:
                yield Job(f"{name}-{seed}", {**shared, "lr": chosen["lr"], "radii": radii, "pairs": list(PAIRS)}, seed)


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

    def bias(self, x: Tensor, sigma: float) -> Tensor:
        """Return ‖∇f_σ − ∇f‖² (n,): smoothing multiplies every wave by exp(−ω²σ²/2), and leaves x²/4 its slope."""
        lost = 1 - np.exp(-((self.omega * sigma) ** 2) / 2)
        return (lost * self.a * torch.cos(self.omega * x + self.b)).square().sum(-1)

    def cost(self, tau: float, key: Key) -> Cost:
        """Return the cost with independent noise of standard deviation τ in every value."""
        draws = key.generator()
        return Cost(lambda x: self.value(x) + tau * torch.randn(len(x), generator=draws, dtype=x.dtype), noisy=True)


def learner(steps: int = 300, lr: float = 3e-3) -> Critic:
    return Critic(hidden=(64, 64), sigma=1.0, gradient_steps=steps, batch_size=128, lr=lr)


def run(job: Job, record: Record) -> dict[str, Any]:
    """Fit a critic to more and more evaluations, compare its gradient with the truth, and correct it with m pairs."""
    fast, case, radii, pairs = (job.config[name] for name in ("fast", "case", "radii", "pairs"))
    d, omega, tau, _ = CASES[case]
    key, critic = Key(job.seed), learner(100 if fast else 300, job.config["lr"])
    waves = Waves.drawn(d, omega, key.child("waves"))
    cost = waves.cost(tau, key.child("noise"))
    at = points(HELD_OUT, d, key.child("held out"))
    truth = waves.gradient(at)
    state: CriticState | None = None
    for n in SHOWN[: 2 if fast else None]:
        state = fitted(critic, cost, d, n, key.child("fresh", n), state)
        angle, error = compared(state.gradient(at), truth)
        record.append({"part": "fit", "shown": n, "cosine": angle, "error": error, "held_out": state.held_out})
    assert state is not None
    square = truth.square().sum(-1).mean()
    for method, left in (("smoothing", 1.0), ("residual", error)):  # which share of the slope is left to estimate
        for sigma in radii[method]:
            for m in pairs:
                smoothing = est.GaussianSmoothing(sigma)
                state_of = {"smoothing": None, "residual": state}[method]
                estimator = smoothing if method == "smoothing" else Residual(learner(1), smoothing)
                here = key.child(method, m)
                g = only(estimator(cost, at, evaluations=2 * m, key=here, state=state_of, errors=False).gradient)
                noise = d * tau**2 / (2 * sigma**2 * square)
                predicted = float(waves.bias(at, sigma).mean() / square + ((d + 1) * left + noise) / m)
                made = {"error": compared(g, truth)[1], "predicted": predicted}
                record.append({"part": "pairs", "method": method, "pairs": m, "sigma": sigma, **made})
    if case == "smooth" and job.seed in ACTORS and not fast:
        for every in REFITS:
            for i, value in enumerate(actor(waves, cost, d, every, key.child("actor", every), STEPS)):
                record.append({"part": "actor", "every": every, "step": i, "value": value})
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
        state, w.grad = e.state, only(e.gradient)
        adam.step()


def fitted_cosine(seed: int, fast: bool, shown: int, labels: str = "true") -> float:
    """Return the median cosine between ∇ĉ and ∇f on held-out points after so many evaluations."""
    key, d = Key(seed), 5
    waves = Waves.drawn(d, 1.0, key.child("waves"))
    at = points(200, d, key.child("held out"))
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

    Measures: cosine of ∇ĉ to ∇f after 1,000 evaluations (5 dimensions), the median of 200 held-out points.
    """
    return fitted_cosine(seed, fast, 1000)


@row("L42", AtMost(0.3), wrong={"a trained critic": lambda seed, fast: cosine_after_training(seed, fast)})
def cosine_before_training(seed: int, fast: bool) -> float:
    """Before training its gradient knows nothing of the cost.

    Measures: |mean| of the median cosine of ∇ĉ to ∇f, of 20 critics before training.
    """
    return abs(float(np.mean([fitted_cosine(1000 * seed + i, fast, 0) for i in range(20)])))


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    if config.tune:
        write_atomically(TUNED, (json.dumps(chosen_of(records), indent=1) + "\n").encode())
        judge(True, f"{len(records)} trials; settings written to {TUNED.name}")
        return
    for case in {record.config["case"]: None for record in records}:
        cosines = by_seed(select(records, case=case), "cosine", part="fit")
        said = ", ".join(f"{c:.2f} after {n:,}" for c, n in zip(np.median(cosines, 0), SHOWN, strict=False))
        d = np.median(errors(records, case, "critic")[:, 0])
        judge.note(f"{case}: cosine of ∇ĉ to ∇f {said} evaluations; D = {d:.3g}")
        if not config.fast:
            laws(records, case, judge)
    k = PAIRS.index(TUNED_AT)  # at every point; as many evaluations in all as the critic had
    if config.fast:
        judge(
            all(record.finished for record in records), "critics and corrections are made (a fast pass judges no more)"
        )
        return
    for case, wins in (("smooth, noisy", True), ("fast waves", False)):
        critic, fresh = (errors(records, case, method)[:, k] for method in ("critic", "smoothing"))
        said = (
            f"{case}: from {SHOWN[-1]:,} evaluations the critic's error is {np.median(critic):.2f}, that of smoothing "
        )
        said += f"{np.median(fresh):.2f}"
        judge_paired(
            judge,
            *((critic, fresh) if wins else (fresh, critic)),
            says=f"{said}; {'the critic' if wins else 'smoothing'} wins",
        )
    for often, rarely in itertools.pairwise(REFITS):
        first, second = (values(records, "smooth", every)[:, -1] for every in (often, rarely))
        said = f"an actor through a critic fitted {WORDS[often]} ends at {np.median(first):.2f}"
        judge_paired(judge, first, second, says=f"{said}, lower than {WORDS[rarely]}, {np.median(second):.2f}")


def chosen_of(records: list[Record]) -> dict[str, dict[str, Any]]:
    """Return for each cost the learning rate of least D, and with it the radius of least error of each method."""
    chosen: dict[str, dict[str, Any]] = {}
    for case in CASES:
        mine = {lr: select(records, case=case, lr=lr) for lr in RATES}
        lr = min(RATES, key=lambda lr: float(np.median([r.summary["error"] for r in mine[lr] if r.summary])))
        chosen[case] = {"lr": lr}
        for method in RADII:
            of = {sigma: rows_of(mine[lr], "error", method=method, sigma=sigma) for sigma in SIGMAS}
            chosen[case][method] = min(SIGMAS, key=lambda sigma: float(np.median(of[sigma])))
    return chosen


def laws(records: list[Record], case: str, judge: Judge) -> None:
    """Judge the errors of smoothing and residual, and where the residual crosses the critic, by what is predicted."""
    d, _, _, sigma = CASES[case]
    for method in RADII:
        ratio = np.median(errors(records, case, method, sigma) / errors(records, case, method, sigma, "predicted"), 0)
        judge(
            bool((np.abs(np.log(ratio)) <= np.log(LAW)).all()),
            f"{case}, σ = {sigma}: {method}'s error over the predicted one is {ratio.min():.2f} to {ratio.max():.2f} "
            f"at m = {PAIRS[0]} to {PAIRS[-1]} (needs {1 / LAW:.2f} to {LAW:.2f})",
        )
    found, predicted = (crossing(records, case, sigma, what) for what in ("error", "predicted"))
    judge(
        bool(np.abs(np.log(found / predicted)) <= np.log(1.5)),  # never for NaN
        f"{case}, σ = {sigma}: the residual beats the critic from {found:.1f} pairs, {found / (d + 1):.2f} (d + 1); "
        f"predicted {predicted:.1f} (needs within a factor of 1.5)",
    )
    best = {method: settings()[case][method] for method in RADII}
    said = ", ".join(
        f"{m} pairs {e:.3f}" for m, e in zip(PAIRS, np.median(errors(records, case, "residual"), 0), strict=True)
    )
    judge.note(
        f"{case}, tuned, σ = {best['residual']}: the residual beats the critic from {crossing(records, case):.1f} "
        f"pairs; its error at {said}"
    )


def crossing(records: list[Record], case: str, sigma: float | None = None, what: str = "error") -> float:
    """Return the pairs from which the residual's error, measured or predicted, is below the critic's; NaN if never."""
    residual = errors(records, case, "residual", sigma, what)
    ahead = np.median(np.log(errors(records, case, "critic") / residual), 0)
    return float(np.exp(np.interp(0, ahead, np.log(PAIRS), left=np.nan, right=np.nan)))


def errors(
    records: list[Record], case: str, method: str, sigma: float | None = None, what: str = "error"
) -> np.ndarray:
    """Return each seed's errors at every number of pairs, (seeds, pairs), at the tuned radius if none is given.

    The critic has one error for all of them.
    """
    mine = select(records, case=case)
    if method == "critic":
        return np.repeat(by_seed(mine, "error", part="fit")[:, -1:], len(PAIRS), 1)
    return by_seed(mine, what, method=method, sigma=settings()[case][method] if sigma is None else sigma)


def values(records: list[Record], case: str, every: int) -> np.ndarray:
    """Return the true cost at every step of the actor, (seeds, steps)."""
    walked = [record for record in select(records, case=case) if record.seed in ACTORS]
    return by_seed(walked, "value", every=every)


def figure(records: list[Record], config: Config) -> Path:
    """Draw for each case the error against pairs; how the critic's angle grows; and what a stale critic does."""
    if config.tune:
        return TUNED
    cases = list({record.config["case"]: None for record in records})
    walked = "smooth" in cases and not config.fast
    panels = len(cases) + 1 + walked
    drawing, axes = plots.panels(3, ceil(panels / 3), width=4.0, height=3.7)
    for ax in axes[panels:]:
        ax.remove()
    with plots.style():
        for ax, case in zip(axes, cases, strict=False):
            for method, how in METHODS.items():
                each = errors(records, case, method)
                band(ax, PAIRS, each, how)
                up = {"smoothing": 6, "residual": -6}.get(method, 0)
                label_end(ax, PAIRS[0], np.median(each[:, 0]), method, how.color, side="left", up=up)
            at = crossing(records, case)
            if np.isfinite(at):
                ax.axvline(at, **REFERENCE)
            answer = (
                f"residual beats the critic from {at:.0f} pairs" if np.isfinite(at) else "the critic beats the residual"
            )
            ax.set(xscale="log", yscale="log", xlabel="antithetic pairs m at each point", ylabel="E‖ĝ − ∇f‖²/E‖∇f‖²")
            ax.set(xlim=(PAIRS[0] / 4, PAIRS[-1] * 1.2), ylim=(0.008, 60))
            ax.set_title(f"{case}, {CASES[case][0]} parameters:\n{answer}")
        ax, lines = axes[len(cases)], (plots.SOLID, plots.DASHED, plots.DOTTED, plots.DASHDOT)
        for case, how in zip(cases, lines, strict=False):
            each = by_seed(select(records, case=case), "cosine", part="fit")
            x = SHOWN[: each.shape[1]]
            band(ax, x, each, plots.MethodStyle(plots.BLACK, how, ""), alpha=0.1)
            up = {"smooth": 5, "smooth, noisy": -5}.get(case, 0)
            label_end(ax, x[-1], np.median(each[:, -1]), case, plots.BLACK, up=up)
        ax.set(xscale="log", ylim=(-0.1, 1.05), xlim=(SHOWN[0] / 1.2, SHOWN[-1] * 12))
        ax.set(xlabel="evaluations the critic is fitted to", ylabel="median cosine of ∇ĉ to ∇f")
        learned = "Smooth costs of few dimensions are learned,\nmany dimensions and fast waves are not"
        ax.set_title("How well the costs are learned" if config.fast else learned)
        if walked:
            ax = axes[len(cases) + 1]
            for every, how in zip(REFITS, lines, strict=False):
                each = values(records, "smooth", every)
                style = plots.MethodStyle(plots.BLACK, how, "")
                ax.fill_between(range(each.shape[1]), each.min(0), each.max(0), color=plots.BLACK, alpha=0.1, lw=0)
                ax.plot(np.median(each, 0), **line(style))
                label_end(ax, each.shape[1] - 1, np.median(each[:, -1]), f"fitted {WORDS[every]}", plots.BLACK)
            ax.set(xlim=(0, 1.6 * STEPS), xlabel="steps of the actor, 16 evaluations each", ylabel="true cost")
            ax.set_title("An actor through a critic that is not\nfitted again goes astray (smooth, 10 seeds)")
        best = "From few evaluations at a point a critic that was fitted before is the best, from more its residual is"
        fitted = f"Critics of {SHOWN[-1]:,} evaluations, not counted below."
        drawn = f"{fitted} Medians of {config.seeds} seeds; bands: their ranges"
        if config.seeds == 1:
            best, drawn = "One seed is too few to say which gradient is the best", "Lines: that seed"
        drawing.suptitle(f"{best}\n{drawn}")
    return plots.save(drawing, config.out / "critic_quality.png")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)

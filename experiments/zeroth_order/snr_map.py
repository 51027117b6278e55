"""How loud is the gradient of a smoothed cost over its own noise, by distance and smoothing radius?

Pairs of probes ĝ = (f(θ + σu) − f(θ − σu)) u/(2σ) estimate ∇f_σ without bias, so m of them have the ratio

    SNR = √m |∇f_σ| / √(E|ĝ|² − |∇f_σ|²)

and both moments are known exactly where f jumps: for a hole H that does not hold θ,

    E|ĝ|² = 1/(2σ²) E[|u|²; θ + σu ∈ H]                a small one of area A, d = 2:  SNR² ≈ m A/(π σ²) e^(−ρ²/2σ²)

which is greatest at σ = ρ/√2, and falls as 1/ρ there; for stairs of one variable Δ = f(θ + σu) − f(θ − σu) is constant
between the points where a probe crosses an edge. A flat cost has no signal at any distance.

    python experiments/zeroth_order/snr_map.py    seconds
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from experiments.common.bounds import LARGEST, deviation
from experiments.common.drawing import REFERENCE, label_end, say
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, by_seed, main, one_a_seed, slopes, values

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from scipy.special import ndtr
from torch import Tensor

from rllab import Key, plots
from rllab import estimators as est
from rllab.problems import BallHole, Flat, Problem, Staircase
from rllab.runs import Job, Record

PAIRS = 32  # of the estimate whose ratio is mapped: 64 evaluations
SIGMAS = np.geomspace(0.01, 10.0, 61)
RADIUS, LEVELS = 0.3, 4  # of the hole; stairs are 1/LEVELS wide and high
DISTANCES = np.geomspace(0.31, 5.0, 31)  # from the hole's centre
OFFSETS = np.linspace(0.0, 0.5, 31) / LEVELS  # from the nearest edge of a stair
FAR = 3  # radii from which on a hole is small
CUTS = {"hole": (0.45, 1.0, 3.0), "stairs": (0.005, 0.06, 0.12)}  # distances that are measured too
MEASURED = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # σ at which they are
LOOKS = (
    plots.MethodStyle(plots.BLUE, plots.SOLID, "o"),
    plots.MethodStyle(plots.VERMILLION, plots.DASHED, "s"),
    plots.MethodStyle(plots.GREEN, plots.DOTTED, "^"),
)
NAMED: dict[
    str, tuple[tuple[float, Literal["left", "right"]], ...]
] = {  # ratios beside which a cut is named, and where
    "hole": ((2e-3, "right"), (2e-3, "right"), (2e-3, "right")),
    "stairs": ((0.0, "right"), (2.0, "left"), (2e-3, "right")),
}
HEARD = {"hole": "The farther, the fainter, even at its best σ", "stairs": "Small σ hear the nearest edge only"}


@dataclass(frozen=True)
class Config(Flags):
    evaluations: int = 1 << 17
    """Evaluations of each measured ratio, each seed."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "evaluations": 1 << 14}


def hole_square(distance: float, sigma: float) -> float:
    """Return E|ĝ|² of one pair outside a hole: 1/(2σ²) ∫_H |x − θ|²/σ² φ_σ(x − θ) dx, in polar coordinates of H."""
    node, weight = np.polynomial.legendre.leggauss(60)
    r, dr = RADIUS * (node + 1) / 2, RADIUS * weight / 2
    angle = 2 * math.pi * np.arange(240) / 240
    # |x − θ|² = ρ² + r² − 2 ρ r cos φ
    t2 = (distance**2 + r[:, None] ** 2 - 2 * distance * r[:, None] * np.cos(angle)) / sigma**2
    density = np.exp(-t2 / 2) / (2 * math.pi * sigma**2)
    return float((t2 * density * r[:, None] * dr[:, None]).sum() * 2 * math.pi / 240 / (2 * sigma**2))


def stairs_square(offset: float, sigma: float) -> float:
    """Return E ĝ² of one pair on stairs of one variable: Σ Δ²/(4σ²) E[u²; u in a piece], exactly."""
    reach = 38.0  # beyond, φ is 0 in float64
    edges = np.arange(math.floor((offset - reach * sigma) * LEVELS), math.ceil((offset + reach * sigma) * LEVELS) + 1)
    # θ + σu or θ − σu is on an edge k/LEVELS; the square is even in u
    at = np.unique(np.abs(edges / LEVELS - offset) / sigma)
    u = np.concatenate(([0.0], at[(at > 0) & (at < reach)], [reach]))
    middle = (u[1:] + u[:-1]) / 2
    step = (np.floor(LEVELS * (offset + sigma * middle)) - np.floor(LEVELS * (offset - sigma * middle))) / LEVELS
    beyond = ndtr(-u) + u * np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)  # ∫_u^∞ t² φ(t) dt
    return float((step**2 * -np.diff(beyond)).sum() * 2 / (4 * sigma**2))


@dataclass(frozen=True)
class Land:
    """A cost, where a distance is in it, and E|ĝ|² there; `span` is the greatest difference of two values.

    Args:
        span: by σ, of |u| <= LARGEST in each coordinate.
    """

    problem: Problem
    square: Callable[[float, float], float]
    distances: np.ndarray
    span: Callable[[float], float]

    def at(self, distance: float) -> Tensor:
        at = torch.zeros(self.problem.dimension, dtype=torch.float64)
        at[0] = distance
        return at

    def slope(self, distance: float, sigma: float) -> float:
        """Return |∇f_σ|."""
        target = est.GaussianSmoothing(sigma).target
        return only(self.problem.truth(target, self.at(distance))).norm().item()

    def ratio(self, distance: float, sigma: float) -> float:
        """Return the exact SNR of PAIRS pairs; 0 where pairs see nothing."""
        signal = self.slope(distance, sigma)
        noise = self.square(distance, sigma) - signal**2
        return math.sqrt(PAIRS) * signal / math.sqrt(noise) if noise > 0 else 0.0


LANDS = {
    "hole": Land(BallHole(1.0, RADIUS), hole_square, DISTANCES, lambda sigma: 1.0),
    "stairs": Land(
        Staircase(LEVELS, dimension=1), stairs_square, OFFSETS, lambda sigma: 2 * LARGEST * sigma + 1 / LEVELS
    ),
    "flat": Land(Flat(dimension=2), lambda distance, sigma: 0.0, DISTANCES, lambda sigma: 0.0),
}


def run(job: Job, record: Record) -> None:
    """Work out the maps, once, and measure both moments at some distances, under one seed."""
    if job.seed == Config.first_seed:
        for row in maps():
            record.append(row)
    for name, cuts in CUTS.items():
        for distance in cuts:
            for sigma in MEASURED:
                key = Key(job.seed).child(name, repr(distance), repr(sigma))
                record.append(measure(name, distance, sigma, job.config["evaluations"], key))


def maps() -> Iterator[dict[str, Any]]:
    for name, land in LANDS.items():
        for distance in land.distances.tolist():
            for sigma in SIGMAS.tolist():
                yield {"part": "map", "land": name, "distance": distance, "sigma": sigma,
                       "snr": land.ratio(distance, sigma)}  # fmt: skip


def measure(name: str, distance: float, sigma: float, evaluations: int, key: Key) -> dict[str, Any]:
    """Measure the mean and the mean square of single pairs."""
    land = LANDS[name]
    e = est.GaussianSmoothing(sigma)(
        land.problem.cost(), land.at(distance), evaluations=evaluations, key=key, per_unit=True
    )
    pairs = only(e.per_unit)
    square = pairs.square().sum(-1)
    row = {"signal": pairs.mean(0).norm(), "square": square.mean(), "spread": square.std()}
    exact = {"slope": land.slope(distance, sigma), "exact": land.square(distance, sigma)}
    return {"part": "cut", "land": name, "distance": distance, "sigma": sigma, "pairs": len(square), **row, **exact}


def table(records: list[Record], name: str) -> np.ndarray:
    """Return the exact ratios, (distances, SIGMAS)."""
    return values(records[:1], "snr", part="map", land=name).reshape(len(LANDS[name].distances), len(SIGMAS))


def cut(records: list[Record], column: str, name: str, distance: float) -> np.ndarray:
    """Return one number of every seed and σ, (seeds, MEASURED)."""
    return by_seed(records, column, part="cut", land=name, distance=distance)


def measured_ratio(records: list[Record], name: str, distance: float) -> np.ndarray:
    """Return the SNR from all pairs that were drawn, NaN where none of them saw anything, (MEASURED,)."""
    signal, square = (cut(records, c, name, distance) for c in ("signal", "square"))
    noise = square.mean(0) - signal.mean(0) ** 2
    return np.where(noise > 0, math.sqrt(PAIRS) * signal.mean(0) / np.sqrt(np.maximum(noise, 1e-300)), np.nan)


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    comparisons = sum(map(len, CUTS.values())) * len(MEASURED)
    for name, cuts in CUTS.items():
        worst, power = 0.0, math.inf
        for distance in cuts:
            mean, exact, spread, pairs = (
                cut(records, c, name, distance) for c in ("square", "exact", "spread", "pairs")
            )
            # single squares lie between 0 and (span |u|/2σ)², u of the problem's coordinates
            size = LANDS[name].problem.dimension * LARGEST**2
            length = np.array([(LANDS[name].span(s) / (2 * s)) ** 2 * size for s in MEASURED])
            n = int(pairs.sum(0)[0])
            variance = (spread**2).mean(0) + mean.var(0)
            bound = deviation(variance, n, length, comparisons)
            worst = max(worst, float((np.abs(mean.mean(0) - exact[0]) / bound).max()))
            power = min(power, float((bound / np.maximum(exact[0], 1e-300)).min()))
        judge(
            worst <= 1,
            f"{name}: mean squares of pairs are the exact ones, largest deviation {worst:.2f} of the Bernstein bound "
            f"(needs <= 1; false alarm 1e-9 in all; where it sees best {power:.1%} of them would be noticed)",
        )
    hole = table(records, "hole")
    far = DISTANCES >= FAR * RADIUS
    best = SIGMAS[hole.argmax(1)][far] / DISTANCES[far]
    judge(
        float(np.abs(best * math.sqrt(2) - 1).max()) <= 0.1,
        f"hole: from {FAR} radii on the best σ is {best.min():.3f} to {best.max():.3f} of the distance (needs 1/√2 = "
        "0.707 within 10 %, with σ 12 % apart)",
    )
    slope = float(slopes(DISTANCES[far], hole.max(1)[far]))
    judge(abs(slope + 1) <= 0.1, f"hole: with the best σ the ratio falls as distance^{slope:.3f} (needs −1 ± 0.1)")
    low = hole[np.argmin(np.abs(DISTANCES - 1)), np.argmin(np.abs(SIGMAS - 0.1))]
    judge(low <= 1e-3, f"hole: with σ a tenth of the distance nothing is heard, ratio {low:.1e} (needs <= 0.001)")
    stairs = table(records, "stairs")
    wide = stairs[:, SIGMAS >= 1.0]
    ramp = math.sqrt(PAIRS / 2)
    judge(
        float(np.abs(wide / ramp - 1).max()) <= 0.02,
        f"stairs: from σ of four stairs on they are a ramp at every point, ratio {wide.min():.3f} to {wide.max():.3f} "
        f"(needs √(m/2) = {ramp:.3f} within 2 %)",
    )
    narrow = stairs[:, 0]
    judge(
        narrow[0] > 100 * narrow[-1],
        f"stairs: with σ = {SIGMAS[0]:g} the ratio is {narrow[0]:.2g} at an edge, {narrow[-1]:.1e} between two "
        "(needs a hundredth)",
    )
    judge(bool((table(records, "flat") == 0).all()), "flat: no signal at any distance and σ (needs exactly 0)")


def figure(records: list[Record], config: Config) -> Path:
    """Draw the exact ratios of hole and stairs as maps, and cuts through them, exact and measured."""
    drawing, axes = plots.panels(2, 2, width=5.2, height=3.9)
    maps, cuts = (axes[0], axes[2]), (axes[1], axes[3])
    with plots.style():
        for ax, name in zip(maps, CUTS, strict=True):
            heat(drawing, ax, records, name)
        maps[0].plot(DISTANCES / math.sqrt(2), DISTANCES, color="#FFFFFF", linestyle=plots.DASHED)
        say(maps[0], (0.03, 0.96), [("dashes: σ = distance/√2", "#FFFFFF")])
        maps[0].set(
            yscale="log",
            ylabel="distance from the hole's centre",
            title=f"Hole of radius {RADIUS}, d = 2: loudest at σ = distance/√2",
        )
        maps[0].set_yticks([0.3, 0.5, 1, 2, 5], ["0.3", "0.5", "1", "2", "5"])
        maps[0].minorticks_off()
        maps[1].set(
            ylabel="distance from the nearest edge",
            title=f"Stairs {1 / LEVELS} wide and high, d = 1: loud from a stair on",
        )
        for ax, name in zip(cuts, CUTS, strict=True):
            for distance, how, (low, side) in zip(CUTS[name], LOOKS, NAMED[name], strict=True):
                exact = np.array([LANDS[name].ratio(distance, s) for s in SIGMAS])
                rises = int((exact >= low).argmax())
                label_end(
                    ax, SIGMAS[rises], exact[rises], f"{distance:g} away", how.color, side=side, up=0 if low else 14
                )
                ax.loglog(SIGMAS, exact, color=how.color, linestyle=how.linestyle)
                ax.loglog(MEASURED, measured_ratio(records, name, distance), how.marker, color=how.color)
            ax.axhline(1, **REFERENCE)
            ax.set(ylim=(1e-3, 20), ylabel="signal/noise", title=HEARD[name])
        for ax in axes:
            ax.set(xscale="log", xlabel="σ of the smoothing", xlim=(SIGMAS[0], SIGMAS[-1]))
        drawing.suptitle(
            "A smoothing radius far below the distance to a jump sees no gradient, one of about that distance does\n"
            f"Signal over noise of an estimate from {2 * PAIRS} evaluations; lines at the right: exact, markers: "
            "measured"
        )
    return plots.save(drawing, config.out / "snr_map.png")


def heat(drawing: Figure, ax: Axes, records: list[Record], name: str) -> None:
    """Draw a map of ratios, with the line where signal and noise are equal."""
    ratio = np.maximum(table(records, name), 1e-3)
    distances = LANDS[name].distances
    image = ax.pcolormesh(SIGMAS, distances, ratio, norm=LogNorm(1e-3, 10), cmap="cividis", rasterized=True)
    ax.contour(SIGMAS, distances, ratio, [1.0], colors=plots.VERMILLION, linewidths=1.6)
    drawing.colorbar(image, ax=ax, extend="min", label="signal/noise; line: equal")
    ax.grid(False)


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)

"""Where a cost has no gradient to follow, how much smoothing finds one, and when does none?

Holes, stairs, plateaus, cliffs and orthants are flat almost everywhere: backprop sees exactly 0. The smoothed cost has
a gradient that is known exactly, and three forms of Gaussian smoothing estimate it without bias:

    f_σ(θ) = E f(θ + σu),  u ~ N(0, I)          antithetic, forward, one-point (the score function without baseline)

Twelve σ from far too small to far too large: bias (nothing), variance, cosine to ∇f_σ, and where descent ends. Negative
controls: a flat cost, where nothing may be learnt, and the needle in a haystack, lost geometrically in the dimension.

    python experiments/zeroth_order/nonsmooth.py    about half a minute on 2 cores
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.bounds import LARGEST, deviation, pooled
from experiments.common.drawing import REFERENCE, label_end, look
from experiments.common.estimates import only
from experiments.common.frame import Flags, Judge, by_seed, half_width, main, one_a_seed, values

import numpy as np
import torch
from matplotlib.axes import Axes
from scipy.stats import binomtest, chi2, norm
from torch import Tensor

from rllab import Gaussian, Key, measure_quality, minimize, plots
from rllab import estimators as est
from rllab.estimators.smoothing.probes import Form
from rllab.noise import standard_normal
from rllab.problems import BallHole, Cliff, Flat, Orthant, Plateau, Problem, RadialStaircase, Staircase
from rllab.runs import Job, Record

SIGMAS = np.geomspace(0.01, 10.0, 12)
FORMS: tuple[Form, ...] = ("antithetic", "forward", "one-point")
EVALUATIONS = 64  # of an estimate whose quality is measured, and of a step
RATE = 0.05  # of Adam
OFFSET = 1.7  # of the flat cost
NEEDLE_SIGMAS, NEEDLE_START = (0.5, 2.0, 10.0), -0.5


@dataclass(frozen=True)
class Landscape:
    """A cost, where to start, and what of it is known beforehand.

    Args:
        span: greatest minus least value within reach of θ + σu, |u_i| <= LARGEST; by σ.
        highest: greatest |f| there.
        lowest: the cost that counts as the whole way down.
    """

    problem: Problem
    start: tuple[float, float]
    span: Callable[[float], float]
    highest: Callable[[float], float]
    lowest: float

    @property
    def at(self) -> Tensor:
        return torch.tensor(self.start, dtype=torch.float64)


def bounded(problem: Problem, start: tuple[float, float], height: float, lowest: float) -> Landscape:
    return Landscape(problem, start, lambda sigma: height, lambda sigma: height, lowest)


def stair_span(sigma: float) -> float:
    return 2 * LARGEST * sigma + 0.25


LANDSCAPES = {
    "hole": bounded(BallHole(1.0, 0.3), (0.6, 0.5), 1.0, -1.0),
    "stairs": Landscape(
        Staircase(4, dimension=2), (0.55, 0.9), stair_span, lambda sigma: 0.625 + stair_span(sigma), 0.625 - 1
    ),  # endless: four stairs down count as the whole way
    "plateau": bounded(Plateau(0.6, dimension=2), (1.1, -0.9), 1.2, 0.0),
    "cliff": bounded(Cliff(0.3, 2.0, direction=(0.6, -1.1)), (1.0, -0.5), 2.0, 0.0),
    "orthant": bounded(Orthant(0.0), (-0.6, -0.4), 1.0, 0.0),
    "radial stairs": bounded(RadialStaircase(), (1.0, 0.8), 4.0, 0.0),
}
COMPARED = "radial stairs"  # where the quality of all three forms is measured; elsewhere of the first
SHARP = ("hole", "plateau", "cliff", "orthant")  # whose nearest edge is over 20 of the smallest σ away
LOOKS = dict(
    zip(LANDSCAPES, map(plots.MethodStyle, plots.COLOURS, (*plots.LINES, *plots.LINES), plots.MARKERS), strict=False)
)
NEAR_BOTTOM = 0.9  # of the way down; a plateau's bottom is a point, which Adam's steps of 0.05 only surround


@dataclass(frozen=True)
class Config(Flags):
    repeats: int = 300
    """Estimates for each variance and cosine, each seed."""
    steps: int = 100
    """Steps of every descent."""
    evaluations: int = 1 << 16
    """Evaluations of each estimate that is held to the exact gradient, and of each search for the needle; each seed."""
    dimension: int = 32
    """Largest dimension of the haystack."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "repeats": 50, "steps": 40, "evaluations": 1 << 14}


def run(job: Job, record: Record) -> None:
    """Measure estimates, descents and the negative controls under one seed."""
    key = Key(job.seed)
    for name, land in LANDSCAPES.items():
        near = land.at + 0.05 * standard_normal((1000, 2), key.child("near", name), land.at)
        seen = int((land.problem.gradient(torch.cat((land.at[None], near))) != 0).any(-1).sum())
        record.append({"what": "backprop", "landscape": name, "points": len(near) + 1, "nonzero": seen})
        for i, sigma in enumerate(SIGMAS.tolist()):
            mine = key.child(name, i)
            head = {"landscape": name, "sigma": sigma}
            for form in FORMS:
                for row in agreements(land, sigma, form, job.config["evaluations"], mine):
                    record.append({**head, **row})
                if form == "antithetic" or name == COMPARED:
                    record.append({**head, **quality(land, sigma, form, job.config["repeats"], mine)})
            f = descend(land, sigma, job.config["steps"], mine.child("descent"))
            record.append({"what": "descent", **head, "end": f})
    for i, sigma in enumerate(SIGMAS.tolist()):
        for row in flat(sigma, job.config["repeats"], key.child("flat", i)):
            record.append({"sigma": sigma, **row})
    for sigma in NEEDLE_SIGMAS:
        for d in dimensions(job.config["dimension"]):
            record.append(needle(d, sigma, job.config["evaluations"], key.child("needle", repr(sigma), d)))


def agreements(land: Landscape, sigma: float, form: Form, evaluations: int, key: Key) -> Iterator[dict[str, Any]]:
    """Yield each coordinate of one large estimate, beside the truth."""
    estimator = est.GaussianSmoothing(sigma, form)
    e = estimator(land.problem.cost(), land.at, evaluations=evaluations, key=key.child("agreement"))
    units = estimator.ask(land.at, evaluations, 0).units
    parts = (land.problem.truth(e.target, land.at), e.gradient, e.standard_error)
    cells = zip(*(only(part).tolist() for part in parts), strict=True)
    for i, (exact, g, se) in enumerate(cells):
        cell = {"coordinate": i, "exact": exact, "gradient": g, "error": se, "units": units}
        yield {"what": "agreement", "form": form, **cell}


def quality(land: Landscape, sigma: float, form: Form, repeats: int, key: Key) -> dict[str, Any]:
    """Return variance of small estimates and their cosine to the truth."""
    report = measure_quality(
        [est.GaussianSmoothing(sigma, form)], land.problem, at=land.at, budgets=[EVALUATIONS], repeats=repeats,
        key=key.child("quality"), progress=False,
    )  # fmt: skip
    (row,) = report.rows
    cosine = row["cosine"] or 0.0  # None beside a gradient that underflows
    return {"what": "quality", "form": form, "variance": row["variance"], "cosine": cosine, "zeros": row["zeros"]}


def descend(land: Landscape, sigma: float, steps: int, key: Key) -> float:
    """Return the cost itself, not smoothed, where a descent by antithetic estimates ends."""
    trace = minimize(
        land.problem.cost(), land.at, est.GaussianSmoothing(sigma), evaluations=EVALUATIONS, lr=RATE,
        budget=EVALUATIONS * steps, key=key,
    )  # fmt: skip
    return land.problem.value(trace.at[None]).item()


def flat(sigma: float, repeats: int, key: Key) -> Iterator[dict[str, Any]]:
    """Sum the squares of estimates of the gradient of a constant."""
    problem, at = Flat(offset=OFFSET), torch.zeros(repeats, 2, dtype=torch.float64)
    for form in FORMS:
        e = est.GaussianSmoothing(sigma, form)(problem.cost(), at, evaluations=EVALUATIONS, key=key, errors=False)
        yield {"what": "flat", "form": form, "squares": only(e.gradient).square().sum().item(), "numbers": at.numel()}
    e = est.ScoreFunction()(problem.cost(), Gaussian(at, sigma), evaluations=EVALUATIONS, key=key, errors=False)
    squares = only(e.gradient).square().sum().item()
    yield {"what": "flat", "form": "leave-one-out", "squares": squares, "numbers": at.numel()}


def needle(d: int, sigma: float, evaluations: int, key: Key) -> dict[str, Any]:
    """Count the pairs of probes that see anything of the orthant above 0 in d dimensions."""
    at = torch.full((d,), NEEDLE_START, dtype=torch.float64)
    e = est.GaussianSmoothing(sigma)(Orthant(dimension=d).cost(), at, evaluations=evaluations, key=key, per_unit=True)
    seen = (only(e.per_unit) != 0).any(-1)
    return {"what": "needle", "d": d, "sigma": sigma, "pairs": len(seen), "hits": int(seen.sum())}


def dimensions(most: int) -> list[int]:
    return [2**i for i in range(most.bit_length())]


def chance(d: int, sigma: float) -> float:
    """Return the probability that one of θ ± σu is in the orthant; both never are, as θ is below it everywhere."""
    return 2 * math.exp(d * norm.logcdf(NEEDLE_START / sigma))


def agreement(records: list[Record], name: str, form: Form) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return exact gradient, mean over all evaluations, and the bound on their distance: (twelve σ, 2)."""
    wanted: dict[str, Any] = {"what": "agreement", "landscape": name, "form": form}
    exact, g, se = (by_seed(records, c, **wanted).reshape(len(records), -1, 2) for c in ("exact", "gradient", "error"))
    mean, variance, n = pooled(g, se, int(values(records[:1], "units", **wanted)[0]))
    land = LANDSCAPES[name]
    reach = {
        "antithetic": [land.span(s) for s in SIGMAS],  # ± span/2 times u/σ
        "forward": [2 * land.span(s) for s in SIGMAS],
        "one-point": [2 * land.highest(s) for s in SIGMAS],
    }[form]
    length = np.array(reach)[:, None] * LARGEST / SIGMAS[:, None]
    comparisons = 2 * len(SIGMAS) * len(FORMS) * len(LANDSCAPES)
    return exact[0], mean, deviation(variance, n, length, comparisons)


def progress(records: list[Record], name: str) -> np.ndarray:
    """Return how much of the way down each descent came, (seeds, twelve σ); the whole way is 1."""
    land = LANDSCAPES[name]
    high = land.problem.value(land.at[None]).item()
    end = by_seed(records, "end", what="descent", landscape=name)
    return np.minimum((high - end) / (high - land.lowest), 1.0)


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    points, seen = (int(values(records, c, what="backprop").sum()) for c in ("points", "nonzero"))
    judge(
        seen == 0, f"backprop: exactly 0 at {points - seen:,} of {points:,} points at and around the starts (needs all)"
    )
    for name in LANDSCAPES:
        worst, power = {}, {}
        for form in FORMS:
            exact, mean, bound = agreement(records, name, form)
            worst[form] = (np.abs(mean - exact) / bound).max()
            power[form] = (bound.max(-1) / np.maximum(np.linalg.norm(exact, axis=-1), 1e-300)).min()
        judge(
            max(worst.values()) <= 1,
            f"{name}: estimates agree with the exact ∇f_σ at all twelve σ; largest deviation "
            f"{', '.join(f'{v:.2f} ({form})' for form, v in worst.items())} of the Bernstein bound (needs <= 1; false "
            f"alarm 1e-9 in all; at the best σ {power['antithetic']:.1%} of the gradient would be noticed)",
        )
    exact, mean, bound = (g[SIGMAS >= 0.1] for g in agreement(records, "stairs", "antithetic"))
    off, known = (np.abs(2 * g - 1).max() for g in (mean, exact))  # each coordinate has half the ramp
    most = known + 2 * bound.max()
    judge(
        off <= most and known <= 0.02,
        f"stairs: for σ >= 0.1 the slope is the ramp's, 1, within {known:.1%} exactly (needs 2 %) and {off:.1%} by "
        f"estimates (needs {most:.1%}, with the Bernstein bound)",
    )
    cosine = by_seed(records, "cosine", what="quality", landscape=COMPARED, form="antithetic")
    i = int(cosine.mean(0).argmax())
    gain = min((cosine[:, i] - cosine[:, end]).min() for end in (0, -1))
    judge(
        0 < i < len(SIGMAS) - 1 and gain > 0.1,
        f"radial stairs: best σ {SIGMAS[i]:.2g} is inside the range: cosine {cosine[:, i].mean():.3f} against "
        f"{cosine[:, 0].mean():.3f} and {cosine[:, -1].mean():.3f} at its ends (needs 0.1 more in every seed)",
    )
    endless = by_seed(records, "cosine", what="quality", landscape="stairs", form="antithetic").mean(0)
    judge.note(
        f"endless stairs have no best σ: cosines {', '.join(f'{c:.2f}' for c in endless)}, σ from small to large"
    )
    cosine = by_seed(records, "cosine", what="quality", landscape="hole", form="antithetic").mean(0)
    best, away = SIGMAS[cosine.argmax()], math.hypot(*LANDSCAPES["hole"].start)
    judge(
        1 / 2 <= float(best) / (away / math.sqrt(2)) <= 2,
        f"hole: best σ {best:.2g}, cosine {cosine.max():.2f}; the distance of {away:.2f} over √2, where signal over "
        f"noise e^(−r²/4σ²)/σ of a small hole peaks, within a factor of 2",
    )
    for name in LANDSCAPES:
        way = progress(records, name)
        there = (way >= NEAR_BOTTOM).mean(0)
        ok = SIGMAS[there >= 0.8]
        window = f"{ok[0]:.2g} to {ok[-1]:.2g}" if len(ok) else "none"
        least = "no seed moves" if (way[:, 0] == 0).all() else f"{way[:, 0].mean():.2f} of the way"
        judge(
            there.max() >= 0.8 and (name not in SHARP or bool((way[:, 0] == 0).all())),
            f"{name}, descent: {there.max():.0%} of seeds come down at the best σ (needs 80 %); σ at which 80 % do: "
            f"{window}; at σ = 0.01 {least}",
        )
    for form in ("antithetic", "forward", "leave-one-out"):
        # the mean of equal costs is one of them but for rounding, of C over σ in each number
        squares = by_seed(records, "squares", what="flat", form=form)
        numbers = values(records[:1], "numbers", what="flat", form=form)[0]
        share = (squares / (numbers * (np.finfo(float).eps * OFFSET / SIGMAS) ** 2)).max()
        judge(share <= 1, f"flat, {form}: estimates are 0 at every σ; largest square {squares.max():g}, {share:g} of "
              "what rounding C makes (needs <= 1)")  # fmt: skip
    squares = by_seed(records, "squares", what="flat", form="one-point").sum(0)
    n = values(records, "numbers", what="flat", form="one-point").sum() / len(SIGMAS)
    x = squares * SIGMAS**2 * EVALUATIONS / OFFSET**2
    p = 2 * np.minimum(chi2.cdf(x, n), chi2.sf(x, n)).min()
    judge(
        p * len(SIGMAS) > 1e-9,
        f"flat, one-point: variance C²d/(σ²m) although nothing is to be learnt: measured over predicted "
        f"{(x / n).min():.3f} to {(x / n).max():.3f}; least p of the χ² test {p:.2g} (needs 1e-9 in all)",
    )
    cells = [(s, d) for s in NEEDLE_SIGMAS for d in dimensions(config.dimension)]
    hits = {c: int(values(records, "hits", what="needle", sigma=c[0], d=c[1]).sum()) for c in cells}
    pairs = int(values(records, "pairs", what="needle", sigma=cells[0][0], d=1).sum())
    p = min(binomtest(hits[s, d], pairs, chance(d, s)).pvalue for s, d in cells)
    judge(
        float(p) * len(cells) > 1e-9,
        f"needle: pairs that see anything are 2Φ(θ/σ)^d of all, d = 1 to {config.dimension}, σ = "
        f"{', '.join(f'{s:g}' for s in NEEDLE_SIGMAS)}; least p of the binomial tests {p:.2g} (needs 1e-9 in all)",
    )
    last = max(NEEDLE_SIGMAS), config.dimension
    judge(
        hits[last] == 0,
        f"needle: in {config.dimension} dimensions even σ = {last[0]:g} sees nothing in {2 * pairs:,} evaluations: "
        f"{hits[last]} hits, {pairs * chance(last[1], last[0]):.1g} expected",
    )


def figure(records: list[Record], config: Config) -> Path:
    """Draw where descent comes down and how good its estimates are, the three forms, and the needle."""
    drawing, axes = plots.panels(2, 2, width=5.8, height=3.9)
    down = {name: (progress(records, name) >= NEAR_BOTTOM).mean(0) for name in LANDSCAPES}
    quality = {"what": "quality", "form": "antithetic"}
    cosine = {name: by_seed(records, "cosine", landscape=name, **quality).mean(0) for name in LANDSCAPES}
    with plots.style():
        heat(axes[0], down, lambda share: f"{share * len(records):.0f}")
        axes[0].set_title(f"Seeds of {len(records)} that come down in {config.steps} steps of Adam")
        heat(axes[1], cosine, lambda c: f"{c:.1f}")
        axes[1].set_title(f"Mean cosine of {EVALUATIONS} evaluations to ∇f_σ; 0: nothing is seen")
        draw_forms(axes[2], records)
        draw_needle(axes[3], records, config)
        drawing.suptitle(
            "Descent finds a way down if σ is so large that changes reach an edge: too small a σ sees nothing at all\n"
            "Gaussian smoothing of costs that are flat but for their jumps. Black: all seeds, or a cosine of 1; bars: "
            "95 % intervals of Student's t"
        )
    return plots.save(drawing, config.out / "nonsmooth.png")


def heat(ax: Axes, shares: dict[str, np.ndarray], spell: Callable[[float], str]) -> None:
    """Draw a share in [0, 1] for each landscape and σ, darker where larger, with its number."""
    table = np.clip(np.array(list(shares.values())), 0, 1)
    ax.imshow(table, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    for (i, j), share in np.ndenumerate(table):
        ax.text(j, i, spell(share), ha="center", va="center", fontsize=8, color="#FFFFFF" if share > 0.5 else "#000000")
    ax.set_yticks(range(len(shares)), list(shares))
    ax.set_xticks(range(len(SIGMAS)), [f"{s:.2g}" for s in SIGMAS], fontsize=8)
    ax.set(xlabel="σ of the smoothing, unit of θ")
    ax.grid(False)


def draw_forms(ax: Axes, records: list[Record]) -> None:
    """Draw the noise of the three forms over the gradient's size; each has its mark in `plots`."""
    styles = plots.method_styles(("gaussian", "forward", "one-point"))
    exact, _, _ = agreement(records, COMPARED, "antithetic")
    for form, up in zip(FORMS, (0, -4, 5), strict=True):
        how = styles["gaussian" if form == "antithetic" else form]
        v = by_seed(records, "variance", what="quality", landscape=COMPARED, form=form)
        relative = np.where(v > 0, np.sqrt(v), np.nan) / np.linalg.norm(exact, axis=-1)  # 0: nothing was seen
        ax.errorbar(SIGMAS, relative.mean(0), half_width(relative), capsize=2, **look(how))
        label_end(ax, SIGMAS[-1], relative.mean(0)[-1], form, how.color, up=up)
    ax.set(xscale="log", yscale="log", xlim=(0.008, 40), ylim=(0.05, 1e4), xlabel="σ of the smoothing, unit of θ",
           ylabel="standard deviation/|∇f_σ|",
           title=f"{COMPARED.capitalize()}: only pairs bear a large σ, {EVALUATIONS} evaluations")  # fmt: skip
    ax.minorticks_off()  # of twelve decades they take a third of the drawing's time


def draw_needle(ax: Axes, records: list[Record], config: Config) -> None:
    grid = np.array(dimensions(config.dimension))
    for sigma, how in zip(NEEDLE_SIGMAS, LOOKS.values(), strict=False):
        seen = np.array([values(records, "hits", what="needle", sigma=sigma, d=d).sum() for d in grid])
        pairs = values(records, "pairs", what="needle", sigma=sigma, d=1).sum()
        ax.loglog(grid, [chance(d, sigma) for d in grid], color=how.color, linestyle=how.linestyle)
        ax.plot(grid[seen > 0], seen[seen > 0] / pairs, how.marker, color=how.color)
        d = int(grid[np.flatnonzero(seen > 0)[-1] - 1])
        label_end(ax, d, chance(d, sigma), f"σ = {sigma:g}", how.color, up=-9 if sigma == 2 else 4,
                  side="left" if sigma == 2 else "right")  # fmt: skip
    ax.axhline(1 / pairs, **REFERENCE)
    ax.annotate(f"one of {pairs:,.0f} pairs", (1, 1 / pairs), xytext=(0, 5), textcoords="offset points", fontsize=8)
    ax.set(xlabel="dimension d", ylabel="share of pairs that see the needle", ylim=(0.1 / pairs, 2),
           title="Needle in a haystack: lost in many dimensions (lines: exact)")  # fmt: skip
    ax.minorticks_off()
    ax.set_xticks(grid, [str(d) for d in grid])


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)

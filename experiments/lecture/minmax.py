"""What if two players share a cost: does descent find the point at which neither gains, and what does?

    min_x max_y f(x, y)        F = (∂f/∂x, −∂f/∂y),  F = 0 where neither player gains: a Nash equilibrium
    simultaneous     z ← z − η F(z)                       alternating     y answers the x that was just made
    extragradient    z ← z − η F(z − η F(z))              two fields a step

    bilinear         f = xy                               each step multiplies the radius: simultaneous by √(1 + η²),
                                                          extragradient by √(1 − η² + η⁴); alternating keeps an ellipse
    one-point GAN    f = −log(1 + e^−xy) − log 2          x generates a number, y tells it from the true one, 0
    curved           f = (x² − y²)/2 + xy                 the control: with curvature of their own, all of them arrive

Source: LeCun (2020), NYU Deep Learning, week 2; Korpelevich (1976), "The extragradient method for finding saddle points
and other problems"; the GAN: Mescheder, Geiger & Nowozin (2018), "Which training methods for GANs do actually
converge?", section 2; alternating: Gidel et al. (2019), "Negative momentum for improved game dynamics", theorem 4.

    python experiments/lecture/minmax.py               ten seconds on 2 cores; results/minmax holds every number
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.acceptance import AtLeast, AtMost, row
from experiments.common.claims import judge_row
from experiments.common.drawing import GREY, every_seed, line
from experiments.common.frame import Flags, Judge, column, main, one_a_seed, values
from experiments.lecture.draws import normal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from rllab import backprop as bp
from rllab import plots
from rllab.runs import Job, Record

ETA, FIELDS = 0.2, 1000
GAMES: dict[str, Callable[[Tensor], Tensor]] = {
    "bilinear": lambda z: z[0] * z[1],
    "one-point GAN": lambda z: logsigmoid(z[0] * z[1]) - math.log(2),
    "curved": lambda z: (z[0] ** 2 - z[1] ** 2) / 2 + z[0] * z[1],
}
METHODS = {"simultaneous": 1, "alternating": 1, "extragradient": 2}  # fields a step; alternating takes one half twice
STYLES = {
    "simultaneous": plots.MethodStyle(plots.VERMILLION, plots.DASHED, "o"),
    "alternating": plots.MethodStyle(plots.BLUE, plots.DOTTED, "^"),
    "extragradient": plots.MethodStyle(plots.BLACK, plots.SOLID, "s"),
}
# on the curved game: the distance beside which a method's name stands, its offset in points, the side it is bound to
BESIDE = {
    "simultaneous": (1e-10, (6, -2), "left"),
    "alternating": (1e-7, (-7, -4), "right"),
    "extragradient": (1e-4, (6, 3), "left"),
}


@dataclass(frozen=True)
class Config(Flags):
    fields: int = FIELDS
    """Fields F that each method may ask for."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2}


def start(seed: int) -> Tensor:
    """Return where both begin: a point at a distance of 1 from the equilibrium."""
    z = normal(seed, "start", 2)
    return z / z.norm()


def field(game: str, z: Tensor) -> Tensor:
    """Return F = (∂f/∂x, −∂f/∂y) by autograd."""
    leaf = z.detach().requires_grad_()
    (g,) = torch.autograd.grad(GAMES[game](leaf), leaf)
    return g * torch.tensor([1.0, -1.0], dtype=z.dtype)


def play(game: str, method: str, seed: int, steps: int, eta: float = ETA) -> Tensor:
    """Return every point of the way (steps + 1, 2)."""
    z = start(seed)
    path = [z]
    for _ in range(steps):
        if method == "extragradient":
            z = bp.extragradient(z, lambda z: field(game, z), eta)
        elif method == "simultaneous":
            z = bp.step(z, field(game, z), eta)
        else:
            for player in ([1.0, 0.0], [0.0, 1.0]):  # η is a vector: one player moves
                z = bp.step(z, field(game, z), eta * torch.tensor(player, dtype=z.dtype))
        path.append(z)
    return torch.stack(path)


def run(job: Job, record: Record) -> dict[str, float]:
    ends = {}
    for game in GAMES:
        for method, price in METHODS.items():
            path = play(game, method, job.seed, job.config["fields"] // price)
            for i, (x, y) in enumerate(path.tolist()):
                record.append({"game": game, "method": method, "fields": i * price, "x": x, "y": y})
            radius = path.norm(dim=1)
            ends |= {f"{game}, {method}": radius[-1], f"{game}, {method}, most": radius.max()}
            ends |= {f"{game}, {method}, least": radius.min()}
    ends["law"] = relative_error(job.seed, "simultaneous", job.config["fields"])
    ends["law of extragradient"] = relative_error(job.seed, "extragradient", job.config["fields"] // 2)
    return {name: float(value) for name, value in ends.items()}


def factor(method: str, eta: float) -> float:
    """Return what a step on f = xy multiplies the radius by."""
    square = eta**2
    return math.sqrt(1 + square if method == "simultaneous" else 1 - square + square**2)


def relative_error(seed: int, method: str, steps: int, law: str | None = None) -> float:
    """Return the largest relative difference of the radius on f = xy from its closed form, over the steps."""
    radius = play("bilinear", method, seed, steps).norm(dim=1)
    expected = factor(law or method, ETA) ** torch.arange(steps + 1, dtype=torch.float64)
    return float((radius / expected - 1).abs().max())


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    def end(game: str, method: str, what: str = "") -> np.ndarray:
        return column(records, f"{game}, {method}{what}")

    judge_row(judge, spiral, column(records, "law"))
    law = column(records, "law of extragradient").max()
    judge(law <= 1e-9, f"bilinear: of extragradient it is (1 − η² + η⁴)^(T/2) within {law:.1g} (needs <= 1e-9)")
    out, into = end("bilinear", "simultaneous"), end("bilinear", "extragradient")
    judge(
        (out >= 100).all() and (into <= 1e-3).all(),
        f"bilinear, {config.fields:,} fields from radius 1: simultaneous {out.min():.3g}, extragradient "
        f"{into.max():.2g} (needs >= 100 and <= 0.001, all seeds)",
    )
    least, most = end("bilinear", "alternating", ", least"), end("bilinear", "alternating", ", most")
    judge(
        (least >= 0.8).all() and (most <= 1.25).all(),
        f"bilinear, alternating: the radius stays between {least.min():.2f} and {most.max():.2f} (needs 0.8 to 1.25)",
    )
    out, into = end("one-point GAN", "simultaneous"), end("one-point GAN", "extragradient")
    judge(
        (out > 2).all() and (into <= 0.1).all(),
        f"one-point GAN: simultaneous {out.min():.2f}, extragradient {into.max():.2g} (needs > 2 and <= 0.1, all "
        "seeds)",
    )
    curved = max(end("curved", method).max() for method in METHODS)
    judge(curved <= 1e-9, f"curved, the control: all of them arrive, radius at most {curved:.1g} (needs <= 1e-9)")


def way(record: Record, game: str, method: str) -> np.ndarray:
    """Return fields asked for, x and y of every step, (3, steps + 1)."""
    return np.stack([values([record], name, game=game, method=method) for name in ("fields", "x", "y")])


def figure(records: list[Record], config: Config) -> Path:
    """Draw paths of the first seed, and the distance from the equilibrium of all of them."""
    drawing, axes = plots.panels(2, 2, width=5.0, height=3.9)
    titles = {
        "bilinear": "f = xy: simultaneous steps leave, extragradient arrives",
        "one-point GAN": "The smallest GAN: the same",
        "curved": "Control, with curvature of their own: all arrive",
    }
    with plots.style():
        for method, how in STYLES.items():
            _, x, y = way(records[0], "bilinear", method)[:, :60]
            axes[0].plot(x, y, color=how.color, marker=how.marker, markersize=2.5, linewidth=0.8)
        axes[0].plot(0, 0, "*", color=GREY, markersize=10, zorder=5)
        axes[0].set(xlabel="x, who minimises", ylabel="y, who maximises", aspect="equal")
        axes[0].set_title(f"f = xy: the first steps, star: equilibrium (seed {records[0].seed})")
        for ax, (game, title) in zip(axes[1:], titles.items(), strict=True):
            for method, how in STYLES.items():
                ways = [way(record, game, method) for record in records]
                every_seed(ax, [(asked, np.hypot(x, y)) for asked, x, y in ways], "", **line(how))
                asked, x, y = ways[0]
                distance = np.hypot(x, y)
                if game == "curved":  # all fall: a name stands where no other line is
                    reached, beside, align = BESIDE[method]
                    shown = int(np.argmax(distance <= reached))
                else:
                    shown = int(np.argmax(asked >= 0.6 * config.fields))
                    beside, align = {"alternating": (-20, -13), "simultaneous": (8, -13)}.get(method, (5, 5)), "left"
                at = (asked[shown], distance[shown])
                ax.annotate(method, at, beside, textcoords="offset points", color=how.color, fontsize=9, ha=align)
            ax.set(xlabel="fields F asked for", ylabel="distance from the equilibrium", yscale="log", title=title)
        for method in ("simultaneous", "extragradient"):
            x = np.linspace(0, config.fields, 9)
            axes[1].plot(x, factor(method, ETA) ** (x / METHODS[method]), "x", color=GREY)
        axes[1].text(0.03, 0.9, "×: closed form", color=GREY, transform=axes[1].transAxes, fontsize=9)
        axes[3].set(xlim=(-10, 300), ylim=(1e-12, 2))
        drawing.suptitle(
            "Descent of two players leaves or circles their equilibrium; extragradient arrives\n"
            f"η = {ETA}; distances: all {len(records)} seeds, a line each"
        )
    return plots.save(drawing, config.out / "minmax.png")


@row("L20", AtMost(1e-9), wrong={"one after the other": {"method": "alternating"}})
def spiral(seed: int, fast: bool, method: str = "simultaneous") -> float:
    """Minimising is not all there is: in a game, descent of both players spirals away from the equilibrium.

    Measures: largest relative difference of the radius on f = xy from (1 + η²)^(T/2), 200 steps.
    """
    return relative_error(seed, method, 200, "simultaneous")


@row("L20", AtMost(1e-3), wrong={"without looking ahead": {"method": "simultaneous"}}, identity=True)
def inward(seed: int, fast: bool, method: str = "extragradient") -> float:
    """Looking ahead, the same gradients lead to the Nash equilibrium.

    Measures: distance after 400 steps of extragradient on f = xy, from 1.
    """
    return float(play("bilinear", method, seed, 400)[-1].norm())


@row("L20", AtLeast(10.0), wrong={"with curvature of their own": {"game": "curved", "steps": 20}})
def smallest_gan(seed: int, fast: bool, game: str = "one-point GAN", steps: int = 400) -> float:
    """So it is for the smallest GAN.

    Measures: distance after 400 steps, simultaneous over extragradient.
    """
    one, other = (play(game, method, seed, steps)[-1].norm() for method in ("simultaneous", "extragradient"))
    return float(one / other)


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)

"""Does it matter which slope a ReLU has at its kink?

A ReLU has none at 0; any number between the slopes of both sides, 0 and 1, is a subgradient: h(t) >= h(0) + g t for all
t. Descent asks for it only where a pre-activation is exactly 0. How often is that? Digits, whose pixels are exactly 0
half of the time, in four settings, every single slope that is asked for counted:

    drawn biases       64-30-10, weights and biases as usual
    zero biases        the same, biases 0: sums over the other pixels are still not 0
    blank images       and a tenth of the images blank, a class of their own: W 0 + 0 is 0 until the biases move
    narrow             64-4-4-10, biases 0: where all four units are off, every sum above them is exactly 0

    python experiments/lecture/kinks.py    a minute on 2 cores
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.acceptance import Equals, largest, row
from experiments.common.data import Data, digits
from experiments.common.drawing import REFERENCE, dots, every_seed
from experiments.common.frame import Flags, Judge, by_seed, main, one_a_seed, plus_minus, values
from experiments.lecture.draws import predict
from experiments.lecture.stacks import layers_of, stack

import numpy as np
import torch
from torch import Tensor

from rllab import Key, plots
from rllab import backprop as bp
from rllab.backprop.module import Weights
from rllab.noise import standard_normal
from rllab.runs import Job, Record

SLOPES = (0.0, 0.5, 1.0)
TYPES = {"float32": torch.float32, "float64": torch.float64}
TESTS, BATCH, RATE = 597, 32, 3e-3
BLANK = 0.1  # share of images that are blank, where there are any
DRAWN = 1_000_000  # pre-activations


@dataclass(frozen=True)
class Setting:
    """A network, whether its biases start at 0, and whether some images are blank."""

    hidden: tuple[int, ...]
    zero_biases: bool
    blank: bool = False


SETTINGS = {
    "drawn biases": Setting((30,), False),
    "zero biases": Setting((30,), True),
    "blank images": Setting((30,), True, blank=True),
    "narrow": Setting((4, 4), True),
}
RELUS = tuple(bp.ReLU(slope_at_zero=g) for g in (0.0, 0.25, 0.5, 0.75, 1.0))
HARMLESS = ("drawn biases", "zero biases")


@dataclass(frozen=True)
class Config(Flags):
    epochs: int = 15
    """Passes over the training images."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "epochs": 2}


@dataclass(frozen=True)
class Counted(bp.Pointwise):
    """A ReLU that counts the slopes that are asked for, and those asked for at its kink; any slope there will do."""

    slope_at_zero: float
    counts: dict[str, int] = field(default_factory=lambda: {"slopes": 0, "hits": 0}, compare=False)

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        return torch.clamp_min(z, 0, out=out)

    def _slope(self, s: Tensor, z: Tensor, out: Tensor | None) -> Tensor:
        self.counts["slopes"] += s.numel()
        self.counts["hits"] += s.numel() - int(torch.count_nonzero(s))
        return torch.heaviside(s, s.new_tensor(self.slope_at_zero), out=out)


def images(setting: Setting, key: Key) -> tuple[Data, Data]:
    """Return digits to train and to test with; where some are blank, class 10 is theirs."""
    parts = digits().split(TESTS, key.child("split"))
    return tuple(blanked(part, key.child("blank", k)) for k, part in enumerate(parts)) if setting.blank else parts  # type: ignore[return-value]


def blanked(data: Data, key: Key) -> Data:
    picked = torch.from_numpy(np.random.default_rng(key.integer()).random(len(data)) < BLANK)
    return Data(torch.where(picked[:, None], 0.0, data.x), torch.where(picked, 10, data.y))


@dataclass(frozen=True)
class Trained:
    """What came of a training: weights, accuracy on the test images, and what was counted."""

    weights: Tensor
    accuracy: float
    slopes: int
    hits: int


def train(setting: Setting, slope: float, dtype: torch.dtype, epochs: float, key: Key) -> Trained:
    """Train on digits by Adam; the same images, weights and batches whatever the slope at the kink."""
    train, test = images(setting, key)
    relu, classes = Counted(slope), 11 if setting.blank else 10
    graph = stack((64, *setting.hidden, classes), relu, bp.CrossEntropy(), key.child("weights"), dtype=dtype)
    if setting.zero_biases:
        for _, bias in layers_of(graph, graph.weights):
            bias.zero_()
    x, spent = train.x.to(dtype), int(epochs * len(train))
    adam = partial(torch.optim.Adam, lr=RATE)
    counted: dict[str, Any] = {"sample_gradients": spent, "look": spent}
    trace = bp.fit(graph, x, train.y, batch=BATCH, optimizer=adam, order="shuffled", key=key, **counted)
    right = predict(graph, test.x.to(dtype), weights=trace.weights).argmax(1) == test.y
    return Trained(trace.weights, right.double().mean().item(), relu.counts["slopes"], relu.counts["hits"])


def with_every_slope(setting: Setting, dtype: torch.dtype, epochs: float, key: Key) -> tuple[list[Trained], float]:
    """Train with every slope at the kink; return what came of it, and the largest difference between weights."""
    runs = [train(setting, slope, dtype, epochs, key) for slope in SLOPES]
    return runs, largest(*((r.weights - runs[0].weights).abs().max().item() for r in runs))


def drawn(dtype: torch.dtype, key: Key, count: int = DRAWN, *, zero: bool = False) -> int:
    """Count the exact zeros among pre-activations of random inputs, weights and biases, or of zero ones and biases."""
    like, units = torch.empty(0, dtype=dtype), 100
    layer = bp.Linear(20, units)
    x, w = standard_normal((count // units, 20), key.child("x"), like), layer.initial(key.child("w")).to(dtype)
    if zero:
        x, w = 0 * x, torch.cat((w[:-units], 0 * w[-units:]))
    return int((layer.forward(x, w) == 0).sum())


def violations(relu: bp.Module, seed: int) -> int:
    """Count t with h(t) < h(0) + g t, of 1,000, where g is the slope that a ReLU hands back at 0."""
    at = torch.zeros(1000, 1, dtype=torch.float64)
    g = relu.vjp_state(torch.ones_like(at), at)
    t = standard_normal((1000, 1), Key(seed), at)
    return int((~(relu.forward(t) >= g * t)).sum())  # NaN is one


def run(job: Job, record: Record) -> None:
    """Count random pre-activations at the kink, and train in every setting, under one seed."""
    key = Key(job.seed)
    for name, dtype in TYPES.items():
        for zero in (False, True):
            hits = drawn(dtype, key.child("drawn"), zero=zero)
            record.append({"part": "drawn", "dtype": name, "zero": zero, "hits": hits, "count": DRAWN})
        for setting, what in SETTINGS.items():
            runs, apart = with_every_slope(what, dtype, job.config["epochs"], key)
            for slope, r in zip(SLOPES, runs, strict=True):
                head = {"part": "trained", "setting": setting, "dtype": name, "slope": slope, "accuracy": r.accuracy}
                record.append({**head, "slopes": r.slopes, "hits": r.hits, "apart": apart})


@row("L23", Equals(0), wrong={"inputs and biases 0": {"fast": True, "zero": True}}, identity=False)
def hits_of_random_preactivations(seed: int, fast: bool, zero: bool = False) -> float:
    """It is enough that a function is differentiable almost everywhere: kinks are not hit.

    Measures: exact zeros among a million random pre-activations (a tenth of it if fast).
    Note: With a bias of 0 an input of 0 is always at the kink.
    """
    return drawn(torch.float64, Key(seed), DRAWN // 10 if fast else DRAWN, zero=zero)


@row("L23", Equals(0), wrong={"blank images, biases 0": {"setting": "blank images"}}, identity=False)
def weights_apart(seed: int, fast: bool, setting: str = "drawn biases") -> float:
    """So networks learn the same whatever slope their kinks are given.

    Measures: largest difference between weights trained on digits with h′(0) = 0, ½ and 1.
    """
    return with_every_slope(SETTINGS[setting], torch.float64, 0.5 if fast else 10, Key(seed))[1]


@row("T5", Equals(0), wrong={f"a slope of {g}": {"relus": (Counted(g),)} for g in (1.5, -0.5)})
def violated_subgradients(seed: int, fast: bool, relus: tuple[bp.Module, ...] = RELUS) -> float:
    """At a kink any slope between those of both sides is a subgradient.

    Measures: of 1,000 t and five slopes g from 0 to 1, those with h(t) < h(0) + g t.
    """
    return sum(violations(relu, seed) for relu in relus)


def trained(records: list[Record], name: str, setting: str, dtype: str | None = None) -> np.ndarray:
    """Return one number of every training in a setting, (seeds, SLOPES), or both dtypes one after the other."""
    picked = [dtype] if dtype else list(TYPES)
    return np.concatenate([by_seed(records, name, part="trained", setting=setting, dtype=d) for d in picked])


def spread(records: list[Record], setting: str, dtype: str | None = None) -> np.ndarray:
    """Return highest less lowest accuracy over the slopes at the kink, in points, of each seed."""
    return 100 * np.ptp(trained(records, "accuracy", setting, dtype), axis=1)


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    hits = {(d, zero): int(values(records, "hits", part="drawn", dtype=d, zero=zero).sum()) for d in TYPES
            for zero in (False, True)}  # fmt: skip
    count = DRAWN * len(records)
    judge(
        hits["float64", False] == 0,
        f"of {count:,} random pre-activations {hits['float64', False]} are exactly 0 in float64 (needs 0)",
    )
    judge.note(f"in float32 {hits['float32', False]} of as many are")
    judge(
        all(hits[d, True] == count for d in TYPES),
        f"with inputs and biases of 0 all {hits['float64', True]:,} are, in either type (needs all)",
    )
    for setting in HARMLESS:
        slopes, zeros, apart = (trained(records, name, setting) for name in ("slopes", "hits", "apart"))
        judge(
            zeros.sum() == 0 and apart.max() == 0 and spread(records, setting).max() <= 0.5,
            f"{setting}: of {slopes.sum():,.0f} slopes asked for in training {zeros.sum():.0f} are at the kink; "
            f"weights differ by {apart.max():g}, accuracies by {spread(records, setting).max():g} points "
            "(needs 0, 0, <= 0.5)",
        )
    quiet = [(trained(records, "hits", s).sum(1) == 0, trained(records, "apart", s)[:, 0]) for s in SETTINGS]
    never, apart = (np.concatenate(parts) for parts in zip(*quiet, strict=True))
    judge(
        bool((apart[never] == 0).all()) and bool(never.any()),
        f"{never.sum()} of {len(never)} comparisons of three slopes never hit a kink; there the weights are the same "
        f"to the last bit (needs all); they differ by up to {apart[~never].max(initial=0):.2g} where it was hit",
    )
    zeros, off = trained(records, "hits", "blank images"), spread(records, "blank images")
    judge(
        bool((zeros > 0).all()) and float(np.median(off)) <= 0.5,
        f"blank images: the kink is hit in every training, {zeros.min():.0f} to {zeros.max():.0f} times; accuracies "
        f"differ by {np.median(off):.2f} points in the median (needs <= 0.5; at most {off.max():.2f})",
    )
    zeros, accuracy = (trained(records, name, "narrow", "float64") for name in ("hits", "accuracy"))
    hit = zeros.sum(1) > 0
    judge.note(
        f"narrow: {hit.sum()} of {len(hit)} seeds hit the kink, and there accuracies differ by "
        f"{', '.join(f'{v:.1f}' for v in spread(records, 'narrow', 'float64')[hit]) or 'nothing'} points"
    )
    for k, slope in enumerate(SLOPES[1:], 1):
        gain = plus_minus(100 * (accuracy[:, k] - accuracy[:, 0]), 1)
        judge.note(f"narrow: a slope of {slope:g} gains {gain} points over 0 (95 % interval)")


def figure(records: list[Record], config: Config) -> Path:
    """Draw how often the kink is hit, how much accuracies differ, and accuracies in the narrow network."""
    names = {
        "drawn biases": "30 units,\nbiases drawn",
        "zero biases": "30 units,\nbiases 0",
        "blank images": "the same, a tenth\nof images blank",
        "narrow": "4 + 4 units,\nbiases 0",
    }
    never, same = 1e-8, 0.03  # where what is 0 is drawn on logarithmic axes
    shares, spreads = {}, {}
    for setting, name in names.items():
        hits, slopes = (trained(records, what, setting, "float64").max(1) for what in ("hits", "slopes"))
        shares[name] = np.where(hits == 0, never, hits / slopes)
        off = spread(records, setting, "float64")
        spreads[name] = np.where(off == 0, same, off)
    drawing, axes = plots.panels(3, 1, width=4.0, height=3.8)
    with plots.style():
        for ax, numbers, zero, word in ((axes[0], shares, never, "never"), (axes[1], spreads, same, "none")):
            dots(ax, numbers, [plots.BLUE] * len(names), never=zero)
            ax.set(xscale="log", xlim=(zero / 2, None))
            ticks = [zero, *(10.0**k for k in range(-6, 1))] if zero == never else [zero, 0.1, 1, 10]
            ax.set_xticks(ticks, [word, *(f"{t:g}" for t in ticks[1:])], fontsize=8)
            ax.minorticks_off()
        axes[1].tick_params(labelleft=False)  # the rows are those of the panel before
        axes[0].set(xlabel="largest share of slopes asked for at exactly 0")
        axes[0].set_title("Ordinary networks\nnever hit the kink")
        axes[1].set(xlabel="points of accuracy between h′(0) = 0, ½ and 1")
        axes[1].set_title("and where none is hit,\nits slope changes nothing")
        axes[1].axvline(0.5, **REFERENCE)
        axes[1].annotate("half a point", (0.5, -0.3), (4, 0), textcoords="offset points", fontsize=8)
        accuracy, zeros = (trained(records, name, "narrow", "float64") for name in ("accuracy", "hits"))
        for hit, color in ((False, plots.BLUE), (True, plots.VERMILLION)):
            picked = 100 * accuracy[(zeros.sum(1) > 0) == hit]
            every_seed(axes[2], [(np.array(SLOPES), y) for y in picked], "", color=color, marker="o", linewidth=1.8)
            said = f"{len(picked)} seeds {'hit it' if hit else 'never hit it'}"
            at = (0.5, 0.1 + 0.07 * hit)
            axes[2].annotate(said, at, xycoords="axes fraction", color=color, ha="center", fontsize=9)
        axes[2].set(xlabel="slope at the kink, h′(0)", ylabel="right on test images, %", xticks=SLOPES)
        axes[2].set_title("4 + 4 units: where it is hit,\nthe slope matters")
        drawing.suptitle(
            "The slope at the kink matters where units hit it exactly, and ordinary networks do not\n"
            f"ReLU networks on digits, float64; {len(records)} seeds, a dot or a line each, hollow: none"
        )
    return plots.save(drawing, config.out / "kinks.png")


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)

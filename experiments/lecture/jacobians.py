"""What would backpropagation cost if it multiplied Jacobians?

The gradient of an internal variable is a product of Jacobians that can be taken from either end:

    sweep      ((v · J_K) · J_K−1) · …       a row at a time, by products that form no Jacobian
    explicit   v · (J_K · J_K−1 · …)         matrices first, width × width; and by weights J_w, width × weights

with v = ∂C/∂ȳ. Both give the same numbers. A layer's J_w = (I ⊗ zᵀ, I) holds about width³ numbers, all but width² of
them 0: for 600 inputs and 60 outputs it is 60 × 36,060.

    python experiments/lecture/jacobians.py    half a minute on 2 cores
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.acceptance import AtMost, Equals, largest, row
from experiments.common.claims import judge_row
from experiments.common.drawing import band, label_end, line, look
from experiments.common.frame import Flags, Judge, main, one_a_seed
from experiments.lecture.draws import regression, relative

import numpy as np
import torch
from torch import Tensor

from rllab import Key, plots
from rllab import backprop as bp
from rllab.noise import standard_normal
from rllab.runs import Job, Record

DEPTH = 3
BYTES = 8  # of a number, float64
FORMED = 128  # widest layer whose Jacobian by weights is formed: that of 512 would take 1 GB
Chain = Callable[[Tensor, Tensor], Tensor]  # ∂ȳ/∂f and ∂f/∂z to ∂ȳ/∂z
SWEEP = plots.MethodStyle(plots.BLUE, plots.SOLID, "o")
EXPLICIT = plots.MethodStyle(plots.VERMILLION, plots.DASHED, "s")
STATES = plots.MethodStyle(plots.ORANGE, plots.DOTTED, "^")


@dataclass(frozen=True)
class Config(Flags):
    widest: int = 512
    """Widest network; the narrowest has 8."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "widest": 64}


def widths(widest: int) -> list[int]:
    return [8 * 2**k for k in range(12) if 8 * 2**k <= widest]


def network(width: int, key: Key) -> tuple[bp.Graph, Tensor, Tensor]:
    """Return DEPTH layers of one width with tanh between and a squared distance on top, and one sample."""
    return regression(key, (width,) * (DEPTH + 1), samples=1)


@dataclass
class Product:
    """Gradients by explicit Jacobians, and how many numbers were in those.

    Attributes:
        gradients: by variable and block, as `Graph.backward` names them.
        states, weights: numbers in the Jacobians by states, with their products, and in those by weights.
    """

    gradients: dict[str, Tensor]
    states: int = 0
    weights: int = 0


def explicit(
    graph: bp.Graph,
    x: Tensor,
    y: Tensor,
    *,
    by_weights: bool = True,
    chain: Chain = torch.matmul,
) -> Product:
    """Multiply the Jacobians of a chain of modules with a cost C(ȳ, y) on top, for one sample.

    Args:
        by_weights: whether ∂C/∂w is formed too.
        chain: how two Jacobians are multiplied.
    """
    blocks = graph.blocks[:-1]
    sizes = [block.module.size for block in graph.blocks]
    flat = dict(zip([block.name for block in graph.blocks], graph.weights.split(sizes), strict=True))
    at = {"x": x}
    for block in blocks:
        at[block.computes[0]] = block.module.forward(at[block.reads[0]], flat[block.name])
    v, by_target = graph.blocks[-1].module.jacobian_state((at[graph.output], y))
    v = v[0]
    found = Product({"C": torch.ones(1, dtype=x.dtype), "y": by_target[0], graph.output: v})
    whole = torch.eye(v.shape[1], dtype=x.dtype)  # ∂ȳ/∂f of the block's output
    for block in reversed(blocks):
        z, w = at[block.reads[0]], flat[block.name]
        if block.module.size and by_weights:
            by_w = block.module.jacobian_weights(z, w)[0]
            found.weights += by_w.numel()
            found.gradients[block.name] = (v @ whole @ by_w)[0]
        by_z = block.module.jacobian_state(z, w)[0]
        whole = chain(whole, by_z)
        found.states += by_z.numel() + whole.numel()
        found.gradients[block.reads[0]] = v @ whole
    return found


def difference(width: int, key: Key, chain: Chain = torch.matmul) -> float:
    """Return the largest difference of explicit products from the sweep, relative to each variable's largest entry."""
    graph, x, y = network(width, key)
    product = explicit(graph, x, y, chain=chain).gradients
    sweep = graph.backward(x, y, variables=graph.continuous).by_variable
    if set(product) != set(sweep):
        raise RuntimeError(f"the product knows {sorted(product)}, the sweep {sorted(sweep)}")
    return largest(*(relative(product[name], g) for name, g in sweep.items()))


def cpu_time(call: Callable[[], object], least: float = 0.02) -> float:
    """Return the CPU seconds of a call, the median of three rounds after one to warm up."""
    rounds, calls = [], 1
    while True:
        begin = time.process_time()
        for _ in range(calls):
            call()
        spent = time.process_time() - begin
        if spent < least and not rounds:
            calls *= 2
            continue
        rounds.append(spent / calls)
        if len(rounds) == 4:
            return float(np.median(rounds[1:]))


def run(job: Job, record: Record) -> None:
    """Compare, count and time both ways at every width, under one seed."""
    for width in widths(job.config["widest"]):
        key = Key(job.seed).child(width)
        graph, x, y = network(width, key)
        formed = width <= FORMED
        product = explicit(graph, x, y, by_weights=formed)
        sweep = graph.backward(x, y, variables=graph.continuous)
        held = sum(g.numel() for g in sweep.by_variable.values())
        seconds = cpu_time(lambda graph=graph, x=x, y=y: graph.backward(x, y, variables=graph.continuous))
        row = {"width": width, "weights": graph.weights.numel(), "held": held, "states": product.states}
        row |= {"seconds": seconds, "formed": formed}
        row["states seconds"] = cpu_time(lambda graph=graph, x=x, y=y: explicit(graph, x, y, by_weights=False))
        if formed:
            row["difference"] = difference(width, key)
            row["by weights"] = product.weights
            row["all seconds"] = cpu_time(lambda graph=graph, x=x, y=y: explicit(graph, x, y))
        record.append(row)


def without_slopes(above: Tensor, below: Tensor) -> Tensor:
    """Leave out the Jacobians that are diagonal, a mistake."""
    return above if torch.equal(below, torch.diag(below.diag())) else above @ below


@row(
    "L79",
    AtMost(1e-10),
    wrong={
        "Jacobians multiplied in the other order": {"widths": (12,), "chain": lambda above, below: below @ above},
        "Jacobians transposed": {"widths": (12,), "chain": lambda above, below: above @ below.t()},
        "one Jacobian left out": {"widths": (12,), "chain": without_slopes},
    },
)
def products_against_the_sweep(
    seed: int, fast: bool, widths: tuple[int, ...] = (8, 12, 32), chain: Chain = torch.matmul
) -> float:
    """Multiplying Jacobians from the cost downwards gives the gradients of all internal variables.

    Measures: largest relative difference of explicit products to the sweep, over all variables and weights.
    """
    return largest(*(difference(width, Key(seed), chain) for width in widths))


@row("L79", Equals(60 * 36_060), wrong={"bias forgotten": {"forgotten": 60 * 60}})
def size_of_a_jacobian_by_weights(seed: int, fast: bool, forgotten: int = 0) -> float:
    """The Jacobian of a layer by its weights is large: 60 × 36,060 for 600 inputs and 60 outputs.

    Measures: numbers in it.
    """
    return jacobian_by_weights(seed).numel() - forgotten


def jacobian_by_weights(seed: int) -> Tensor:
    """Return J_w of the lecture net's first layer at one image."""
    layer, key = bp.Linear(600, 60), Key(seed)
    z = standard_normal((1, 600), key.child("z"), torch.empty(0))
    return layer.jacobian_weights(z, layer.initial(key).float())


def table(records: list[Record], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the widths that have this number and the numbers, (widths,) and (seeds, widths)."""
    rows = [[r for r in record.rows if name in r] for record in records]
    return np.array([r["width"] for r in rows[0]]), np.array([[r[name] for r in mine] for mine in rows], float)


def slope(records: list[Record], name: str) -> float:
    """Return d log/d log width between the two widest."""
    at, y = table(records, name)
    low, high = np.median(y, 0)[-2:]
    return float(np.log(high / low) / np.log(at[-1] / at[-2]))


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    judge_row(judge, products_against_the_sweep, table(records, "difference")[1].max(1))
    for name, expected, what in (
        ("held", 2, "numbers the sweep writes"),
        ("states", 2, "numbers in Jacobians by states"),
        ("by weights", 3, "numbers in Jacobians by weights"),
    ):
        found = slope(records, name)
        judge(
            abs(found - expected) <= 0.1,
            f"{what} grow as width^{found:.3f} between the widest networks (needs {expected} ± 0.1)",
        )
    size = jacobian_by_weights(0).shape
    judge(
        tuple(size) == (1, 60, 36_060), f"J_w of 600 inputs and 60 outputs: {size[1]} × {size[2]:,} (needs 60 × 36,060)"
    )
    at, all_seconds = table(records, "all seconds")
    ratio = all_seconds / table(records, "seconds")[1][:, : len(at)]
    judge(
        np.median(ratio, 0)[-1] >= np.median(ratio, 0)[0] and np.median(ratio, 0)[-1] >= 3,
        f"CPU time of explicit products over the sweep's: {ratios(ratio)} for widths {at[0]} to {at[-1]} "
        "(needs at least 3 at the widest, and no less than at the narrowest)",
    )
    at, states = table(records, "states seconds")
    judge.note(
        f"without Jacobians by weights: {ratios(states / table(records, 'seconds')[1])} for widths {at[0]} to {at[-1]}"
    )


def ratios(x: np.ndarray) -> str:
    return ", ".join(f"{v:.3g}" for v in np.median(x, 0))


def figure(records: list[Record], config: Config) -> Path:
    """Draw memory and CPU time of both ways against the width."""
    drawing, axes = plots.panels(2, 1, width=5.2, height=4.4)
    with plots.style():
        for name, how, label in (
            ("held", SWEEP, "sweep: gradients alone"),
            ("states", STATES, "Jacobians by states"),
            ("by weights", EXPLICIT, "Jacobians by weights\n(hollow: not formed)"),
        ):
            at, y = table(records, name)
            axes[0].loglog(at, BYTES * y[0], **look(how))
            side, up = ("left", 14) if name == "by weights" else ("right", 0)
            label_end(axes[0], at[-1], BYTES * y[0, -1], label, how.color, side=side, up=up)
        if (more := np.array([w for w in widths(config.widest) if w > FORMED])).size:
            axes[0].loglog(more, BYTES * DEPTH * more**2 * (more + 1), EXPLICIT.marker, color=EXPLICIT.color,
                           markerfacecolor="none")  # fmt: skip
        axes[0].set(ylabel="memory, bytes", title="Memory: width³ by weights, else width²")
        _, base = table(records, "seconds")
        for name, how, label in (
            ("states seconds", STATES, "Jacobians by states"),
            ("all seconds", EXPLICIT, "by states and weights"),
        ):
            at, y = table(records, name)
            ratio = y / base[:, : len(at)]
            band(axes[1], at, ratio, how, alpha=0.2)
            label_end(axes[1], at[-1], np.median(ratio[:, -1]), label, how.color)
            axes[1].set(xscale="log", yscale="log")
        axes[1].axhline(1, **line(SWEEP))
        label_end(axes[1], config.widest, 1, "sweep", SWEEP.color, up=7)
        axes[1].set(
            ylabel="CPU time/CPU time of the sweep", title="CPU time: many times that of the sweep in wide layers"
        )
        for ax in axes:
            ax.set(xlabel="width of every layer", xscale="log")
            ax.set_xticks(widths(config.widest), [str(w) for w in widths(config.widest)])
            ax.minorticks_off()
            ax.set_xlim(widths(config.widest)[0] / 1.2, config.widest * 8)  # with room for the names
        drawing.suptitle(
            "Multiplying Jacobians costs memory and time that products of vectors with them do not\n"
            f"A network of {DEPTH} layers, one sample; times: medians of {len(records)} seeds, bands: their ranges"
        )
    return plots.save(drawing, config.out / "jacobians.png")


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)

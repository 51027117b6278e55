"""How far does a small change travel as the derivatives say?

Push one number by ds and follow it: the derivatives predict what comes out, and what they miss is of second order.

    one function       dz = ds h′(s) + O(ds²)                       dC = ds h′(s) ∂C/∂z + O(ds²)
    a weighted sum     ds_k = w_k dz, exactly                       dC = Σ_k ds_k ∂C/∂s_k + O(dz²)
    a whole network    dC = Σ_i dw_i ∂C/∂w_i + O(|dw|²)

So the residual falls with slope 2 on logarithmic axes, until values agree to their last digits: then the floor is that
of rounding, u|C|. Where the push crosses the kink of a ReLU the slope is 1: there is no h′ that both sides share.

    python experiments/lecture/perturbation.py    seconds
"""

from collections.abc import Callable
from pathlib import Path

from experiments.common.acceptance import AtMost, Within, furthest, largest, row
from experiments.common.drawing import GREY, REFERENCE, band, label_end, say
from experiments.common.frame import Flags, Judge, by_seed, main, one_a_seed, slopes, values
from experiments.lecture.draws import LIKE, judged, normal, regression

import numpy as np
import torch
from torch import Tensor

from rllab import Key, plots
from rllab import backprop as bp
from rllab.noise import standard_normal
from rllab.runs import Job, Record

STEPS = np.geomspace(1e-1, 1e-8, 29)  # ds, four a decade
FITTED = (1e-5, 1e-2)  # where the slope is read: above the floor, below where third order shows
POINTS = 100  # pushed at once, of each seed
SMOOTH = {"tanh": bp.Tanh(), "sigmoid": bp.Sigmoid(), "softplus": bp.Softplus()}
CROSSING = 1 / 3  # a push of ds starts this share of ds below the kink
ROUNDING = 20  # residuals of the smallest ds may be this many u|C|: a network of 20 sums rounds about as often
U = torch.finfo(torch.float64).eps / 2

Slope = Callable[[Tensor], Tensor]
Functions = tuple[bp.Module, ...]
FUNCTIONS, TANH = tuple(SMOOTH.values()), (SMOOTH["tanh"],)
PUSHES = (1e-3, 1.0, 1e3, 1e6)  # of one input of a sum
Points = tuple[Tensor, Tensor]
Predict = Callable[[bp.Graph, Tensor, Tensor], Tensor]


class Config(Flags):
    """Flags of every experiment, and none besides."""


def rms(x: Tensor) -> float:
    return x.square().mean().sqrt().item()


def one_function(h: bp.Module, ds: float, key: Key, slope: Slope | None = None) -> float:
    """Return the residual h(s + ds) − h(s) − ds h′(s), root mean square over points s."""
    s = standard_normal((POINTS, 1), key, LIKE)
    slopes = h.jacobian_state(s)[:, :, 0] if slope is None else slope(s)
    return rms(h.forward(s + ds) - h.forward(s) - ds * slopes)


def kink(ds: float, key: Key) -> float:
    """Return the same residual of a ReLU that is pushed across its kink."""
    h, s = bp.ReLU(), -CROSSING * ds * standard_normal((POINTS, 1), key, LIKE).abs().clamp(0.1, 2)
    return rms(h.forward(s + ds) - h.forward(s) - ds * h.jacobian_state(s)[:, :, 0])


def softplus(ds: float, key: Key) -> float:
    """Return the residual of a ReLU without a kink."""
    return one_function(SMOOTH["softplus"], ds, key)


def to_the_cost(h: bp.Module, key: Key) -> tuple[bp.Graph, Points]:
    """Return z = h(s), C = (z − y)², and points s, y."""
    graph = judged([bp.Block("h", h, ("s",), ("z",))])
    return graph, (normal(key, "s", POINTS, 1), normal(key, "y", POINTS, 1))


def fan_out(key: Key) -> tuple[bp.Graph, Points]:
    """Return one z that feeds three sums s_k = w_k z, each with a function of its own use of it, and points z, y."""
    blocks = [
        bp.Block("weights", bp.Linear(1, 3), ("z",), ("s",)),
        bp.Block("h", bp.Tanh(), ("s",), ("t",)),
        bp.Block("above", bp.Linear(3, 2), ("t",), ("out",)),
    ]
    return judged(blocks, key), (normal(key, "z", POINTS, 1), normal(key, "y", POINTS, 2))


def through_derivatives(graph: bp.Graph, z: Tensor, y: Tensor) -> Tensor:
    """Return ∂C/∂z of each point; the engine's is that of the mean cost."""
    name = "z" if "z" in graph.inputs else "s"
    return len(z) * graph.backward(z, y, variables=name).by_variable[name]


def paths(graph: bp.Graph, z: Tensor, y: Tensor) -> Tensor:
    """Return w_k ∂C/∂s_k of each of the three paths, (points, 3): what dC/dz adds up."""
    w, _ = graph.blocks[0].module.views(graph.weights[:6])
    return len(z) * graph.backward(z, y, variables="s").by_variable["s"] * w[:, 0]


def all_paths(graph: bp.Graph, z: Tensor, y: Tensor) -> Tensor:
    return paths(graph, z, y).sum(1, keepdim=True)


def cost_residual(graph: bp.Graph, at: Points, ds: float, predict: Predict) -> tuple[float, float]:
    """Return the residual C(s + ds) − C(s) − ds ∂C/∂s over points, and the largest |C|."""
    s, y = at
    before, after = graph.loss_per_sample(s, y), graph.loss_per_sample(s + ds, y)
    return rms(after - before - ds * predict(graph, s, y)[:, 0]), before.abs().max().item()


def network(ds: float, key: Key) -> tuple[float, float]:
    """Return the residual of a network's loss along random directions of its weights, and the largest loss."""
    graph, x, y = regression(key, (6, 8, 8, 4), samples=5)
    g, left, most = graph.backward(x, y), [], 0.0
    for u in normal(key, "directions", POINTS, len(graph.weights)):
        u = u / u.norm()
        after = graph.loss_per_sample(x, y, weights=graph.weights + ds * u).mean()
        left.append(after - g.loss - ds * (g.weights @ u))
        most = largest(most, after.item())
    return rms(torch.stack(left)), most


def weighted_sum(dz: float, key: Key, *, weights: Slope = lambda w: w) -> float:
    """Return the largest |ds_k − w_k dz| of a layer, one of whose inputs is pushed, relative to the numbers added."""
    layer, z = bp.Linear(4, 3), normal(key, "z", POINTS, 4)
    flat = layer.initial(key)
    w, _ = layer.views(flat)
    pushed = z.clone()
    pushed[:, 1] += dz
    ds = layer.forward(pushed, flat) - layer.forward(z, flat)
    size = layer.forward(z, flat).abs().max() + w.abs().max() * abs(dz)
    return ((ds - weights(w)[:, 1] * dz).abs().max() / size).item()


def run(job: Job, record: Record) -> None:
    """Measure the residual of every case at every ds, under one seed."""
    key = Key(job.seed)
    for ds in STEPS.tolist():
        for name, h in SMOOTH.items():
            record.append({"case": name, "ds": ds, "residual": one_function(h, ds, key.child(name))})
            graph, at = to_the_cost(h, key.child("cost", name))
            left, size = cost_residual(graph, at, ds, through_derivatives)
            record.append({"case": f"{name}, to the cost", "ds": ds, "residual": left, "size": size})
        graph, at = fan_out(key.child("fan-out"))
        for name, predict in (("fan-out of 3", all_paths), ("fan-out, one path only", lambda *a: paths(*a)[:, :1])):
            left, size = cost_residual(graph, at, ds, predict)
            record.append({"case": name, "ds": ds, "residual": left, "size": size})
        left, size = network(ds, key.child("network"))
        record.append({"case": "network", "ds": ds, "residual": left, "size": size})
        record.append({"case": "ReLU across its kink", "ds": ds, "residual": kink(ds, key.child("kink"))})
    for dz in PUSHES:
        record.append({"case": "sum", "dz": dz, "error": weighted_sum(dz, key.child("sum"))})


def slope_of(residual: Callable[[float], float], fast: bool) -> float:
    """Return d log residual/d log ds where neither third order nor rounding shows."""
    ds = np.geomspace(*FITTED, 4 if fast else 13)
    return float(slopes(ds, [residual(h) for h in ds]))


def slope_of_cost(made: tuple[bp.Graph, Points], fast: bool, predict: Predict) -> float:
    graph, at = made
    return slope_of(lambda ds: cost_residual(graph, at, ds, predict)[0], fast)


@row(
    "L63",
    Within(1.9, 2.1),
    wrong={
        "h′ forgotten": {"functions": TANH, "slope": torch.ones_like},
        "h′ taken at h(s)": {"functions": TANH, "slope": lambda s: 1 - torch.tanh(torch.tanh(s)) ** 2},
    },
)
def second_order_of_one_function(
    seed: int, fast: bool, functions: Functions = FUNCTIONS, slope: Slope | None = None
) -> float:
    """A small change ds of a function's argument changes its value by ds h′(s), as the chain rule has it.

    Measures: log-log slope in ds of what tanh, sigmoid and softplus do beyond that; the one furthest from 2.
    """
    return furthest([slope_of(lambda ds, h=h: one_function(h, ds, Key(seed), slope), fast) for h in functions], 2)


@row("L63", Within(0.9, 1.1), wrong={"a ReLU smoothed out: softplus": {"residual": softplus}})
def first_order_at_the_kink(seed: int, fast: bool, residual: Callable[[float, Key], float] = kink) -> float:
    """Across the kink of a ReLU the change is of first order beyond any slope.

    Measures: log-log slope in ds of what a ReLU that is pushed across 0 does beyond ds h′(s).
    """
    return slope_of(lambda ds: residual(ds, Key(seed)), fast)


@row(
    "L64",
    Within(1.9, 2.1),
    wrong={
        "h′ forgotten": {"functions": TANH, "predict": lambda graph, s, y: 2 * (torch.tanh(s) - y)},
        "the cost's slope at the argument": {
            "functions": TANH,
            "predict": lambda graph, s, y: 2 * (s - y) * (1 - torch.tanh(s) ** 2),
        },
    },
)
def second_order_of_the_cost(
    seed: int, fast: bool, functions: Functions = FUNCTIONS, predict: Predict = through_derivatives
) -> float:
    """Through a function the cost changes by ds h′(s) ∂C/∂z.

    Measures: log-log slope in ds of what the cost does beyond that; of three functions the one furthest from 2.
    """
    return furthest([slope_of_cost(to_the_cost(h, Key(seed)), fast, predict) for h in functions], 2)


@row(
    "L66",
    AtMost(1e-12),
    wrong={
        "two sums' weights exchanged": {"pushes": (1.0,), "weights": lambda w: w[[1, 0, 2]]},
        "another input's weights": {"pushes": (1.0,), "weights": lambda w: w.roll(1, 1)},
    },
)
def error_of_a_weighted_sum(
    seed: int, fast: bool, pushes: tuple[float, ...] = PUSHES, weights: Slope = lambda w: w
) -> float:
    """A change dz of one input changes every weighted sum by its own weight times dz, however large dz is.

    Measures: largest error of that for dz = 0.001 to a million, relative to the numbers added.
    """
    return largest(*(weighted_sum(dz, Key(seed), weights=weights) for dz in pushes))


@row(
    "L67",
    Within(1.9, 2.1),
    wrong={
        "one path only": {"predict": lambda *a: paths(*a)[:, :1]},
        "the largest path only": {"predict": lambda *a: paths(*a).gather(1, paths(*a).abs().argmax(1, keepdim=True))},
        "the mean of the paths": {"predict": lambda *a: all_paths(*a) / 3},
    },
)
def second_order_of_a_fan_out(seed: int, fast: bool, predict: Predict = all_paths) -> float:
    """One value that feeds three sums changes the cost by the sum over all three.

    Measures: log-log slope in dz of what the cost does beyond Σ ds_k ∂C/∂s_k.
    """
    return slope_of_cost(fan_out(Key(seed)), fast, predict)


def slopes_found(records: list[Record], case: str) -> np.ndarray:
    """Return each seed's slope where it is read."""
    inside = (FITTED[0] <= STEPS * 1.001) & (STEPS <= FITTED[1] * 1.001)
    return slopes(STEPS[inside], by_seed(records, "residual", case=case)[:, inside])


EXPECTED = {
    **{name: 2 for h in SMOOTH for name in (h, f"{h}, to the cost")},
    "fan-out of 3": 2,
    "network": 2,
    "fan-out, one path only": 1,
    "ReLU across its kink": 1,
}


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    for case, expected in EXPECTED.items():
        found = slopes_found(records, case)
        judge(
            bool((np.abs(found - expected) <= 0.1).all()),
            f"{case}: residual ∝ ds^{found.mean():.3f}, single seeds {found.min():.3f} to {found.max():.3f} "
            f"(needs {expected} ± 0.1 in every seed)",
        )
    for case in ("tanh, to the cost", "fan-out of 3", "network"):
        size = by_seed(records, "size", case=case)[:, -1]
        floor = by_seed(records, "residual", case=case)[:, -1] / (U * size)
        judge(
            0 < floor.min() and floor.max() <= ROUNDING,
            f"{case}: at ds = {STEPS[-1]:.0e} rounding is what is left, {floor.min():.2f} to {floor.max():.2f} u|C| "
            f"(needs above 0, at most {ROUNDING})",
        )
    error = values(records, "error", case="sum").max()
    judge(error <= 1e-12, f"a weighted sum moves by w_k dz up to dz = 10⁶, within {error:.1e} (needs 1e-12)")


def figure(records: list[Record], config: Config) -> Path:
    """Draw residuals against ds: one function, the way to the cost, the two that fall with slope 1."""
    drawing, axes = plots.panels(3, 1, width=3.6, height=3.7)
    looks = zip((plots.BLUE, plots.ORANGE, plots.GREEN), plots.LINES, plots.MARKERS, strict=False)
    kinds = [plots.MethodStyle(*how) for how in looks]
    shown = (
        ("One function, dz − ds h′(s):\nsecond order", ["tanh", "softplus", "sigmoid"], 2),
        ("To the cost, dC − Σ ds ∂C/∂s:\nsecond order", ["tanh, to the cost", "fan-out of 3", "network"], 2),
        ("A kink or a forgotten path:\nfirst order", ["ReLU across its kink", "fan-out, one path only"], 1),
    )
    with plots.style():
        for ax, (title, cases, expected) in zip(axes, shown, strict=True):
            first = np.median(by_seed(records, "residual", case=cases[0])[:, 0])
            for case, how in zip(cases, kinds, strict=False):
                each = by_seed(records, "residual", case=case)
                band(ax, STEPS, each, how, alpha=0.2, markevery=4)
            signs = zip("●■▲", cases, kinds, strict=False)
            say(ax, (0.03, 0.3), [(f"{sign} {case}", how.color) for sign, case, how in signs])
            guide = 3 * STEPS**expected * first / STEPS[0] ** expected
            ax.loglog(STEPS, guide, **REFERENCE)
            label_end(ax, STEPS[8], guide[8], f"∝ ds{'²' if expected == 2 else ''}", GREY, up=8)
            ax.set(xlabel="push ds", ylabel="|actual − predicted change|", title=title, ylim=(1e-18, 10))
            ax.set_xlim(2 * STEPS[0], STEPS[-1] / 2)  # from the largest push to the least
            ax.set_xticks([1e-1, 1e-3, 1e-5, 1e-7])
            ax.minorticks_off()
        drawing.suptitle(
            "What the derivatives do not predict of a small change falls as its square, across a kink only as itself\n"
            f"Root mean squares over {POINTS} points; lines: medians of {len(records)} seeds, bands: their ranges"
        )
    return plots.save(drawing, config.out / "perturbation.png")


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)

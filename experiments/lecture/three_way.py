"""Do three ways to one gradient agree, on every module and on any graph?

    explicit       vector–Jacobian products written by hand, added up where a value is used more than once
    autograd       torch, on the same forward pass
    differences    two forward passes for each number, nothing known of derivatives

Random graphs: 3 to 9 modules of every kind wired at random, weights shared at random, one or two costs on top. Each
module by itself: its Jacobians by state and by weights against torch's. And what an agreement is worth: the same check
on rules with one mistake each, all of which it must notice.

    python experiments/lecture/three_way.py    half a minute on 2 cores
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.acceptance import AtMost, largest, row
from experiments.common.claims import judge_row
from experiments.common.drawing import REFERENCE, label_end, line
from experiments.common.frame import Flags, Judge, by_seed, main, one_a_seed, values
from experiments.common.random_graphs import positive, random_graph
from experiments.lecture.draws import LIKE, normal
from experiments.lecture.wrong_rules import MUTANTS, under, wrong

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from rllab import Key, plots
from rllab import backprop as bp
from rllab.noise import standard_normal
from rllab.runs import Job, Record

GRAPHS = 20  # of each seed
SAMPLES, WIDTH = 2, 4
TOLERANCES = (1e-9, 1e-5)  # against autograd, against differences
JACOBIANS = ("J by state", "J by weights", "v J by state", "v J by weights")
LEAST = 1e-17  # what an exact 0 is drawn as


@dataclass(frozen=True)
class Config(Flags):
    quick: ClassVar[dict[str, Any]] = {"seeds": 2}


def modules() -> dict[str, tuple[bp.Module, int]]:
    """Return one module of every class that has a gradient, and the width of the states it reads."""
    linear = bp.Linear(WIDTH, WIDTH)
    plain = (bp.Identity(), bp.ReLU(), bp.Tanh(), bp.Sigmoid(), bp.Softplus(), bp.LogSoftmax(), bp.Flatten())
    joins = (bp.Add(3), bp.Multiply(3), bp.Max(3), bp.Concatenate(3), bp.Copy(3))
    branches = (bp.Switch(positive, (linear, bp.Tanh())), bp.Repeat(lambda z: 2 * positive(z), linear))
    torch_net = nn.Sequential(nn.utils.skip_init(nn.Linear, WIDTH, 2), nn.GELU()).double()
    with torch.no_grad():  # numbers of our own: torch's initial ones come from its global generator
        for k, p in enumerate(torch_net.parameters()):
            p.copy_(torch.arange(p.numel()).add(k).mul(1.7).sin().view(p.shape))
    others = (bp.Linear(WIDTH, 3), bp.Wrapped(torch_net), bp.SquaredDistance(), bp.InnerProduct(), bp.CrossEntropy())
    return {type(module).__name__: (module, WIDTH) for module in (*others, *plain, *joins, *branches)}


def with_gradients() -> set[str]:
    """Return the names of all module classes that have a gradient."""
    classes = [c for c in map(bp.__dict__.get, dir(bp)) if isinstance(c, type) and issubclass(c, bp.Module)]
    return {c.__name__ for c in classes if c.differentiable and not c.__name__ == "Module"} - {"Pointwise"}


def states_for(module: bp.Module, width: int, key: Key) -> tuple[Tensor, ...]:
    """Draw what a module reads, sample first; classes for a cross-entropy."""
    drawn = [standard_normal((SAMPLES, width), key.child("z", k), LIKE) for k in range(module.inputs)]
    if isinstance(module, bp.CrossEntropy):
        drawn[1] = torch.from_numpy(np.random.default_rng(key.integer()).integers(width, size=SAMPLES))
    return tuple(drawn)


def joined(module: bp.Module, y: Any) -> Tensor:
    """Return the outputs of a module as one row a sample."""
    return torch.cat([t.reshape(len(t), -1) for t in (y if module.outputs > 1 else (y,))], 1)


def off(ours: Tensor, truth: Tensor) -> float:
    """Return the largest difference, relative to the largest entry of the truth."""
    if not truth.numel():
        return 0.0
    return ((ours - truth).abs().max() / truth.abs().max().clamp(min=1e-12)).item()


def module_errors(module: bp.Module, width: int, key: Key) -> dict[str, float]:
    """Return the errors of both Jacobians and both products of a module against torch's."""
    zs = states_for(module, width, key)
    w = module.initial(key) if module.size else None
    z = zs if module.inputs > 1 else zs[0]
    y = module.forward(z, w)
    v = normal(key, "v", *joined(module, y).shape)
    parts = v.split([t[0].numel() for t in y], 1) if module.outputs > 1 else (v,)
    shaped = [p.reshape(t.shape) for p, t in zip(parts, y if module.outputs > 1 else (y,), strict=True)]
    vector = tuple(shaped) if module.outputs > 1 else shaped[0]
    by_state, product = module.jacobian_state(z, w), module.vjp_state(vector, z, w)
    found: dict[str, float] = dict.fromkeys(JACOBIANS, 0.0)
    for k, t in enumerate(zs):
        if not t.is_floating_point():
            continue

        def one(state: Tensor, p: int, k: int = k) -> Tensor:
            mine = tuple(state[None] if j == k else s[p : p + 1] for j, s in enumerate(zs))
            return joined(module, module.forward(mine if module.inputs > 1 else mine[0], w))[0]

        truth = torch.stack([by_columns(lambda s, p=p, one=one: one(s, p), t[p]) for p in range(SAMPLES)])
        ours, g = (by_state[k], product[k]) if module.inputs > 1 else (by_state, product)
        found["J by state"] = largest(found["J by state"], off(ours, truth))
        found["v J by state"] = largest(found["v J by state"], off(g, torch.einsum("pm,pmk->pk", v, truth)))
    if w is not None:
        truth = by_columns(lambda u: joined(module, module.forward(z, u)), w)
        found["J by weights"] = off(module.jacobian_weights(z, w), truth)
        found["v J by weights"] = off(module.vjp_weights(vector, z, w), torch.einsum("pm,pmd->d", v, truth))
    return found


def by_columns(f: Any, at: Tensor) -> Tensor:
    """Return torch's Jacobian of f at a point, by its reverse mode on one number of f after the other."""
    jacobian = torch.autograd.functional.jacobian(f, at)
    assert isinstance(jacobian, Tensor)  # one input, one output
    return jacobian


def graph_errors(seed: int) -> dict[str, float]:
    """Return the largest errors over all variables of a random graph."""
    graph, observed = random_graph(seed)
    errors = bp.check_graph(graph, *observed, weights=graph.weights).errors.values()
    head = {"graph": seed, "blocks": len(graph.blocks), "variables": len(errors)}
    return {**head, "autograd": largest(*(a for a, _ in errors)), "differences": largest(*(d for _, d in errors))}


def noticed(mistake: str, seed: int) -> bool:
    """Whether the explicit engine with a mistake departs from autograd on a random graph."""
    graph, observed = random_graph(seed)
    with wrong(mistake):
        return not disagreement(graph, observed) <= TOLERANCES[0]  # NaN is noticed


def disagreement(graph: bp.Graph, observed: tuple[Tensor, ...]) -> float:
    """Return the largest relative difference between explicit gradients and autograd's, over all variables."""
    ours, truth = (
        graph.backward(*observed, variables=graph.continuous, engine=engine).by_variable
        for engine in ("explicit", "autograd")
    )
    return largest(*(off(ours[name], g) for name, g in truth.items()))


def run(job: Job, record: Record) -> None:
    """Check modules and random graphs, right and wrong, under one seed."""
    for name, (module, width) in modules().items():
        errors = module_errors(module, width, Key(job.seed).child(name))
        record.append({"part": "module", "module": name, "weights": module.size, **errors})
    mine = range(GRAPHS * job.seed, GRAPHS * (job.seed + 1))
    for seed in mine:
        record.append({"part": "graph", **graph_errors(seed)})
    for mistake in MUTANTS:
        caught = sum(noticed(mistake, seed) for seed in mine)
        record.append({"part": "mistake", "mistake": mistake, "caught": caught, "graphs": len(mine)})


@row(
    "L82",
    AtMost(1e-10),
    wrong=under("transposed W", "forgotten h'", "copy drops a branch", "softmax forgotten", "max to all"),
)
def jacobians_of_modules(seed: int, fast: bool, mistake: str | None = None) -> float:
    """Every module has two Jacobians, by its state and by its weights.

    Measures: largest relative error of either, and of the products with them, against torch, over all module classes.

    It is infinite if a class is left out.
    """
    known = modules()
    if set(known) != with_gradients():
        return math.inf
    with wrong(mistake):
        found = [module_errors(*case, Key(seed).child(name)) for name, case in known.items()]
    return largest(*(error for errors in found for error in errors.values()))


@row(
    "L83",
    AtMost(1e-9),
    wrong=under("fan-out sum dropped", "shared weights overwritten", "forgotten h'", "transposed W", "sum for mean"),
)
def gradients_of_random_graphs(seed: int, fast: bool, mistake: str | None = None) -> float:
    """Two rules, by state and by weights, give the gradients of any graph of modules.

    Measures: largest relative difference to torch over all variables of random graphs, 200 in ten seeds.
    """
    few = fast and mistake is None  # a mistake may need a graph that has what it is about
    graphs = [random_graph(GRAPHS * seed + k) for k in range(5 if few else GRAPHS)]
    with wrong(mistake):
        return largest(*(disagreement(*graph) for graph in graphs))


def table(records: list[Record]) -> tuple[list[str], np.ma.MaskedArray]:
    """Return module names and the largest errors over seeds, (modules, JACOBIANS); masked without weights."""
    names = [r["module"] for r in records[0].rows if r["part"] == "module"]
    cells = np.ma.masked_all((len(names), len(JACOBIANS)))
    for i, name in enumerate(names):
        has_weights = values(records, "weights", part="module", module=name).max() > 0
        for j, what in enumerate(JACOBIANS):
            if has_weights or "weights" not in what:
                cells[i, j] = values(records, what, part="module", module=name).max()
    return names, cells


def shares(records: list[Record]) -> Iterator[tuple[str, float]]:
    """Yield each mistake and the share of all graphs on which it is noticed."""
    for mistake in MUTANTS:
        caught, graphs = (values(records, c, part="mistake", mistake=mistake).sum() for c in ("caught", "graphs"))
        yield mistake, caught / graphs


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    names = table(records)[0]
    left_out = with_gradients() ^ set(names)
    judge(not left_out, f"{len(names)} module classes; left out: {', '.join(sorted(left_out)) or 'none'}")
    judge_row(judge, jacobians_of_modules, np.max([by_seed(records, j, part="module").max(1) for j in JACOBIANS], 0))
    judge_row(judge, gradients_of_random_graphs, by_seed(records, "autograd", part="graph").max(1))
    worst, variables = (values(records, name, part="graph") for name in ("differences", "variables"))
    judge(
        worst.max() <= TOLERANCES[1],
        f"{len(worst)} random graphs, {variables.sum():,.0f} variables: explicit against differences within "
        f"{worst.max():.1e} (needs {TOLERANCES[1]:g})",
    )
    caught = dict(shares(records))
    rarest = min(caught, key=lambda mistake: caught[mistake])
    judge(
        min(caught.values()) > 0,
        f"each of {len(caught)} mistakes is noticed on some graph; the rarest, {rarest!r}, on {caught[rarest]:.1%}",
    )


def figure(records: list[Record], config: Config) -> Path:
    """Draw the table of modules, the errors on random graphs, and how often each mistake is noticed."""
    drawing, axes = plots.panels(3, 1, width=4.0, height=5.6)
    with plots.style():
        heat(axes[0], *table(records))
        looks = (plots.MethodStyle(plots.BLACK, plots.SOLID, "o"), plots.METHODS["central-difference"])
        for engine, tolerance, how in zip(("autograd", "differences"), TOLERANCES, looks, strict=True):
            errors = np.sort(np.maximum(values(records, engine, part="graph"), LEAST))
            share = np.arange(1, len(errors) + 1) / len(errors)
            axes[1].semilogx(errors, share, **line(how))
            axes[1].axvline(tolerance, **{**REFERENCE, "color": how.color})
            ours = engine == "autograd"
            # away from what is allowed, and from each other
            at, side = (0.85, "right") if ours else (0.3, "left")
            label_end(axes[1], errors[int(at * len(errors))], at, f"to {engine}", how.color, side=side)
            allowed, side = (0.03, "right") if ours else (0.6, "left")
            label_end(axes[1], tolerance, allowed, f"allowed to\n{engine}", how.color, side=side)
        axes[1].set(xlabel="largest relative difference; left edge: none", xlim=(1e-17, 1e-3))
        axes[1].set_ylabel("share of graphs with at most that")
        axes[1].set_title(f"All of {len(errors)} random graphs agree")
        names, caught = zip(*sorted(shares(records), key=lambda pair: pair[1]), strict=True)
        axes[2].barh(range(len(names)), 100 * np.array(caught), color=plots.SKY)
        axes[2].set_yticks(range(len(names)), names, fontsize=8)
        axes[2].set(xlabel="random graphs on which it is noticed, %\n(those without that part cannot show it)")
        axes[2].set_title(f"Each of {len(names)} mistakes is noticed")
        axes[2].grid(False, axis="y")
        drawing.suptitle("Gradients by hand are those of autograd and of differences, on every module and on any graph")
    return plots.save(drawing, config.out / "three_way.png")


def heat(ax: Axes, names: list[str], cells: np.ma.MaskedArray) -> None:
    """Draw relative errors as a table of colours and numbers."""
    shown = np.ma.log10(np.ma.maximum(cells, LEAST))
    ax.imshow(shown, cmap="cividis", vmin=-17, vmax=-9, aspect="auto")
    for (i, j), error in np.ndenumerate(cells.filled(np.inf)):
        absent = np.ma.getmaskarray(cells)[i, j]
        text = "no weights" if absent else "0" if error == 0 else f"{error:.0e}"
        ax.text(j, i, text, ha="center", va="center", fontsize=8, color="#777777" if absent else "#FFFFFF")
    ax.set_xticks(range(len(JACOBIANS)), [what.replace(" by ", "\nby ") for what in JACOBIANS], fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.grid(False)
    ax.set_title(f"Largest relative error against torch: {cells.max():.0e}")


if __name__ == "__main__":
    main(Config, __doc__, one_a_seed, run, claims, figure)

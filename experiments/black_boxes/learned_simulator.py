"""Can a torch net learn through a random forest, which nobody can differentiate and nobody would rewrite?

A forest of scikit-learn was fitted to 178 Italian wines and says from 13 measurements which of three growers made one.
A net in front of it must compose wines that the forest takes for a given grower's:

    grower, chance ──▶ net (torch, by backprop) ──▶ 13 measurements ──▶ forest (a black box) ──▶ cost 1 − P(grower)

The forest is a staircase in 13 dimensions: its derivative is 0 almost everywhere. The net only ever sees costs; each
way of getting a gradient pays for what it evaluates, forward passes and fits of a critic included.

Written down before the run on seeds 1000 to 1009, to be found wrong, each by a sign test over seeds (p <= 0.001,
so that all ten must agree):

    1. critic and residual reaches the goal in fewer calls than smoothing at the output;
    2. and in fewer than the critic alone;
    3. but smoothing at the output ends at a lower cost than critic and residual.

    python experiments/black_boxes/learned_simulator.py           about a minute on 2 cores
    python experiments/black_boxes/learned_simulator.py --tune    the trials from which each method's settings come
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, product
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.claims import note_prediction
from experiments.common.data import wine
from experiments.common.drawing import GREY, REFERENCE, band, label_end
from experiments.common.frame import Judge, column, main, select
from experiments.common.tuning import TUNING_SEEDS, TunedFlags, calls_to_goal, choose, known_median, settings_of
from experiments.common.unfinished import Part, going_on

import numpy as np
import torch
from torch import Tensor, nn

from rllab import BlackBox, Cost, Key, plots
from rllab import estimators as est
from rllab.critics import Critic, Residual
from rllab.runs import Job, Record
from rllab.runs.statistics import curve_of, on_grid
from rllab.runs.survival import times_to_threshold

BATCH, GROWERS, CHANCE, MEASUREMENTS = 32, 3, 4, 13
GOAL = 0.1  # mean cost on fresh wines; a net that knows nothing costs 2/3
TUNED = Path(__file__).parent / "learned_simulator_tuned.json"
RATES, RADII, RADII_OF_WEIGHTS = (0.01, 0.03, 0.1), (0.3, 1.0, 3.0), (0.1, 0.3, 1.0)  # what --tune tries
TUNING_BUDGET = 30_000
AT_WEIGHTS = "smoothing at the weights"


def critic(sigma: float) -> Critic:
    return Critic(hidden=(64,), sigma=sigma, gradient_steps=10, batch_size=128, buffer_size=4096)


METHODS: dict[str, tuple[str, Callable[[float], est.Estimator] | None]] = {  # style, estimator at radius σ
    "smoothing at the output": ("gaussian", est.GaussianSmoothing),
    "critic": ("td3", critic),
    "critic and residual": ("guided", lambda sigma: Residual(critic(sigma), est.GaussianSmoothing(sigma))),
    AT_WEIGHTS: ("one-point", None),
}


@dataclass(frozen=True)
class Config(TunedFlags):
    seeds: int = 10
    """Seeds, from the first on: repetitions of everything."""
    budget: int = 15_000
    """Calls of the forest a run may make."""
    methods: tuple[str, ...] = tuple(METHODS)
    """Which to run."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 1, "budget": 2_000}


def jobs_of(config: Config) -> Iterator[Job]:
    if not config.tune:
        yield Job("flatness", {"method": "flatness"}, config.first_seed)
    for name in config.methods:
        if not config.tune:
            for seed in config.all_seeds:
                yield Job(f"{name}-{seed}", {"method": name, **settings_of(TUNED)[name], "budget": config.budget}, seed)
            continue
        for lr, sigma in product(RATES, RADII_OF_WEIGHTS if name == AT_WEIGHTS else RADII):
            for seed in TUNING_SEEDS:
                settings = {"method": name, "lr": lr, "sigma": sigma, "budget": TUNING_BUDGET}
                yield Job(f"{name}-{lr:g}-{sigma:g}-{seed}", settings, seed)


@lru_cache(maxsize=1)
def forest() -> Any:
    """Return the simulator: a forest fitted to standardised wines, the same one for every seed."""
    from sklearn.ensemble import RandomForestClassifier

    data = wine().standardised()
    return RandomForestClassifier(n_estimators=50, max_depth=6, random_state=0).fit(data.x.numpy(), data.y.numpy())


def cost_of(measured: Tensor, grower: Tensor) -> Tensor:
    """Return 1 − P(grower) of wines (n, 13); the grower (n, 3) is one-hot."""
    x = np.ascontiguousarray(measured.numpy(), dtype=np.float32)
    # the mean over trees is what the forest's own predict_proba returns, which checks and distributes for milliseconds
    sure = np.mean([tree.predict_proba(x, check_input=False) for tree in forest().estimators_], 0)
    return 1 - (torch.as_tensor(sure, dtype=measured.dtype) * grower).sum(1)


def network(key: Key) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(GROWERS + CHANCE, 32), nn.Tanh(), nn.Linear(32, MEASUREMENTS))
    generator = key.generator()
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.uniform_(-1, 1, generator=generator).mul_(0.38 if name.startswith("0") else 0.18)
    return net


def orders(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return inputs (n, 7) of the net, and the growers asked for, one-hot (n, 3)."""
    grower = nn.functional.one_hot(torch.randint(GROWERS, (n,), generator=generator), GROWERS).float()
    return torch.cat((grower, torch.randn(n, CHANCE, generator=generator)), 1), grower


def run(job: Job, record: Record) -> dict[str, Any]:
    """Train until the budget is spent; return the calls until the mean cost of fresh wines was at the goal."""
    name, key = job.config["method"], Key(job.seed)
    if name == "flatness":
        return {"flat": flatness(key)}
    budget = job.config["budget"]
    net, ledger, picks = network(key.child("net")), Cost(cost_of), key.child("minibatch").generator()
    adam = torch.optim.Adam(net.parameters(), lr=job.config["lr"])
    step, box = learner(name, net, job.config["sigma"], ledger, key.child("gradient"))
    x, grower = orders(300, key.child("held out").generator())
    price, found = BATCH * (2 if name == AT_WEIGHTS else 3), {"reached": None, "cost": math.nan}
    parts: dict[str, Part] = {"net": net, "ledger": ledger, "picks": picks, "adam": adam, "found": found}
    for k in going_on(record, count(), parts | ({} if box is None else {"box": box})):
        calls = ledger.evaluations
        if found["reached"] is None or k % max(1, 480 // price) == 0:
            with torch.no_grad():
                found["cost"] = float(cost_of(net(x), grower).mean())  # judged, not learned from: not counted
            record.append({"evaluations": calls, "cost": found["cost"]})
            if found["reached"] is None and found["cost"] <= GOAL:
                found["reached"] = calls
        if calls + price > budget:
            break
        adam.zero_grad()
        step(k, *orders(BATCH, picks))
        adam.step()
    return found


Step = Callable[[int, Tensor, Tensor], None]


def learner(name: str, net: nn.Sequential, sigma: float, ledger: Cost, key: Key) -> tuple[Step, BlackBox | None]:
    """Return what writes the gradient of the k-th batch into the net's weights and spends from the ledger; its box."""
    estimator = METHODS[name][1]
    if estimator is not None:
        box = BlackBox(
            cost_of, estimator(sigma), 2, scope="cost", budget=ledger, check_rows=False, name="forest", key=key
        )
        return lambda k, x, grower: box(net(x), grower).mean().backward(), box

    def at_the_weights(k: int, x: Tensor, grower: Tensor) -> None:
        e = est.GaussianSmoothing(sigma).backward(
            lambda: cost_of(net(x), grower).mean(), net, evaluations=2, key=key.child(k), errors=False
        )
        ledger.spent["value"] += e.evaluations * len(x)

    return at_the_weights, None


def flatness(key: Key) -> float:
    """Return the share of wines whose cost no measurement changes by a step of 10⁻⁶."""
    x, grower = orders(200, key.generator())
    wines, still = network(key.child("net"))(x).detach().double(), torch.ones(200, dtype=torch.bool)
    before = cost_of(wines, grower.double())
    for i in range(MEASUREMENTS):
        moved = wines.clone()
        moved[:, i] += 1e-6
        still &= cost_of(moved, grower.double()) == before
    return float(still.double().mean())


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    if config.tune:
        choose(records, TUNED, lambda runs: max(0.0, float(np.mean(column(runs, "cost"))) - GOAL))
        judge(True, f"{len(records)} trials; settings written to {TUNED.name}")
        return
    flat = column(select(records, method="flatness"), "flat")[0]
    judge(flat >= 0.95, f"the forest is flat: {flat:.1%} of wines cost the same 10⁻⁶ away anywhere (needs 95 %)")
    calls = {name: calls_to_goal(select(records, method=name)) for name in config.methods}
    for name, each in calls.items():
        runs = select(records, method=name)
        ends, falls = column(runs, "cost"), [curve_of(run, "evaluations", "cost") for run in runs]
        known = known_median(*times_to_threshold([(x, -y) for x, y in falls], -GOAL))
        judge.note(
            f"{name}: median {np.median(each):,.0f} calls to a mean cost of {GOAL:g} ({np.isfinite(each).sum()} of "
            f"{len(each)} seeds), {np.median(ends):.3f} at the end; with runs that the budget ended: {known}"
        )
    if not config.compares:
        runs = [record for name in config.methods for record in select(records, method=name)]
        judge(all(len(run.rows) > 2 for run in runs), f"every method trains ({config.why_no_more})")
        return
    cut = [name for name in config.methods if name != AT_WEIGHTS]
    judge(
        all(np.isfinite(calls[name]).all() for name in cut), "every way that cuts at the output learns, on every seed"
    )
    residual, smoothing = "critic and residual", "smoothing at the output"
    few, many = np.median(calls[residual]), np.median(calls[AT_WEIGHTS])  # that of fewest calls in the trials
    judge(
        many >= 3 * few,
        f"{residual} needs {few:,.0f} calls, perturbing the weights {many:,.0f} (needs 3 times as many)",
    )
    ends = {name: column(select(records, method=name), "cost") for name in cut}
    note_prediction(judge, "1. residual before smoothing", (calls[residual], calls[smoothing]))
    note_prediction(judge, "2. residual before the critic", (calls[residual], calls["critic"]))
    note_prediction(judge, "3. smoothing ends lower than residual", (ends[smoothing], ends[residual]))


def figure(records: list[Record], config: Config) -> Path:
    """Draw the mean cost of fresh wines against calls of the forest."""
    if config.tune:
        return TUNED
    drawing, (ax,) = plots.panels(1, 1, width=7.4, height=4.6)
    grid = np.geomspace(BATCH * 3, config.budget - BATCH * 3, 60)
    with plots.style():
        for name in config.methods:
            mine, how = select(records, method=name), plots.METHODS[METHODS[name][0]]
            each = on_grid(mine, "evaluations", "cost", grid)
            band(ax, grid, each, how, markevery=12)
            label_end(ax, grid[-1], np.median(each[:, -1]), name, how.color)
        ax.axhline(GOAL, **REFERENCE)
        label_end(ax, grid[0], GOAL, "goal", GREY, up=6)
        ax.set(
            xscale="log", yscale="log", xlabel="calls of the forest, all counted", xlim=(grid[0] / 1.4, 4 * grid[-1])
        )
        ax.set(ylabel="mean of 1 − P(grower asked for), fresh orders")
        ax.set_title(
            "Cut at its output, a net learns through a forest; plain smoothing ends lowest.\n"
            f"Lines: medians, bands: ranges of {config.seeds} seeds"
        )
    return plots.save(drawing, config.out / "learned_simulator.png")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)

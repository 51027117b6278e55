"""Do the agents learn as well as those of stable-baselines3, sb3-contrib and sbx, at the same nets and budgets?

Each method is trained by us and by its peer: same networks, steps and settings where both have them; evaluated without
exploration on the same episodes, and at the end on 50 that nobody has seen. We are not inferior on a task if the lower
95 % bound of (our mean − theirs) is above −10 % of (theirs − random policy): Welch's interval, over seeds. On Hopper
and HalfCheetah the difference is reported and not judged. How much of CrossQ's advantage over SAC is left at critics of
128, 256 and 512 units is the second panel.

A peer that is not installed is read from strength.json beside this file, where `--store` writes what was run; so the
figure is drawn anywhere. Libraries may lie in a folder of their own, `--peers FOLDER`. `--fast` trains three of ours
for a moment, without any peer, and judges what is stored.

    python experiments/agents/strength.py --only CartPole-v1/PPO Pendulum-v1/TD3 --seeds 10 --resume
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from experiments.agents.peers import learn, library_of, play, random_returns
from experiments.common.drawing import legend_below
from experiments.common.frame import SHARED, Flags, Judge, main

import numpy as np
import tyro

from rllab.files import write_atomically
from rllab.plots import save, style
from rllab.runs import Job, Record
from rllab.training import UNSEEN, agent_called

STORED = Path(__file__).with_suffix(".json")
POINTS, EPISODES, AT_END = 10, 20, 50  # evaluations on the way, their episodes, and those at the end
OFF = {"lr": 1e-3, "batch_size": 128, "learning_starts": 1000, "hidden": (64, 64), "critic_hidden": (64, 64)}
WIDE = {"lr": 1e-3, "batch_size": 256, "learning_starts": 5000, "hidden": (256, 256), "critic_hidden": (256, 256)}
ROLLOUT = {"lr": 3e-4, "num_envs": 8, "n_steps": 256, "batch_size": 64, "n_epochs": 10, "gamma": 0.99}
LINEAR = {"lr": 0.1, "delta_std": 0.1, "n_delta": 4, "n_top": 2}
UNJUDGED = ("Hopper-v5", "HalfCheetah-v5")
WIDTHS = (128, 256, 512)


@dataclass(frozen=True)
class Cell:
    """A method on a task, with its budget and settings in our names."""

    task: str
    method: str
    steps: int
    settings: dict[str, Any]
    width: int | None = None  # of CrossQ's critics, where that is what is compared

    @property
    def name(self) -> str:
        return f"{self.task}/{self.method}" + (f"-{self.width}" if self.width else "")


CELLS = [
    Cell("CartPole-v1", "PPO", 51_200, ROLLOUT),
    Cell("CartPole-v1", "ARS", 50_000, LINEAR),
    Cell("Acrobot-v1", "PPO", 102_400, ROLLOUT),
    Cell("Acrobot-v1", "ARS", 100_000, LINEAR),
    Cell("Pendulum-v1", "TD3", 10_000, OFF),
    Cell("Pendulum-v1", "SAC", 10_000, OFF),
    Cell("Pendulum-v1", "CrossQ", 10_000, OFF),
    Cell("MountainCarContinuous-v0", "SAC", 50_000, OFF),
    Cell("InvertedPendulum-v5", "PPO", 102_400, ROLLOUT),
    Cell("InvertedPendulum-v5", "SAC", 10_000, OFF),
    Cell("InvertedDoublePendulum-v5", "TD3", 20_000, OFF),
    Cell("InvertedDoublePendulum-v5", "SAC", 20_000, OFF),
    Cell("Swimmer-v5", "ARS", 300_000, LINEAR | {"lr": 0.02, "n_delta": 1, "n_top": 1, "delta_std": 0.05}),
    *(Cell(task, method, 50_000, WIDE) for task in UNJUDGED for method in ("TD3", "SAC")),
    *(Cell(task, "CrossQ", 50_000, WIDE | {"critic_hidden": (w, w)}, w) for task in UNJUDGED for w in WIDTHS),
]


@dataclass(frozen=True)
class Config(Flags):
    """Flags of strength.py."""

    first_seed: ClassVar[int] = 100  # settings are others' and our defaults, which were chosen on seeds below
    quick: ClassVar[dict[str, Any]] = {
        "only": ("CartPole-v1/PPO", "CartPole-v1/ARS", "Pendulum-v1/TD3"),
        "share": 0.12,
        "seeds": 1,
    }
    only: tuple[str, ...] = ()
    """Methods on tasks, such as Pendulum-v1/TD3; none for all."""
    share: float = 1.0
    """Of each budget; nothing but 1 is judged or stored."""
    peers: str = ""
    """A folder of packages to look for the libraries in, after this environment's."""
    store: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Write the results to strength.json."""

    def check(self) -> None:
        super().check()
        if wrong := set(self.only) - {cell.name for cell in CELLS}:
            known = ", ".join(cell.name for cell in CELLS)
            raise ValueError(f"--only must be of {known}, got {', '.join(sorted(wrong))}")

    @property
    def identity(self) -> dict[str, Any]:
        """What the numbers of a run depend on; which cells there are may grow."""
        left = (*SHARED, "only", "peers", "store", "fast")
        return {name: value for name, value in vars(self).items() if name not in left}


def jobs_of(config: Config) -> Iterable[Job]:
    """Yield for each cell and seed a run of ours, and of an installed peer; for each task one of random actions."""
    if config.peers and config.peers not in sys.path:
        sys.path.append(config.peers)
    chosen = [cell for cell in CELLS if not config.only or cell.name in config.only]
    for cell in chosen:
        peer = None if config.fast else library_of(cell.method)
        for library in ("rllab", *([peer] if peer else [])):
            told = {"cell": cell.name, "library": library, "share": config.share, "peers": config.peers}
            for seed in config.all_seeds:
                yield Job(f"{cell.name.replace('/', '-')}-{library}-{seed}", told, seed)
    for task in dict.fromkeys(cell.task for cell in chosen):
        yield Job(f"{task}-random", {"cell": f"{task}/random", "library": "random", "share": config.share}, 0)


def run(job: Job, record: Record) -> dict[str, Any]:
    """Train, and evaluate on the way and at the end."""
    name, library = job.config["cell"], job.config["library"]
    if library == "random":
        return {"return": float(random_returns(name.partition("/")[0], AT_END, job.seed).mean()), "cpu_seconds": 0.0}
    cell = next(cell for cell in CELLS if cell.name == name)
    steps, spent = max(1, round(cell.steps * job.config["share"])), 0.0
    every = max(1, steps // (POINTS if job.config["share"] == 1 else 2))

    def evaluated(at: int, cpu_seconds: float, returns: np.ndarray) -> None:
        nonlocal spent
        spent = cpu_seconds
        record.append({"steps": at, "return": float(returns.mean()), "cpu_seconds": cpu_seconds})

    if library == "rllab":
        agent, due = agent_called(cell.method)(cell.task, job.seed, **cell.settings), every
        for _ in agent.train(steps):
            if agent.spent.steps >= due:
                evaluated(agent.spent.steps, agent.spent.cpu_seconds, agent.evaluate(EPISODES).returns)
                due += every
        returns, taken, spent = agent.evaluate(AT_END, first=UNSEEN).returns, agent.spent.steps, agent.spent.cpu_seconds
    else:
        if job.config["peers"] and job.config["peers"] not in sys.path:  # a process of its own
            sys.path.append(job.config["peers"])
        start = time.process_time()
        act, taken = learn(
            library, cell.method, cell.task, steps, job.seed, cell.settings,
            every=every, episodes=EPISODES, evaluated=evaluated,
        )  # fmt: skip
        spent = spent or time.process_time() - start
        returns = play(cell.task, act, AT_END, UNSEEN)
    return {"return": float(returns.mean()), "steps": taken, "cpu_seconds": spent}


def results(records: list[Record], config: Config) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what is stored, and what was run in its place: by cell, by library, {"return": …, "curve": …}."""
    found = json.loads(STORED.read_text()) if STORED.exists() else {}
    if config.share != 1:
        return found
    for record in records:
        name, library = record.config["cell"], record.config["library"]
        fresh = found.setdefault(name, {}).setdefault(library, {})
        if "fresh" not in fresh:
            fresh.clear()
            fresh |= {"fresh": True, "seeds": [], "return": [], "cpu_seconds": [], "curve": []}
        summary = record.summary or {}
        fresh["seeds"].append(record.seed)
        fresh["return"].append(round(summary["return"], 4))
        fresh["cpu_seconds"].append(round(summary["cpu_seconds"], 2))
        fresh["curve"].append([[row["steps"], round(row["return"], 3)] for row in record.rows])
    for libraries in found.values():
        for one in libraries.values():
            one.pop("fresh", None)
    return found


def difference(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Return our mean minus theirs, with the ends of Welch's 95 % interval."""
    from scipy.stats import ttest_ind

    interval = ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    return float(np.mean(ours) - np.mean(theirs)), float(interval.low), float(interval.high)


def peer_in(libraries: dict[str, Any]) -> str | None:
    return next((name for name in libraries if name not in ("rllab", "random")), None)


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    """Judge each cell of which both sides are there with five seeds or more; note the others; store what was run."""
    ran = [record for record in records if record.config["library"] == "rllab"]
    budgets = {cell.name: round(cell.steps * config.share) for cell in CELLS}
    over = [r.folder.name for r in ran if (r.summary or {})["steps"] > budgets[r.config["cell"]]]
    judge(bool(ran) and not over, f"{len(ran)} runs of ours stay within their budgets (over it: {over or 'none'})")
    found = results(records, config)
    if config.store and config.share == 1:
        write_atomically(STORED, json.dumps(found, separators=(",", ":")) + "\n")
    for cell in CELLS:
        sides = found.get(cell.name, {})
        peer = peer_in(sides)
        if "rllab" not in sides or peer is None:
            continue
        ours, theirs = sides["rllab"]["return"], sides[peer]["return"]
        (floor,) = found[f"{cell.task}/random"]["random"]["return"]
        if min(len(ours), len(theirs)) < 2:
            continue
        apart, low, high = difference(ours, theirs)
        allowed = -0.1 * (float(np.mean(theirs)) - floor)
        ratio = np.median(sides[peer]["cpu_seconds"]) / np.median(sides["rllab"]["cpu_seconds"])
        said = (
            f"{cell.name}: {np.mean(ours):.4g} against {np.mean(theirs):.4g} of {peer}, n = {len(ours)} and "
            f"{len(theirs)}: {apart:+.3g} in [{low:.3g}, {high:.3g}], {ratio:.1f} times its CPU speed"
        )
        if cell.task in UNJUDGED or min(len(ours), len(theirs)) < 5:
            judge.note(said)
        else:
            judge(low > allowed, f"{said} (> {allowed:.3g})")


def figure(records: list[Record], config: Config) -> Path:
    """Draw the difference to the peer, over (peer − random), of each cell, and returns over critics' widths."""
    import matplotlib.pyplot as plt

    found = results(records, config)
    with style():
        drawing, (left, right) = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
        _forest(left, found)
        _widths(right, found)
        return save(drawing, config.out / "strength.png")


def _forest(ax: Any, found: dict[str, Any]) -> None:
    shown = []
    for cell in CELLS:
        sides, peer = found.get(cell.name, {}), peer_in(found.get(cell.name, {}))
        if peer is None or "rllab" not in sides or min(len(s["return"]) for s in sides.values()) < 2:
            continue
        (floor,) = found[f"{cell.task}/random"]["random"]["return"]
        scale = np.mean(sides[peer]["return"]) - floor
        apart, low, high = (x / scale for x in difference(sides["rllab"]["return"], sides[peer]["return"]))
        ax.errorbar(apart, len(shown), xerr=[[apart - low], [high - apart]], fmt="o", color="C0", capsize=3)
        shown.append(f"{cell.name}, n = {len(sides['rllab']['return'])}")
    ax.axvline(0, color="#666666", linewidth=0.9)
    ax.axvline(-0.1, color="#666666", linewidth=0.9, linestyle=(0, (2, 2)), label="allowed")
    ax.set_yticks(range(len(shown)), shown)
    ax.invert_yaxis()
    ax.set_xlabel("(ours − peer)/(peer − random), mean over seeds, Welch's 95 %")
    legend_below(ax, 1)


def _widths(ax: Any, found: dict[str, Any]) -> None:
    for i, task in enumerate(UNJUDGED):
        cells = [(w, found.get(f"{task}/CrossQ-{w}", {}).get("rllab")) for w in WIDTHS]
        there = [(w, side["return"]) for w, side in cells if side]
        if there:
            x, y = [w for w, _ in there], [np.mean(r) for _, r in there]
            spread = [np.std(r, ddof=1) / len(r) ** 0.5 if len(r) > 1 else 0.0 for _, r in there]
            ax.errorbar(x, y, yerr=spread, marker="o", color=f"C{i}", capsize=3, label=f"CrossQ, {task}")
        if soft := found.get(f"{task}/SAC", {}).get("rllab"):
            ax.axhline(np.mean(soft["return"]), color=f"C{i}", linestyle=(0, (2, 2)), label=f"SAC-256, {task}")
    ax.set_xlabel("units in a hidden layer of the critics")
    ax.set_ylabel("return after 50,000 steps, mean ± standard error")
    if ax.get_legend_handles_labels()[0]:
        legend_below(ax)


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)

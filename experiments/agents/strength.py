"""Do the agents learn as well as those of stable-baselines3, sb3-contrib and sbx, at the same nets and budgets?

Each method is trained by us and by its peer: same networks, steps and settings where both have them, see `peers.py`;
evaluated without exploration on the same episodes, and at the end on 50 that nobody has seen. We are not inferior on a
task if the lower 95 % bound of (our mean − theirs) is above −10 % of (theirs − random policy): Welch's interval, over
ten seeds or more, see `strength_judged.py`. On Hopper and HalfCheetah the difference is reported and not judged. How
much of CrossQ's advantage over SAC is left at critics of 128, 256 and 512 units is a second panel, once it was run.

A peer that is not installed is read from strength.json beside this file, where `--store` writes what was run, and the
table in strength.md; so the figure is drawn anywhere. Libraries may lie in a folder of their own, `--peers FOLDER`.
`--fast` trains three of ours for a moment, without any peer, and says what is stored without judging it again.

    python experiments/agents/strength.py --only CartPole-v1/PPO Pendulum-v1/TD3 --seeds 10 --resume
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from experiments.agents.peers import LIBRARIES, learn, library_of, play, random_returns
from experiments.agents.strength_cells import CELLS, Cell
from experiments.agents.strength_figure import draw
from experiments.agents.strength_judged import compared, markdown, overall
from experiments.common.frame import SHARED, Flags, Judge, main

import numpy as np
import tyro

from rllab.agents.loading import loaded_like
from rllab.agents.named import agent_called
from rllab.files import write_atomically
from rllab.runs import Job, Record
from rllab.runs.states import States
from rllab.training import UNSEEN, kept_between

STORED = Path(__file__).with_suffix(".json")
POINTS, EPISODES, AT_END = 2, 10, 50  # evaluations on the way, their episodes, and those at the end


@dataclass(frozen=True)
class Config(Flags):
    """Flags of strength.py."""

    first_seed: ClassVar[int] = 100  # settings are others' and our defaults, which were chosen on seeds below
    quick: ClassVar[dict[str, Any]] = {
        "only": ("CartPole-v1/PPO", "CartPole-v1/ARS", "Pendulum-v1/TD3"),
        "share": 0.11,
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
    """Yield for each task a run of random actions; then for each seed and cell one of ours, and of an installed peer.

    Seeds come one after the other over all cells, and the two sides take turns: what is killed is even, and both sides
    meet the same load of the machine.
    """
    if config.peers and config.peers not in sys.path:
        sys.path.append(config.peers)
    chosen = [cell for cell in CELLS if not config.only or cell.name in config.only]
    for task in dict.fromkeys(cell.task for cell in chosen):
        yield Job(f"{task}-random", {"cell": f"{task}/random", "library": "random", "share": config.share}, 0)
    for seed in config.all_seeds:
        for cell in chosen:
            for library in ("rllab", *_peers_of(cell, seed, config)):
                told = {"cell": cell.name, "library": library, "share": config.share, "peers": config.peers}
                yield Job(_run_name(cell, library, seed), told, seed)


def _peers_of(cell: Cell, seed: int, config: Config) -> list[str]:
    """Return the peer that is installed, or, where runs are only read, the one that ran."""
    if config.replot:
        return [name for name in LIBRARIES[cell.method] if (config.out / _run_name(cell, name, seed)).exists()]
    peer = None if config.fast else library_of(cell.method)
    return [peer] if peer else []


def _run_name(cell: Cell, library: str, seed: int) -> str:
    return f"{cell.name.replace('/', '-')}-{library}-{seed}"


def run(job: Job, record: Record) -> dict[str, Any]:
    """Train, and evaluate on the way and at the end."""
    name, library = job.config["cell"], job.config["library"]
    at_end = AT_END if job.config["share"] == 1 else EPISODES
    if library == "random":
        return {"return": float(random_returns(name.partition("/")[0], at_end, job.seed).mean()), "cpu_seconds": 0.0}
    cell = next(cell for cell in CELLS if cell.name == name)
    steps = max(1, round(cell.steps * job.config["share"]))
    every = max(1, steps // (POINTS if job.config["share"] == 1 else 2))

    def evaluated(at: int, cpu_seconds: float, returns: np.ndarray) -> None:
        record.append({"steps": at, "return": float(returns.mean()), "cpu_seconds": cpu_seconds})

    if library == "rllab":
        agent = agent_called(cell.method)(cell.task, job.seed, **cell.settings)
        at, states = {"due": every}, States(record)
        if found := states.go_on(lambda path: loaded_like(agent, path)):
            agent, at = found
        left = steps - agent.spent.steps
        for _ in kept_between(agent.train(left) if left > 0 else (), agent, states, notes=lambda: at):
            if agent.spent.steps >= at["due"]:
                evaluated(agent.spent.steps, agent.spent.cpu_seconds, agent.evaluate(EPISODES).returns)
                at["due"] += every
        returns, taken, spent = agent.evaluate(at_end, first=UNSEEN).returns, agent.spent.steps, agent.spent.cpu_seconds
    else:
        if job.config["peers"] and job.config["peers"] not in sys.path:  # a process of its own
            sys.path.append(job.config["peers"])
        act, taken, spent = learn(
            library, cell.method, cell.task, steps, job.seed, cell.settings,
            every=every, episodes=EPISODES, evaluated=evaluated,
        )  # fmt: skip
        returns = play(cell.task, act, at_end, UNSEEN)
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


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    """Judge each cell of which both sides are there with ten seeds or more; note the others; store what was run.

    Runs of a share of the budgets say nothing about the cells: what is stored is then told with its verdict, which
    fails nothing.
    """
    ran = [record for record in records if record.config["library"] == "rllab"]
    budgets = {cell.name: round(cell.steps * config.share) for cell in CELLS}
    over = [r.folder.name for r in ran if (r.summary or {})["steps"] > budgets[r.config["cell"]]]
    judge(bool(ran) and not over, f"{len(ran)} runs of ours stay within their budgets (over it: {over or 'none'})")
    found = results(records, config)
    if config.store and config.share == 1:
        write_atomically(STORED, json.dumps(found, separators=(",", ":")) + "\n")
        write_atomically(STORED.with_suffix(".md"), markdown(found))
    for one in compared(found):
        if one.judged and config.share == 1:
            judge(one.verdict == "not inferior", f"{one.said()} (> {one.allowed:.3g})")
        else:
            judge.note(f"{one.said()}: {one.verdict}")
    for text in overall(found):
        judge.note(text)


def figure(records: list[Record], config: Config) -> Path:
    """Draw the difference to the peer of each cell."""
    return draw(results(records, config), config.out / "strength.png")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)

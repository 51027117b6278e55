"""Kill training by SIGKILL at random moments, go on with it until it ends, and compare with a run nothing stopped.

python -m tests.proofs.kills 50 OUT      fifty kills over all agents, and of `minimize`; says what was alike
"""

from __future__ import annotations

import os
import random
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

import rllab
from rllab import estimators as est
from rllab.agents import load
from rllab.checkpoint import read_checkpoint
from rllab.runs import Record, states
from rllab.training import Schedule, train_seeds
from tests.proofs.agents import all_of, timeless

OFF_POLICY = {"learning_starts": 100, "batch_size": 16, "critic_hidden": (16,), "hidden": (16,), "train_freq": 10}
SETTINGS: dict[str, dict[str, Any]] = {
    "ars": {"n_delta": 2, "n_top": 1},
    "crossq": OFF_POLICY,
    "evolution": {"population": 2, "hidden": ()},
    "ppo": {"num_envs": 4, "n_steps": 64, "batch_size": 64, "hidden": (16,)},
    "reinforce": {"episodes": 2, "hidden": (16,)},
    "sac": OFF_POLICY,
    "td3": OFF_POLICY,
}


def kill_training(method: str, folder: Path, *, kills: int, seed: int, steps: int = 4200) -> tuple[int, bool]:
    """Return how often a run was killed before it ended, and whether its rows and agent are those of one that was not.

    A run that ends before its next kill is due is not killed any more.
    """
    length = _to_the_end(_train, method, folder / "whole", steps)
    killed = _killed(_train, (method, folder / "killed", steps), kills, seed, longest=1.5 * length / (kills + 1))
    runs = [Record.open(folder / name / f"{method}-0") for name in ("whole", "killed")]
    agents = [load(run.folder / "agent.pt") for run in runs]
    rows = [timeless(run.rows) for run in runs]
    results = [{k: v for k, v in (run.summary or {}).items() if "seconds" not in k} for run in runs]
    alike = rows[0] == rows[1] and all_of(agents[0]) == all_of(agents[1]) and results[0] == results[1]
    return killed, alike and not list(runs[1].folder.glob("state*"))


def kill_minimize(folder: Path, *, kills: int, seed: int, budget: int = 2400) -> tuple[int, bool]:
    """Do the same with `minimize`."""
    _minimize(folder / "loaded.pt", 8)  # what it needs is loaded here, and not in each process that is forked
    length = _to_the_end(_minimize, folder / "whole.pt", budget)
    killed = _killed(_minimize, (folder / "killed.pt", budget), kills, seed, longest=1.5 * length / (kills + 1))
    whole, again = (read_checkpoint(folder / f"{name}.pt") for name in ("whole", "killed"))
    same = torch.equal(whole["leaves"]["at"], again["leaves"]["at"])
    return killed, same and all(whole[name] == again[name] for name in ("evaluations", "values"))


def _train(method: str, folder: Path, steps: int) -> None:
    states.SECONDS_PER_STATE = 0.0
    schedule = Schedule(evaluate_every=500, episodes=2, max_steps=60)
    given = {"settings": SETTINGS[method], "schedule": schedule, "resume": True, "processes": 1}
    train_seeds(method, "Pendulum-v1", steps, folder, seeds=1, **given)


def _minimize(path: Path, budget: int) -> None:
    cost = rllab.Cost(lambda x: (x - 0.3).square().sum(-1))
    given = {"evaluations": 8, "budget": budget, "lr": 0.05, "key": 0}
    rllab.minimize(cost, torch.ones(3), est.GaussianSmoothing(), checkpoint=path, checkpoint_every=0, **given)


def _start(work: Callable[..., None], arguments: tuple[Any, ...]) -> Any:
    """Start work in a process of its own, forked so that nothing is loaded again, and silent."""

    def silent() -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        warnings.simplefilter("ignore")
        work(*arguments)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads, which do not matter
        child = get_context("fork").Process(target=silent)
        child.start()
    return child


def _to_the_end(work: Callable[..., None], *arguments: Any) -> float:
    start = time.monotonic()
    child = _start(work, arguments)
    child.join()
    assert child.exitcode == 0
    return time.monotonic() - start


def _killed(work: Callable[..., None], arguments: tuple[Any, ...], kills: int, seed: int, *, longest: float) -> int:
    """Start work again and again, each time killed after a random while, until it ends; return the number of kills."""
    draw = random.Random(seed)
    for killed in range(kills):
        child = _start(work, arguments)
        child.join(draw.uniform(0, longest))
        if child.exitcode is not None:
            assert child.exitcode == 0
            return killed
        child.kill()
        child.join()
        assert child.exitcode == -9
    _to_the_end(work, *arguments)
    return kills


if __name__ == "__main__":
    wanted, out = int(sys.argv[1]), Path(sys.argv[2])
    each, total = -(-wanted // (len(SETTINGS) + 1)), 0
    for number, name in enumerate([*SETTINGS, "minimize"]):
        if name == "minimize":
            count, same = kill_minimize(out / name, kills=each, seed=number)
        else:
            count, same = kill_training(name, out / name, kills=each, seed=number)
        total += count
        print(f"{name}: killed {count} times, {'alike' if same else 'NOT ALIKE'}", flush=True)
    print(f"{total} kills in all")

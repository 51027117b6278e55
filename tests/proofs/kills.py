"""Kill training by SIGKILL at random moments, go on with it until it ends, and compare with a run nothing stopped.

python -m tests.proofs.kills 50 OUT      fifty kills over all agents, and of `minimize`; says what was alike
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from rllab.agents import load
from rllab.runs import Record
from tests.proofs.agents import all_of, timeless

SWEEP = """
import sys
from rllab import training
from rllab.training import Schedule, train_seeds
training.SECONDS_PER_STATE = 0.0
method, settings, folder = sys.argv[1], eval(sys.argv[2]), sys.argv[3]
print("begun", flush=True)
train_seeds(method, "Pendulum-v1", 4200, folder, seeds=1, settings=settings, resume=True, processes=1,
            schedule=Schedule(evaluate_every=500, episodes=2, max_steps=60))
"""
OFF_POLICY = {"learning_starts": 100, "batch_size": 16, "critic_hidden": (16,), "hidden": (16,)}
SETTINGS = {
    "ars": {"n_delta": 2, "n_top": 1},
    "crossq": OFF_POLICY,
    "evolution": {"population": 2, "hidden": ()},
    "ppo": {"num_envs": 4, "n_steps": 64, "batch_size": 64, "hidden": (16,)},
    "reinforce": {"episodes": 2, "hidden": (16,)},
    "sac": OFF_POLICY,
    "td3": OFF_POLICY,
}
MINIMUM = """
import sys, torch, time
import rllab
from rllab import estimators as est
from rllab.optimize import minimizing
minimizing.SECONDS_PER_STATE = 0.0
def cost(x):
    time.sleep(0.002)
    return (x - 0.3).square().sum(-1)
print("begun", flush=True)
trace = rllab.minimize(rllab.Cost(cost), torch.ones(3), est.GaussianSmoothing(), evaluations=8, budget=4000, lr=0.05,
                       key=0, checkpoint=sys.argv[1])
print(trace.at.tolist(), trace.values)
"""


def settings(method: str) -> str:
    return repr(SETTINGS[method])


def kill_at_random(method: str, given: str, folder: Path, *, kills: int, seed: int) -> tuple[int, bool]:
    """Return how often a run was killed before it ended, and whether its rows and agent are those of one that was not.

    A run that ends before its next kill is due is not killed any more.
    """
    length = max(0.05, _seconds_of_work(_run(SWEEP, method, given, folder / "whole")) / (kills + 1))
    killed, draw = 0, random.Random(seed)
    while killed < kills:
        child = _run(SWEEP, method, given, folder / "killed")
        if not _killed(child, draw.uniform(0, length)):
            break
        killed += 1
    else:
        _seconds_of_work(_run(SWEEP, method, given, folder / "killed"))
    runs = [Record.open(folder / name / f"{method}-0") for name in ("whole", "killed")]
    agents = [load(run.folder / "agent.pt") for run in runs]
    rows = [timeless(run.rows) for run in runs]
    results = [{k: v for k, v in (run.summary or {}).items() if "seconds" not in k} for run in runs]
    alike = rows[0] == rows[1] and all_of(agents[0]) == all_of(agents[1]) and results[0] == results[1]
    return killed, alike and not list(runs[1].folder.glob("state*"))


def kill_minimize(folder: Path, *, kills: int, seed: int) -> tuple[int, bool]:
    """Do the same with `minimize`."""
    folder.mkdir(parents=True, exist_ok=True)
    said = _run(MINIMUM, folder / "whole.pt").communicate()[0]
    killed, draw = 0, random.Random(seed)
    while killed < kills:
        child = _run(MINIMUM, folder / "killed.pt")
        if not _killed(child, draw.uniform(0, 0.5)):
            break
        killed += 1
    return killed, bool(said) and _run(MINIMUM, folder / "killed.pt").communicate()[0] == said


def _run(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _seconds_of_work(child: subprocess.Popen[str]) -> float:
    """Let a child end; return how long it took since it had begun to work."""
    assert child.stdout is not None
    child.stdout.readline()
    start = time.monotonic()
    child.communicate()
    assert child.returncode == 0
    return time.monotonic() - start


def _killed(child: subprocess.Popen[str], seconds: float) -> bool:
    """Kill a child so many seconds after it has begun to work; return whether it was still at it."""
    assert child.stdout is not None
    child.stdout.readline()
    try:
        child.communicate(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.communicate()
        return child.returncode == -signal.SIGKILL


if __name__ == "__main__":
    wanted, out = int(sys.argv[1]), Path(sys.argv[2])
    each, total = -(-wanted // (len(SETTINGS) + 1)), 0
    for number, name in enumerate([*SETTINGS, "minimize"]):
        if name == "minimize":
            count, same = kill_minimize(out / name, kills=each, seed=number)
        else:
            count, same = kill_at_random(name, settings(name), out / name, kills=each, seed=number)
        total += count
        print(f"{name}: killed {count} times, {'alike' if same else 'NOT ALIKE'}", flush=True)
    print(f"{total} kills in all")

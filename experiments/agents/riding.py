"""One run of the bicycle experiment: a learner, a random search, or the rider by hand, judged in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.agents.flat_cost import flatness
from experiments.agents.learners import CAP, ENVIRONMENT, LEARNERS, SCALE, SIZES, TASKS, Task, make_agent
from experiments.agents.random_search import TOGETHER, search_weights
from experiments.agents.ride import store_ride
from experiments.agents.riders import GoalRider, balance_rider, ride, whipple_rider
from experiments.agents.snapshots import ride_all

import numpy as np
from torch import Tensor

from rllab import Key, agents
from rllab.agents.base import Row
from rllab.agents.loading import loaded_like
from rllab.checkpoint import read_checkpoint, write_checkpoint
from rllab.runs import Job, Record
from rllab.runs.states import States
from rllab.training import kept_between
from rllab_envs.whipple.task import SPEED

RIDES = 20  # of an evaluation, all of which must succeed
MANY, CROWD = 128, 1024  # draws side by side where a search is long, and where a few of its rides are
FRESH = 100  # further rides at the end, which no evaluation saw
GROWTH = 1.15  # of the steps from one evaluation to the next


def run(job: Job, record: Record) -> dict[str, Any]:
    """Make one run of whatever kind its configuration names; return its summary."""
    kinds = {"flatness": _flatness, "random": _search, "hand": _by_hand}
    return kinds.get(job.config["method"], _learn)(job, record)


def _learn(job: Job, record: Record) -> dict[str, Any]:
    """Train, keep the weights each time the steps have grown by `GROWTH`, judge them all afterwards, save the agent."""
    c, task = job.config, TASKS[job.config["task"]]
    agent = make_agent(c["method"], c["size"], c["settings"], job.seed, c["task"])
    if c["ride"]:
        agent.save(record.folder / "untrained.pt")
    start: Row = dict.fromkeys(("steps", "cpu_seconds", "seconds", "episodes", "updates"), 0)
    kept, row, due, states = [(start, agent.weights.detach().clone())], start, 1.0, States(record)
    if found := states.go_on(lambda path: (loaded_like(agent, path), _kept(path))):
        (agent, kept), notes = found
        row, due = notes["row"], notes["due"]
    learning = pieces(agent, c["steps"], LEARNERS[c["method"]].pieces)
    keep: dict[str, Any] = {"save": lambda path: _keep(path, agent, kept), "notes": lambda: {"row": row, "due": due}}
    try:
        for row in kept_between(learning, agent, states, **keep):
            if _steps(row) >= due:
                kept.append((row, agent.weights.detach().clone()))
                due = GROWTH * _steps(row)
    except FloatingPointError as error:
        if not c["trial"]:
            raise
        # settings that diverge are no reason to stop trying others
        return {"first_steps": None, "steps": row["steps"], "score": 0.0, "diverged": str(error)}
    if _steps(row) > _steps(kept[-1][0]):
        kept.append((row, agent.weights.detach().clone()))
    first = judged(agent, task, kept, record)
    steps = record.column("steps")
    found = {
        **first,
        "steps": row["steps"],
        "cpu_seconds": row["cpu_seconds"],
        "score": score(steps, record.column("upright"), c["steps"]),
        "fallen": fallen_share(steps, record.column("worst") < task.goal, c["steps"]),
    }
    if c["trial"] and not task.plans:
        return found
    agent.save(record.folder / "agent.pt")
    if c["ride"]:
        untrained, trained = (agents.load(record.folder / f"{name}.pt") for name in ("untrained", "agent"))
        store_ride(untrained, trained, record.folder, seconds=c["ride"])
    ridden = agent.evaluate(FRESH, first=RIDES, max_steps=task.longest, environment_arguments=task.judged)
    fresh = float((ridden.returns >= task.goal).mean())
    if c["trial"]:
        found["score"] = FRESH * fresh  # on a task with plans it is judged by what it comes to
    return {**found, "fresh": fresh}


def _keep(path: Path, agent: agents.Agent, kept: Sequence[tuple[Row, Tensor]]) -> None:
    """Write what an interrupted run goes on from: the agent, and beside it the weights kept so far."""
    rows, weights = [dict(row) for row, _ in kept], [w for _, w in kept]
    write_checkpoint("riding", path.with_suffix(".weights.pt"), {"arguments": {}, "rows": rows, "weights": weights})
    agent.save(path)


def _kept(path: Path) -> list[tuple[Row, Tensor]]:
    """Read the weights kept."""
    content = read_checkpoint(path.with_suffix(".weights.pt"))
    return list(zip(content["rows"], content["weights"], strict=True))


def judged(agent: agents.Agent, task: Task, kept: Sequence[tuple[Row, Tensor]], record: Record) -> dict[str, Any]:
    """Append what comes of the weights kept; return what had been spent when first all their rides succeeded."""
    returns, lengths = ride_all(
        agent, [w for _, w in kept], RIDES, longest=task.longest, environment_arguments=task.judged
    )
    first: dict[str, Any] = {"first_steps": None, "first_cpu_seconds": None}
    for (row, _), worst, ridden, spent in zip(kept, returns.min(1), lengths, lengths.sum(1).cumsum(), strict=True):
        found = {"upright": ridden.mean(), "worst": float(worst), "evaluated": int(spent)}
        record.append({"steps": row["steps"], "cpu_seconds": row["cpu_seconds"], **found})
        if first["first_steps"] is None and worst >= task.goal:
            first = {"first_steps": row["steps"], "first_cpu_seconds": row["cpu_seconds"]}
    return first


def pieces(agent: agents.Agent, steps: int, every: int | None) -> Iterator[Row]:
    """Yield the rows of learning up to so many steps, with `every` in calls of so many, the first past the warm-up."""
    if every is None:
        if agent.spent.steps < steps:
            yield from agent.train(steps - agent.spent.steps)
        return
    assert isinstance(agent, agents.TD3 | agents.SAC)
    if agent.spent.steps == 0:
        yield from agent.train(min(steps, agent.learning_starts + every))
    while agent.spent.steps < steps:
        yield from agent.train(min(steps - agent.spent.steps, every))


def _steps(row: Row) -> int:
    assert isinstance(row["steps"], int)
    return row["steps"]


def score(x: np.ndarray, upright: np.ndarray, limit: float) -> float:
    """Return mean steps upright over all x up to a limit: each evaluation counts until the next one, (rows,) each."""
    inside = x < limit
    ends = np.append(x[inside], limit)
    return float((np.diff(ends) * upright[inside]).sum() / limit)


def fallen_share(steps: np.ndarray, fell: np.ndarray, limit: int) -> float | None:
    """Return the share of the steps after the first success at which the last evaluation had a fall; None without."""
    if fell.all() or steps[~fell][0] >= limit:
        return None
    since = steps >= steps[~fell][0]
    start = steps[since][0]
    return score(steps[since] - start, fell[since].astype(float), float(limit - start))


def _search(job: Job, record: Record) -> dict[str, Any]:
    """Draw weights until one rides; in a trial go on until the steps are spent, and count."""
    c, task = job.config, TASKS[job.config["task"]]
    searched = search_weights(
        task.environment,
        goal=task.goal,
        scale=c["settings"]["scale"],
        biases=False,
        riders=c["steps"] if c["trial"] else 1,
        together=CROWD if task.longest > CAP else MANY if c["trial"] else TOGETHER,
        key=Key(job.seed).child("search"),
        steps=c["steps"],
        hidden=SIZES[c["size"]],
        observation_scale=task.scale,
        environment_arguments={**task.arguments, **task.judged},
    )
    first = searched.steps if searched.riders and not c["trial"] else None
    # so that more is better, as with learners: riders found in a million steps
    score = 1e6 * searched.riders / searched.steps
    return {"first_steps": first, "steps": searched.steps, "draws": searched.draws, "score": score}


def _by_hand(job: Job, record: Record) -> dict[str, Any]:
    """Ride by hand, or by the exact regulator."""
    task = TASKS[job.config["task"]]
    riders = {"goal": GoalRider(), "whipple": whipple_rider(SPEED), "no-rates": balance_rider(rates=False)}
    rider = riders.get(job.config["task"], balance_rider())
    arguments = {**task.arguments, **task.judged}
    ridden = ride(rider, task.environment, rides=FRESH, key=job.seed, environment_arguments=arguments)
    return {"fresh": (ridden.returns >= task.goal).mean()}


def _flatness(job: Job, record: Record) -> dict[str, Any]:
    return flatness(ENVIRONMENT, SCALE, policies=job.config["policies"], key=job.seed)

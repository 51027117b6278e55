"""fit: an agent's training loop with evaluation, checkpoints, a record and progress around it; also over seeds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, fields
from inspect import isclass, isfunction
from pathlib import Path
from typing import Any

import numpy as np

from rllab.agents import PPO, Agent
from rllab.agents.base import Row
from rllab.agents.loading import loaded_like
from rllab.agents.named import agent_called, arguments_of, made
from rllab.agents.off_policy import OffPolicy
from rllab.checks import as_count, check_finite, check_number, check_truth
from rllab.due import Every
from rllab.executors.jobs import Executor
from rllab.progress import Meter
from rllab.runs import Job, Record, sweep
from rllab.runs.record import RUN, STATES
from rllab.runs.results import first_difference
from rllab.runs.states import States, can_go_on
from rllab.runs.storage import Storable, storable
from rllab.runs.trackers import Tracking, check_tracker
from rllab.stopping import HeldSignals

LATEST, BEST = "agent.pt", "best.pt"
ENDS = "Ctrl-C: ends after this iteration, from where it can go on; a second Ctrl-C ends at once"
UNSEEN = 1_000_000  # number of the first episode of the last evaluation: far above what is evaluated on the way


@dataclass(frozen=True)
class Schedule:
    """Say what happens around training, and when: the arguments of `fit` that have these names.

    Raises:
        TypeError, ValueError: a count is no whole number >= 1, `stop_at` is no finite number, or nothing is evaluated
            that could end training.
    """

    evaluate_every: int | None = None
    episodes: int = 20
    max_steps: int | None = None
    checkpoint_every: int | None = None
    keep_best: bool = True
    stop_at: float | None = None

    def __post_init__(self) -> None:
        for name in ("evaluate_every", "episodes", "max_steps", "checkpoint_every"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, as_count("fit", name, value))
        check_truth("fit", keep_best=self.keep_best)
        if self.stop_at is not None:
            check_finite("fit", stop_at=self.stop_at)
            if self.evaluate_every is None:
                raise ValueError(f"fit: evaluate_every must be given for stop_at={self.stop_at}, which it is judged by")


@dataclass(frozen=True)
class Fit:
    """Say what a training gave.

    Attributes:
        agent: as it is at the end; the best one is in best.pt of the folder.
        rows: those of `Agent.train`; where an evaluation was made they have `evaluation`, its mean return.
        returns: of the last evaluation's episodes, (episodes,), none of which was evaluated on the way.
        best: the highest mean return evaluated on the way; None without any.
        best_steps: after how many steps that was.
        stopped: whether `stop_at` ended it.

    Example:
        import rllab
        from rllab.agents import Evolution

        done = rllab.fit(Evolution("CartPole-v1", population=4), 500, evaluate_every=250, episodes=2, progress=False)
        print(done.best, done.best_steps, done.returns.mean(), done.rows[-1]["lr"], done.stopped)
    """

    agent: Agent
    rows: list[Row] = field(repr=False)
    returns: np.ndarray
    best: float | None
    best_steps: int | None
    stopped: bool


def fit(
    agent: Agent,
    steps: int,
    *,
    folder: str | Path | None = None,
    evaluate_every: int | None = None,
    episodes: int = 20,
    max_steps: int | None = None,
    checkpoint_every: int | None = None,
    keep_best: bool = True,
    stop_at: float | None = None,
    seconds: float = math.inf,
    progress: bool = True,
    resume: bool = False,
    track: str | None = None,
) -> Fit:
    """Train an agent, and do around it what is usually wanted: evaluate, save, keep the best, stop, say how far it is.

    It is a loop over `agent.train(steps)`; whatever else is wanted is a line in a loop of one's own. Where a population
    plays is told to the agent, `Evolution(…, executor=…)`; evaluation is always here.
    A script is faster that begins with `rllab.runs.limit_threads()`: torch takes a thread for each core otherwise.

    Args:
        agent: it goes on from where it is.
        steps: environment steps to take.
        folder: where the record and checkpoints (agent.pt, best.pt) go; None writes nothing.
        evaluate_every: environment steps between evaluations without exploration, the last where training ends; None
            for none on the way. Each is made after the first iteration that reaches it, and so are `stop_at` and
            `keep_best` judged. An iteration is of 1,000 steps with TD3, SAC and CrossQ (fewer with `gradient_steps` >
            `train_freq`), n_steps · num_envs with PPO, whole episodes with the others; a longer one is warned of.
        episodes: evaluated each time; on the way always the same ones, at the end as many that were never evaluated.
        max_steps: steps after which an evaluated episode is cut off; None as `Agent.evaluate` has it.
        checkpoint_every: environment steps between checkpoints; None for one at the end.
        keep_best: keep a second checkpoint, of the highest mean return evaluated.
        stop_at: mean return, evaluated on the way, at which training ends early; None never does.
        seconds: wall seconds of training, > 0; no iteration begins after them.
        progress: print steps, return and the time that is left: a bar on a terminal, else a line every ten seconds.
        resume: go on inside the run that the folder holds, if it holds one that did not finish, from the last state on
            disk: with the same arguments rows and weights are, but for times, those of a run that nothing stopped. It
            is written every minute, and at Ctrl-C or SIGTERM, which therefore act when the iteration under way is done;
            a second Ctrl-C acts at once. `agent` is then one as it was at the start, and what goes on is `Fit.agent`.
        track: show rows by "tensorboard", "wandb" or "trackio" as well; needs a folder, and the extra of that name. If
            it fails, training goes on and says so.

    Returns:
        A `Fit`: `agent` as it is at the end (the best is in best.pt), `rows`, `returns` of the last evaluation, `best`
        and `best_steps` of those on the way, and whether it `stopped`. Steps of evaluation are not among the agent's.

    Raises:
        TypeError, ValueError: an argument is of another kind or out of its range; or the folder's run is finished, of
            another configuration, or of other versions of what it computes with.
        FileExistsError: the folder holds a run, and `resume` is False.
        OSError: the folder cannot be written to.

    Example:
        import rllab
        from rllab.agents import PPO

        agent = PPO("CartPole-v1", seed=0, num_envs=4, n_steps=64)
        done = rllab.fit(agent, 1_024, evaluate_every=512, episodes=2, progress=False)
        print(done.best, "after", done.best_steps, "steps")
    """
    if not isinstance(agent, Agent):
        raise TypeError(f"fit: agent must be an agent, as PPO('CartPole-v1') is, got {agent!r:.80}")
    steps = as_count("fit", "steps", steps)
    schedule = Schedule(evaluate_every, episodes, max_steps, checkpoint_every, keep_best, stop_at)
    if text := rarely(agent, schedule.evaluate_every):
        warnings.warn(f"fit: {text}", stacklevel=2)
    check_number("fit", seconds=seconds)
    if not seconds > 0:
        raise ValueError(f"fit: seconds must be positive, got {seconds}")
    check_tracker(track)
    if track is not None and folder is None:
        raise ValueError(f"fit: folder must be given with track={track!r}, got None")
    if folder is None:
        return follow(agent, steps, schedule, None, seconds=seconds, progress=progress)
    config = {**described(agent), "steps": steps, **asdict(schedule)}
    with _begun(Path(folder), config, agent.seed, resume) as record:
        if track is not None:
            record.watch(Tracking(track, record))
        done = follow(agent, steps, schedule, record, seconds=seconds, progress=progress, states=States(record))
        record.finish(**summary(done))
    return done


def follow(
    agent: Agent,
    steps: int,
    schedule: Schedule,
    record: Record | None,
    *,
    seconds: float = math.inf,
    progress: bool = False,
    states: States | None = None,
) -> Fit:
    """Train as `fit` does, into a record begun elsewhere; with its `states` go on from the newest, and write more."""
    rows: list[Row] = []
    at = _Reached(agent.spent.steps, agent.spent.seconds)
    if states is not None and record is not None and (found := states.go_on(lambda path: loaded_like(agent, path))):
        agent, notes = found
        at, rows = _Reached(**notes), record.rows
    before = agent.spent.steps
    evaluation = Every(schedule.evaluate_every, at.start, before)
    checkpoint = Every(schedule.checkpoint_every, at.start, before)
    steps_left, seconds_left = at.start + steps - before, seconds - (agent.spent.seconds - at.start_seconds)
    learning = agent.train(steps_left, seconds=seconds_left) if steps_left > 0 and seconds_left > 0 else ()
    last_second = agent.spent.seconds + seconds_left
    if states is not None:
        learning = kept_between(learning, agent, states, notes=lambda: asdict(at))
    with HeldSignals(states is not None, says=ENDS) as signals, Meter(steps) if progress else nullcontext() as meter:
        for row in learning:
            now = agent.spent.steps  # as before where what is left does not pay for another round: training ends
            ends = now in (before, at.start + steps) or agent.spent.seconds >= last_second
            if evaluation.due(now) or (ends and schedule.evaluate_every is not None and at.evaluated != now):
                returns = agent.evaluate(schedule.episodes, max_steps=schedule.max_steps).returns
                row["evaluation"] = mean = float(returns.mean())
                at.stopped = schedule.stop_at is not None and mean >= schedule.stop_at
                if at.is_best(mean, now) and schedule.keep_best and record is not None:
                    agent.save(record.folder / BEST)
            rows.append(row)
            if record is not None:
                record.append(row)
                if checkpoint.due(now):
                    agent.save(record.folder / LATEST)
            if meter is not None:
                meter.show(now - at.start, row.get("evaluation"), row["return"])
            if at.stopped:
                break
            if signals.came:
                if states is not None and now > before:  # a row without steps is made again
                    states.write(agent.save, **asdict(at))
                break
            before = now
    if record is not None:
        agent.save(record.folder / LATEST)
    unseen = agent.evaluate(schedule.episodes, max_steps=schedule.max_steps, first=UNSEEN).returns
    return Fit(agent, rows, unseen, at.best, at.best_steps, at.stopped)


def rarely(agent: Agent, evaluate_every: int | None) -> str | None:
    """Say that evaluations come more rarely than asked, where an agent's iterations are longer than that."""
    length, of = 0, ""  # of others it is whole episodes, whose lengths nobody knows before
    if isinstance(agent, PPO):
        length, of = agent.num_envs * agent.n_steps, " (num_envs · n_steps)"
    elif isinstance(agent, OffPolicy):
        length = agent.iteration_steps
    if evaluate_every is None or evaluate_every >= length:
        return None
    return (
        f"evaluate_every={evaluate_every:,} is shorter than an iteration of {type(agent).__name__}, {length:,} "
        f"steps{of}: there is one evaluation after each iteration"
    )


def kept_between(
    learning: Iterable[Row],
    agent: Agent,
    states: States,
    *,
    save: Callable[[Path], object] | None = None,
    notes: Callable[[], Mapping[str, Any]] = dict,
) -> Iterator[Row]:
    """Yield rows of `agent.train`; between two keep states that `loaded_like` goes on from, see `States.between`."""
    steps, moved = agent.spent.steps, True

    def rows() -> Iterator[Row]:
        nonlocal steps, moved
        for row in learning:
            moved, steps = row["steps"] != steps, agent.spent.steps
            yield row

    # a row without steps ends training: who goes on from before it makes it again, and ends too
    yield from states.between(rows(), save or agent.save, lambda: notes() if moved else None)


def described(agent: Agent) -> dict[str, Any]:
    """Return an agent's method, environment and hyperparameters as a record's configuration has them.

    A function or class stands there as module:name, in whatever process; what else is no plain value, as its text.
    """
    left_out = {"seed", *agent.unsaved}
    settings = {f.name: _plain(f.name, getattr(agent, f.name)) for f in fields(agent) if f.name not in left_out}
    return {"method": type(agent).__name__.lower(), "environment": settings.pop("environment"), "settings": settings}


def summary(done: Fit) -> dict[str, Any]:
    """Return what a record keeps of a training that ended."""
    return {
        "return": float(done.returns.mean()),
        "steps": done.agent.spent.steps,
        "cpu_seconds": done.agent.spent.cpu_seconds,
        "best": done.best,
        "best_steps": done.best_steps,
        "stopped": done.stopped,
    }


def _plain(name: str, value: Any) -> Any:
    if isfunction(value) or isclass(value):
        return f"{value.__module__}:{value.__qualname__}"
    if isinstance(value, (list, tuple)):
        return [_plain(name, part) for part in value]
    try:
        return storable(value, name)
    except (TypeError, ValueError):
        return repr(value)


@dataclass
class _Reached:
    """What `follow` goes on from beside the agent.

    Args:
        start, start_seconds: what the agent had spent before.
        evaluated: steps at the last evaluation; −1 before one.
        best, best_steps, stopped: see `Fit`.
    """

    start: int
    start_seconds: float
    evaluated: int = -1
    best: float | None = None
    best_steps: int | None = None
    stopped: bool = False

    def is_best(self, mean: float, steps: int) -> bool:
        """Note the mean return of an evaluation after so many steps; return whether it is the highest so far."""
        self.evaluated = steps
        if self.best is not None and not mean > self.best:
            return False
        self.best, self.best_steps = mean, steps
        return True


def _begun(folder: Path, config: dict[str, Any], seed: int, resume: bool) -> Record:
    """Return the record of a run that begins, or with `resume` of the unfinished one that the folder holds."""
    if not resume or not (folder / RUN).exists():
        return Record.create(folder, config, seed=seed)
    there = Record.open(folder)
    wanted: Storable = {"config": storable(config, "fit: config"), "seed": seed}
    if difference := first_difference({"config": storable(there.config, "config"), "seed": there.seed}, wanted):
        name, old, new = difference
        raise ValueError(f"fit: {folder} holds a run whose {name} is {old}, not {new}: choose another folder")
    if (folder / STATES).exists() and not can_go_on(folder):
        raise ValueError(
            f"fit: the run in {folder} was begun with other versions of what it computes with, and would not go on bit "
            "for bit: install those that its run.json names, or choose another folder"
        )
    return Record.reopen(folder)


def train_seeds(
    method: str,
    environment: str,
    steps: int,
    folder: str | Path,
    *,
    seeds: int,
    settings: Mapping[str, Any],
    schedule: Schedule,
    resume: bool = False,
    processes: int = 2,
    executor: Executor | None = None,
    track: str | None = None,
) -> list[Record]:
    """Train one agent a seed, in processes; return the records, whose rows have `evaluation` where one was made.

    Args:
        method: an agent's name, in whatever case.
        environment: Gymnasium id.
        steps: environment steps of each.
        folder: of the records; each holds its agent's checkpoints too.
        seeds: how many, from 0 on.
        settings: arguments of the agent.
        schedule: what happens around training.
        resume: go on in a folder that holds some of these runs; those that finished stay, others go on inside.
        processes: how many at a time.
        executor: who trains them in the place of processes of this machine, see `sweep`.
        track: a tracker's name, see `sweep`.

    Raises:
        ValueError: there is no such agent, or it does not take these settings or this environment; before any work.
    """
    kind, steps = agent_called(method), as_count("train", "steps", steps)
    first = made(kind, environment, settings)
    config = {**described(first), "steps": steps, **asdict(schedule)}
    jobs = [
        Job(f"{config['method']}-{seed}", {**config, "given": dict(settings)}, seed)
        for seed in range(as_count("train", "seeds", seeds))
    ]
    options: dict[str, Any] = {"resume": resume, "processes": processes, "executor": executor, "track": track}
    return sweep(train_run, jobs, folder, config=config, describe=_result, **options)


def train_run(job: Job, record: Record) -> dict[str, Any]:
    """Train the agent of a job into its record."""
    config = job.config
    kind = agent_called(config["method"])
    agent = kind(config["environment"], job.seed, **arguments_of(kind, config["given"]))
    schedule = Schedule(**{f.name: config[f.name] for f in fields(Schedule)})
    return summary(follow(agent, config["steps"], schedule, record, states=States(record)))


def _result(record: Record) -> str:
    assert record.summary is not None  # it has finished
    said = f"mean return {record.summary['return']:.5g} after {record.summary['steps']:,} steps"
    return f"{said}, without an update: nothing was learned" if record.untaught else said

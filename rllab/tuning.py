"""tune: search an agent's hyperparameters on an environment: scrambled Sobol' points, successive halving, own seeds."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from rllab.agents import PPO, Agent, OffPolicy, load
from rllab.agents.named import agent_called, arguments_of, made
from rllab.agents.schedules import over
from rllab.agents.tuned_settings import as_toml
from rllab.checks import as_count, check_number
from rllab.files import write_atomically
from rllab.runs import Job, Record, sweep
from rllab.runs.states import States
from rllab.training import LATEST, Schedule, follow
from rllab.version import __version__
from rllab.warned import warn

FIRST_SEED = 1_000  # seeds of trials: never those that results are reported of
KEPT = 3  # of so many trials the best goes on
EDGE = 0.05  # a winner in this share of a range at either end is said to lie on its edge, along the range's scale
EVALUATIONS = 5  # of every rung


@dataclass(frozen=True)
class Range:
    """Say where a hyperparameter is looked for.

    Args:
        low, high: its ends.
        scale: "linear", "log" for what is known by its order of magnitude, "below-one" for a discount γ: log of 1 − γ.
        whole: whether it is a whole number.

    Raises:
        TypeError, ValueError: the ends are no numbers, not in order, or not where the scale is defined.

    Example:
        from rllab.tuning import Range

        Range(1e-4, 1e-2, "log").at(0.5)  # 1e-3
    """

    low: float
    high: float
    scale: str = "linear"
    whole: bool = False

    def __post_init__(self) -> None:
        check_number("Range", low=self.low, high=self.high)
        if self.scale not in ("linear", "log", "below-one"):
            raise ValueError(f"Range: scale must be 'linear', 'log' or 'below-one', got {self.scale!r}")
        fits = {"linear": True, "log": self.low > 0, "below-one": self.high < 1}[self.scale]
        if not (self.low < self.high and fits and math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError(
                f"Range: low and high must be in order, and a {self.scale} scale must hold them, got {self}"
            )

    def at(self, u: float) -> float | int:
        """Return the value at u in [0, 1]."""
        if self.scale == "below-one":
            value = 1 - (1 - self.low) * ((1 - self.high) / (1 - self.low)) ** u
        elif self.scale == "log":
            value = self.low * (self.high / self.low) ** u
        else:
            value = self.low + (self.high - self.low) * u
        return round(value) if self.whole else float(f"{value:.4g}")


GAMMA, RATE = Range(0.9, 0.999, "below-one"), Range(1e-4, 3e-3, "log")
RANGES: dict[str, dict[str, Range]] = {
    "evolution": {
        "lr": Range(3e-3, 0.5, "log"),
        "population": Range(8, 128, "log", whole=True),
        "estimator.estimator.sigma": Range(0.01, 1.0, "log"),
    },
    "ars": {
        "lr": Range(3e-3, 0.3, "log"),
        "delta_std": Range(5e-3, 0.5, "log"),
        "n_delta": Range(2, 64, "log", whole=True),
    },
    "reinforce": {
        "lr": Range(1e-3, 0.1, "log"),
        "episodes": Range(4, 64, "log", whole=True),
        "std": Range(0.1, 1.0, "log"),
    },
    "ppo": {"lr": RATE, "gamma": GAMMA, "gae_lambda": Range(0.8, 0.995, "below-one"), "clip_range": Range(0.1, 0.4)},
    "td3": {"lr": RATE, "gamma": GAMMA, "tau": Range(1e-3, 0.1, "log"), "action_noise": Range(0.03, 0.6, "log")},
    "sac": {"lr": RATE, "gamma": GAMMA, "tau": Range(1e-3, 0.1, "log")},
    "crossq": {"lr": RATE, "gamma": GAMMA},
}


@dataclass(frozen=True)
class Trial:
    """Hold one point of the search and what it scored, by rung as far as it came; −∞ where a run failed.

    Args:
        number: its place in the sequence of points.
        settings: arguments of the agent.
        scores: after each rung, the mean return so far: over its evaluations and seeds, averaged over the rungs.
        updates: of the policy, made so far by the seed that made fewest; at 0 the scores are of a policy that has
            learned nothing, and the trial ranks behind those that have.

    Example:
        from rllab.tuning import Trial

        Trial(3, {"lr": 1e-3}, (-900.0, -400.0), updates=500).scores[-1]
    """

    number: int
    settings: dict[str, Any]
    scores: tuple[float, ...] = ()
    updates: int = 0

    @property
    def rank(self) -> tuple[int, bool, float]:
        """What trials are ordered by, the best last: rungs, whether anything was learned, the last score."""
        return len(self.scores), self.updates > 0, self.scores[-1]


@dataclass(frozen=True)
class Tuning:
    """Say what a search found.

    Attributes:
        best: the trial with the highest score of the last rung, of those that made an update.
        trials: all of them.
        edges: hyperparameters of the best that lie in the outermost 5 % of their range at either end, measured along
            its scale; there it should be widened.
        path: the TOML file.

    Example:
        from pathlib import Path
        from rllab.tuning import Trial, Tuning

        best = Trial(0, {"lr": 1e-3}, (-400.0,))
        Tuning(best, [best], edges=[], path=Path("tuned.toml")).best.settings
    """

    best: Trial
    trials: list[Trial]
    edges: list[str]
    path: Path


def tune(
    method: str,
    environment: str,
    folder: str | Path,
    *,
    steps: int,
    trials: int = 40,
    seeds: int = 2,
    ranges: Mapping[str, Range] | None = None,
    fixed: Mapping[str, Any] | None = None,
    episodes: int = 10,
    resume: bool = False,
    processes: int = 2,
) -> Tuning:
    """Search hyperparameters, and write the best as a TOML file that `tuned` reads.

    Trials are points of a scrambled Sobol' sequence. Successive halving: all learn for a ninth of `steps`, the better
    third goes on to a third of them, and the better third of those to all; each goes on from where it was. A trial's
    score is its mean return over the evaluations of a rung and over its seeds, averaged over the rungs so far: a fall
    after a success costs. Trials that have made no update yet rank behind the others.

    Args:
        method, environment: the agent's name and the Gymnasium id.
        folder: of the records and the file, tuned.toml.
        steps: environment steps of a trial that comes to the end.
        trials: how many.
        seeds: of each trial, from 1,000 on.
        ranges: where to look, by hyperparameter: these alone are searched. None takes those of `RANGES` but for what is
            fixed; `rllab tune --range` changes single ones of them.
        fixed: other arguments of the agent.
        episodes: of each evaluation, five a rung.
        resume: go on in a folder that a killed search left, inside the runs it had begun.
        processes: runs at a time.

    Returns:
        The search: at most trials × seeds × steps × (1/9 + 2/27 + 2/27) environment steps.

    Raises:
        TypeError, ValueError: an argument is of another kind or out of its range, a setting is both fixed and searched,
            no trial could be finished, or none made an update.

    Warns:
        UserWarning: the first rung is too short for an update of some trials.

    Source: Jamieson & Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization",
    figure 3, with η = 3.

    Example:
        import tempfile
        from rllab.agents import ARS, tuned
        from rllab.tuning import Range, tune

        with tempfile.TemporaryDirectory() as folder:
            ranges = {"lr": Range(0.01, 0.3, "log")}
            found = tune("ars", "CartPole-v1", folder, steps=1_800, trials=3, seeds=1, ranges=ranges, processes=1)
            agent = ARS("CartPole-v1", seed=0, **tuned("ARS", "CartPole-v1", path=found.path))
    """
    kind, folder = agent_called(method), Path(folder)
    name, fixed = kind.__name__.lower(), dict(fixed or {})
    counts = {"steps": steps, "trials": trials, "seeds": seeds, "episodes": episodes}
    steps, trials, seeds, episodes = (as_count("tune", what, value) for what, value in counts.items())
    ranges = ranges_of(name, ranges or {}, fixed=fixed, only=ranges or ())
    todo = [Trial(i, {**fixed, **settings}) for i, settings in enumerate(points(ranges, trials))]
    first = made(kind, environment, todo[0].settings)  # what cannot be made, or written, is named before any work
    as_toml(environment, todo[0].settings, {})
    rungs = sorted({max(1, steps // KEPT**k) for k in (2, 1, 0)})
    if text := _too_short(first, [trial.settings for trial in todo], rungs[0]):
        warn(f"tune: {text}")
    config = {"method": name, "environment": environment, "steps": steps, "trials": trials, "seeds": seeds}
    config |= {"episodes": episodes, "fixed": fixed, "ranges": {k: str(v) for k, v in ranges.items()}}
    tried: dict[int, Trial] = {}
    for rung, end in enumerate(rungs):
        start = rungs[rung - 1] if rung else 0
        jobs = [
            Job(_run_name(rung, trial, seed), {**config, "settings": trial.settings, "from": start, "to": end}, seed)
            for trial in todo
            for seed in range(FIRST_SEED, FIRST_SEED + seeds)
        ]
        records = sweep(_advance, jobs, folder, config=config, resume=resume or rung > 0, processes=processes)
        scored = _scored(todo, records, seeds)
        tried |= {trial.number: trial for trial in scored}
        scored.sort(key=lambda trial: trial.rank, reverse=True)
        todo = scored[: max(1, -(-len(scored) // KEPT))]
    best = todo[0]
    if best.scores[-1] == -math.inf:
        raise ValueError(f"tune: no trial could be finished; what went wrong stands in {folder}/*/done.json")
    if best.updates == 0:
        raise ValueError(f"tune: steps must suffice for an update of some trial, got {steps:,}: none learned anything")
    edges = [n for n, r in ranges.items() if _on_edge(best.settings[n], r)]
    source = f"trials of rllab {__version__}: {trials} points, {seeds} seeds from {FIRST_SEED}, {steps} steps"
    provenance = {"source": source, "score": best.scores[-1], "on_edge": edges}
    provenance["score_is"] = "mean return over evaluations and seeds, averaged over all rungs: not that of the end"
    provenance |= {f"range of {k}": f"{r.low:g} to {r.high:g}, {r.scale}" for k, r in ranges.items()}
    path = folder / "tuned.toml"
    write_atomically(path, as_toml(environment, best.settings, provenance))
    return Tuning(best, sorted(tried.values(), key=lambda trial: trial.number), edges, path)


def ranges_of(
    method: str, given: Mapping[str, Range], *, fixed: Collection[str] = (), only: Collection[str] = ()
) -> dict[str, Range]:
    """Return where to look: the agent's own ranges, with those given in their place or added, less what is fixed.

    Args:
        method: the agent's name.
        given: ranges, by hyperparameter.
        fixed: names of settings that are not searched.
        only: names of those that are; none for all that have a range.

    Raises:
        ValueError: a setting is both given a range and fixed, `only` names one without a range, or nothing is left.
    """
    kind = agent_called(method)
    if both := [name for name in given if name in fixed]:
        raise ValueError(f"tune: a setting must be either fixed or searched in a range, got both for {both[0]}")
    ranges = {**RANGES.get(kind.__name__.lower(), {}), **given}
    ranges = {name: r for name, r in ranges.items() if name not in fixed}
    if unknown := [name for name in only if name not in ranges]:
        raise ValueError(f"tune: only must name settings with a range, of {', '.join(ranges)}, got {unknown[0]}")
    if not ranges:
        raise ValueError(f"tune: ranges must be given: {kind.__name__} has none of its own beside what is fixed")
    return {name: ranges[name] for name in only or ranges}


def range_like_own(method: str, name: str, low: float, high: float, scale: str | None = None) -> Range:
    """Return a range with these ends; scale and whole numbers are, unless told, as the agent has them."""
    kind = agent_called(method)
    if own := RANGES.get(kind.__name__.lower(), {}).get(name):
        return replace(own, low=low, high=high, scale=scale or own.scale)
    whole = {f.name: f.type for f in fields(kind)}.get(name) == "int"
    return Range(low, high, scale or "linear", whole)


def points(ranges: Mapping[str, Range], n: int) -> list[dict[str, float | int]]:
    """Return n settings, a scrambled Sobol' sequence over the ranges: always the same ones."""
    engine = torch.quasirandom.SobolEngine(len(ranges), scramble=True, seed=0)
    u = engine.draw(n, dtype=torch.float64).tolist()
    return [{name: r.at(x) for (name, r), x in zip(ranges.items(), row, strict=True)} for row in u]


def _advance(job: Job, record: Record) -> dict[str, Any]:
    """Let one seed of a trial learn up to the end of a rung, from the checkpoint of the rung before."""
    config = job.config
    try:
        if config["from"]:
            rung, _, rest = job.name.partition("-")
            agent = load(record.folder.parent / f"rung{int(rung.removeprefix('rung')) - 1}-{rest}" / LATEST)
        else:
            kind = agent_called(config["method"])
            # a schedule goes over all steps of a trial, of which a rung is a part
            arguments = {n: over(v, config["steps"]) for n, v in arguments_of(kind, config["settings"]).items()}
            agent = kind(config["environment"], job.seed, **arguments)
        steps = config["to"] - agent.spent.steps
        if steps > 0:
            every = max(1, (config["to"] - config["from"]) // EVALUATIONS)
            schedule = Schedule(every, config["episodes"], keep_best=False)
            done = follow(agent, steps, schedule, record, states=States(record))
            agent = done.agent  # where an interrupted run goes on, the one that was loaded
            evaluations = [value for row in done.rows if (value := row.get("evaluation")) is not None]
        else:  # an iteration of the rung before went beyond the end of this one
            agent.save(record.folder / LATEST)
            evaluations = []
        evaluations = evaluations or [float(agent.evaluate(config["episodes"]).returns.mean())]
    except (ValueError, ArithmeticError, RuntimeError, FileNotFoundError) as error:  # weights that are no numbers, say
        return {"score": None, "error": f"{type(error).__name__}: {error}"}
    return {"score": sum(evaluations) / len(evaluations), "updates": agent.spent.updates}


def _scored(trials: Sequence[Trial], records: Sequence[Record], seeds: int) -> list[Trial]:
    found = []
    for i, trial in enumerate(trials):
        summaries = [record.summary or {} for record in records[i * seeds : (i + 1) * seeds]]
        scores = [summary["score"] for summary in summaries]
        updates = min(summary.get("updates", 0) for summary in summaries)  # none where a run failed
        here = -math.inf if None in scores else sum(scores) / seeds
        before = len(trial.scores)
        total = trial.scores[-1] * before + here if before else here  # a score is the mean over all rungs so far
        found.append(Trial(trial.number, trial.settings, (*trial.scores, total / (before + 1)), updates))
    return found


def _too_short(agent: Agent, settings: Sequence[Mapping[str, Any]], steps: int) -> str | None:
    """Say that the first rung is too short for an update of some trials, where that is known before they begin."""
    short, longest, remedy = 0, 0, ""
    for trial in settings:
        has = {**vars(agent), **trial}
        if isinstance(agent, OffPolicy):
            # rounds of updates of the critics, up to the first of the actor
            rounds = -(-has["policy_delay"] // has["gradient_steps"])
            takes, remedy = has["learning_starts"] + rounds * has["train_freq"], "learning_starts"
        elif isinstance(agent, PPO):
            takes, remedy = has["num_envs"] * has["n_steps"], "n_steps"
        else:  # whole episodes, whose lengths nobody knows before
            return None
        short += takes > steps
        longest = max(longest, takes)
    if not short:
        return None
    return (
        f"{short} of {len(settings)} trials can make no update in the first rung, which has {steps:,} steps, a ninth "
        f"of all: an update takes up to {longest:,}. Which of them goes on is chance. Give steps of "
        f"{KEPT**2 * longest:,} or more, or a smaller {remedy}"
    )


def _on_edge(value: float, r: Range) -> bool:
    return not r.at(EDGE) <= value <= r.at(1 - EDGE)


def _run_name(rung: int, trial: Trial, seed: int) -> str:
    return f"rung{rung}-trial{trial.number}-{seed}"

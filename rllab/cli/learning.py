"""Commands that learn: train agents, search their hyperparameters, and show a trained one at work."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from rllab.checks import as_count
from rllab.cli.common import find_modules_here, number, setting, short
from rllab.tables import table
from rllab.warned import warn

if TYPE_CHECKING:
    from rllab.runs import Record


@dataclass(frozen=True)
class Train:
    """Train agents on a Gymnasium environment, one for each seed; print the result and draw the learning curves."""

    environment: tyro.conf.Positional[str]
    """Gymnasium id, as Pendulum-v1, or module:id, as rllab_envs:rllab/BicycleBalance-v0."""
    method: str = "td3"
    """Which agent: ars, crossq, evolution, ppo, reinforce, sac or td3. Only ars, evolution, ppo and reinforce take
    discrete actions, as CartPole-v1 has."""
    steps: str = "20_000"
    """Environment steps that each seed is trained for, as 20_000 or 2e4. With TD3, SAC and CrossQ the first of them
    are random and come before any update: 1,000, unless --set learning_starts=N or --tuned says otherwise."""
    seeds: int = 5
    """How many agents are trained, each from a seed of its own: 0, 1, 2, …"""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """Settings of the agent, the arguments of its class (a wrong name lists them), as gamma=0.98
    hidden=64,64 'lr=linear(3e-4,0)'; a shell wants brackets quoted."""
    tuned: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Begin from the settings that this package keeps for the method on this environment (an error lists those there
    are); what --set gives comes in their place."""
    tuned_file: Path | None = None
    """Likewise, but from the settings in a file that `rllab tune` wrote."""
    evaluate_every: int | None = None
    """Environment steps between evaluations, each made after the first iteration that reaches it (one of TD3, SAC and
    CrossQ takes 1,000 steps, of PPO n_steps times num_envs), and the last at the end; by default a twentieth of all."""
    episodes: int = 20
    """Episodes of each evaluation."""
    stop_at: float | None = None
    """Mean return at which a seed's training ends."""
    processes: int = 2
    """Seeds at a time, one thread each."""
    executor: str = ""
    """Train the seeds elsewhere: a number of workers, ray, or host:port of a Ray cluster."""
    out: Path | None = None
    """Folder of the records; by default one of results, named after environment and method."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Go on where this command was stopped (Ctrl-C, a crash): give the same command again, with this. Runs that are
    finished stay, others go on from their last state; with more --seeds, the new ones are added."""
    track: Literal["tensorboard", "wandb", "trackio"] | None = None
    """Show losses and returns in this program as well, while training."""

    def run(self) -> None:
        find_modules_here()
        from rllab import plots
        from rllab.agents.named import agent_called, made
        from rllab.agents.tuned_settings import tuned
        from rllab.executors.named import executor_of
        from rllab.runs import ResultsConflict
        from rllab.runs.about import About
        from rllab.training import LATEST, Schedule, rarely, train_seeds

        kind = agent_called(self.method)
        settings: dict[str, Any] = {}
        if self.tuned or self.tuned_file is not None:
            settings = tuned(self.method, self.environment, path=self.tuned_file)
        settings |= dict(map(setting, self.set))
        steps = as_count("rllab train", "steps", number("steps", self.steps))
        name = self.environment.rpartition(":")[2].replace("/", "-")
        folder = self.out or Path("results") / f"{name}-{self.method.lower()}"
        every = max(1, steps // 20) if self.evaluate_every is None else self.evaluate_every
        schedule = Schedule(every, self.episodes, stop_at=self.stop_at)
        first = made(kind, self.environment, settings)
        if self.evaluate_every is not None:
            if text := rarely(first, schedule.evaluate_every):
                warn(f"rllab train: {text}")
        on: dict[str, Any] = {"seeds": self.seeds, "settings": settings, "schedule": schedule}
        on |= {"resume": self.resume, "processes": self.processes, "track": self.track}
        on["executor"] = executor_of(self.executor)
        try:
            records = train_seeds(self.method, self.environment, steps, folder, **on)
        except ResultsConflict as error:
            if error.field != "steps":
                raise
            file = folder / f"{self.method.lower()}-0" / LATEST
            longer = f"agent = rllab.agents.load({str(file)!r}), then rllab.fit(agent, MORE_STEPS)"
            raise ResultsConflict(f"{error}; a finished agent is trained for longer in Python: {longer}") from None
        print(_result([float((record.summary or {})["return"]) for record in records], self.environment, self.method))
        if untaught := sum(record.untaught for record in records):
            takes = first.update_takes.format_map(vars(first))
            print(
                f"nothing was learned by {untaught} of {len(records)} seeds: {steps:,} steps did not suffice for an "
                f"update, which takes {takes}; the return is that of policies as they began"
            )
        elif idle := max(_steps_after_last_update(record) for record in records):
            print(f"the last {idle:,} steps taught nothing: they did not suffice for another update")
        figure, (ax,) = plots.panels()
        plots.curves(ax, records, label=f"mean return of {self.episodes} episodes, {name}")
        drawn = plots.save(figure, folder / "curves.png")
        question = f"What does {self.method} reach in {self.environment} within {int(steps):,} steps?"
        About(question, shlex.join(["rllab", *sys.argv[1:]]), figures=(drawn.with_suffix(".svg").name,)).save(folder)
        print(f"figure: {drawn}")


@dataclass(frozen=True)
class Tune:
    """Search an agent's hyperparameters on an environment; write the best, and where they come from, as a TOML file.

    A trial's mean return, its score in the file, is over the evaluations of a rung and the seeds, averaged over the
    rungs it came through: not what it reached at the end. `rllab train --tuned-file FILE` trains with the best.
    """

    environment: tyro.conf.Positional[str]
    """Gymnasium id, as Pendulum-v1, or module:id, as rllab_envs:rllab/BicycleBalance-v0."""
    method: str = "td3"
    """Which agent: ars, crossq, evolution, ppo, reinforce, sac or td3."""
    trials: int = 40
    """How many sets of hyperparameters are tried."""
    steps: str = "20_000"
    """Environment steps of a trial that comes to the end; two thirds end after a ninth of them."""
    seeds: int = 2
    """How many agents are trained with each set, from seeds 1000, 1001, …, which `rllab train` does not use."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """Settings that are not searched, as hidden=64,64; one that has a range of the agent's own loses it."""
    range: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=LOW:HIGH[:SCALE] ...")] = ()
    """Where to look for a setting, as lr=1e-4:1e-2:log, in place of the agent's own range of it, or beside those; the
    others are searched as before. Scales: linear, log, below-one (log of 1 - value); by default that of the agent's own
    range, else linear."""
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """Search these settings alone, as gamma; by default all that have a range."""
    processes: int = 2
    """Runs at a time, one thread each."""
    out: Path | None = None
    """Folder of the records and the file; by default one of results, named after environment and method."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Go on where this search was stopped: give the same command again, with this."""

    def run(self) -> None:
        find_modules_here()
        from rllab.tuning import EDGE, Range, range_like_own, ranges_of, tune

        fixed = dict(map(setting, self.set))
        given: dict[str, Range] = {}
        for text in self.range:
            match = re.fullmatch(r"([\w.]+)=([^:]+):([^:]+)(?::([\w-]+))?", text)
            if match is None:
                raise ValueError(f"rllab tune: --range takes NAME=LOW:HIGH[:SCALE], as lr=1e-4:1e-2:log, got {text!r}")
            low, high = number("range", match[2]), number("range", match[3])
            given[match[1]] = range_like_own(self.method, match[1], low, high, match[4])
        ranges = ranges_of(self.method, given, fixed=fixed, only=self.only)
        name = self.environment.rpartition(":")[2].replace("/", "-")
        folder = self.out or Path("results") / f"tune-{name}-{self.method.lower()}"
        found = tune(
            self.method,
            self.environment,
            folder,
            steps=as_count("rllab tune", "steps", number("steps", self.steps)),
            trials=self.trials,
            seeds=self.seeds,
            ranges=ranges,
            fixed=fixed,
            resume=self.resume,
            processes=self.processes,
        )
        names = list(found.best.settings)
        ranked = sorted(found.trials, key=lambda trial: trial.rank, reverse=True)
        lines = [
            [t.number, len(t.scores), t.updates, short(t.scores[-1]), *(t.settings[n] for n in names)]
            for t in ranked[:10]
        ]
        print(table(["trial", "rungs", "updates", "mean return", *names], lines))
        print("mean return: over the evaluations of a rung and the seeds, averaged over the trial's rungs so far")
        if untaught := sum(trial.updates == 0 for trial in ranked):
            print(f"{untaught} of {len(ranked)} trials made no update before they ended, or failed; they rank last")
        for edge in found.edges:
            low, high = ranges[edge].low, ranges[edge].high
            print(
                f"{edge} of the best lies in the outermost {100 * EDGE:g} % of its range, {low:g} to {high:g}: widen "
                f"that, --range {edge}=LOW:HIGH, and search again, into another --out; other ranges stay as they are"
            )
        print(f"written: {found.path}")
        train = ["rllab", "train", self.environment, "--method", self.method, "--tuned-file", str(found.path)]
        print(f"to train with the best: {shlex.join(train)}")


@dataclass(frozen=True)
class Video:
    """Play an episode of a trained agent and write it as an animated GIF."""

    run_folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of one run that `rllab train` or `rllab.fit` made, as results/CartPole-v1-ppo/ppo-0; `rllab list` shows
    them."""
    episode: int = 0
    """The environment's seed: another number is another start."""
    best: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Play the checkpoint with the highest evaluation, not the last one."""
    steps: int = 1_000
    """Steps shown at most."""
    environment: str | None = None
    """Its environment, where it is one of your own, as mine:Tank-v0: no file makes a module be imported."""
    out: Path = Path("episode.gif")
    """The animated GIF to write."""

    def run(self) -> None:
        find_modules_here()
        from rllab.agents import load
        from rllab.training import BEST, LATEST
        from rllab.video import record_episode

        given = {} if self.environment is None else {"environment": self.environment}
        agent = load(self.run_folder / (BEST if self.best else LATEST), **given)
        print(record_episode(agent, self.out, episode=self.episode, max_steps=self.steps))


def _steps_after_last_update(record: Record) -> int:
    """Return how many steps a learner took, as its rows tell, that no update has used: of a rollout cut off, say."""
    learned = before = 0
    updates: object = 0
    for row in record.rows:
        if row.get("updates") != updates:
            learned, updates = row["steps"], row.get("updates")
        before = row["steps"]
    return before - learned


def _result(returns: list[float], environment: str, method: str) -> str:
    """Say what the seeds reached: the interquartile mean of their returns, its interval, and the worst and best."""
    from rllab.runs.statistics import ENOUGH, bootstrap_interval, iqm

    n, worst, best = len(returns), min(returns), max(returns)
    middle = "mean" if n < 4 else "interquartile mean"  # which cuts a quarter at each end, of fewer than four none
    text = f"{method} on {environment}: return {float(iqm(returns)):.5g}"
    if n < 2:
        return f"{text} (1 seed, no interval)"
    if n < ENOUGH:
        return f"{text} ({middle} of {n} seeds; their range is {worst:.5g} to {best:.5g})"
    low, high = bootstrap_interval(sorted(returns), key=0)  # as `rllab compare` has it
    return f"{text} (interquartile mean of {n} seeds; 95 % bootstrap interval {float(low):.5g} to {float(high):.5g})"

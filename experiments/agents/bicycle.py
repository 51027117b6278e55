"""Which way of getting a gradient teaches a bicycle rider, and what happens as the policy gets more weights?

The cost is how soon the rider falls: a count, so under fixed noise its gradient is 0 almost everywhere. Evolution and
ARS perturb the policy's weights, Reinforce and PPO draw its actions and score them, TD3 and SAC backpropagate through
a learned cost; two more backpropagate through the dynamics, which they alone are told, one of them through a learned
cost after that. Same policy, same observation scaling, same task; every environment step used to learn is counted, with
warm-up, failed episodes and cut-off rollouts. Evaluation is counted apart and its time is not the learner's. What they
are held against: random search, whose scale is tuned by as many trials as the learners, and a rider by hand.

    python experiments/agents/bicycle.py            trains at 64-64, prints claims, draws
    python experiments/agents/bicycle.py --tune     the trials behind the settings, on a seed of their own; then
    python experiments/agents/bicycle.py --finals   the best three of each again, on three more seeds
    python experiments/agents/bicycle.py --full --keep --resume
                            all sizes and tasks, or with --sizes, --tasks, --learners pieces of them, each of which goes
                            on where it stopped; what finished is kept in records/bicycle.jsonl
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.agents import rider_claims, rider_figures, rider_records, rider_trials, riding
from experiments.agents.learners import LEARNERS, SIZES, TASKS, TUNING_SEEDS, Settings, finalists, plan_of, trials
from experiments.agents.ride import draw_ride
from experiments.agents.rider_records import chosen, runs_of
from experiments.agents.road_figures import draw_roads
from experiments.common.frame import Flags, Judge, Switch, main

from rllab.runs import Job, Record

FAST_STEPS = {
    "evolution": 2_000,
    "ars": 2_000,
    "reinforce": 2_000,
    "ppo": 1_024,
    "td3": 600,
    "sac": 600,
    "true": 1_000,
    "short": 1_000,
}
POLICIES, FAST_POLICIES = 96, 8  # of the look at the cost
SEARCHES = 50  # of random search at most; else two for each seed
SHOWN = ("sac", "balance", 1000)  # the learner, task and seed whose rides are the GIF
LINEAR = "linear"
TOLD = ("true", "short")  # learners that are told the dynamics; they need all of the state
TRIED = ("balance", "goal")  # tasks that have trials of their own; the others take what balance came to


@dataclass(frozen=True)
class Config(Flags):
    first_seed: ClassVar[int] = 1000
    seeds: int = 10
    """Seeds per learner, 1000, 1001, …."""
    sizes: tuple[str, ...] = ("64-64",)
    """Policies to learn: linear, 16, 64-64, 256-256."""
    tasks: tuple[str, ...] = ("balance",)
    """Tasks to learn: balance, no-rates, delay, whipple, goal; others than balance at 64-64 alone."""
    learners: tuple[str, ...] = tuple(LEARNERS)
    """Who learns."""
    full: Switch = False
    """All sizes and all tasks."""
    keep: Switch = False
    """Keep what finished in records/bicycle.jsonl, which the panel of sizes and claims (a) and (b) are drawn from."""
    tune: Switch = False
    """Run the trials instead, on a seed that is never reported; write what came out."""
    finals: Switch = False
    """Run the best trials again instead, on further seeds that are never reported; write whose mean is the best."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 1, "sizes": (LINEAR,)}

    def check(self) -> None:
        super().check()
        if self.tune and self.finals:
            raise ValueError("--finals needs what --tune came to: give one, then the other")
        if (self.tune or self.finals) and (wrong := set(self.tasks) - set(TRIED)):
            raise ValueError(f"--tune and --finals are of the tasks {' and '.join(TRIED)}, got {', '.join(wrong)}")
        for flag, known in (("sizes", SIZES), ("tasks", TASKS), ("learners", LEARNERS)):
            given = getattr(self, flag)
            if not given or not set(given) <= set(known):
                raise ValueError(f"--{flag} must be some of {', '.join(known)}, got {' '.join(given) or 'none'}")

    @property
    def identity(self) -> dict[str, Any]:
        """Sizes, tasks and learners only say which runs there are."""
        return {"fast": self.fast, "tune": self.tune or self.finals}


def cells(config: Config) -> list[tuple[str, str]]:
    """Return the pairs of task and policy that are learned: tasks other than balance at 64-64 alone."""
    tasks, sizes = (tuple(TASKS), tuple(SIZES)) if config.full else (config.tasks, config.sizes)
    return [(task, size) for task in tasks for size in (sizes if task == "balance" else ("64-64",))]


def searched(config: Config) -> list[tuple[str, str]]:
    """Return the pairs of task and policy that random search is made of: linear, and those learned without plans."""
    found = cells(config)
    return list(
        dict.fromkeys([*((task, LINEAR) for task, _ in found), *(at for at in found if not TASKS[at[0]].plans)])
    )


def jobs_of(config: Config) -> Iterator[Job]:
    """Yield one job per learner, policy, task and seed, the slow ones first, and the look at the cost itself."""
    if config.tune or config.finals:
        yield from trials_of(config)
        return
    learners = [method for method in reversed(LEARNERS) if method in config.learners and method != "random"]
    for task, size in cells(config):
        plans, smooth = TASKS[task].plans, TASKS[task].smooth
        for seed in config.all_seeds:
            for method in learners:
                if method not in plans if plans is not None else method in TOLD and not smooth:
                    continue
                steps, settings, of = plan_of(task, method, size)
                steps = FAST_STEPS[method] if config.fast else steps
                ride = (0.32 if config.fast else 5.0) if (method, task, seed) == SHOWN else 0.0
                yield _job(f"{method}-{task}-{of}-{seed}", method, task, of, settings, steps, seed, ride=ride)
    for task, size in searched(config):
        if "random" in config.learners:
            few = config.seeds if TASKS[task].judged else min(SEARCHES, 2 * config.seeds)
            for seed in range(config.first_seed, config.first_seed + (1 if config.fast else few)):
                steps, settings, of = plan_of(task, "random", size)
                yield _job(f"random-{task}-{of}-{seed}", "random", task, of, settings, steps, seed)
    for task in dict.fromkeys(task for task, _ in cells(config)):
        yield Job(f"hand-{task}", {"method": "hand", "task": task}, seed=0)
    yield Job("flatness", {"method": "flatness", "policies": FAST_POLICIES if config.fast else POLICIES}, seed=0)


def trials_of(config: Config) -> Iterator[Job]:
    """Yield the trials on the first seed, or those of the finals on the other seeds."""
    seeds = TUNING_SEEDS[1:] if config.finals else TUNING_SEEDS[:1]
    for task in config.tasks:
        plans = TASKS[task].plans
        for where in config.sizes if plans is None else (task,):
            for method in reversed(config.learners):
                if plans is None:
                    steps, size = LEARNERS[method].tuning_steps, where
                elif method in plans and plans[method].ranges:
                    steps, size = plans[method].steps, plans[method].size
                else:
                    continue
                every = trials(method, where)
                for settings in finalists(method, where) if config.finals else every:
                    for seed in seeds:
                        name = f"{method}-{where}-trial{every.index(settings)}-{seed}"
                        yield _job(name, method, task, size, settings, steps, seed, trial=True)


def _job(
    name: str, method: str, task: str, size: str, settings: Settings, steps: int, seed: int, *,
    trial: bool = False, ride: float = 0.0,
) -> Job:  # fmt: skip
    what = {"method": method, "task": task, "size": size, "settings": settings, "steps": steps}
    return Job(name, {**what, "trial": trial, "ride": ride}, seed)


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    """Judge every claim on its numbers; under --tune whether every winner is inside its ranges, and write it."""
    if config.tune or config.finals:
        rider_trials.choose(records, judge)
        print("\n" + rider_trials.table())
        return
    if config.keep:
        rider_records.keep(rider_records.runs_of(records))
    rider_claims.judge_all(records, config.fast, judge)


def figure(records: list[Record], config: Config) -> Path:
    """Draw what learning to ride takes, PNG and SVG, roads beside it, and a stored ride, GIF; trials under --tune."""
    if config.tune or config.finals:
        return rider_figures.draw_trials(records, config.out / "bicycle_trials.png")
    for record in records:
        if record.config.get("ride"):
            draw_ride(record.folder, config.out / "bicycle.gif")
    if {task for task, _ in cells(config)} - {"balance"}:
        roads = draw_roads(records, config.out / "bicycle_roads.png")
        if not chosen(runs_of(records), task="balance"):
            return roads
    return rider_figures.draw(records, config.out / "bicycle.png")


def describe(record: Record) -> str:
    """Say in a few words how a finished run ended."""
    summary = record.summary or {}
    return f"first ride after {summary.get('first_steps') or 'no'} steps, score {summary.get('score', 0):.0f}"


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, riding.run, claims, figure, describe=describe)

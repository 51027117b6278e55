"""Who learns to ride: nine ways to a policy, what is fixed and tuned in each, and the most steps each may take."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.agents.short_horizon import ShortHorizon
from experiments.agents.true_gradient import TrueGradient

from rllab import agents
from rllab import estimators as est

ENVIRONMENT = "rllab_envs:rllab/BicycleBalance-v0"
CAP = 1000  # steps: 10 s, the environment's default
SCALE = (0.1, 0.3, 0.3, 3.0)  # rad, rad/s, rad, rad/s: round numbers near what a rider about to fall sees
SIZES: dict[str, tuple[int, ...]] = {"linear": (), "16": (16,), "64-64": (64, 64), "256-256": (256, 256)}
WEIGHTS = {"linear": 10, "16": 114, "64-64": 4_610, "256-256": 67_586}  # of the policy
TUNED = Path(__file__).parent / "bicycle_tuned.json"
TRIALS = 16  # of each learner at each size: a power of two, for which Sobol points are balanced
TUNING_SEEDS = (100, 101, 102, 103)  # never reported; the first is that of all trials, the others of the finals
FINALISTS = 3  # best trials, which are made again on the other seeds
EDGE = 0.05  # of a range on either side: a winner there does not count as inside
WIDER = {  # where a winner lay on an edge
    ("td3", "linear"): {"action_noise": (0.1, 10.0), "lr": (5e-4, 0.2)},
    ("td3", "256-256"): {"action_noise": (0.1, 10.0), "lr": (5e-4, 0.2)},
    ("random", "linear"): {"scale": (0.5, 500.0)},
    **{("ppo", size): {"std": (0.03, 10.0)} for size in ("linear", "16")},
    **{("reinforce", size): {"lr": (3e-3, 3.0), "std": (0.1, 3.0)} for size in ("linear", "16")},
}
ENDS = {
    ("tau", 1.0),
    ("n_delta", 1),
    ("horizon", 1),
}  # no target network, one direction, one step: no range goes beyond
Settings = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """How one learner goes about a task that has trials of its own; its learning rate falls to 0 over the run.

    Args:
        steps: environment steps it may take, in a trial too.
        ranges: of what is tuned, as in `Learner`; empty: its settings are those of balance with this policy.
        arguments: for the environment it learns in, not for that in which it is judged.
        size: of its policy.
    """

    steps: int
    ranges: dict[str, tuple[float, float]]
    arguments: dict[str, Any]
    size: str = "64-64"


@dataclass(frozen=True)
class Task:
    """What is to be learned, and when it is: `returns >= goal` in episodes that are judged with `judged`.

    Args:
        environment: Gymnasium id.
        scale: what observations are divided by.
        arguments: for the environment.
        goal: the return of an episode that counts as success.
        judged: arguments that an evaluation overrides.
        longest: steps an episode may take.
        smooth: whether those who are told the dynamics take part: all of the state is observed, and balance is all.
        plans: who learns it, and how; None: all, with the steps and settings of balance.
    """

    environment: str
    scale: tuple[float, ...]
    arguments: dict[str, Any]
    goal: float
    judged: dict[str, Any]
    longest: int = CAP
    smooth: bool = False
    plans: dict[str, Plan] | None = None


HORIZON = (0.003, 0.1)  # 1 − γ: 330 to 10 steps
FAR = 10_000  # steps to a goal at 100 m; straight there are 3,240
GOAL = {
    "ars": Plan(600_000, {"delta_std": (0.05, 2.0), "lr": (0.03, 2.0), "n_delta": (4, 64)}, {"cap": 2_000}, "linear"),
    "ppo": Plan(
        100_000, {"lr": (5e-4, 5e-2), "std": (0.1, 3.0), "one_minus_gamma": (0.001, 0.1)}, {"reward": "progress"}
    ),
    "random": Plan(600_000, {}, {}, "linear"),  # a trial takes minutes and finds nobody
}
TASKS = {
    "balance": Task(ENVIRONMENT, SCALE, {}, CAP, {}, smooth=True),
    "no-rates": Task(ENVIRONMENT, (0.1, 0.3), {"rates": False}, CAP, {}),
    "delay": Task(ENVIRONMENT, SCALE, {"delay": 3}, CAP, {}),
    "whipple": Task("rllab_envs:rllab/WhippleBicycle-v0", SCALE, {}, CAP, {}, smooth=True),
    "goal": Task(
        "rllab_envs:rllab/BicycleGoal-v0",
        (*SCALE, 1.0, 100.0),
        {"distance": 100.0, "cap": FAR},
        0.01,
        {"reward": "sparse", "cap": FAR},
        FAR,
        plans=GOAL,
    ),  # sparse: 0.01 on arriving, −1 on a fall
}


@dataclass(frozen=True)
class Learner:
    """A way of learning, as it competes.

    Args:
        name: in plain words, as figures say.
        objective: what is minimised.
        steps: environment steps a reported run may take, written down before the runs; so are
        tuning_steps: those of a trial.
        ranges: of what is tuned, each log-uniform; `one_minus_gamma` is 1 − γ.
        make: makes the agent of the settings; is given what all agents share.
    """

    name: str
    objective: str
    steps: int
    tuning_steps: int
    ranges: dict[str, tuple[float, float]]
    make: Callable[..., agents.Agent] | None

    @property
    def pieces(self) -> int | None:
        """Steps from one row to the next where an agent's own iterations are long; None: they are not."""
        return 100 if self.make in (_td3, _sac) else None


def _whole(value: float) -> int:
    return max(1, round(value))


def _evolution(settings: Settings, **common: Any) -> agents.Agent:
    estimator, population = est.GaussianSmoothing(sigma=settings["sigma"]), 2 * _whole(settings["population"] / 2)
    more: dict[str, Any] = {"population": population, "lr": settings["lr"], "normalize_observations": False}
    return agents.Evolution(estimator=estimator, **more, **common)


def _ars(settings: Settings, **common: Any) -> agents.Agent:
    n = _whole(settings["n_delta"])
    more: dict[str, Any] = {"delta_std": settings["delta_std"], "lr": settings["lr"], "normalize_observations": False}
    return agents.ARS(n_delta=n, n_top=(n + 1) // 2, **more, **common)


def _reinforce(settings: Settings, **common: Any) -> agents.Agent:
    episodes = max(2, _whole(settings["episodes"]))
    return agents.Reinforce(episodes=episodes, lr=settings["lr"], std=settings["std"], **common)


def _ppo(settings: Settings, **common: Any) -> agents.Agent:
    more: dict[str, Any] = {"num_envs": 8, "n_steps": 128, "batch_size": 256, "normalize_observations": False}
    gamma = 1.0 - settings["one_minus_gamma"]
    return agents.PPO(lr=settings["lr"], gamma=gamma, std=settings["std"], **more, **common)


def _true(settings: Settings, **common: Any) -> agents.Agent:
    more = {"num_envs": _whole(settings["num_envs"]), "horizon": _whole(settings["horizon"])}
    return TrueGradient(lr=settings["lr"], **more, **common)


def _short(settings: Settings, **common: Any) -> agents.Agent:
    more = {"num_envs": _whole(settings["num_envs"]), "horizon": _whole(settings["horizon"])}
    return ShortHorizon(lr=settings["lr"], gamma=1.0 - settings["one_minus_gamma"], **more, **common)


REPLAY: dict[str, Any] = {"learning_starts": 500, "batch_size": 128, "critic_hidden": (64, 64)}


def _td3(settings: Settings, **common: Any) -> agents.Agent:
    more = {name: settings[name] for name in ("tau", "action_noise", "lr")}
    return agents.TD3(gamma=1.0 - settings["one_minus_gamma"], **more, **REPLAY, **common)


def _sac(settings: Settings, **common: Any) -> agents.Agent:
    more = {name: settings[name] for name in ("tau", "ent_coef", "lr")}
    return agents.SAC(gamma=1.0 - settings["one_minus_gamma"], **more, **REPLAY, **common)


CAPPED = "cost of at most 1,000 steps"
DISCOUNTED = "discounted cost"
LEARNERS = {
    "evolution": Learner(
        "Evolution: weights perturbed", CAPPED, 60_000, 40_000,
        {"sigma": (0.02, 1.0), "lr": (0.01, 1.0), "population": (8, 128)}, _evolution,
    ),
    "ars": Learner(
        "ARS: weights perturbed, the best kept", CAPPED, 60_000, 40_000,
        {"delta_std": (0.01, 1.0), "lr": (0.01, 1.0), "n_delta": (1, 64)}, _ars,
    ),
    "reinforce": Learner(
        "Reinforce: actions drawn and scored", CAPPED, 60_000, 40_000,
        {"lr": (0.003, 0.3), "std": (0.1, 1.0), "episodes": (8, 128)}, _reinforce,
    ),
    "ppo": Learner(
        "PPO: actions scored by a learned value", DISCOUNTED, 30_000, 15_000,
        {"lr": (5e-4, 5e-1), "std": (0.1, 3.0), "one_minus_gamma": HORIZON}, _ppo,
    ),
    "td3": Learner(
        "TD3: through a learned cost", DISCOUNTED, 6_000, 3_000,
        {"tau": (0.01, 1.0), "action_noise": (0.1, 2.0), "lr": (5e-4, 3e-2), "one_minus_gamma": HORIZON}, _td3,
    ),
    "sac": Learner(
        "SAC: through a learned cost, with entropy", DISCOUNTED, 6_000, 3_000,
        {"tau": (0.01, 1.0), "ent_coef": (0.01, 10.0), "lr": (5e-4, 5e-2), "one_minus_gamma": HORIZON}, _sac,
    ),
    "random": Learner(
        "random search: weights drawn until one rides", "none", 100_000, 40_000, {"scale": (0.05, 20.0)}, None
    ),
    "true": Learner(
        "true gradient: through the dynamics, of lean squared", "lean squared", 15_000, 15_000,
        {"lr": (1e-3, 1e-1), "horizon": (4, 64), "num_envs": (4, 64)}, _true,
    ),
    "short": Learner(
        "short horizon: through the dynamics, then a learned cost", "lean squared, discounted", 15_000, 15_000,
        {"lr": (5e-4, 5e-2), "horizon": (1, 64), "num_envs": (4, 64), "one_minus_gamma": HORIZON}, _short,
    ),
}  # fmt: skip

# steps of a reported run of these at sizes other than 64-64, for what they cost
SHORTER = {(method, size): 3_000 for method in ("td3", "sac") for size in SIZES if size != "64-64"}


def ranges_of(method: str, where: str) -> dict[str, tuple[float, float]]:
    """Return the ranges of a learner's trials at a size, or on a task that has trials of its own."""
    plans = TASKS[where].plans if where in TASKS else None
    return plans[method].ranges if plans else LEARNERS[method].ranges | WIDER.get((method, where), {})


def trials(method: str, where: str = "64-64") -> list[Settings]:
    """Return the settings that are tried: log-uniform in the learner's ranges, by a scrambled Sobol sequence.

    There are `TRIALS` of them, the same at every size at which the ranges are.

    Args:
        where: a size of the policy that balances, or a task that has trials of its own.

    Source: A. B. Owen (1998), "Scrambling Sobol' and Niederreiter–Xing points", J. Complexity 14.
    """
    from scipy.stats import qmc

    ranges = ranges_of(method, where)
    seed = list(LEARNERS).index(method)
    points = qmc.Sobol(len(ranges), scramble=True, seed=seed)  # pyright: ignore[reportCallIssue] - scipy < 1.15 too
    tried = points.random_base2(int(math.log2(TRIALS)))
    # s = low (high / low)^u
    return [
        {
            name: float(f"{low * (high / low) ** u:.3g}")
            for (name, (low, high)), u in zip(ranges.items(), row, strict=True)
        }
        for row in tried
    ]


def finalists(method: str, where: str) -> list[Settings]:
    """Return the settings of the trials that were best on the first seed, the best first.

    Raises:
        KeyError: there were no trials of the learner there.
    """
    rows = json.loads(TUNED.read_text("utf-8"))[where][method]["trials"]
    return [row["settings"] for row in sorted(rows, key=lambda row: -row["scores"][0])[:FINALISTS]]


def inside(method: str, settings: Settings, where: str = "64-64") -> bool:
    """Whether every setting is inside its range, so that the range need not be widened.

    An edge beyond which there is nothing, see `ENDS`, is no reason to widen, and counts as inside.
    """
    for name, (low, high) in ranges_of(method, where).items():
        u = math.log(settings[name] / low) / math.log(high / low)
        if (u <= EDGE and (name, low) not in ENDS) or (u >= 1.0 - EDGE and (name, high) not in ENDS):
            return False
    return True


def settings_of(method: str, where: str) -> Settings:
    """Return the tuned settings of a learner at a size or on a task.

    Raises:
        FileNotFoundError: nothing was tuned yet.
        KeyError: the learner was not tuned there.
    """
    return json.loads(TUNED.read_text("utf-8"))[where][method]["settings"]


def plan_of(task: str, method: str, size: str) -> tuple[int, Settings, str]:
    """Return a learner's steps, settings and size of policy on a task: those of its plan, or of balance."""
    plans = TASKS[task].plans
    if plans is None:
        return SHORTER.get((method, size), LEARNERS[method].steps), settings_of(method, size), size
    plan = plans[method]
    return plan.steps, settings_of(method, task if plan.ranges else plan.size), plan.size


def make_agent(method: str, size: str, settings: Settings, seed: int, task: str = "balance") -> agents.Agent:
    """Return a learner of `LEARNERS` that has learned nothing yet; all share policy, scaling and environment."""
    what, make = TASKS[task], LEARNERS[method].make
    if make is None:
        raise ValueError(f"make_agent: method must be a learner, got {method!r}, which keeps nothing of what it tries")
    common: dict[str, Any] = {"hidden": SIZES[size], "observation_scale": what.scale}
    arguments: dict[str, Any] = dict(what.arguments)
    given: dict[str, Any] = dict(settings)
    if what.plans:
        arguments |= what.plans[method].arguments
        given["lr"] = agents.Linear(settings["lr"], 0.0, what.plans[method].steps)
    return make(given, environment=what.environment, seed=seed, environment_arguments=arguments, **common)

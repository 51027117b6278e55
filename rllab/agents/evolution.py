"""Evolution: the gradient comes from perturbing the weights. The estimator asks, whole episodes answer, Adam steps."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.agents.adam import Adam
from rllab.agents.base import Agent
from rllab.agents.generations import Generations, mean_of_generations
from rllab.agents.saved import check_names
from rllab.agents.schedules import Linear, check_scheduled, now
from rllab.agents.spent import Spent
from rllab.agents.spread_episodes import spreading
from rllab.agents.vectorization import DeferredEnvironments
from rllab.checks import as_count, check_not_negative
from rllab.estimate import Estimate
from rllab.estimators import Estimator, GaussianSmoothing, Shaped
from rllab.executors.jobs import Executor
from rllab.keys import Key, as_key


@dataclass(eq=False)
class Evolution(Agent):
    """Learn a policy from the returns of whole episodes under perturbed weights.

        w ← Adam(ĝ + λw),   ĝ = estimate of ∇_w f(w),   f(w) = E[cost of an episode],   by any estimator that perturbs w

    By default ĝ is a direction, from the ranks of costs; with a plain estimator it is that estimator's gradient, and
    what is minimised is f(w) + λ‖w‖²/2, f smoothed as the estimator says. The two episodes of a ± pair meet the same
    noise (common random numbers). An estimator that keeps a state, a critic say, is given that of the generation
    before. A generation that the steps of a call do not pay for is gone on with in the next, in whole rounds of a step
    in every episode that goes on: a call of fewer steps than that takes none. A gradient that is exactly zero moves
    nothing.

    With an `executor` each member plays its episode there, alone, in an environment that a worker makes once and keeps.
    All numbers are the same bits whatever the executor, the number of its workers, their order and what is lost with
    one of them. They are those of `executor=None` too where products of matrices and sums are rounded alike alone and
    among others: with single environments and networks of the usual sizes; a vector form of the environment's own, or
    rows of hundreds of weights, may differ in the last place. The environment must repeat an episode from its seed and
    actions, whatever was played in it before. It pays where an episode takes longer than the 20 ms that a message is
    worth; below that, side by side in one process is faster. Of a generation that a call's steps do not pay for, what
    was played is played again when it goes on, and not counted.

    Args:
        estimator: asks for the weights to try; anything that takes a tensor of parameters and needs values only.
        population: episodes an iteration.
        lr: learning rate of Adam, or a schedule of it.
        weight_decay: λ >= 0. With ranks, λ weighs against a direction, not against costs.
        executor: where episodes are played: a number of own workers, a `RayExecutor`, or whatever else `Cost` takes;
            None for here, side by side. It is not written to files or records: `load(path, executor=…)` gives it
            again. Factories and wrappers may be lambdas. Evaluation is always here.
        timeout: seconds that an episode may take elsewhere, as `Cost` has it; of a new worker's first one it takes also
            what making the environment takes.
        retries: how often an episode is played again that was lost with its worker or by its time-out; its steps are
            counted apart, see `Spent.lost_steps`. None is scored in place of one that is lost too often.

    Attributes:
        state: what the estimator wants to be given next time; None for most.

    Raises:
        TypeError, ValueError: an argument is out of its range, or the estimator perturbs no parameters, asks for more
            than values, or for more of them than `population`; or there is a `timeout` without an executor.
        NotSendable: environment, wrappers or actor cannot be sent. Learning raises an `EvaluationLost` where an episode
            was lost too often.

    Source: Salimans et al. (2017), "Evolution strategies as a scalable alternative to reinforcement learning",
    algorithm 1 with mirrored sampling, ranks and weight decay. Differences: equal returns have equal ranks; no virtual
    batch normalisation, no noise on actions.

    Example:
        from rllab import estimators as est
        from rllab.agents import Evolution

        agent = Evolution("CartPole-v1", seed=0, hidden=(), estimator=est.GaussianSmoothing(0.2), population=16, lr=0.1)
        rows = agent.learn(steps=2000)
        estimate = agent.gradient(steps=4000, key=1)
    """

    update_takes: ClassVar[str] = "{population} whole episodes (population)"
    columns: ClassVar[tuple[str, ...]] = ("grad_norm", "lr")
    unsaved: ClassVar[tuple[str, ...]] = ("executor", "timeout", "retries")
    fixed: ClassVar[tuple[str, ...]] = (*Agent.fixed, "estimator", "population", *unsaved)

    _: KW_ONLY
    normalize_observations: bool = True
    estimator: Estimator = Shaped(GaussianSmoothing(sigma=0.1), "ranks")  # noqa: RUF009 - frozen
    population: int = 16
    lr: float | Linear = 0.05
    weight_decay: float = 0.0
    executor: Executor | None = None
    timeout: float | None = None
    retries: int = 1

    def _check_arguments(self) -> None:
        check_scheduled(self._name, lr=self.lr)
        check_not_negative(self._name, weight_decay=self.weight_decay)
        self.population = as_count(self._name, "population", self.population)
        if not isinstance(self.estimator, Estimator):
            raise ValueError(self._wrong())
        self.estimator = _of_plain_numbers(self.estimator)
        self._spreading = spreading(
            self.maker, self.policy, self.vectorization, self.executor, self.timeout, self.retries
        )

    def _wrong(self) -> str:
        return f"{self._name}: estimator must be an Estimator that perturbs parameters, got {self.estimator!r}"

    def _start(self) -> None:
        try:
            least = self.estimator.minimum(self.weights)
        except (AttributeError, TypeError) as error:
            raise ValueError(self._wrong()) from error
        if self.estimator.needs != {"value"}:
            needs = sorted(self.estimator.needs)
            raise ValueError(f"{self._wrong()}, which asks episodes for more than their cost: {needs}")
        self.population = as_count(self._name, "population", self.population, least)
        self.state: Any = None
        self.optimizer = Adam(self.weights, now(self.lr, self.spent))
        self.generations = self._generations(self.key, self.spent)

    def _generations(self, key: Key, spent: Spent) -> Generations:
        episodes = self.estimator.ask(self.weights, self.population, key).evaluations
        environments = DeferredEnvironments(self.maker, episodes, self.vectorization)
        return Generations(self.policy, self.estimator, self.population, environments, spent, key, self._spreading)

    def _iterate(self, limit: int) -> list[float]:
        played = self.generations.play(self.spent.updates, self.weights, self.state, self.normalizer, limit)
        if played is None:
            return []
        estimate = self.estimator.tell(played.query, torch.from_numpy(-played.returns), errors=False)
        assert isinstance(estimate.gradient, Tensor)
        # ∇(f + λ‖w‖²/2) = ∇f + λw
        gradient = estimate.gradient + self.weight_decay * self.weights
        self.optimizer.lr = now(self.lr, self.spent)
        self.diagnostics.update(grad_norm=float(gradient.norm()), lr=self.optimizer.lr)
        self.optimizer.step(gradient)
        self.state = estimate.state
        if self.normalizer is not None:
            self.normalizer.merge(played.seen)
        self.spent.updates += 1
        return played.returns.tolist()

    def gradient(self, *, steps: int, key: Key | int) -> Estimate:
        """Estimate the gradient at the weights as they are, from fresh environment steps; nothing is learned of them.

            ĝ = 1/G Σ_i ĝ_i,    over the G generations that end within `steps`

        A generation that is cut off is paid for and left out, which favours short episodes where lengths differ: a bias
        of the order of one generation's share of `steps`. The term of weight decay is not in it.

        Args:
            steps: environment steps that may be taken.
            key: source of all randomness, episodes included.
        Returns:
            An Estimate (d,) of what the estimator's target says, with the agent's state and normalisation as they are.
            `evaluations` are the environment steps taken, which do not count in `spent`; `value` is the mean cost of an
            episode. `standard_error` is over generations; of a single one it is the estimator's own.
        Raises:
            ValueError: `steps` do not suffice for one generation.
        """
        generations = self._generations(as_key(key), Spent())
        return mean_of_generations(
            self._name, generations, self.weights, self.state, self.normalizer, lambda played: -played.returns, steps
        )

    def _state(self) -> dict[str, Any]:
        return {
            "optimizer": self.optimizer.state_dict(),
            "estimator": self.state,
            "episodes": self.generations.state_dict(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        check_names("state", state, {"optimizer", "estimator", "episodes"})
        self.optimizer.load_state_dict(state["optimizer"])
        self.state = state["estimator"]
        self.estimator.ask(self.weights, self.population, self.key, state=self.state)  # which refuses what is no state
        self.generations.load_state_dict(state["episodes"])


def _of_plain_numbers(estimator: Estimator) -> Estimator:
    """Return an estimator with Python's numbers in the place of numpy's, which compute otherwise than a file's."""
    if not is_dataclass(estimator):
        return estimator
    changed: dict[str, Any] = {}
    for f in fields(estimator):
        value = getattr(estimator, f.name)
        if isinstance(value, np.generic):
            changed[f.name] = value.item()
        elif isinstance(value, Estimator) and (plain := _of_plain_numbers(value)) is not value:
            changed[f.name] = plain
    return replace(estimator, **changed) if changed else estimator

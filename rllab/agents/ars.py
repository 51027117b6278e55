"""ARS: augmented random search. Linear policies are tried in pairs, and the weights go where the best pairs point."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.agents.base import Agent
from rllab.agents.generations import Generation, Generations, mean_of_generations
from rllab.agents.saved import check_names
from rllab.agents.schedules import Linear, check_scheduled, now
from rllab.agents.spent import Spent
from rllab.agents.spread_episodes import spreading
from rllab.agents.vectorization import DeferredEnvironments
from rllab.backprop.network import MLP
from rllab.checks import as_count, check_finite, check_positive
from rllab.estimate import Estimate
from rllab.estimators import TopDirections
from rllab.executors.jobs import Executor
from rllab.keys import Key, as_key


@dataclass(eq=False)
class ARS(Agent):
    """Learn a policy by augmented random search: version V2-t as it comes.

        w ← w − lr ĝ,    ĝ = 1/(b σ_f) Σ_{k ∈ best b} (f(w + νδ_k) − f(w − νδ_k)) δ_k,    δ_k ~ N(0, I), k = 1, …, n

    f is the cost of one episode, σ_f the standard deviation of the 2b costs that count, see `TopDirections`.

        V1     n_top=None, normalize_observations=False           V2     n_top=None
        V1-t   normalize_observations=False                       V2-t   all as it comes

    Observations are normalised by mean and variance of what was seen in training, which change between generations
    only, are saved, and are left alone by evaluation. A ± pair meets the same noise. A generation that the steps of a
    call do not pay for is gone on with in the next, as with `Evolution`.

    Args:
        hidden: widths of hidden layers; () is the linear policy of the source.
        n_delta: directions an iteration, n; twice as many episodes.
        n_top: b, directions that count; None for all.
        lr: step size, or a schedule of it.
        delta_std: ν, how far the weights are moved.
        zero_policy: begin with zeros in the last layer, so that actions are in the middle of their box; an `actor` of
            your own begins with its parameters as they are.
        alive_bonus_offset: added to each reward in the search (−1 takes out a bonus of 1 a step for staying alive), not
            to returns that are reported. Zero by default: where every reward is that bonus, nothing would be left.
        executor, timeout, retries: where episodes are played, as with `Evolution`: the same numbers everywhere.

    Raises:
        TypeError, ValueError: an argument is out of its range, or `n_top` above `n_delta`.
        NotSendable: environment, wrappers or actor cannot be sent to the executor.

    Source: Mania, Guy & Recht (2018), "Simple random search of static linear policies is competitive for reinforcement
    learning", algorithms 1 and 2. Names are those of stable-baselines3-contrib. Differences: the policy has a constant
    term, and tanh in the place of a box that clips; normalised observations are cut at ±10; where all costs are equal,
    σ_f = 0, the weights stay. stable-baselines3-contrib divides by the standard deviation with 2b − 1, and begins with
    n_delta = 8, all of which count, lr = 0.02 and delta_std = 0.05; these steps are longer, for short budgets.

    Example:
        from rllab.agents import ARS

        agent = ARS("CartPole-v1", seed=0, n_delta=4, n_top=2)
        rows = agent.learn(steps=2000)
        estimate = agent.gradient(steps=4000, key=1)
    """

    update_takes: ClassVar[str] = "2 · {n_delta} whole episodes (n_delta)"
    columns: ClassVar[tuple[str, ...]] = ("grad_norm", "lr")
    unsaved: ClassVar[tuple[str, ...]] = ("executor", "timeout", "retries")
    fixed: ClassVar[tuple[str, ...]] = (*Agent.fixed, "n_delta", "n_top", "delta_std", "zero_policy", *unsaved)

    _: KW_ONLY
    hidden: tuple[int, ...] = ()
    normalize_observations: bool = True
    n_delta: int = 4
    n_top: int | None = 2
    lr: float | Linear = 0.1
    delta_std: float = 0.1
    zero_policy: bool = True
    alive_bonus_offset: float = 0.0
    executor: Executor | None = None
    timeout: float | None = None
    retries: int = 1

    def _check_arguments(self) -> None:
        check_scheduled(self._name, lr=self.lr)
        check_positive(self._name, delta_std=self.delta_std)
        check_finite(self._name, alive_bonus_offset=self.alive_bonus_offset)
        self.n_delta = as_count(self._name, "n_delta", self.n_delta)
        if self.n_top is not None:
            self.n_top = as_count(self._name, "n_top", self.n_top)
            if self.n_top > self.n_delta:
                raise ValueError(f"{self._name}: n_top must be <= n_delta, {self.n_delta}, got {self.n_top}")
        self._spreading = spreading(
            self.maker, self.policy, self.vectorization, self.executor, self.timeout, self.retries
        )

    def _start(self) -> None:
        if self.zero_policy and isinstance(self.policy.network, MLP):
            *_, inputs, outputs = self.policy.network.sizes
            self.weights[-(inputs + 1) * outputs :] = 0.0
        self.estimator = TopDirections(self.delta_std, self.n_top)
        self.generations = self._generations(self.key, self.spent)

    def _generations(self, key: Key, spent: Spent) -> Generations:
        evaluations = 2 * self.n_delta
        environments = DeferredEnvironments(self.maker, evaluations, self.vectorization)
        return Generations(self.policy, self.estimator, evaluations, environments, spent, key, self._spreading)

    def _costs(self, played: Generation) -> np.ndarray:
        """Return what is minimised, of each episode: minus its return, with the offset at each step."""
        return -(played.returns + self.alive_bonus_offset * played.lengths)

    def _iterate(self, limit: int) -> list[float]:
        played = self.generations.play(self.spent.updates, self.weights, None, self.normalizer, limit)
        if played is None:
            return []
        estimate = self.estimator.tell(played.query, torch.from_numpy(self._costs(played)), errors=False)
        assert isinstance(estimate.gradient, Tensor)
        lr = now(self.lr, self.spent)
        self.diagnostics.update(grad_norm=float(estimate.gradient.norm()), lr=lr)
        # w ← w − lr ĝ
        self.weights.sub_(estimate.gradient, alpha=lr)
        if self.normalizer is not None:
            self.normalizer.merge(played.seen)
        self.spent.updates += 1
        return played.returns.tolist()

    def gradient(self, *, steps: int, key: Key | int) -> Estimate:
        """Estimate the direction at the weights as they are, from fresh environment steps; nothing is learned of them.

            ĝ = 1/G Σ_i ĝ_i,    over the G generations of `n_delta` directions that end within `steps`

        A generation that is cut off is paid for and left out, which favours short episodes where lengths differ: a bias
        of the order of one generation's share of `steps`.

        Args:
            steps: environment steps that may be taken.
            key: source of all randomness, episodes included.
        Returns:
            An Estimate (d,) whose target is `TopDirections`' direction, with normalisation as it is. `evaluations` are
            the environment steps taken, which do not count in `spent`; `value` is the mean cost of an episode in the
            search. `standard_error` is over generations; of a single one it is the estimator's own.
        Raises:
            ValueError: `steps` do not suffice for one generation.
        """
        generations = self._generations(as_key(key), Spent())
        return mean_of_generations(self._name, generations, self.weights, None, self.normalizer, self._costs, steps)

    def _state(self) -> dict[str, Any]:
        return {"episodes": self.generations.state_dict()}

    def _restore(self, state: dict[str, Any]) -> None:
        self.generations.load_state_dict(check_names("state", state, {"episodes"})["episodes"])

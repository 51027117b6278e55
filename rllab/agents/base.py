"""Agent: what the learners share: one account of steps and seconds, one policy, evaluation apart, files on disk."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from rllab import estimators
from rllab.agents.collectors import episode_seeds
from rllab.agents.policy import Policy
from rllab.agents.rollouts import Rollout, make_environment, make_environments, rollout
from rllab.agents.spent import Spent
from rllab.backprop.network import Layers
from rllab.checkpoint import read_checkpoint, write_checkpoint
from rllab.checks import check_count
from rllab.estimators import Estimator
from rllab.keys import Key

Row = dict[str, float | int | None]
EVALUATION = Key(0).child("evaluation")  # the same episodes for every agent and seed, and none that training sees


@dataclass(eq=False)
class Agent(ABC):
    """Learn a policy on a Gymnasium environment. Subclasses are final; their fields are the hyperparameters.

    An agent holds weights, learns them in iterations, and says after each what it has spent in all. Cost = −reward, and
    cost is minimised.

    Args:
        environment: Gymnasium id, "module:id" for ids of a module that is to be imported first.
        seed: of everything the agent draws, environments included.
        hidden: widths of the policy's hidden layers; () is a linear policy.
        observation_scale: what observations are divided by; None takes the bounds of the observation space.
        environment_arguments: keyword arguments for the environment.

    Attributes:
        policy: the architecture; `weights`: its weights, float32 (d,).
        spent: steps, episodes, updates and seconds so far, see `Spent`; evaluation is not in them.

    Raises:
        ValueError: there is no such environment, or its observations or actions are of a kind no agent learns.

    Example:
        from rllab.agents import Evolution, load

        agent = Evolution("CartPole-v1", seed=0, population=8)
        rows = agent.learn(steps=1000)
        print(agent.spent.steps, agent.evaluate(episodes=5).returns.mean())
    """

    environment: str
    seed: int = 0
    _: KW_ONLY
    hidden: tuple[int, ...] = (64, 64)
    observation_scale: tuple[float, ...] | None = None
    environment_arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in vars(
            self
        ).items():  # numpy numbers are welcome; what is stored, and later saved, is Python's
            if isinstance(value, np.generic):
                setattr(self, name, value.item())
        self.hidden = tuple(self.hidden)
        env = make_environment(self._name, self.environment, self.environment_arguments)
        self.policy = Policy.for_spaces(
            self._name, env.observation_space, env.action_space, self.hidden, self.observation_scale
        )
        env.close()
        self.key = Key(self.seed)
        self.weights = self.policy.initial(self.key.child("weights"))
        self.spent = Spent()
        self._start()

    @property
    def _name(self) -> str:
        return type(self).__name__

    @abstractmethod
    def _start(self) -> None:
        """Check the hyperparameters and set up what learning needs besides the weights."""

    def _begin(self) -> None:  # noqa: B027 - most agents have no episode under way between iterations
        """Forget an episode under way: every call of `train` starts a new one, as after `load`."""

    @abstractmethod
    def _iterate(self, limit: int) -> list[float]:
        """Learn for one iteration of at most `limit` environment steps, count them; return the returns seen."""

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """Return all that learning goes on from, beside weights and counters: tensors, numbers, plain containers."""

    @abstractmethod
    def _restore(self, state: dict[str, Any]) -> None:
        """Take over what `_state` gave."""

    def train(self, steps: int, *, seconds: float = math.inf) -> Iterator[Row]:
        """Learn, yielding a row after each iteration; the clock stands still between rows.

        Args:
            steps: environment steps to take now; never exceeded, a rollout cut short by it is paid for and not used.
            seconds: wall seconds; no iteration begins after them.
        Raises:
            ValueError: `steps` or `seconds` is not positive.
        """
        if not steps >= 1 or not seconds > 0:
            raise ValueError(f"{self._name}: steps and seconds must be positive, got {steps} and {seconds}")
        self._begin()
        spent = self.spent
        last_step, last_second = spent.steps + steps, spent.seconds + seconds
        while spent.steps < last_step and spent.seconds < last_second:
            wall, cpu = time.perf_counter(), time.process_time()
            before = spent.steps
            returns = self._iterate(last_step - spent.steps)
            spent.iterations += 1
            spent.seconds += time.perf_counter() - wall
            spent.cpu_seconds += time.process_time() - cpu
            yield {
                "steps": spent.steps,
                "seconds": spent.seconds,
                "cpu_seconds": spent.cpu_seconds,
                "episodes": spent.episodes,
                "updates": spent.updates,
                "return": float(np.mean(returns)) if returns else None,
            }
            if spent.steps == before:  # what is left does not pay for another round
                return

    def learn(self, steps: int, *, seconds: float = math.inf) -> list[Row]:
        """Learn for so many more environment steps; return the rows of `train`."""
        return list(self.train(steps, seconds=seconds))

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return the policy's actions, without exploration, for observations (n, o) or one (o,)."""
        observations = np.asarray(observations)
        actions = self._act(self.policy.layers(self.weights), np.atleast_2d(observations))
        return actions if observations.ndim == 2 else actions[0]

    def _act(self, layers: Layers, observations: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            outputs = self.policy(layers, self.policy.inputs(observations)).numpy()
        return self.policy.to_environment(outputs)

    def evaluate(self, episodes: int = 20, *, environment_arguments: Mapping[str, Any] | None = None) -> Rollout:
        """Play the policy without exploration; nothing of it enters learning or its counts.

        Args:
            episodes: how many; episode i is the same, whatever the agent, its seed and their number.
            environment_arguments: override the agent's own, one by one (a higher cap, say).
        """
        check_count(self._name, episodes=episodes)
        arguments = {**self.environment_arguments, **(environment_arguments or {})}
        environments = make_environments(self._name, self.environment, episodes, arguments)
        layers = self.policy.layers(self.weights)
        seeds = episode_seeds(EVALUATION, 0, episodes)
        return rollout(environments, lambda observations, _: self._act(layers, observations), seeds)

    def save(self, path: str | Path) -> None:
        """Write everything to one file, atomically; `load` and then `learn` goes on as `learn` would have here.

        Raises:
            ValueError: an argument is no plain value (a class, a numpy number), so that `load` would refuse the file.
            OSError: the file cannot be written.
        """
        arguments = {f.name: getattr(self, f.name) for f in fields(self)}
        write_checkpoint(
            self._name,
            Path(path),
            {
                "agent": self._name,
                "arguments": {name: _plain(value) for name, value in arguments.items()},
                "weights": self.weights.detach(),
                "spent": asdict(self.spent),
                "state": self._state(),
            },
        )

    @classmethod
    def _from_checkpoint(cls, content: dict[str, Any]) -> Self:
        agent = cls(**{name: _unplain(value) for name, value in content["arguments"].items()})
        with torch.no_grad():
            agent.weights.copy_(content["weights"])
        for name, value in content["spent"].items():  # in place: the collector counts into it
            setattr(agent.spent, name, value)
        agent._restore(content["state"])
        return agent


_ESTIMATOR = "rllab.estimators"  # in a file, the key of an estimator's name; no keyword argument is called so


def load(path: str | Path) -> Agent:
    """Read an agent that `save` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    content = read_checkpoint(Path(path))
    kinds = {kind.__name__: kind for kind in Agent.__subclasses__()}
    if content.get("agent") not in kinds:
        raise ValueError(f"load: {path} must hold one of the agents {sorted(kinds)}, got {content.get('agent')!r}")
    return kinds[content["agent"]]._from_checkpoint(content)


def _plain(value: Any) -> Any:
    if isinstance(value, Estimator):
        return {_ESTIMATOR: type(value).__name__, **{f.name: getattr(value, f.name) for f in fields(value)}}  # type: ignore[arg-type]
    return dict(value) if isinstance(value, Mapping) else value


def _unplain(value: Any) -> Any:
    if isinstance(value, dict) and _ESTIMATOR in value:
        rest = {name: v for name, v in value.items() if name != _ESTIMATOR}
        return getattr(estimators, value[_ESTIMATOR])(**rest)
    return value

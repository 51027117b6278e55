"""Agent: what the learners share: one account of steps and seconds, one policy, evaluation apart, files on disk."""

from __future__ import annotations

import inspect
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import KW_ONLY, asdict, dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn

from rllab.agents.actions import actions_of
from rllab.agents.collectors import episode_seeds
from rllab.agents.divergence import weights_stay_finite
from rllab.agents.making import Factory, Maker, Wrapper
from rllab.agents.normalize import RunningMoments
from rllab.agents.observations import Observations
from rllab.agents.policy import Policy, check_alike
from rllab.agents.policy_module import PolicyModule, array_policy
from rllab.agents.rollouts import Rollout, rollout
from rllab.agents.saved import plain, plain_arguments
from rllab.agents.settings import Settings
from rllab.agents.spent import Spent
from rllab.agents.taught import Taught
from rllab.agents.user_network import ModuleNetwork
from rllab.agents.vectorization import Vectorization, make_environments
from rllab.array_policy import ArrayPolicy
from rllab.backprop.network import Layers
from rllab.checkpoint import write_checkpoint
from rllab.checks import as_count, as_widths, check_number, check_one_of, check_seed, check_truth
from rllab.keys import Key
from rllab.progress import Meter
from rllab.warned import warn

Row = dict[str, float | int | None]
LONGEST = 10_000  # steps of an evaluated episode, unless `max_steps` says otherwise
EVALUATION = Key(0).child("evaluation")  # the same episodes for every agent and seed, and none that training sees


@dataclass(eq=False)
class Agent(Settings, ABC):
    """Learn a policy on a Gymnasium environment. Subclasses are final; their fields are the hyperparameters.

    An agent holds weights, learns them in iterations, and says after each what it has spent. It minimises −reward. A
    hyperparameter may be set between calls of `train`, but for those in `fixed`: `agent.lr = 1e-4`.

    Args:
        environment: Gymnasium id, "module:id" for ids of a module that is to be imported first; or a factory, a
            callable that makes a new environment at every call. Observations may be of any space that
            `Observations` encodes; actions a bounded Box, Discrete, MultiDiscrete or MultiBinary.
        seed: of everything the agent draws, environments included.
        hidden: widths of the policy's hidden layers; () is a linear policy.
        observation_scale: what observations are divided by; None takes the bounds of the observation space.
        environment_arguments: keyword arguments for the environment.
        normalize_observations: bring each number of an observation, after `observation_scale`, to mean 0 and variance 1
            by all that learning has seen so far, see `RunningMoments`. Evaluation and `act` leave that as it is.
        wrappers: callables env -> env, applied in order. What one learns of its own is not saved; Gymnasium's that
            normalise by what they have seen are refused.
        vectorization: "auto" steps environments here, all in one call if they have such a form; "process" in worker
            processes (guard a script by `if __name__ == "__main__":`), for steps that take long. Numbers are the same.
        actor: a network of your own in the place of the policy's, differentiated by autograd: observations in the form
            of their space to the numbers that tanh squashes into the box (of SAC, also as many log σ), or to logits.
            Its parameters are where learning begins; it stays as it is, and `module` gives what was learned. It is
            given again to load a file: `load(path, actor=…)`.

    Attributes:
        policy: the architecture; `weights`: its weights, float32 (d,): W_1, b_1, W_2, …, each W as (inputs, outputs),
            row by row, where `module()` has it as torch does, (outputs, inputs). Of an `actor`: its parameters.
        spent: steps, episodes, updates and seconds so far, see `Spent`; evaluation is not in them.
        normalizer: what observations are normalised by, its `mean`, `variance` and `count`; None if they are not.

    Raises:
        TypeError, ValueError: an argument is of another kind or out of its range, there is no such environment, or its
            observations or actions are of a kind that the agent does not learn. Learning and evaluation raise a
            ValueError where the environment gives an observation that is not of its space, an observation or reward
            that is no finite number, or a flag that is no truth value.

    Example:
        from rllab.agents import Evolution, load

        agent = Evolution("CartPole-v1", seed=0, population=8)
        rows = agent.learn(steps=1000)
        print(agent.spent.steps, agent.evaluate(episodes=5).returns.mean())
    """

    update_takes: ClassVar[str] = "more"  # what an update takes, hyperparameters in braces; the first one, at least
    columns: ClassVar[tuple[str, ...]] = ()  # what rows report beside what is spent, `diagnostics` by name
    normalizes: ClassVar[bool] = True  # whether `normalize_observations` is possible
    takes_networks: ClassVar[bool] = True  # whether `actor`, and where there is one `critic`, may be a user's module
    outputs_each: ClassVar[int] = 1  # what an actor of the user's returns for each output of the policy
    unsaved: ClassVar[tuple[str, ...]] = ()  # arguments that say where something happens, which no file or record has
    takes_choices: ClassVar[bool] = True  # whether actions may be Discrete, MultiDiscrete and MultiBinary

    environment: str | Factory
    seed: int = 0
    _: KW_ONLY
    hidden: tuple[int, ...] = (64, 64)
    observation_scale: tuple[float, ...] | None = None
    environment_arguments: Mapping[str, Any] = field(default_factory=dict)
    wrappers: Sequence[Wrapper] = ()
    normalize_observations: bool = False
    vectorization: Vectorization = "auto"
    actor: nn.Module | None = None

    def __post_init__(self) -> None:
        self._check()
        self._init()

    def _check(self) -> None:
        """Check the arguments and find the policy's shape; nothing is drawn or allocated."""
        self._plain_numbers()
        self.seed = check_seed(self._name, self.seed)
        self.hidden = as_widths(self._name, "hidden", self.hidden)
        check_truth(self._name, **{f.name: getattr(self, f.name) for f in fields(self) if isinstance(f.default, bool)})
        if self.observation_scale is not None:
            wrong = f"{self._name}: observation_scale must be positive numbers or None, got {self.observation_scale!r}"
            try:
                self.observation_scale = tuple(float(s) for s in self.observation_scale)
            except (TypeError, ValueError):
                raise TypeError(wrong) from None
        self.maker = Maker(self._name, self.environment, self.environment_arguments, self.wrappers)
        env = self.maker()
        self.maker.check_anew(env)
        self.maker.check_still(env)
        self._encoder, actions = Observations(self._name, env.observation_space), env.action_space
        env.close()
        self.policy = Policy.for_spaces(
            self._name, self._encoder.space, actions, self.hidden, self.observation_scale, self._actor(actions)
        )
        if self.policy.discrete and not self.takes_choices:
            others = ", ".join(sorted(name for name, kind in _agents().items() if kind.takes_choices))
            raise ValueError(f"{self._name}: actions must be a Box, got {actions}; these agents learn them: {others}")
        if self.normalize_observations and not self.normalizes:
            raise ValueError(f"{self._name}: normalize_observations must be False, got {self.normalize_observations!r}")
        check_one_of(self._name, get_args(Vectorization), vectorization=self.vectorization)
        self._check_arguments()

    @torch.inference_mode(False)  # what is learned later must be ordinary tensors, whatever surrounds this call
    def _init(self) -> None:
        """Draw the first weights and set up learning."""
        self.key = Key(self.seed)
        self.weights = self.policy.initial(self.key.child("weights"))
        self.spent = Spent()
        self.normalizer = RunningMoments(len(self.policy.scale)) if self.normalize_observations else None
        self.diagnostics: dict[str, float | None] = dict.fromkeys(self.columns)  # of the iteration under way
        self._start()
        self._made = True

    def _actor(self, actions: Space) -> ModuleNetwork | None:
        """Return the user's actor, checked; None if there is none."""
        if self.actor is None:
            return None
        self._check_takes("actor")
        outputs = self.outputs_each * actions_of(self._name, actions).size
        return ModuleNetwork(self._name, "actor", self.actor, self._encoder.space, outputs=outputs)

    def _check_takes(self, argument: str) -> None:
        if not self.takes_networks:
            others = ", ".join(sorted(name for name, kind in _agents().items() if kind.takes_networks))
            raise ValueError(
                f"{self._name}: {argument} must be None, since its networks are normalised in their own way; these "
                f"agents take one: {others}"
            )

    def _modules(self) -> dict[str, ModuleNetwork]:
        """Return the user's networks by name."""
        return {} if self.policy.module is None else {"actor": self.policy.module}

    def _learned(self) -> dict[str, Tensor]:
        """Return the weights (d,) of all networks that may be a user's, by the names of `_modules`."""
        return {"actor": self.weights}

    def _called(self) -> str:
        return repr(self.environment) if isinstance(self.environment, str) else "the environment"

    @abstractmethod
    def _check_arguments(self) -> None:
        """Check the subclass's own hyperparameters; the policy's shape is known."""

    def _check_sizes(self, state: dict[str, Any]) -> None:
        """Raise a ValueError if a saved state is of other sizes than the hyperparameters; nothing is allocated yet."""

    @abstractmethod
    def _start(self) -> None:
        """Set up what learning needs besides the weights."""

    @abstractmethod
    def _iterate(self, limit: int) -> list[float]:
        """Learn for one iteration of at most `limit` environment steps, count them; return the returns seen."""

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """Return all that learning goes on from, beside weights and counters: tensors, numbers, plain containers."""

    @abstractmethod
    def _restore(self, state: dict[str, Any]) -> None:
        """Take over what `_state` gave; raise an error, of whatever kind, if it is something else."""

    def train(self, steps: int, *, seconds: float = math.inf) -> Iterator[Row]:
        """Learn, yielding a row after each iteration; the clock stands still between rows.

        A row says what is `spent` in all, the mean "return" of the episodes that ended, and, by the names in `columns`,
        what the iteration's update did: losses, entropy, norms; None where there was none.

        Args:
            steps: environment steps to take now; never exceeded; what does not suffice for an update is kept for the
                next call, and a last row without steps of its own says that it did not pay for another round. A call
                that teaches nothing, without any update or at a learning rate of 0, warns.
            seconds: wall seconds; no iteration begins after them.
        Raises:
            TypeError, ValueError: `steps` is no whole number >= 1, or `seconds` is not positive.
            FloatingPointError: learning has diverged: weights are no finite numbers any more.
        """
        steps = as_count(self._name, "steps", steps)
        check_number(self._name, seconds=seconds)
        if not seconds > 0:
            raise ValueError(f"{self._name}: seconds must be positive, got {seconds}")
        spent = self.spent
        spent.first_call = spent.first_call or steps
        taught = Taught(self._name, spent)
        last_step, last_second = spent.steps + steps, spent.seconds + seconds
        while spent.steps < last_step and spent.seconds < last_second:
            wall, cpu = time.perf_counter(), time.process_time()
            before = spent.steps
            self.diagnostics: dict[str, float | None] = dict.fromkeys(self.columns)
            with torch.inference_mode(False), weights_stay_finite(self._name, self.weights):  # gradients on here
                returns = self._iterate(last_step - spent.steps)
            spent.iterations += 1
            spent.seconds += time.perf_counter() - wall
            spent.cpu_seconds += time.process_time() - cpu
            row: Row = {
                "steps": spent.steps,
                "seconds": spent.seconds,
                "cpu_seconds": spent.cpu_seconds,
                "episodes": spent.episodes,
                "updates": spent.updates,
                "return": float(np.mean(returns)) if returns else None,
                **self.diagnostics,
            }
            taught.note(row)
            yield row
            if spent.steps == before:  # what is left does not pay for another round
                break
        taught.warn(takes=self.update_takes.format_map(vars(self)))

    def learn(self, steps: int, *, seconds: float = math.inf, progress: bool = False) -> list[Row]:
        """Learn for so many more environment steps; return the rows of `train`.

        Args:
            steps, seconds: as for `train`.
            progress: print steps, return and the time that is left: a bar on a terminal, else a line every ten seconds.
        """
        steps = as_count(self._name, "steps", steps)
        rows, start = [], self.spent.steps
        with Meter(steps) if progress else nullcontext() as meter:
            for row in self.train(steps, seconds=seconds):
                rows.append(row)
                if meter is not None:
                    meter.show(self.spent.steps - start, None, row["return"])
        return rows

    def act(self, observations: Any) -> np.ndarray:
        """Return the policy's actions, without exploration, for one observation or for n of them.

        Args:
            observations: as the environment gives one, or n in the form of `gymnasium.vector.utils.batch_space`: an
                array (n, …), a dict or tuple of such arrays.
        Returns:
            One action of the environment's space, or n of them in an array (n, …).

        Raises:
            ValueError: they are no observations of the environment, or no finite numbers.
        """
        rows = self._encoder.rows(observations)
        actions = self._act(self.policy.layers(self.weights), np.atleast_2d(rows))
        return actions if rows.ndim == 2 else actions[0]

    def module(self) -> PolicyModule:
        """Return the policy that is evaluated as a torch module of its own, which `torch.onnx.export` takes."""
        return PolicyModule(self._encoder, self.policy, self.weights, self.normalizer)

    def array_policy(self) -> ArrayPolicy:
        """Return the policy that is evaluated in plain numpy, which pickles, and is saved as a file of arrays.

        Raises:
            TypeError: the actor is a module of the user's.
        """
        return array_policy(self._name, self._encoder, self.policy, self.weights, self.normalizer)

    def _normalized(self, scaled: np.ndarray) -> np.ndarray:
        """Return scaled observations (…, o) as the networks see them."""
        return scaled if self.normalizer is None else self.normalizer.array(scaled)

    def _act(self, layers: Layers | Tensor, observations: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            inputs = torch.from_numpy(self._normalized(self.policy.scaled(observations)))
            outputs = self.policy(layers, inputs).numpy()
        return self.policy.to_environment(outputs)

    def evaluate(
        self,
        episodes: int = 20,
        *,
        max_steps: int | None = None,
        first: int = 0,
        environment_arguments: Mapping[str, Any] | None = None,
    ) -> Rollout:
        """Play the policy without exploration; nothing of it enters learning or its counts.

        Args:
            episodes: how many; episode i is the same, whatever the agent, its seed and their number.
            max_steps: steps after which an episode is cut off, if it has not ended; the result's `complete` is then
                False. None is 10,000, and warns where it cuts off.
            first: the number of the first episode; those of another range are ones that nobody has seen.
            environment_arguments: override the agent's own, one by one (a higher cap, say).
        """
        episodes = as_count(self._name, "episodes", episodes)
        longest = LONGEST if max_steps is None else as_count(self._name, "max_steps", max_steps)
        if environment_arguments is not None and not isinstance(environment_arguments, Mapping):
            got = repr(environment_arguments)
            raise TypeError(f"{self._name}: environment_arguments must map names to values, got {got}")
        arguments = {**self.environment_arguments, **(environment_arguments or {})}
        seeds = episode_seeds(EVALUATION, as_count(self._name, "first", first, least=0), episodes)
        maker = replace(self.maker, arguments=arguments)
        if environment_arguments:
            check_alike(self._name, self._encoder, self.policy, maker())
        environments = make_environments(maker, episodes)
        layers = self.policy.layers(self.weights)
        try:
            played = rollout(environments, lambda o, _: self._act(layers, o), seeds, longest=longest)
        finally:
            environments.close()
        if max_steps is None and not played.complete:
            warn(
                f"{self._name}: an episode of {self._called()} had not ended after {LONGEST:,} steps and was cut "
                "off; say how long episodes may be: evaluate(episodes, max_steps=…)",
            )
        return played

    def save(self, path: str | Path) -> None:
        """Write everything to one file, atomically; `load` and then `learn` goes on as `learn` would have here.

        Arguments that are no plain values (a factory, wrappers, a module, an object in `environment_arguments`) are not
        written: the file says which they were, and they are given again, `load(path, environment=…, actor=…)`. Of a
        module, its `state_dict` is written.

        Raises:
            ValueError: the agent or its estimator is of a class that `load` would not find, so that it would refuse the
                file.
            OSError: the file cannot be written.
        """
        if _agents().get(self._name) is not type(self):
            raise ValueError(f"{self._name}: to be saved, an agent must be one of {sorted(_agents())}, not a subclass")
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self.unsaved}
        arguments, missing = plain_arguments(self._name, given)
        write_checkpoint(
            self._name,
            Path(path),
            {
                "agent": self._name,
                "arguments": arguments,
                "missing": missing,
                "weights": self.weights.detach(),
                "modules": {name: net.state_dict(self._learned()[name]) for name, net in self._modules().items()},
                "spent": asdict(self.spent),
                "normalizer": None if self.normalizer is None else self.normalizer.state_dict(),
                "state": plain(self._name, self._state()),
            },
        )


def known_agents() -> list[type[Agent]]:
    """Return every agent there is: this lab's, and those of modules that are imported."""
    import_module("rllab.agents.every")
    return list(_final(Agent))


def _agents() -> dict[str, type[Agent]]:
    return {kind.__name__: kind for kind in known_agents()}


def _final(kind: type[Agent]) -> Iterator[type[Agent]]:
    """Yield the agents below an abstract one; what is derived of those is no agent of its own."""
    for below in kind.__subclasses__():
        if inspect.isabstract(below):
            yield from _final(below)
        else:
            yield below

"""Making: how environments come about, from an id or a factory, and with which wrappers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import NormalizeObservation, NormalizeReward

Factory = Callable[..., gymnasium.Env]
Wrapper = Callable[[gymnasium.Env], gymnasium.Env]
INSTEAD: dict[type, str] = {  # of wrappers whose statistics an evaluation in environments of its own would not have
    NormalizeObservation: "normalize_observations=True, or observation_scale",
    NormalizeReward: "PPO's normalize_costs, or TransformReward with a fixed factor",
}


@dataclass(frozen=True)
class Maker:
    """Make environments, all alike.

    Args:
        who: the agent, for errors.
        environment: Gymnasium id, or a factory that makes a new environment at every call.
        arguments: keyword arguments for `gymnasium.make` or the factory.
        wrappers: callables env -> env, applied in order.

    Raises:
        TypeError: the environment is neither id nor factory, the arguments are no mapping of names, or a wrapper is
            no callable; in the name of `who`.
    """

    who: str
    environment: str | Factory
    arguments: Mapping[str, Any] = field(default_factory=dict)
    wrappers: Sequence[Wrapper] = ()

    def __post_init__(self) -> None:
        who, environment, wrappers = self.who, self.environment, self.wrappers
        if not isinstance(environment, str) and not callable(environment):
            raise TypeError(
                f"{who}: environment must be the id of a Gymnasium environment, or a factory that makes one "
                f"(lambda: …), got {environment!r}"
            )
        if not isinstance(self.arguments, Mapping) or not all(isinstance(name, str) for name in self.arguments):
            raise TypeError(f"{who}: environment_arguments must map names to values, got {self.arguments!r}")
        if not isinstance(wrappers, list | tuple) or not all(callable(wrapper) for wrapper in wrappers):
            raise TypeError(f"{who}: wrappers must be a list of callables env -> env, got {wrappers!r}")

    def __call__(self) -> gymnasium.Env:
        """Make one.

        Raises:
            ValueError: there is none of that id, or it does not take these arguments; in the name of `who`.
            TypeError: a factory or wrapper returns something else than an environment; in the name of `who`.
        """
        if isinstance(self.environment, str):
            env = self._by_id(self.environment)
        else:
            env = self._checked("the factory", self.environment(**self.arguments))
        for i, wrapper in enumerate(self.wrappers):
            env = self._checked(f"wrappers[{i}]", wrapper(env))
        return env

    def check_anew(self, env: gymnasium.Env) -> None:
        """Raise a ValueError if a factory gives an environment a second time, which nobody could reset alone."""
        if isinstance(self.environment, str):
            return
        again = self()
        same = again.unwrapped is env.unwrapped
        again.close()
        if same:
            raise ValueError(
                f"{self.who}: the factory must make a new environment at every call, got the same one twice: make it "
                "within the lambda"
            )

    def check_still(self, env: gymnasium.Env) -> None:
        """Raise a ValueError if an environment is normalised by what it has seen, which another one would not know."""
        while isinstance(env, gymnasium.Wrapper):
            for kind, instead in INSTEAD.items():
                if isinstance(env, kind):
                    raise ValueError(
                        f"{self.who}: no wrapper may normalise by what it has seen, as {kind.__name__} does: "
                        f"evaluation and files would be without it; take {instead}"
                    )
            env = env.env

    def vector(self, n: int) -> VectorEnv | None:
        """Make n environments in the id's own vector form, if it has one that leaves ended episodes alone.

        One that begins the next episode by itself takes no seed for it, so that nobody could play it again.
        """
        if not isinstance(self.environment, str) or self.wrappers:
            return None
        one = self()  # an unknown id or argument is named here
        entry = one.spec.vector_entry_point if one.spec is not None else None
        one.close()
        if entry is None:
            return None
        creator = load_env_creator(entry) if isinstance(entry, str) else entry
        if "autoreset_mode" not in inspect.signature(creator).parameters:
            return None
        return gymnasium.make_vec(
            self.environment,
            num_envs=n,
            vectorization_mode="vector_entry_point",
            autoreset_mode=AutoresetMode.DISABLED,
            **self.arguments,
        )

    def describe(self, env: gymnasium.Env) -> str:
        """Name an environment that was made, for errors."""
        return repr(self.environment if isinstance(self.environment, str) else type(env.unwrapped).__name__)

    def _by_id(self, environment: str) -> gymnasium.Env:
        try:
            return gymnasium.make(environment, **self.arguments)
        except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
            reason, *_ = [*str(error).splitlines(), type(error).__name__]
            raise ValueError(
                f"{self.who}: environment must be the id of a Gymnasium environment, got {environment!r}: {reason}"
            ) from error

    def _checked(self, what: str, made: object) -> gymnasium.Env:
        if not isinstance(made, gymnasium.Env):
            raise TypeError(f"{self.who}: {what} must return a gymnasium.Env, got {made!r:.60}")
        return made

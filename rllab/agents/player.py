"""Player: one policy that plays one episode, in a worker that keeps the environment for those that follow."""

from __future__ import annotations

import hashlib
import pickle
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector.utils import CloudpickleWrapper
from torch import Tensor

from rllab.agents.environments import Environment
from rllab.agents.making import Maker
from rllab.agents.normalize import RunningMoments
from rllab.agents.policy import Policy
from rllab.executors import NotSendable


class _Kept(threading.local):
    """The environment and policy that a thread of a worker played last, and the bytes they were made from."""

    held: tuple[bytes, Environment, Policy] | None = None


_KEPT = _Kept()


class Sent:
    """An environment and the policy that acts in it, as bytes; a lambda is welcome.

    Args:
        make: makes the environment.
        policy: the architecture.

    Raises:
        NotSendable: they hold something that cannot be pickled; in the name of `make.who`.
    """

    def __init__(self, make: Maker, policy: Policy):
        try:
            self.data = pickle.dumps(CloudpickleWrapper((make, policy)))  # type: ignore[arg-type] - anything
        except Exception as error:  # whatever an object's own way of pickling raises
            raise NotSendable(
                f"{make.who}: environment, wrappers and actor must be such that they can be pickled, to be sent to a "
                f"worker, and something in them cannot ({error}): make it within the factory"
            ) from error
        self.digest = hashlib.blake2b(self.data).digest()

    def made(self) -> tuple[Environment, Policy]:
        """Return the environment of this thread, made if the last one was another, and the policy."""
        held = _KEPT.held
        if held is None or held[0] != self.digest:
            forget()
            make, policy = pickle.loads(self.data).fn
            held = _KEPT.held = self.digest, Environment(make), policy
        return held[1:]


def forget() -> None:
    """Close the environment of this thread; the next episode is played in a new one."""
    if _KEPT.held is not None:
        (_, environment, _), _KEPT.held = _KEPT.held, None
        environment.env.close()


@dataclass(frozen=True, eq=False)
class Player:
    """Play an episode under given weights, alone: nothing of it depends on who plays beside it, or where.

    Args:
        sent: the environment and the policy.
        normalizer: of scaled observations, which is left as it is; None leaves them as they are.
        longest: steps after which an episode is cut off; None for none.
    """

    sent: Sent
    normalizer: RunningMoments | None
    longest: int | None

    def __call__(self, points: Tensor, tangents: None, seeds: Tensor) -> tuple[Tensor, ...]:
        """Play with weights `points`, (1, d), under a seed (1,).

        Returns:
            Its return, length, and whether it ended, (1,) each; with a normaliser also the scaled observations that it
            acted on, (length, o).
        """
        environment, policy = self.sent.made()
        try:
            return self._played(environment, policy, points, int(seeds[0]))
        except BaseException:
            forget()
            raise

    def _played(self, environment: Environment, policy: Policy, points: Tensor, seed: int) -> tuple[Tensor, ...]:
        # copies: how a product is rounded may depend on where its factors begin in memory
        layers, inputs = policy.layers(points.clone()), torch.empty(1, len(policy.scale))
        o, total, length, over, seen = environment.reset(seed), 0.0, 0, False, list[np.ndarray]()
        while not over and length != self.longest:
            scaled = policy.scaled(o[None])
            if self.normalizer is not None:
                seen.append(scaled)
            with torch.no_grad():
                inputs.copy_(torch.from_numpy(scaled if self.normalizer is None else self.normalizer.array(scaled)))
                outputs = policy.population(layers, inputs).numpy()
            o, reward, terminated, truncated = environment.step(policy.to_environment(outputs)[0])
            total, length, over = total + reward, length + 1, terminated or truncated
        told: list[Any] = [torch.tensor([total], dtype=torch.float64), torch.tensor([length]), torch.tensor([over])]
        if self.normalizer is not None:
            told.append(torch.from_numpy(np.concatenate([np.zeros((0, len(policy.scale)), np.float32), *seen])))
        return tuple(told)

"""Snapshots: the weights of a policy as it learned, all judged together afterwards, far faster than one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab import agents
from rllab.agents.base import EVALUATION
from rllab.agents.collectors import episode_seeds
from rllab.agents.rollouts import rollout
from rllab.agents.vectorization import make_environments


def ride_all(
    agent: agents.Agent,
    snapshots: Sequence[Tensor],
    rides: int,
    *,
    longest: int,
    environment_arguments: Mapping[str, Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Play the same episodes with each of s weights of an agent's policy, side by side.

    The numbers are those of `agent.evaluate(rides, max_steps=longest)` at each of the weights, up to rounding.

    Args:
        agent: whose policy and environment it is; it normalises no observations.
        snapshots: its weights at s times, (d,) each.
        rides: episodes of each, those that `Agent.evaluate` plays.
        longest: steps after which an episode is cut off.
        environment_arguments: override the agent's own.

    Returns:
        Returns and lengths of the episodes, (s, rides) each.
    """
    if agent.normalizer is not None:
        raise ValueError("ride_all: agent must not normalise observations, whose moments are not in its weights")
    arguments = {**agent.environment_arguments, **(environment_arguments or {})}
    environments = make_environments(replace(agent.maker, arguments=arguments), len(snapshots) * rides)
    policy, weights = agent.policy, torch.stack([one.detach() for one in snapshots])
    kept, layers = np.arange(len(snapshots)), policy.layers(weights)

    def act(observations: np.ndarray, live: np.ndarray) -> np.ndarray:
        """Act in the rides that go on; weights of which none does are dropped."""
        nonlocal kept, layers
        of, ride = np.divmod(live, rides)
        going = np.unique(of)
        if len(going) < len(kept):
            kept, layers = going, policy.layers(weights[torch.from_numpy(going)])
        row = np.searchsorted(kept, of)
        inputs = np.zeros((len(kept), rides, observations.shape[1]), np.float32)
        inputs[row, ride] = policy.scaled(observations)
        with torch.no_grad():
            outputs = policy(layers, torch.from_numpy(inputs)).numpy()
        return policy.to_environment(outputs[row, ride])

    seeds = episode_seeds(EVALUATION, 0, rides) * len(snapshots)
    try:
        played = rollout(environments, act, seeds, longest=longest)
    finally:
        environments.close()
    shape = len(snapshots), rides
    return played.returns.reshape(shape), played.lengths.reshape(shape)

"""Random search: draw a policy's weights until one rides. What a learner has to beat before it is said to learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.agents.environments import Environments
from rllab.agents.making import Maker
from rllab.agents.policy import Policy
from rllab.agents.rollouts import Rollout, rollout
from rllab.agents.vectorization import make_environments
from rllab.backprop.network import MLP
from rllab.keys import Key, as_key, seeds_for
from rllab.noise import standard_normal

TOGETHER = 64  # draws played side by side; those after the one that rides are not paid for
CONFIRMED = 20  # further rides, all of which must reach the goal


@dataclass(frozen=True)
class Search:
    """Say what a random search came to.

    Attributes:
        weights: of the first policy that was confirmed, (d,); None if the steps ran out before.
        riders: how many were confirmed.
        steps: environment steps of all draws, up to and including the last one confirmed; never more than allowed.
        draws: how many there were; one that the limit cut short is not among them.
        reached: how many of them reached the goal on their one ride.
        evaluated: environment steps of confirming, which is counted apart, as evaluations of learners are.
    """

    weights: Tensor | None
    riders: int
    steps: int
    draws: int
    reached: int
    evaluated: int


def search_weights(
    environment: str | Callable[..., Any],
    *,
    goal: float,
    scale: float,
    key: Key | int,
    steps: int,
    hidden: Sequence[int] = (),
    biases: bool = True,
    riders: int = 1,
    together: int = TOGETHER,
    observation_scale: Sequence[float] | None = None,
    environment_arguments: Mapping[str, Any] | None = None,
) -> Search:
    """Draw weights w ~ N(0, scale² I), ride once with each, and stop at the first that keeps reaching the goal.

        w_i = scale · u_i,   u_i ~ N(0, I),    ride_i under noise of its own,    until return_i >= goal, confirmed

    A draw that reaches the goal rides `CONFIRMED` times more, under other noise; if one of these falls short, the
    search goes on. Nothing is learned from a draw, so steps until success are geometric in the number of draws.

    Args:
        environment: Gymnasium id, or a factory.
        goal: the return that is success: 1000 in `BicycleBalance-v0`.
        scale: standard deviation of every weight, > 0.
        key: names the draws and the noise they meet.
        steps: environment steps the draws may take in all, >= 1.
        hidden: widths of the policy's hidden layers; (): linear. The policy is that of the agents.
        biases: False: all biases are 0.
        riders: how many are to be confirmed before the search stops, >= 1: more than one, to count them.
        together: draws that are played side by side; no number depends on it.
        observation_scale: what observations are divided by, as in the agents.
        environment_arguments: for `gymnasium.make` or the factory.

    Raises:
        ValueError: if `scale` or `steps` is out of range.

    Example:
        from experiments.agents.random_search import search_weights

        found = search_weights("rllab_envs:rllab/BicycleBalance-v0", goal=1000, scale=1.0, key=0, steps=9_000)

    Source: J. Bergstra and Y. Bengio (2012), "Random search for hyper-parameter optimization", JMLR 13, for weights:
    the baseline that H. Mania, A. Guy and B. Recht (2018), "Simple random search provides a competitive approach to
    reinforcement learning", ask for.
    """
    if not 0.0 < scale < math.inf or min(steps, riders, together) < 1:
        raise ValueError(f"search_weights: scale must be positive and steps >= 1, got {scale!r} and {steps!r}")
    make, root = Maker("search_weights", environment, dict(environment_arguments or {})), as_key(key)
    env = make()
    policy = Policy.for_spaces("search_weights", env.observation_space, env.action_space, hidden, observation_scale)
    env.close()
    draws = make_environments(make, together)
    weighted = torch.ones(policy.size)
    if not biases:
        assert isinstance(policy.network, MLP)
        for _, bias in policy.network.layers(torch.arange(policy.size)):
            weighted[bias.flatten()] = 0.0
    found = Search(None, 0, 0, 0, 0, 0)
    while True:
        # a draw is named by its number, so that it is the same however many are played side by side
        numbers = np.arange(found.draws, found.draws + together)
        keys = [root.child("weights", int(i)) for i in numbers]
        w = torch.stack([scale * weighted * standard_normal((policy.size,), k, weighted) for k in keys])
        played = play(policy, w, draws, seeds_for(numbers, root.child("noise")).tolist())
        reached = played.returns >= goal
        confirmed, rides = _confirm(policy, make, w, np.flatnonzero(reached), goal, root, numbers)
        for i, length in enumerate(played.lengths.tolist()):
            if found.steps + length > steps:
                return replace(found, steps=steps)
            found = Search(
                w[i].clone() if confirmed[i] and found.weights is None else found.weights,
                found.riders + bool(confirmed[i]),
                found.steps + length,
                found.draws + 1,
                found.reached + bool(reached[i]),
                found.evaluated + int(rides[i]),
            )
            if found.riders == riders:
                return found


def _confirm(
    policy: Policy, make: Maker, w: Tensor, which: np.ndarray, goal: float, root: Key, numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return of each draw whether it rides on, and the steps that took; those not in `which` are not asked."""
    confirmed, steps = np.zeros(len(w), bool), np.zeros(len(w), np.int64)
    if which.size:
        environments = make_environments(make, CONFIRMED * len(which))
        seeds = [seeds_for(np.arange(CONFIRMED), root.child("confirm", int(n))).tolist() for n in numbers[which]]
        again = play(policy, w[np.repeat(which, CONFIRMED)], environments, [seed for each in seeds for seed in each])
        environments.close()
        confirmed[which] = (again.returns >= goal).reshape(-1, CONFIRMED).all(1)
        steps[which] = again.lengths.reshape(-1, CONFIRMED).sum(1)
    return confirmed, steps


def play(policy: Policy, w: Tensor, environments: Environments, seeds: Sequence[int]) -> Rollout:
    """Ride one episode with each of n policies, weights (n, d), in n environments."""
    layers, of = policy.layers(w), len(w)

    def act(observations: np.ndarray, live: np.ndarray) -> np.ndarray:
        nonlocal layers, of
        if len(live) != of:
            layers, of = policy.layers(w[torch.from_numpy(live)]), len(live)
        with torch.no_grad():
            return policy.to_environment(policy.population(layers, policy.inputs(observations)).numpy())

    return rollout(environments, act, seeds)

"""Riders that nobody trained: gains tuned by hand, or the exact regulator; lines to hold learners against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rllab.agents.making import Maker
from rllab.agents.rollouts import Rollout, rollout
from rllab.agents.vectorization import make_environments
from rllab.keys import Key, as_key, seeds_for
from rllab_envs.bicycle import Parameters as Bicycle
from rllab_envs.whipple import Parameters as Whipple
from rllab_envs.whipple import optimum

HAND = (71.04, 29.97, -21.60, -2.29)  # N·m per rad, rad/s, rad, rad/s: torque of a rider by hand, on ω, ω̇, θ, θ̇
HAND_WITHOUT_RATES = (100.0, -30.0)  # N·m per rad: the same on ω and θ alone; half or twice of either balances, too
TURN = 0.1  # rad of lean per rad of bearing
MOST = 0.1  # rad, the most it leans to turn


@dataclass(frozen=True)
class LinearRider:
    """Act by a = clip(G o, ±1).

    Args:
        gain: G, (k, o), in the units of actions and observations.
    """

    gain: tuple[tuple[float, ...], ...]

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Return actions (n, k) for observations (n, o)."""
        return np.clip(observations @ np.array(self.gain).T, -1.0, 1.0)


def balance_rider(*, rates: bool = True) -> LinearRider:
    """Return the rider by hand of `BicycleBalance-v0`: a torque from angles and, if it sees them, rates."""
    torque = tuple(g / Bicycle().max_torque for g in (HAND if rates else HAND_WITHOUT_RATES))
    return LinearRider((torque, (0.0,) * len(torque)))


@dataclass(frozen=True)
class GoalRider:
    """Lean towards the goal, and balance about that lean: the rider by hand of `BicycleGoal-v0`.

        ω* = clip(TURN α, ±MOST),    θ* = ω* M g h / C′(0),    a = G (ω − ω*, ω̇, θ − θ*, θ̇)

    θ* is the steady turn that a lean of ω* needs: gravity's moment is the centrifugal one.
    """

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Return actions (n, 2) for observations (n, 6)."""
        p = Bicycle()
        lean = np.clip(TURN * observations[:, 4], -MOST, MOST)
        # C′(0) = v² (2 M_d r + M h) / l in N·m
        steer = lean * p.gravity_moment / (2.0 * p.tyre_centrifugal + p.mass_centrifugal / p.wheelbase)
        zero = np.zeros_like(lean)
        return balance_rider()(observations[:, :4] - np.stack((lean, zero, steer, zero), 1))


def whipple_rider(speed: float, parameters: Whipple | None = None, *, gamma: float = 1.0) -> LinearRider:
    """Return the linear-quadratic regulator of `WhippleBicycle-v0` at a speed in m/s, the best linear rider."""
    return LinearRider((tuple((-optimum(speed, parameters, gamma=gamma).gain).tolist()),))


def ride(
    rider: LinearRider | GoalRider,
    environment: str,
    *,
    rides: int,
    key: Key | int,
    environment_arguments: Mapping[str, Any] | None = None,
) -> Rollout:
    """Ride a number of episodes, each under noise of its own, and return what they gave.

    Example:
        from experiments.agents.riders import balance_rider, ride

        lasted = ride(balance_rider(), "rllab_envs:rllab/BicycleBalance-v0", rides=20, key=0).lengths
    """
    environments = make_environments(Maker("ride", environment, dict(environment_arguments or {})), rides)
    seeds = seeds_for(np.arange(rides), as_key(key)).tolist()
    return rollout(environments, lambda observations, live: rider(observations), seeds)

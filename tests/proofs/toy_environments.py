"""Environments small enough to compute by hand, which write down all that is done to them.

They are reached as users reach theirs, by "module:id" (the checkout is on the path), in other processes too.
"""

import time
from copy import deepcopy

import gymnasium
import numpy as np
from gymnasium import spaces

DRIFT, CHOICE = (
    "tests.proofs.toy_environments:rllab-tests/Drift-v0",
    "tests.proofs.toy_environments:rllab-tests/Choice-v0",
)
LOW, HIGH = -1.5, 2.5  # of Drift's actions: not symmetric


class Log:
    """What was done to the environments of this process since `clear`."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.seeds, self.actions, self.ends = [], [], []

    @property
    def steps(self):
        return len(self.actions)


LOG = Log()


class Drift(gymnasium.Env):
    """A noisy point x that is to be kept at 0; x' = 0.9 x + 0.3 a + w, observed as (x, x²), reward −x'² − 0.1 a².

    Terminates when |x| exceeds `fall`, truncates after `cap` steps. A step outside of an episode is an error.
    """

    observation_space = spaces.Box(np.array([-4, -np.inf], np.float32), np.array([3, np.inf], np.float32))
    action_space = spaces.Box(LOW, HIGH, (1,))

    def __init__(self, cap: int = 30, fall: float = 1.5, noise: float = 0.3):
        self.cap, self.fall, self.noise, self.t = cap, fall, noise, None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        LOG.seeds.append(seed)
        self.x, self.t = self.np_random.uniform(-1, 1), 0
        return self._seen(), {}

    def step(self, action):
        if self.t is None:
            raise RuntimeError("a step after the end of an episode")
        LOG.actions.append(np.array(action))
        a = float(action[0])
        self.x = 0.9 * self.x + 0.3 * a + self.noise * self.np_random.uniform(-1, 1)
        self.t += 1
        terminated, truncated = abs(self.x) > self.fall, self.t == self.cap
        if terminated or truncated:
            self.t = None
            LOG.ends.append((terminated, truncated))
        return self._seen(), -(self.x**2) - 0.1 * a * a, terminated, truncated, {}

    def _seen(self):
        return np.array([self.x, self.x**2], np.float32)


class Choice(gymnasium.Env):
    """Two draws of three actions; 2 ends the episode at once. Every outcome can be listed: `OUTCOMES`."""

    FIRST, SECOND = (0.7, -1.1, 0.4), ((0.3, 2.0, -0.6), (-1.4, 0.5, 0.9))  # rewards
    OUTCOMES = ((2,), *((i, j) for i in range(2) for j in range(3)))
    observation_space = spaces.Box(0, 1, (3,))
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.first = None
        return np.array([1, 0, 0], np.float32), {}

    def step(self, action):
        if self.first is not None:
            return np.zeros(3, np.float32), self.SECOND[self.first][action], True, False, {}
        self.first = int(action)
        seen = np.zeros(3, np.float32)
        if action < 2:
            seen[1 + self.first] = 1
        return seen, self.FIRST[action], bool(action == 2), False, {}


gymnasium.register("rllab-tests/Drift-v0", Drift)
gymnasium.register("rllab-tests/Choice-v0", Choice)


class Shown(gymnasium.Env):
    """Observations drawn from a space, whatever is done; 7 steps an episode, reward minus the action's sum."""

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space):
        self.observation_space, self.action_space = deepcopy((observation_space, action_space))  # which draw

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.t = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        if not self.action_space.contains(action):
            raise ValueError(f"{action!r} is no action of {self.action_space}")
        self.t += 1
        return self.observation_space.sample(), -float(np.sum(action)), False, self.t == 7, {}


class Endless(gymnasium.Env):
    """Episodes of `length` steps, or without end; from `slow` on, a step takes `seconds`."""

    observation_space = spaces.Box(-1, 1, (2,))
    action_space = spaces.Box(-1, 1, (1,))

    def __init__(self, length: float = np.inf, slow: float = np.inf, seconds: float = 0.0):
        self.length, self.slow, self.seconds = length, slow, seconds

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t += 1
        if self.t >= self.slow:
            time.sleep(self.seconds)
        seen = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return seen, -abs(float(action[0])), self.t >= self.length, False, {}


class Sick(gymnasium.Wrapper):
    """Raises an error that no other process can read, at its third step."""

    t = 0

    def step(self, action):
        self.t += 1
        if self.t == 3:
            raise type("Local", (Exception,), {})("the motor is broken")
        return super().step(action)

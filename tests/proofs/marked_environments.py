"""Environments whose observations say which episode and step they are of, so that a transition across two is seen."""

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

SEED = 2**22  # a number of single precision
OBSERVATIONS = spaces.Box(-np.inf, np.inf, (3,))


def length(seed):
    """Steps of the episode of a seed, 1 to 7; odd ones terminate, even ones are truncated."""
    return 1 + seed % 7


class Marked(gymnasium.Env):
    """Shows (seed mod 2²², step, last action); rewarded by the step number.

    Attributes:
        sound: steps of all of them until one raises; None is never.
    """

    sound: int | None = None

    observation_space, action_space = OBSERVATIONS, spaces.Box(-1, 1, (1,))

    t = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.mark, self.t = seed % SEED, 0
        return np.array([self.mark, 0, 0], np.float32), {}

    def step(self, action):
        if Marked.sound is not None:
            Marked.sound -= 1
            if Marked.sound < 0:
                Marked.sound = None
                raise RuntimeError("the motor is broken")
        if self.t is None:
            raise RuntimeError("a step after the end of an episode")
        self.t += 1
        t, over = self.t, self.t == length(self.mark)
        if over:
            self.t = None
        odd = length(self.mark) % 2 == 1
        return np.array([self.mark, t, action[0]], np.float32), float(t), over and odd, over and not odd, {}


class MarkedVector(VectorEnv):
    """The same n times, without resets of its own: an ended environment stands still until it is reset."""

    def __init__(self, num_envs, autoreset_mode=AutoresetMode.DISABLED):
        self.num_envs, self.metadata = num_envs, {"autoreset_mode": autoreset_mode}
        self.single_observation_space, self.single_action_space = Marked.observation_space, Marked.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.inner = [Marked() for _ in range(num_envs)]
        self.o, self.over = np.zeros((num_envs, 3), np.float32), np.ones((num_envs, 2), bool)

    def reset(self, *, seed=None, options=None):
        mask = np.ones(self.num_envs, bool) if options is None else options["reset_mask"]
        for i in np.flatnonzero(mask):
            self.o[i], _ = self.inner[i].reset(seed=seed[i])
            self.over[i] = False
        return self.o, {}

    def step(self, actions):
        r = np.zeros(self.num_envs)
        for i in np.flatnonzero(~self.over.any(1)):
            self.o[i], r[i], *self.over[i], _ = self.inner[i].step(actions[i])
        return self.o, r, *self.over.T, {}


gymnasium.register("rllab-tests/Marked-v0", Marked)
gymnasium.register("rllab-tests/MarkedVector-v0", Marked, vector_entry_point=MarkedVector)
MARKED, MARKED_VECTOR = (
    "tests.proofs.marked_environments:rllab-tests/Marked-v0",
    "tests.proofs.marked_environments:rllab-tests/MarkedVector-v0",
)

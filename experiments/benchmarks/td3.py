"""Where does the CPU time of a TD3 step on the bicycle go: the environment, the update, or the loop around them?

A step is one of the environment and one update of the critics, with every second one of actor and targets. The same
call that trains is timed three times: as it is; with an update that does nothing; with an environment that does
nothing either. What is left is the loop: acting, storing, drawing minibatches and random numbers, counting. CPU time of
one thread, the least of several rounds taken in turn.

    python experiments/benchmarks/td3.py
"""

from rllab.runs.versions import limit_threads, machine

limit_threads()

import time

import gymnasium
import numpy as np

from rllab.agents import TD3

ID = "rllab_envs:rllab/BicycleBalance-v0"
STEPS, ROUNDS, WARMUP = 2_000, 7, 1_000
GOAL = 100  # µs of loop a step


class Still(gymnasium.Env):
    """A bicycle that takes no time: it stands, and nobody falls."""

    seen = np.zeros(4, np.float32)

    def reset(self, *, seed=None, options=None):
        return self.seen, {}

    def step(self, action):
        return self.seen, 1.0, False, False, {}


def learner(*, update: bool = True, environment: bool = True) -> TD3:
    """Return an agent past its warm-up, one or both of its parts made to do nothing."""
    agent = TD3(ID, hidden=(64, 64), critic_hidden=(64, 64), warmup=WARMUP)
    agent.learn(WARMUP + STEPS)
    if not update:
        agent.update = lambda batch, smoothing: None
    if not environment:
        agent.env = Still()
    return agent


def cpu_seconds(agent: TD3) -> float:
    start = time.process_time()
    agent.learn(STEPS)
    return time.process_time() - start


def main() -> None:
    print(machine())
    agents = [learner(), learner(update=False), learner(update=False, environment=False)]
    rounds = [[cpu_seconds(agent) for agent in agents] for _ in range(ROUNDS)]
    whole, without_update, loop = (min(column) / STEPS * 1e6 for column in zip(*rounds, strict=True))
    print(f"TD3, 64 × 64 wide, minibatches of {agents[0].batch}; µs of CPU time a step")
    for name, µs, goal in (
        ("whole step", whole, ""),
        ("update", whole - without_update, ""),
        ("environment", without_update - loop, ""),
        ("loop", loop, f"<= {GOAL}"),
    ):
        print(f"{name:>12}  {µs:>7.1f}  {µs / whole:>5.1%}  {goal}")


if __name__ == "__main__":
    main()

"""Soak: what a long training leaves behind: resident memory, open descriptors, and Python's own objects.

python -m tests.proofs.soak --steps 200000        prints a table for each agent, and exits with 1 if one grows
"""

import argparse
import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from rllab.agents import ARS, PPO, SAC, TD3, CrossQ, Evolution, Reinforce

LATE = {"hidden": (8,), "critic_hidden": (8,), "buffer_size": 1000, "batch_size": 16, "learning_starts": 100}
CHEAP = {
    ARS: ("CartPole-v1", {"n_delta": 2, "n_top": 1}),
    CrossQ: ("Pendulum-v1", LATE | {"train_freq": 16}),
    Evolution: ("CartPole-v1", {"hidden": (), "population": 4}),
    PPO: ("CartPole-v1", {"hidden": (8,), "n_steps": 64, "n_epochs": 1}),
    Reinforce: ("CartPole-v1", {"hidden": (8,), "episodes": 4}),
    SAC: ("Pendulum-v1", LATE | {"train_freq": 16}),
    TD3: ("Pendulum-v1", LATE | {"train_freq": 16}),
}


@dataclass(frozen=True)
class Held:
    """What a process holds: resident memory in kB, open descriptors, and objects that Python's collector knows."""

    memory: int
    descriptors: int
    objects: int


def held():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(pages * os.sysconf("SC_PAGE_SIZE") // 1024, len(os.listdir("/proc/self/fd")), len(gc.get_objects()))


def soak(kind, steps, parts=4):
    """Train for so many steps, whose rows nobody keeps; return what was held after each part of them.

    An agent is evaluated after each part, too: environments that it makes must go.
    """
    environment, settings = CHEAP[kind]
    gc.freeze()  # what was there before is not looked through at every collection
    agent, seen = kind(environment, 0, **settings), []
    try:
        for _ in range(parts):
            for _ in agent.train(steps // parts):
                pass
            agent.evaluate(2, max_steps=50)
            seen.append(held())
    finally:
        gc.unfreeze()
    return agent, seen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--agents", nargs="*", default=[kind.__name__ for kind in CHEAP])
    given, grows = parser.parse_args(), False
    for kind in CHEAP:
        if kind.__name__ in given.agents:
            agent, seen = soak(kind, given.steps)
            first, last = seen[1], seen[-1]
            # half of the steps: a number kept of each would be 24 bytes and an object
            grew = (
                last.memory - first.memory > max(2000, 0.01 * given.steps)
                or last.descriptors > first.descriptors
                or last.objects - first.objects > max(500, 0.01 * given.steps)
            )
            grows |= grew
            print(f"{kind.__name__}: {agent.spent.steps:,} steps, {agent.spent.updates:,} updates", *seen, sep="\n   ")
            print("   GROWS" if grew else "   does not grow", flush=True)
    sys.exit(int(grows))


if __name__ == "__main__":
    main()

"""Cells of strength.py: methods on tasks, with budgets and settings that both sides learn with, in our names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OFF = {"lr": 1e-3, "batch_size": 128, "learning_starts": 1000, "hidden": (64, 64), "critic_hidden": (64, 64)}
WIDE = {"lr": 1e-3, "batch_size": 256, "learning_starts": 5000, "hidden": (256, 256), "critic_hidden": (256, 256)}
ROLLOUT = {"lr": 3e-4, "num_envs": 8, "n_steps": 256, "batch_size": 64, "n_epochs": 10, "gamma": 0.99}
LINEAR = {"lr": 0.1, "delta_std": 0.1, "n_delta": 4, "n_top": 2}
UNJUDGED = ("Hopper-v5", "HalfCheetah-v5")
WIDTHS = (128, 256, 512)


@dataclass(frozen=True)
class Cell:
    """A method on a task, with its budget and settings in our names.

    Attributes:
        width: of CrossQ's critics, where that is what is compared.
        published: a return that others reported after as many steps, and where.
    """

    task: str
    method: str
    steps: int
    settings: dict[str, Any]
    width: int | None = None
    published: str = ""

    @property
    def name(self) -> str:
        return f"{self.task}/{self.method}" + (f"-{self.width}" if self.width else "")


CELLS = [
    Cell("CartPole-v1", "PPO", 51_200, ROLLOUT),
    Cell("CartPole-v1", "ARS", 50_000, LINEAR, published="500.0"),
    Cell("Acrobot-v1", "PPO", 102_400, ROLLOUT),
    Cell("Acrobot-v1", "ARS", 100_000, LINEAR),
    Cell("Pendulum-v1", "TD3", 10_000, OFF),
    Cell("Pendulum-v1", "SAC", 10_000, OFF),
    Cell("Pendulum-v1", "CrossQ", 10_000, OFF),
    Cell("MountainCarContinuous-v0", "SAC", 50_000, OFF, published="94.7"),
    Cell("InvertedPendulum-v5", "PPO", 102_400, ROLLOUT | {"std": 1 / 3}),  # 1 in the environment's units
    Cell("InvertedPendulum-v5", "SAC", 10_000, OFF),
    Cell("InvertedDoublePendulum-v5", "TD3", 20_000, OFF),
    Cell("InvertedDoublePendulum-v5", "SAC", 20_000, OFF),
    # step and radius of RL Baselines3 Zoo
    Cell("Swimmer-v5", "ARS", 300_000, {"lr": 0.02, "delta_std": 0.01, "n_delta": 1, "n_top": 1}),
    *(Cell(task, method, 50_000, WIDE) for task in UNJUDGED for method in ("TD3", "SAC")),
    *(Cell(task, "CrossQ", 50_000, WIDE | {"critic_hidden": (w, w)}, w) for task in UNJUDGED for w in WIDTHS),
]

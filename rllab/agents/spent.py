"""Spent: what learning has used up so far, the same account for every agent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Spent:
    """Count all that was spent to learn; evaluation is not in it.

    Attributes:
        steps: environment steps: random ones at the start, failed episodes, rollouts that are thrown away, everything.
        episodes: episodes begun.
        updates: optimiser steps of the policy.
        iterations: rows that `train` has yielded.
        seconds, cpu_seconds: wall and processor time.
        lost_steps: environment steps, at most, of episodes that an executor lost with their worker or by their time-out
            and that were played again: of each attempt as many as the one that came back. They are not in `steps`, by
            which schedules and budgets go, so that learning is the same whoever is lost.
        first_call: environment steps that the first call of `train` was asked for, 0 before it; schedules that name
            none end there.
    """

    steps: int = 0
    episodes: int = 0
    updates: int = 0
    iterations: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    lost_steps: int = 0
    first_call: int = 0

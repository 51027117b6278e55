"""Schedules: hyperparameters that change with the environment steps taken."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from rllab.agents.spent import Spent
from rllab.checks import as_count, check_finite, check_not_negative, check_positive


@dataclass(frozen=True)
class Linear:
    """Go from one number to another, evenly over so many environment steps, and stay there.

        x(s) = start + (end − start) · min(s / steps, 1),      s = environment steps taken so far

    It depends on the steps alone, so that it is the same however they are divided into calls of `train`. PPO takes its
    value at every rollout, Reinforce, Evolution and ARS at every update, and TD3, SAC and CrossQ that at the last
    multiple of 1,000 steps: a call of 3,000 steps has three stairs. The column `lr` of the rows shows it.

    Args:
        start, end: x(0) and x(steps).
        steps: > 0; None are the steps of the agent's first call of `train`, which are kept in its checkpoint.

    Raises:
        TypeError, ValueError: an argument is out of its range.

    Example:
        from rllab.agents import PPO, Linear

        agent = PPO("CartPole-v1", seed=0, lr=Linear(1e-3, 0.0, steps=20_000), clip_range=Linear(0.2, 0.0))
    """

    start: float
    end: float
    steps: int | None = None

    def __post_init__(self) -> None:
        check_finite("Linear", start=self.start, end=self.end)
        if self.steps is not None:
            object.__setattr__(self, "steps", as_count("Linear", "steps", self.steps))

    def at(self, spent: Spent) -> float:
        """Return x for what an agent has spent."""
        steps = spent.first_call if self.steps is None else self.steps
        # x(s) = start + (end − start) min(s / steps, 1)
        return self.start + (self.end - self.start) * min(spent.steps / steps, 1.0) if steps else self.start


def now(value: float | Linear, spent: Spent) -> float:
    """Return a hyperparameter's number at what an agent has spent."""
    return value.at(spent) if isinstance(value, Linear) else value


def over(value: Any, steps: int) -> Any:
    """Return a `Linear` whose steps were left open with these, and any other value as it is."""
    return replace(value, steps=steps) if isinstance(value, Linear) and value.steps is None else value


def as_scheduled(name: str, value: object) -> object:
    """Return the `Linear` that a text such as "linear(3e-4, 0)" stands for, and any other value as it is.

    Raises:
        ValueError: the text begins so, and holds no two numbers, or three, the last of them steps.
    """
    if not isinstance(value, str) or (match := re.match(r"\s*linear\b(.*)", value, re.I | re.S)) is None:
        return value
    try:
        if (inner := re.fullmatch(r"\s*\((.*)\)\s*", match[1], re.S)) is None:
            raise ValueError("it has no brackets")
        start, end, *steps = map(float, inner[1].split(","))
        return Linear(start, end, *(as_count("linear", "steps", number) for number in steps))
    except (TypeError, ValueError) as error:
        form = "linear(START,END) or linear(START,END,STEPS), as linear(3e-4,0)"
        raise ValueError(f"train: {name} must be a value or {form}, got {value!r}: {error}") from error


def check_scheduled(who: str, **values: object) -> None:
    """Raise an error unless every value is a number > 0, or a Linear of numbers >= 0."""
    for name, value in values.items():
        numbers = {f"{name}.start": value.start, f"{name}.end": value.end} if isinstance(value, Linear) else {}
        check_not_negative(who, **numbers)
        if not isinstance(value, Linear | Real):
            raise TypeError(f"{who}: {name} must be a number or agents.Linear(start, end), got {value!r}")
        if not numbers:
            check_positive(who, **{name: value})

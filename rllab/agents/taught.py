"""Taught: what the steps of a call of `train` taught; where they taught nothing, a warning says so."""

from __future__ import annotations

from collections.abc import Mapping

from rllab.agents.spent import Spent
from rllab.warned import warn


class Taught:
    """Watch the rows of a call of `train`, and warn at its end if there was no update, or some at a learning rate of 0.

    A schedule that ends at 0 may make the last update of a call at 0, as PPO's does; that alone is no reason, if
    another update of the call was at a higher rate.

    Args:
        who: the agent.
        spent: what it has spent when the call begins.
    """

    def __init__(self, who: str, spent: Spent):
        self._who, self._start = who, spent.steps
        self._steps, self._updates = spent.steps, spent.updates
        self._taught, self._idle, self._idle_steps = 0, 0, 0  # iterations with updates, at what rate, and steps at 0

    def note(self, row: Mapping[str, float | int | None]) -> None:
        """Take the row of an iteration."""
        steps, updates = int(row["steps"] or 0), int(row["updates"] or 0)
        if updates > self._updates:
            idle = row.get("lr") == 0
            self._taught, self._idle = self._taught + (not idle), self._idle + idle
            self._idle_steps += idle * (steps - self._steps)
        self._steps, self._updates = steps, updates

    def warn(self, takes: str) -> None:
        """Warn of what taught nothing.

        Args:
            takes: what an update takes, in words.
        """
        took = self._steps - self._start
        if not self._taught + self._idle:
            warn(
                f"{self._who}: {took} environment steps did not suffice for an update, which takes {takes}; what was "
                "collected is kept, and the next call goes on from it"
            )
        elif self._idle > 1 or not self._taught:
            warn(
                f"{self._who}: the learning rate was 0 in {self._idle_steps:,} of the {took:,} environment steps of "
                "this call, which taught nothing: a schedule counts from the agent's step 0 and does not begin again; "
                "to go on, set lr to a number, or to a schedule with steps=… beyond those taken so far"
            )

"""Every: when something that is done every so many steps is due."""

from __future__ import annotations


class Every:
    """Say when so many steps more have been taken since a start; what was due by `now` is past."""

    def __init__(self, period: int | None, start: int, now: int):
        self._period, self._next = period, start + (period or 0)
        self.due(now)

    def due(self, steps: int) -> bool:
        if self._period is None or steps < self._next:
            return False
        while self._next <= steps:
            self._next += self._period
        return True

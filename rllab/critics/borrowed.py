"""Points of one estimator in the place of another's: what is corrected, or fitted, looks where the other does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rllab.estimators.base import Estimator
from rllab.estimators.query import Plan, PointBlock, Query


def plan_of(estimator: Estimator, at: Any) -> Plan:
    """Return what a unit of an estimator costs at these parameters."""
    return estimator.ask(at, estimator.minimum(at), 0).plan


def block_of(estimator: Estimator, query: Query, i: int) -> PointBlock:
    """Return block i as an estimator makes it of another's query."""
    return replace(query, estimator=estimator)[i]

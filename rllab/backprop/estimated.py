"""Estimated: a block of a graph whose gradient comes from its values, while the chain rule goes on around it.

    local        ĝ estimates ∂/∂z of  v · f(z),  v = ∂L/∂f         what follows is linearised: for blocks without jumps
    to cost      ĝ estimates ∂/∂z of  C(f(z), …)                   the block and all that follows, which a graph knows

Everything else is as exact as before: blocks above get their gradients at f(z), those below are given ĝ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from rllab.backprop.explicit import forward
from rllab.backprop.order import Block
from rllab.cost import Cost
from rllab.estimate import Estimate
from rllab.keys import Key

if TYPE_CHECKING:
    from rllab.backprop.graph import Graph

Asked = Callable[..., Estimate]  # (cost, at, *, evaluations, key, state, errors) -> Estimate: an estimator


@dataclass
class Estimated:
    """How one block's gradient is estimated, and what it has cost.

    Attributes:
        ledger: counts evaluations of the block, rows of a batch each.
        last_estimate: that of the last backward pass, one row (d,) for each sample.
    """

    estimator: Asked
    evaluations: int
    key: Key
    scope: Literal["local", "to_cost"]
    ledger: Cost = field(default_factory=lambda: Cost(_nothing))
    state: Any = None
    passes: int = 0
    last_estimate: Estimate | None = None

    def pull(
        self,
        graph: Graph,
        block: Block,
        values: Mapping[str, Tensor],
        wanted: list[str],
        v: Tensor | None,
        flat: Tensor,
    ) -> dict[str, Tensor]:
        """Return the gradient of the average loss in the variables `wanted` that the block reads, through it alone.

        Args:
            values: all variables of the pass.
            v: the gradient that arrives at the block's only output, for the local scope.
        """
        n = len(values[wanted[0]])
        at = torch.cat([values[name].reshape(n, -1) for name in wanted], 1)
        above = [block] if self.scope == "local" else _above(graph, block)
        weights = graph.split(flat)

        def f(points: Tensor) -> Tensor:
            new = _repeated(values, above, len(points) // n) | _cut(points, values, wanted)
            forward(above, new, weights)
            if self.scope == "local":
                assert v is not None
                # (v n) · f: as a cost of each sample, of which L is the mean
                return (new[block.computes[0]].reshape(-1, n, v[0].numel()) * n * v.reshape(n, -1)).sum(-1).reshape(-1)
            return torch.stack([new[name].to(points) for name in graph.costs]).sum(0)

        key = self.key.child("pass", self.passes)
        made = self.estimator(
            self.ledger.over(f), at, evaluations=self.evaluations, key=key, state=self.state, errors=False
        )
        self.passes, self.state, self.last_estimate = self.passes + 1, made.state, made
        assert isinstance(made.gradient, Tensor)
        return _cut(made.gradient / n, values, wanted)


def _above(graph: Graph, block: Block) -> list[Block]:
    """Return the block and those that depend on it."""
    dirty, above = set(block.computes), [block]
    for other in graph.blocks:
        if other is not block and dirty & set(other.reads):
            dirty |= set(other.computes)
            above.append(other)
    return above


def _repeated(values: Mapping[str, Tensor], blocks: list[Block], copies: int) -> dict[str, Tensor]:
    """Return what the blocks read, and the costs, so many times one after the other."""
    names = {name for block in blocks for name in (*block.reads, *block.computes)}
    return {name: t.repeat(copies, *[1] * (t.ndim - 1)) if name in names else t for name, t in values.items()}


def _cut(rows: Tensor, values: Mapping[str, Tensor], wanted: list[str]) -> dict[str, Tensor]:
    """Return rows (…, d) cut into the shapes of the variables that stand beside each other in them."""
    parts = rows.split([math.prod(values[name].shape[1:]) for name in wanted], 1)
    return {name: p.reshape(-1, *values[name].shape[1:]) for name, p in zip(wanted, parts, strict=True)}


def _nothing(points: Tensor) -> Tensor:
    raise AssertionError("a ledger is asked for nothing itself")

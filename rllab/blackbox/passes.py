"""Pass: one forward pass through a black box, and what its backward pass asks about the same rows."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from rllab.batches import as_numbers, brief, check_rows_apart
from rllab.blackbox.asker import Asker
from rllab.blackbox.description import Description
from rllab.cost import Cost
from rllab.estimate import Gradient
from rllab.keys import Key, seeds_for


@dataclass(slots=True)
class Pass:
    """A pass over n rows.

    Args:
        description: the block.
        ledger: what counts its rows, and refuses them over the budget.
        asker: what is asked for a gradient.
        key: of this pass.
        inputs: (n, …) each, detached.
        context: what `downstream` takes besides the outputs, (n, …) each.
    """

    description: Description
    ledger: Cost
    asker: Asker
    key: Key
    inputs: tuple[Tensor, ...]
    context: tuple[Tensor, ...]

    @property
    def rows(self) -> int:
        return self.inputs[0].shape[0]

    def run(self, *, check_rows: bool) -> tuple[Tensor, ...]:
        """Return what the block returns: outputs, or costs (n,), differentiable by what belongs to downstream."""
        local, like = self.description.scope == "local", self._like(self.inputs)
        if self.rows == 0 and not local:
            return (like.new_zeros(0, dtype=_at_least_single(like.dtype)),)
        z, seeds = self.inputs, self._seeds()
        with torch.set_grad_enabled(False):
            if self.description.distribution is not None:
                z = (self.description.drawn_by(z[0]).draw(1, self.key.child("forward"))[0][0], *z[1:])
            outputs = self._paid(z, seeds)
            if check_rows and self.rows > 1:
                self._check_last_row(z, seeds, outputs)
        if local:
            return tuple(t.to(like) for t in outputs)
        costs = self._costs(outputs, self.context)
        return (costs.to(like.device, _at_least_single(like.dtype)) if self.description.scope == "cost" else costs,)

    def pull(self, v: tuple[Tensor, ...], needed: list[int]) -> dict[int, Tensor]:
        """Return the estimated gradient of each needed input, from those that arrive at the results."""
        description, inputs, n = self.description, self.inputs, self.rows
        if n == 0:
            return {i: torch.zeros_like(inputs[i]) for i in needed}
        key = self.key.child("backward")
        factor = None if description.scope == "local" else self._factor(v[0].reshape(n))
        if description.distribution is not None:
            assert factor is not None  # "local" is refused with a distribution
            return {0: self._pull_distribution(key) * factor}
        fixed = [t for i, t in enumerate(inputs) if i not in needed] + list(self.context)
        moved = [inputs[i] for i in needed]
        at = _beside(moved, moved[0], reduce(torch.promote_types, [t.dtype for t in moved]))
        f = self._weighted_outputs(v, needed) if description.scope == "local" else self._costs_at(needed)
        g = self._ask(f, at, key, _beside(fixed, at, _at_least_single(at.dtype)))
        assert isinstance(g, Tensor)
        if factor is not None:
            g = g * factor
        parts = g.split([math.prod(t.shape[1:]) for t in moved], 1)
        return {i: part.reshape(t.shape).to(t.dtype) for i, part, t in zip(needed, parts, moved, strict=True)}

    def _ask(self, f: Callable[..., Tensor], at: Any, key: Key, context: Tensor) -> Gradient:
        cost = self.ledger.over(f, seeded=self.description.seeded, relaxed=self.description.relaxed)
        return self.asker.ask(cost, at, key, context).gradient

    def _pull_distribution(self, key: Key) -> Tensor:
        """Return the gradient of the expected cost, taken through the distribution's parameters to the input."""
        with torch.enable_grad():
            x = self.inputs[0].detach().requires_grad_()
            at = self.description.drawn_by(x)
            moving = {name: t for name, t in at.parameters.items() if t.requires_grad}

        def costs(points: Tensor, seeds: Tensor | None = None) -> Tensor:
            z = (points, *self._copies(self.inputs[1:], len(points)))
            return self._costs(self._evaluate(z, seeds), self._copies(self.context, len(points)))

        fixed = _beside([*self.inputs[1:], *self.context], x, _at_least_single(x.dtype))
        g = self._ask(costs, at.detach(), key, fixed)
        assert isinstance(g, dict)
        return torch.autograd.grad(list(moving.values()), x, [g[name] for name in moving])[0]

    def _costs_at(self, needed: list[int]) -> Callable[..., Tensor]:
        def costs(points: Tensor, seeds: Tensor | None = None) -> Tensor:
            outputs = self._evaluate(self._inputs_at(points, needed), seeds)
            return self._costs(outputs, self._copies(self.context, len(points)))

        return costs

    def _weighted_outputs(self, v: tuple[Tensor, ...], needed: list[int]) -> Callable[..., Tensor]:
        def weighted(points: Tensor, seeds: Tensor | None = None) -> Tensor:
            outputs = self._evaluate(self._inputs_at(points, needed), seeds)
            n = self.rows
            # v · f(x), as wide as it came: however many numbers f returns, its dimension costs nothing
            total = torch.zeros((), device=v[0].device)
            for y, u in zip(outputs, v, strict=True):
                u = u.to(_at_least_single(u.dtype))
                total = total + (y.reshape(-1, n, u[0].numel()) * u.reshape(n, -1)).sum(-1)
            return total.reshape(-1)

        return weighted

    def _inputs_at(self, points: Tensor, needed: list[int]) -> tuple[Tensor, ...]:
        """Return inputs for points (copies · n, d) over the needed ones, the others repeated."""
        moved, start = {}, 0
        for i in needed:
            shape, width = self.inputs[i].shape[1:], self.inputs[i].shape[1:].numel()
            part = points if width == points.shape[1] else points[:, start : start + width]
            moved[i] = part.reshape(-1, *shape).to(self.inputs[i].dtype)
            start += width
        return tuple(moved[i] if i in moved else self._copies((t,), len(points))[0] for i, t in enumerate(self.inputs))

    def _copies(self, tensors: tuple[Tensor, ...], rows: int) -> tuple[Tensor, ...]:
        copies = rows // self.rows
        return tuple(t.detach().repeat(copies, *[1] * (t.ndim - 1)) for t in tensors)

    def _factor(self, v: Tensor) -> Tensor:
        """Return what arrives at every cost, (): costs are averaged or summed, and that may be scaled.

        Whatever is no average shows in rows to which different gradients arrive. In one row, or rows that cost the
        same, it cannot be told from a scaled average, and is taken for one.
        """
        low, high = v.aminmax()
        first = float(high)
        if first - float(low) <= 1e-5 * abs(first):
            return v[0]
        raise ValueError(
            f"{self.description}: the costs of rows may only be averaged or summed afterwards, but the gradient that "
            f"arrives is {[round(x, 6) for x in v[:4].tolist()]}, not the same for every row; put what follows, "
            "weights included, into downstream="
        )

    def _seeds(self) -> Tensor | None:
        return seeds_for(torch.arange(self.rows).numpy(), self.key.child("noise")) if self.description.seeded else None

    def _paid(self, z: tuple[Tensor, ...], seeds: Tensor | None) -> tuple[Tensor, ...]:
        ledger, n = self.ledger, z[0].shape[0]
        ledger.reserve("value", n)
        ledger.spent["value"] += n
        outputs = self._evaluate(z, seeds)
        for t in outputs:
            if not cmath.isfinite(t.sum().item()) and not torch.isfinite(t).all():
                row = int((~torch.isfinite(t)).reshape(n, -1).any(1).nonzero()[0])
                given = next((x[row].tolist() for x in z if not torch.isfinite(x[row]).all()), None)
                source = "" if given is None else f"; nor is what it was given: {given}"
                raise FloatingPointError(
                    f"{self.description}: row {row} of an output is not finite: {t[row].tolist()}{source}"
                )
        return outputs

    def _evaluate(self, z: tuple[Tensor, ...], seeds: Tensor | None) -> tuple[Tensor, ...]:
        """Return the outputs of f as tensors, sample first, as wide as they come; integers only for downstream."""
        description, n, like = self.description, z[0].shape[0], self._like(z)
        self.asker.calls += n
        if description.batched:
            y = description.function(*z) if seeds is None else description.function(*z, seeds)
            outputs = [as_numbers(t) for t in y] if isinstance(y, tuple) else [as_numbers(y)]
        elif n == 0:
            raise ValueError(
                f"{description}: a function of single rows (batched=False) does not say what it returns for 0 rows; "
                "leave empty batches out"
            )
        else:
            arguments = zip(*z, strict=True) if seeds is None else zip(*z, seeds.tolist(), strict=True)
            answers: list[tuple[Any, ...]] = []
            try:
                for row in arguments:
                    y = description.function(*row)
                    answers.append(y if isinstance(y, tuple) else (y,))
            except Exception as error:
                i = len(answers)
                error.add_note(f"{description}: this came up at row {i} of inputs {brief(z[0][i].reshape(-1))}")
                raise
            outputs = [torch.stack([as_numbers(a) for a in column]) for column in zip(*answers, strict=True)]
        for t in outputs:
            if t.ndim == 0 or t.shape[0] != n:
                raise ValueError(
                    f"{description}: function must return {n} rows for {n} rows, got shape {tuple(t.shape)}"
                )
        if description.scope == "to_cost":  # modules that follow have the dtype of the inputs
            return tuple(t.to(like) if t.is_floating_point() else t.to(like.device) for t in outputs)
        self._check_real("function", outputs)
        return tuple(t.to(like.device, t.dtype if t.is_floating_point() else torch.float64) for t in outputs)

    def _check_real(self, who: str, outputs: Iterable[Tensor]) -> None:
        if any(t.is_complex() for t in outputs):
            got = [t.dtype for t in outputs]
            raise TypeError(f"{self.description}: {who} must return real numbers, got {got}; take .real or .abs()")

    @staticmethod
    def _like(z: tuple[Tensor, ...]) -> Tensor:
        """Return the input whose dtype and device outputs have."""
        return next((t for t in z if t.is_floating_point()), z[0])

    def _check_last_row(self, z: tuple[Tensor, ...], seeds: Tensor | None, outputs: tuple[Tensor, ...]) -> None:
        last, seed = tuple(t[-1:] for t in z), None if seeds is None else seeds[-1:]
        self.ledger.reserve("value", 1)
        self.ledger.spent["value"] += 1
        check_rows_apart(f"{self.description}", _last(outputs), lambda: _last(self._evaluate(last, seed)))

    def _costs(self, outputs: tuple[Tensor, ...], context: tuple[Tensor, ...]) -> Tensor:
        """Return one cost a row, (n,)."""
        n, down = outputs[0].shape[0], self.description.downstream
        if down is not None:
            costs: Any = down(*outputs, *context)
            if not isinstance(costs, Tensor) or costs.shape != (n,):
                got = tuple(costs.shape) if isinstance(costs, Tensor) else type(costs).__name__
                raise ValueError(f"{self.description}: downstream must return one cost a row, ({n},), got {got}")
            self._check_real("downstream", [costs])
            return costs
        if len(outputs) != 1 or outputs[0].numel() != n:
            got = [tuple(t.shape) for t in outputs]
            raise ValueError(f"{self.description}: in scope 'cost' function must return one cost a row, got {got}")
        return outputs[0].reshape(n)


HALF = (torch.float16, torch.bfloat16)


def _at_least_single(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in HALF else dtype


def without_autocast(device: str) -> AbstractContextManager[Any]:
    """Compute in the precision that is asked for: differences of costs in half precision are mostly rounding."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


def _beside(tensors: list[Tensor], like: Tensor, dtype: torch.dtype) -> Tensor:
    """Return tensors (n, …) flattened, one beside the other, (n, d), on the device of `like`."""
    parts = [t.detach().reshape(like.shape[0], -1).to(like.device, dtype) for t in tensors]
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts, 1) if parts else like.new_empty(like.shape[0], 0, dtype=dtype)


def _last(outputs: tuple[Tensor, ...]) -> Tensor:
    """Return the numbers of the last row of all outputs, (1, m)."""
    rows = [torch.view_as_real(t[-1:]) if t.is_complex() else t[-1] for t in outputs]
    return torch.cat([t.double().reshape(1, -1) for t in rows], 1)

"""Cost: a black box C that is counted, checked, and refuses to go over its budget. Cost is minimised, always.

Whatever a method learns about C it learns through this wrapper, so `spent` is the whole bill: warm-up, baselines and
failed evaluations included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Spending = Literal["value", "gradient", "jvp", "steps"]


class BudgetExceeded(RuntimeError):
    """A request would have spent more than the cost's budget; nothing of it was evaluated."""


class Cost:
    """Wrap a function of parameters as a counted black box.

    Args:
        function: maps points (n, d) to costs (n,); with `batched=False` one point (d,) to one number; with
            `seeded=True` it takes a second argument, int64 seeds (n,) or one int, that fixes its own randomness.
        budget: the largest number of evaluations, values and gradients together; None for no limit.
        gradient: maps points (n, d) to gradients (n, d), with seeds if `seeded`; without it, autograd of `function`.
        nonfinite: "raise", or the number that stands for a NaN or infinite cost (a penalty).

    Attributes:
        spent: evaluations so far by kind: "value", "gradient", "jvp", and "steps" of a simulator if it reports them.
    """

    def __init__(
        self,
        function: Callable[..., object],
        budget: int | None = None,
        *,
        batched: bool = True,
        seeded: bool = False,
        gradient: Callable[..., object] | None = None,
        nonfinite: Literal["raise"] | float = "raise",
    ):
        if not callable(function):
            raise TypeError(f"Cost: function must be callable, got {function!r}")
        if budget is not None and budget < 1:
            raise ValueError(f"Cost: budget must be >= 1 or None, got {budget}")
        if nonfinite != "raise" and not (isinstance(nonfinite, (int, float)) and math.isfinite(nonfinite)):
            raise ValueError(f'Cost: nonfinite must be "raise" or a finite number, got {nonfinite!r}')
        self.function, self.budget, self.batched, self.seeded = function, budget, batched, seeded
        self.nonfinite = nonfinite
        self.spent: dict[Spending, int] = {"value": 0, "gradient": 0, "jvp": 0, "steps": 0}
        self._gradient = gradient

    @property
    def evaluations(self) -> int:
        """How many values were asked for so far."""
        return self.spent["value"]

    def reserve(self, what: Spending, n: int) -> None:
        """Check that `n` more evaluations fit the budget, before any of them is made.

        Raises:
            BudgetExceeded: if they do not; nothing is spent.
        """
        if self.budget is None:
            return
        used = self.spent["value"] + self.spent["gradient"] + self.spent["jvp"]
        if used + n > self.budget:
            raise BudgetExceeded(
                f"Cost: {n} more {what} evaluations do not fit: {used} of the budget of {self.budget} are spent"
            )

    def __call__(self, points: Tensor, seeds: Tensor | None = None) -> Tensor:
        """Evaluate points (n, d); return costs (n,), detached. Costs n evaluations.

        Raises:
            BudgetExceeded: before anything is evaluated.
            ValueError: if the function returns another shape.
            FloatingPointError: on a NaN or infinite cost under `nonfinite="raise"`, naming evaluation and point.
        """
        first, n = self._charge("value", points, seeds), points.shape[0]
        with torch.no_grad():
            if self.batched:
                y = self.function(points, seeds) if self.seeded else self.function(points)
                if not isinstance(y, Tensor):
                    y = torch.as_tensor(y)
            else:
                y = self._one_by_one(points, seeds)
        if y.shape != (n,):
            raise ValueError(
                f"Cost: function must return ({n},) costs for ({n}, {points.shape[1]}) points, got {tuple(y.shape)}"
            )
        if y.dtype != points.dtype or y.device != points.device:
            y = y.to(points)
        # NaN and infinity survive summation; a finite batch whose sum overflows is cleared by the second look.
        if not math.isfinite(y.sum().item()) and not torch.isfinite(y).all():
            y = self._replace_nonfinite(y, points, first)
        return y

    def gradient(self, points: Tensor, seeds: Tensor | None = None) -> Tensor:
        """Evaluate ∇C at points (n, d); return (n, d), detached. Costs n gradient evaluations."""
        first = self._charge("gradient", points, seeds)
        arguments = (points, seeds) if self.seeded else (points,)
        if self._gradient is not None:
            with torch.no_grad():
                g = torch.as_tensor(self._gradient(*arguments)).to(points)
        else:
            with torch.enable_grad():
                x = points.detach().requires_grad_()
                y = torch.as_tensor(self.function(x, *arguments[1:]))
                if not y.requires_grad:
                    raise TypeError("Cost: function is not differentiable by autograd; pass gradient=")
                (g,) = torch.autograd.grad(y.sum(), x)
        if g.shape != points.shape:
            raise ValueError(f"Cost: gradient must return {tuple(points.shape)}, got {tuple(g.shape)}")
        bad = ~torch.isfinite(g).all(-1)
        if bad.any():
            i = int(bad.nonzero()[0])
            raise FloatingPointError(f"Cost: gradient {first + i} is not finite at point {_brief(points[i])}")
        return g.detach()

    def _charge(self, what: Spending, points: Tensor, seeds: Tensor | None) -> int:
        if points.ndim != 2:
            raise ValueError(f"Cost: points must be (n, d), got {tuple(points.shape)}")
        n = points.shape[0]
        if self.seeded and (seeds is None or seeds.shape != (n,)):
            got = None if seeds is None else tuple(seeds.shape)
            raise ValueError(f"Cost: a seeded cost needs seeds of shape ({n},), got {got}")
        if self.budget is not None:
            self.reserve(what, n)
        first = self.spent[what]
        self.spent[what] = first + n  # before the call: an evaluation that crashes was still made
        return first

    def _one_by_one(self, points: Tensor, seeds: Tensor | None) -> Tensor:
        y = torch.empty(points.shape[0], dtype=points.dtype, device=points.device)
        for i, point in enumerate(points):
            arguments = (point, int(seeds[i])) if self.seeded and seeds is not None else (point,)
            y[i] = torch.as_tensor(self.function(*arguments))
        return y

    def _replace_nonfinite(self, y: Tensor, points: Tensor, first: int) -> Tensor:
        finite = torch.isfinite(y)
        if self.nonfinite == "raise":
            i = int((~finite).nonzero()[0])
            raise FloatingPointError(
                f"Cost: evaluation {first + i} is {y[i].item()} at point {_brief(points[i])}; "
                "pass nonfinite=<number> to score such points instead"
            )
        return torch.where(finite, y, torch.full_like(y, float(self.nonfinite)))


def _brief(point: Tensor) -> str:
    shown = ", ".join(f"{v:.6g}" for v in point[:6].tolist())
    return f"[{shown}{', …' if point.numel() > 6 else ''}]"

"""Cost: a black box C that is counted, checked, and refuses to go over its budget. Cost is minimised, always.

Whatever a method learns about C it learns through this wrapper, so `spent` is the whole bill: warm-up, baselines and
failed evaluations included. Five things may be asked at a point x, each counted under its own name:

    value                C(x)                           what a black box can do
    gradient             ∇C(x)                          by autograd, or as given
    value_and_gradient   both                           one gradient; and one value, if the gradient is a given function
    jvp                  C(x) and ∇C(x)·v               by forward-mode differentiation, or as given
    complex              C(x), x complex                the cost continued into the complex plane
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad

from rllab.arrays import wider
from rllab.batches import as_numbers, check_rows_apart, cure_for
from rllab.checks import as_count

Request = Literal["value", "gradient", "value_and_gradient", "jvp", "complex"]  # what may be asked at a point
Spending = Literal["value", "gradient", "jvp", "complex"]  # under what name it is counted


class BudgetExceeded(RuntimeError):
    """A request would have spent more than the cost's budget; nothing of it was evaluated.

    Example:
        import torch
        from rllab import BudgetExceeded, Cost

        try:
            Cost(lambda x: x.square().sum(-1), budget=4)(torch.ones(5, 3))
        except BudgetExceeded as error:
            print(error)
    """


class Cost:
    """Wrap a function of parameters as a counted black box.

    Args:
        function: maps points (n, d) to costs (n,); with `batched=False` one point (d,) to one number; with
            `seeded=True` it takes a last argument, int64 seeds (n,) or one int, that fixes its own randomness.
        budget: the largest number of evaluations, of all kinds together; None for no limit.
        gradient: maps points (n, d) to gradients (n, d), or one point to one gradient, with seeds if `seeded`; without
            it, autograd of `function`.
        jvp: maps points and tangents, both (n, d), or one of each, to costs and derivatives along the tangents, with
            seeds if `seeded`; without it, forward-mode differentiation of `function`.
        relaxed: whether the function of bits or choices is also one of points between them, so that methods which relax
            discrete samples may evaluate and differentiate it there.
        nonfinite: "raise", or the number that stands for a NaN or infinite cost (a penalty). Derivatives that are not
            finite always raise.
        noisy: whether the function draws noise that no seed fixes; the same point may then cost something else next
            time, and rows are not checked.
        check_rows: whether the last row of the first batch is evaluated once more, alone, so that a function whose rows
            depend on each other (a mean over the batch, `c @ w`) is refused.

    Attributes:
        spent: evaluations so far by kind: "value", "gradient", "jvp" and "complex".
        checks: evaluations of the look at its rows, and of tries at one point; counted apart, and not in the budget.

    Raises:
        TypeError: `function` is not callable, or `budget` no number.
        ValueError: `budget` is not whole or below 1, or `nonfinite` is neither "raise" nor a finite number.

    Example:
        import torch
        from rllab import Cost

        cost = Cost(lambda x: x.square().sum(-1), budget=1000)
        cost(torch.ones(5, 3)), cost.spent["value"]  # five costs, five evaluations
    """

    def __init__(
        self,
        function: Callable[..., object],
        budget: int | None = None,
        *,
        batched: bool = True,
        seeded: bool = False,
        gradient: Callable[..., object] | None = None,
        jvp: Callable[..., Any] | None = None,
        relaxed: bool = False,
        nonfinite: Literal["raise"] | float = "raise",
        noisy: bool = False,
        check_rows: bool = True,
    ):
        if not callable(function):
            raise TypeError(f"Cost: function must be callable, got {function!r}")
        if budget is not None:
            budget = as_count("Cost", "budget", budget)
        if nonfinite != "raise" and not (isinstance(nonfinite, (int, float)) and math.isfinite(nonfinite)):
            raise ValueError(f'Cost: nonfinite must be "raise" or a finite number, got {nonfinite!r}')
        self.function, self.budget, self.batched, self.seeded = function, budget, batched, seeded
        self.relaxed, self.nonfinite = relaxed, nonfinite
        self.spent: dict[Spending, int] = {"value": 0, "gradient": 0, "jvp": 0, "complex": 0}
        self._gradient, self._jvp = gradient, jvp
        self.checks = 0
        self._is_new = batched  # until the first batch has been looked at
        self._check_rows = check_rows and not noisy

    @property
    def value_is_extra(self) -> bool:
        """Whether a value beside a gradient is an evaluation of its own: the gradient is a given function."""
        return self._gradient is not None

    @property
    def evaluations(self) -> int:
        """How many values were asked for so far."""
        return self.spent["value"]

    @property
    def evaluated(self) -> int:
        """How many evaluations of all kinds were made so far."""
        return sum(self.spent.values())

    def over(self, function: Callable[..., object], *, seeded: bool | None = None) -> Cost:
        """Return a batched cost of another function that is counted in, and limited by, the same ledger as this one."""
        seeded = self.seeded if seeded is None else seeded
        other = Cost(function, self.budget, seeded=seeded, check_rows=False)
        other.spent, other.nonfinite = self.spent, self.nonfinite
        return other

    def price(self, what: Request, n: int) -> int:
        """Return how many evaluations `n` requests are: twice as many where a value comes beside a given gradient."""
        return 2 * n if what == "value_and_gradient" and self.value_is_extra else n

    def reserve(self, what: Request, n: int) -> None:
        """Check that `n` more evaluations fit the budget, before any of them is made.

        Raises:
            BudgetExceeded: if they do not; nothing is spent.
        """
        if self.budget is None:
            return
        n, used = self.price(what, n), self.evaluated
        if used + n > self.budget:
            raise BudgetExceeded(
                f"Cost: {n} more {what} evaluations do not fit: {used} of the budget of {self.budget} are spent"
            )

    def __call__(self, points: Tensor, seeds: Tensor | None = None) -> Tensor:
        """Evaluate points (n, d); return costs (n,), detached. Costs n evaluations.

        They have the dtype of the points or that of what the function returned, whichever is wider: costs are narrowed
        by nobody before they are differenced. Integers become float64.

        Raises:
            BudgetExceeded: before anything is evaluated.
            ValueError: if the function returns another shape.
            FloatingPointError: on a NaN or infinite cost under `nonfinite="raise"`, naming evaluation and point.
        """
        if isinstance(points, Tensor) and points.is_complex():
            raise TypeError("Cost: points must be real; ask Cost.complex for values at complex points")
        first = self._charge("value", points, seeds)
        with torch.set_grad_enabled(False):  # no_grad at half its price, which shows in small estimates
            if self._is_new:
                return self._first_values(points, seeds, first)
            y = self._evaluate(points, seeds)
        return self._checked(y, points, first)

    def complex(self, points: Tensor, seeds: Tensor | None = None) -> Tensor:
        """Evaluate complex points (n, d); return complex costs (n,), detached. Costs n complex evaluations.

        What comes back is a continuation of C only if the function is analytic: no abs, max, comparison or cast.

        Raises:
            TypeError: if the function returns real numbers: it cannot be analytic.
        """
        if isinstance(points, Tensor) and not points.is_complex():
            raise TypeError(f"Cost.complex: points must be complex, got {points.dtype}")
        first = self._charge("complex", points, seeds)
        with torch.no_grad(), _hint("evaluating a complex point: function must be analytic in complex arithmetic"):
            y = self._evaluate(points, seeds)
        return self._checked(y, points, first)

    def gradient(self, points: Tensor, seeds: Tensor | None = None) -> Tensor:
        """Evaluate ∇C at points (n, d); return (n, d), detached. Costs n gradient evaluations.

        Raises:
            TypeError: if no gradient is given and autograd cannot follow the function.
            FloatingPointError: if a gradient is not finite, naming evaluation and point.
        """
        first = self._charge("gradient", points, seeds)
        if self._gradient is None:
            return self._backward(points, seeds, first)[1]
        with torch.no_grad():
            g = self._run(self._gradient, seeds, points) if len(points) else points.clone()
        return _checked_derivative("gradient", g.to(points), points.shape, points, first)

    def value_and_gradient(self, points: Tensor, seeds: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Evaluate C and ∇C at points (n, d); return (n,) and (n, d). Costs n gradient evaluations.

        With a given gradient function it costs n values too; by autograd the value is the forward half of a gradient.
        """
        self.reserve("value_and_gradient", points.shape[0])
        if self.value_is_extra:
            return self(points.clone(), seeds), self.gradient(points, seeds)  # a function may write into its points
        first = self._charge("gradient", points, seeds)
        return self._backward(points, seeds, first)

    def jvp(self, points: Tensor, tangents: Tensor, seeds: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Evaluate C and ∇C·v at points and tangents v, (n, d) both; return (n,) and (n,). Costs n jvp evaluations.

        Raises:
            TypeError: if no jvp is given and forward-mode differentiation cannot follow the function.
            FloatingPointError: if a derivative is not finite, naming evaluation and point.
        """
        if tangents.shape != points.shape:
            raise ValueError(f"Cost: tangents must be {tuple(points.shape)} like points, got {tuple(tangents.shape)}")
        first = self._charge("jvp", points, seeds)
        if self._jvp is not None and len(points):
            with torch.no_grad():
                y, dy = self._run(self._jvp, seeds, points, tangents)
        else:
            doing = "differentiating function; pass jvp= if torch cannot"
            with torch.inference_mode(False), torch.no_grad(), forward_ad.dual_level(), _hint(doing):
                dual = forward_ad.make_dual(points.clone(), tangents.clone())  # a function may write into both
                y, dy = forward_ad.unpack_dual(self._evaluate(dual, seeds))
            if dy is None:
                raise TypeError("Cost: function is not differentiable in forward mode; pass jvp=")
        y = self._checked(y, points, first)
        return y, _checked_derivative("jvp", dy.to(points), y.shape, points, first)

    def _charge(self, what: Spending, points: Tensor, seeds: Tensor | None) -> int:
        if not isinstance(points, Tensor) or points.ndim != 2:
            if not isinstance(points, Tensor):
                raise TypeError(f"Cost: points must be a tensor (n, d), got {type(points).__name__}")
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

    def _evaluate(self, points: Tensor, seeds: Tensor | None) -> Tensor:
        if self.batched and points.shape[0]:  # the one call that is made thousands of times a second
            return as_numbers(self.function(points, seeds) if self.seeded else self.function(points), "Cost")
        return self._run(self.function, seeds, points)

    def _first_values(self, points: Tensor, seeds: Tensor | None, first: int) -> Tensor:
        """Evaluate the first batch, and look whether the function takes many points and keeps them apart."""
        kept = points.clone()  # a function may write into its points
        try:
            y = self._checked(self._evaluate(points, seeds), points, first)
        except FloatingPointError:
            raise
        except Exception as error:
            tried, cure = cure_for(self.function, kept, seeds)
            self.checks += tried
            if not cure:
                raise
            raise TypeError(f"Cost: function must map {tuple(kept.shape)} points to costs: {cure}") from error
        self._look_at_rows(kept, seeds, y)
        return y

    def _look_at_rows(self, points: Tensor, seeds: Tensor | None, y: Tensor) -> None:
        """Refuse a function whose last row costs something else alone."""
        if len(points) > 1:
            self._is_new = False
            if self._check_rows:
                self.checks += 1
                seed = None if seeds is None else seeds[-1:]
                check_rows_apart("Cost", y[-1:], lambda: self._evaluate(points[-1:], seed))

    def _run(self, function: Callable[..., Any], seeds: Tensor | None, *inputs: Tensor) -> Any:
        """Call a batched function once, any other point by point; return a tensor, or a tuple of them.

        Where there are no points, nothing is called.
        """
        if not len(inputs[0]):
            return inputs[0].sum(-1)  # no costs, which autograd can follow
        if self.batched:
            y = function(*inputs, seeds) if self.seeded else function(*inputs)
            return tuple(as_numbers(part, "Cost") for part in y) if isinstance(y, tuple) else as_numbers(y, "Cost")
        rows = zip(*inputs, *([seeds.tolist()] if self.seeded and seeds is not None else []), strict=True)
        answers = [function(*row) for row in rows]
        if answers and isinstance(answers[0], tuple):
            columns = zip(*answers, strict=True)
            return tuple(torch.stack([as_numbers(a, "Cost") for a in column]) for column in columns)
        return torch.stack([as_numbers(a, "Cost") for a in answers])

    def _backward(self, points: Tensor, seeds: Tensor | None, first: int) -> tuple[Tensor, Tensor]:
        doing = "differentiating function by autograd; pass gradient= if torch cannot"
        with torch.inference_mode(False), torch.enable_grad(), _hint(doing):
            x = (points.clone() if points.is_inference() else points.detach()).requires_grad_()
            y = self._evaluate(x, seeds)
            g = torch.autograd.grad(y.sum(), x, allow_unused=True)[0] if y.requires_grad else None
        if g is None:
            raise TypeError("Cost: function is not differentiable by autograd; pass gradient=")
        y = self._checked(y.detach(), points, first)
        if self._is_new:
            with torch.no_grad():
                self._look_at_rows(points, seeds, y)
        return y, _checked_derivative("gradient", g, points.shape, points, first)

    def _checked(self, y: Tensor, points: Tensor, first: int) -> Tensor:
        n, d = points.shape
        if y.requires_grad:  # a parameter returned as it is
            y = y.detach()
        if y.shape != (n,):
            raise ValueError(f"Cost: function must return ({n},) costs for ({n}, {d}) points, got {tuple(y.shape)}")
        if y.dtype != points.dtype or y.device != points.device or not y.dtype.is_floating_point:
            if y.is_complex() != points.is_complex():
                given, got = ("complex", "real") if points.is_complex() else ("real", "complex")
                raise TypeError(f"Cost: function must return {given} costs for {given} points, got {got} ones")
            y = y.to(points.device, wider(y.dtype, points.dtype))
        # NaN and infinity survive summation; a finite batch whose sum overflows is cleared by the second look.
        if not cmath.isfinite(y.sum().item()) and not torch.isfinite(y).all():
            y = self._replace_nonfinite(y, points, first)
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


def _checked_derivative(what: str, dy: Tensor, shape: torch.Size, points: Tensor, first: int) -> Tensor:
    if dy.shape != shape:
        raise ValueError(f"Cost: {what} must return {tuple(shape)}, got {tuple(dy.shape)}")
    if not math.isfinite(dy.sum().item()):
        bad = ~torch.isfinite(dy).reshape(len(dy), -1).all(-1)
        if bad.any():
            i = int(bad.nonzero()[0])
            raise FloatingPointError(f"Cost: {what} {first + i} is not finite at point {_brief(points[i])}")
    return dy.detach()


@contextmanager
def _hint(doing: str) -> Iterator[None]:
    """Say in an error of the user's function what the lab was doing with it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"Cost: this came up while {doing}")
        raise


def _brief(point: Tensor) -> str:
    shown = ", ".join(f"{v:.6g}" for v in point[:6].tolist())
    return f"[{shown}{', …' if point.numel() > 6 else ''}]"

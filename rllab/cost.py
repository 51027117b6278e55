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

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from rllab.batches import FiniteCosts, as_numbers, check_rows_apart, checked_derivative, cure_for, note_where
from rllab.checks import as_count
from rllab.executors.calls import Recipe
from rllab.executors.dispatch import Dispatcher
from rllab.executors.elsewhere import Elsewhere
from rllab.executors.errors import ExecutorError
from rllab.executors.function import Function, What
from rllab.executors.jobs import Executor

Request = Literal["value", "gradient", "value_and_gradient", "jvp", "complex"]  # what may be asked at a point
Spending = Literal["value", "gradient", "jvp", "complex"]  # under what name it is counted
AnArray = TypeVar("AnArray", Tensor, np.ndarray)


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
        function: maps points (n, d), a torch tensor (`.numpy()` makes an array of it), to costs (n,); with
            `batched=False` one point (d,) to one number; with `seeded=True` it takes a last argument, int64 seeds (n,)
            or one int from 0 to 2⁶³ − 1, that fixes its randomness; `numpy.random.RandomState` takes `seed % 2**32`.
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
            depend on each other (a mean over the batch, `c @ w`) is refused. With an executor, the last two rows are
            evaluated together once more, too.
        executor: where points are evaluated. None for this process; a number of own workers, processes of one thread
            each, which are killed and replaced when they die or take too long (see `executors.Workers`); a
            `RayExecutor`; anything with the `submit` of `concurrent.futures`; or a function without arguments that
            makes one, so that a pool that broke can be made anew. What is sent is the function, once or with each
            chunk, and its points, on the CPU, or how they are made, if that is less.
        chunk: how many points are sent at a time; "auto" for at least 20 ms of work, measured on the first ones. For a
            function of one point (`batched=False`) costs are the same bits whatever the executor, the order and the
            retries. One of many points may round otherwise in a batch of another size: its costs are the same bits
            everywhere, executor=None included, for a `chunk` that is a number.
        timeout: seconds that an evaluation may take, or all those of an "auto" chunk; whoever is not done is lost. Own
            workers, and Ray's, are ended then. Another executor cannot be stopped: it is given up when nothing has come
            from it for so long; the late result is discarded, and a RuntimeWarning says that its worker is lost.
        retries: how often an evaluation is made again that was lost with its worker or by its time-out; what the
            function itself raises is an error at once. After a pool broke, or an "auto" chunk was lost, it is not known
            who was the cause; an evaluation is given up only at a loss that it alone can be the cause of.
        on_failure: "raise", or the number that stands for a cost that was given up. Derivatives always raise.

    Attributes:
        spent: evaluations so far by kind: "value", "gradient", "jvp" and "complex". A block of points counts when it is
            asked for; every attempt counts, also that of whoever was lost with a pool.
        repeated: how many of these were made again after a loss.
        checks: evaluations of the look at its rows, and of tries at one point; counted apart, and not in the budget.

    Raises:
        TypeError: `function` is not callable, `executor` nothing of the kind above, or `budget` no number.
        ValueError: `budget` is not whole or below 1, or another number is not in its range; or there are `timeout`,
            `retries` or `on_failure` without an executor.

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
        executor: Executor | None = None,
        chunk: int | Literal["auto"] = "auto",
        timeout: float | None = None,
        retries: int = 1,
        on_failure: Literal["raise"] | float = "raise",
    ):
        if not callable(function):
            raise TypeError(f"Cost: function must be callable, got {function!r}")
        if budget is not None:
            budget = as_count("Cost", "budget", budget)
        self._checked = FiniteCosts(nonfinite)
        self.function, self.budget, self.batched, self.seeded, self.relaxed = function, budget, batched, seeded, relaxed
        self.spent: dict[Spending, int] = {"value": 0, "gradient": 0, "jvp": 0, "complex": 0}
        self._gradient, self._jvp = gradient, jvp
        self.checks = self.repeated = 0
        elsewhere = Elsewhere(Dispatcher(executor, chunk, timeout, retries), on_failure)
        self._elsewhere = None if executor is None and chunk == "auto" else elsewhere
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

    @property
    def is_elsewhere(self) -> bool:
        """Whether evaluations are given to an executor, and may be under way while the next ones are prepared."""
        return self._elsewhere is not None

    @property
    def replaced(self) -> int:
        """How many costs were NaN or infinite, for which `nonfinite` stands."""
        return self._checked.replaced

    @property
    def lost(self) -> int:
        """How many evaluations were given up, for which `on_failure` stands."""
        return 0 if self._elsewhere is None else self._elsewhere.lost

    def over(self, function: Callable[..., object], *, seeded: bool | None = None, relaxed: bool = False) -> Cost:
        """Return a batched cost of another function that is counted in, and limited by, the same ledger as this one.

        It is evaluated in this process.
        """
        seeded = self.seeded if seeded is None else seeded
        other = Cost(function, self.budget, seeded=seeded, relaxed=relaxed, check_rows=False)
        other.spent, other._checked = self.spent, self._checked
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

    def __call__(self, points: AnArray, seeds: Tensor | None = None) -> AnArray:
        """Evaluate points (n, d); return costs (n,), detached. Costs n evaluations.

        They have the dtype of the points or that of what the function returned, whichever is wider: costs are narrowed
        by nobody before they are differenced. Integers become float64. For an array of points an array is returned.

        Raises:
            BudgetExceeded: before anything is evaluated.
            ValueError: if the function returns another shape.
            FloatingPointError: on a NaN or infinite cost under `nonfinite="raise"`, naming evaluation and point.
        """
        if isinstance(points, np.ndarray):
            return self(torch.from_numpy(points.copy()), seeds).numpy()
        if isinstance(points, Tensor) and points.is_complex():
            raise TypeError("Cost: points must be real; ask Cost.complex for values at complex points")
        if self._elsewhere is not None:
            return self.begin("value", points, seeds=seeds)()
        first = self._charge("value", points, seeds)
        with torch.set_grad_enabled(False):  # no_grad at half its price, which shows in small estimates
            if self._is_new:
                return self._first_values(lambda: self._evaluate(points, seeds, first), points.clone(), seeds, first)
            y = self._evaluate(points, seeds, first)
        return self._checked(y, points, first)

    def complex(self, points: Tensor, seeds: Tensor | None = None) -> Tensor:
        """Evaluate complex points (n, d); return complex costs (n,), detached. Costs n complex evaluations.

        What comes back is a continuation of C only if the function is analytic: no abs, max, comparison or cast.

        Raises:
            TypeError: if the function returns real numbers: it cannot be analytic.
        """
        if isinstance(points, Tensor) and not points.is_complex():
            raise TypeError(f"Cost.complex: points must be complex, got {points.dtype}")
        return self.begin("complex", points, seeds=seeds)()

    def gradient(self, points: AnArray, seeds: Tensor | None = None) -> AnArray:
        """Evaluate ∇C at points (n, d); return (n, d), detached. Costs n gradient evaluations.

        Raises:
            TypeError: if no gradient is given and autograd cannot follow the function.
            FloatingPointError: if a gradient is not finite, naming evaluation and point.
        """
        if isinstance(points, np.ndarray):
            return self.gradient(torch.from_numpy(points.copy()), seeds).numpy()
        return self.begin("gradient", points, seeds=seeds)()

    def value_and_gradient(self, points: Tensor, seeds: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Evaluate C and ∇C at points (n, d); return (n,) and (n, d). Costs n gradient evaluations.

        With a given gradient function it costs n values too; by autograd the value is the forward half of a gradient.
        """
        return self.begin("value_and_gradient", points, seeds=seeds)()

    def jvp(self, points: Tensor, tangents: Tensor, seeds: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Evaluate C and ∇C·v at points and tangents v, (n, d) both; return (n,) and (n,). Costs n jvp evaluations.

        Raises:
            TypeError: if no jvp is given and forward-mode differentiation cannot follow the function.
            FloatingPointError: if a derivative is not finite, naming evaluation and point.
        """
        if tangents.shape != points.shape:
            raise ValueError(f"Cost: tangents must be {tuple(points.shape)} like points, got {tuple(tangents.shape)}")
        return self.begin("jvp", points, tangents, seeds)()

    def begin(
        self,
        kind: Request,
        points: Tensor,
        tangents: Tensor | None = None,
        seeds: Tensor | None = None,
        recipe: tuple[Recipe, int] | None = None,
    ) -> Callable[[], Any]:
        """Begin to evaluate points (n, d); return a function that waits for what is asked, and returns it.

        They are counted now. With an executor several may be under way at a time, to be waited for in their order; in
        this process they are evaluated at once.

        Args:
            kind: "value" for what calling the cost returns, or the name of another of its methods.
            tangents: for "jvp".
            recipe: makes the same points, tangents and seeds elsewhere, and of which block they are: it is sent in
                their place where that is less. One and the same for all blocks of a query is sent to a worker once.

        Raises:
            BudgetExceeded: before anything is evaluated.
        """
        what: What = "backward"
        if kind == "value_and_gradient":
            self.reserve(kind, points.shape[0])
            if self.value_is_extra:  # a function may write into its points
                value = self.begin("value", points.clone(), seeds=seeds)
                gradient = self.begin("gradient", points, seeds=seeds)
                return lambda: (value(), gradient())
        elif kind != "gradient":
            what = "values" if kind == "value" else "complex" if kind == "complex" else "forward"
        elif self._gradient is not None:
            what = "gradients"
        spending: Spending = "gradient" if kind == "value_and_gradient" else kind
        first = self._charge(spending, points, seeds)
        kept = points.clone() if self._is_new else points  # a function may write into its points
        if self._elsewhere is None or not len(points):
            parts = self._function(first).answer(what, points, tangents, seeds)
            return lambda: self._finished(kind, parts, kept, seeds, first)
        again = partial(self._charge_again, spending)
        wait = self._elsewhere.begin(self._function(), what, points, tangents, seeds, first, again, recipe)
        if kind == "value" and self._is_new:
            return lambda: self._first_values(lambda: wait()[0], kept, seeds, first)
        return lambda: self._finished(kind, wait(), kept, seeds, first)

    def abandon(self) -> None:
        """Forget evaluations that were begun and are not waited for; those that have not begun are cancelled."""
        if self._elsewhere is not None:
            self._elsewhere.abandon()

    def close(self) -> None:
        """End own workers, or the executor that was made by a function; without it they end with this object."""
        if self._elsewhere is not None:
            self._elsewhere.close()

    def _finished(
        self, kind: Request, parts: tuple[Tensor, ...], points: Tensor, seeds: Tensor | None, first: int
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Check what came back, and return what was asked."""
        if kind == "gradient" and self._gradient is not None:
            return checked_derivative("gradient", parts[0], points.shape, points, first)
        y = self._checked(parts[0], points, first)
        if kind in ("value", "complex"):
            return y
        if kind == "jvp":
            return y, checked_derivative("jvp", parts[1], y.shape, points, first)
        if self._is_new:
            with torch.no_grad():
                self._look_at_rows(points, seeds, y)
        g = checked_derivative("gradient", parts[1], points.shape, points, first)
        return g if kind == "gradient" else (y, g)

    def _charge(self, what: Spending, points: Tensor, seeds: Tensor | None) -> int:
        if not isinstance(points, Tensor):
            raise TypeError(f"Cost: points must be a tensor (n, d), got {type(points).__name__}")
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

    def _charge_again(self, what: Spending, n: int) -> None:
        self.reserve(what, n)
        self.spent[what] += n
        self.repeated += n

    def _evaluate(self, points: Tensor, seeds: Tensor | None, first: int) -> Tensor:
        if self._elsewhere is not None and points.shape[0]:
            return self._elsewhere.begin(self._function(), "values", points, None, seeds, first, None)()[0]
        if self.batched and points.shape[0]:  # the one call that is made thousands of times a second
            try:
                return as_numbers(self.function(points, seeds) if self.seeded else self.function(points), "Cost")
            except Exception as error:
                note_where(error, first, points, None)
                raise
        return self._function(first).values(points, seeds)

    def _first_values(self, evaluate: Callable[[], Tensor], points: Tensor, seeds: Tensor | None, first: int) -> Tensor:
        """Evaluate the first batch, and look whether the function takes many points and keeps them apart."""
        try:
            y = self._checked(evaluate(), points, first)
        except (FloatingPointError, BudgetExceeded, ExecutorError):
            raise
        except Exception as error:
            run = self.function if self._elsewhere is None else partial(self._elsewhere.one, self.function)
            tried, cure = cure_for(self.function, run, points, seeds if self.seeded else None, error)
            self.checks += tried
            if not cure:
                raise
            raise TypeError(f"Cost: function must map {tuple(points.shape)} points to costs: {cure}") from error
        self._look_at_rows(points, seeds, y)
        return y

    def _look_at_rows(self, points: Tensor, seeds: Tensor | None, y: Tensor) -> None:
        """Refuse a function whose last row costs something else alone."""
        if len(points) > 1:
            self._is_new = False
            if self._check_rows:
                self.checks += 1
                among = y[-1:]
                if self._elsewhere is not None:  # where it may have been alone in its chunk
                    self.checks += 2
                    among = self._last_values(2, points, seeds)[-1:]
                check_rows_apart("Cost", among, lambda: self._last_values(1, points, seeds))

    def _last_values(self, n: int, points: Tensor, seeds: Tensor | None) -> Tensor:
        y = self._evaluate(points[-n:], None if seeds is None else seeds[-n:], 0)
        return FiniteCosts(self._checked.nonfinite)(y, points[-n:], 0)  # counted apart

    def _function(self, first: int | None = None) -> Function:
        return Function(self.function, self.batched, self.seeded, self._gradient, self._jvp, first)

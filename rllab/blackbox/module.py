"""BlackBox: any function as a block of a torch graph, its gradient estimated in whatever way the user chose.

    ∂L/∂w = ĝ · ∂x/∂w      ĝ estimates ∂/∂x of      v · f(x)     local: what follows is linearised at f(x), v = ∂L/∂f
                                                    C(x)         cost: the block is one cost a row
                                                    c(f(x))      to cost: the block and all that follows, c

The network before the block is differentiated exactly, only the block is not. The rest of backpropagation is linear in
ĝ, so an unbiased ĝ makes ∂L/∂w unbiased. Where f jumps, the local form is wrong at every radius if what follows is not
linear, even in sign: it takes v where f is, not where the jump leads. It is for blocks that are declared smooth.

Sources: LeCun (2020), NYU Deep Learning, week 2 (a cost that only returns numbers); Schulman, Heess, Weber & Abbeel
(2015), "Gradient estimation using stochastic computation graphs" (what may follow a block whose draws are scored).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rllab.blackbox.passes import Pass
from rllab.cost import BudgetExceeded, Cost
from rllab.critics import Critic, Residual, ThroughCritic
from rllab.distributions import Distribution
from rllab.estimate import Estimate
from rllab.estimators import GaussianSmoothing
from rllab.estimators.base import Estimator
from rllab.keys import Key, as_key

Learner = Critic | Residual | ThroughCritic  # of problems that may differ in more than their parameters
Scope = Literal["local", "cost", "to_cost"]


class BlackBox(nn.Module):
    """A function of rows whose output carries a gradient: `loss.backward()` estimates it with fresh evaluations.

    Args:
        function: maps inputs, sample first, to an output or a tuple of them, sample first: torch, numpy or numbers.
            Each row of an output depends on the same row of the inputs alone.
        gradient: the estimator asked in every backward pass; may be exchanged between steps. Antithetic
            `GaussianSmoothing()` by default.
        evaluations: how many it may spend for each row in each backward pass; 0 follows a critic as it is.
        key: of all randomness; the number of the pass is part of it, so the same key gives the same loss curve.
        scope: "local", "cost" or "to_cost", see above. None: "local" if the block is declared smooth, else "to_cost".
        downstream: for "to_cost", all that follows: maps the outputs, and whatever `context` the call has, to one cost
            a row, (n,), which is then what the block returns. Its own parameters are differentiated exactly.
        smooth: whether f is differentiable; "local" is refused otherwise.
        differentiable: whether torch can differentiate f, so that gradients and jvps may be asked of it too.
        distribution: for estimators in output space: maps the first input to a distribution over rows (n, d), whose
            draws f gets in its place; the gradient is that of the expected cost. Other inputs need none.
        batched, seeded: as for `Cost`: whether f takes many rows at once, and seeds as a last argument. Seeds are then
            new in each call; in a backward pass the points of a unit share theirs (common random numbers).
        budget: the largest number of rows ever evaluated, forward passes included, or a `Cost` whose ledger to use, so
            that several blocks share one.
        check_rows: at the first call evaluate one row alone, and refuse a function whose rows depend on each other.
        name: for error messages; the function's own name by default.

    In evaluation mode and under `no_grad` nothing but the output is evaluated, and it carries no gradient.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        gradient: Estimator | None = None,
        evaluations: int = 8,
        *,
        key: Key | int,
        scope: Scope | None = None,
        downstream: Callable[..., Tensor] | None = None,
        smooth: bool = False,
        differentiable: bool = False,
        distribution: Callable[[Tensor], Distribution] | None = None,
        batched: bool = True,
        seeded: bool = False,
        budget: int | Cost | None = None,
        check_rows: bool = True,
        name: str | None = None,
    ):
        super().__init__()
        if not callable(function):
            raise TypeError(f"BlackBox: function must be callable, got {function!r}")
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self.function, self.downstream, self.distribution = function, downstream, distribution
        self.batched, self.seeded, self.differentiable = batched, seeded, differentiable
        self.smooth = smooth or differentiable
        self.scope: Scope = scope or ("local" if self.smooth else "to_cost")
        self._check_scope()
        self.ledger = budget if isinstance(budget, Cost) else Cost(function, budget)
        self.key, self.evaluations, self._check_rows = as_key(key), evaluations, check_rows
        self._past = _Past()
        self.gradient = GaussianSmoothing() if gradient is None else gradient

    def _check_scope(self) -> None:
        if self.scope not in ("local", "cost", "to_cost"):
            raise ValueError(f"{self}: scope must be local, cost or to_cost, got {self.scope!r}")
        if self.scope == "to_cost" and self.downstream is None:
            raise ValueError(
                f"{self}: a block of a torch graph cannot see what follows it, and where it jumps, linearising what "
                "follows gives a wrong gradient; pass downstream= (the rest, down to one cost a row), or scope='cost' "
                "if the output is one cost a row that is only averaged, or smooth=True if the block has no jumps"
            )
        if self.scope != "to_cost" and self.downstream is not None:
            raise ValueError(f"{self}: downstream belongs to scope 'to_cost', got scope {self.scope!r}")
        if self.scope == "local" and not self.smooth:
            raise ValueError(f"{self}: scope 'local' linearises what follows; declare the block smooth=True if it is")
        if self.scope == "local" and self.distribution is not None:
            raise ValueError(f"{self}: a draw is scored by its cost; distribution= goes with 'cost' or 'to_cost'")

    @property
    def gradient(self) -> Estimator:
        """The estimator. Setting another one forgets what the last one has learned.

        Raises:
            TypeError: if it needs what the block cannot do.
        """
        return self._gradient

    @gradient.setter
    def gradient(self, estimator: Estimator) -> None:
        if not isinstance(estimator, Estimator):
            raise TypeError(f"{self}: gradient must be an estimator, got {estimator!r}")
        offers = {"value", "gradient", "jvp"} if self.differentiable else {"value"}
        if lacking := sorted(estimator.needs - offers):
            hint = "" if self.differentiable else "; differentiable=True if torch can differentiate it"
            raise TypeError(f"{self}: offers {sorted(offers)}, but {type(estimator).__name__} needs {lacking}{hint}")
        self._gradient, self._past.state = estimator, None

    @property
    def calls(self) -> int:
        """Rows evaluated so far, forward and backward."""
        return self._past.calls

    @property
    def last_estimate(self) -> Estimate | None:
        """What the last backward pass made: a row (d,) for each sample, over the inputs that needed a gradient.

        Its `evaluations` are those of one row.
        """
        return self._past.estimate

    @torch.compiler.disable  # a compiled model leaves its graph here and returns: what is before and after is compiled
    def forward(self, *inputs: Tensor, context: tuple[Tensor, ...] = ()) -> Any:
        """Return the outputs of f; for scope "to_cost" the cost of each row, (n,).

        Args:
            inputs: (n, …) each; those that do not require a gradient cost nothing.
            context: further arguments of `downstream`, (n, …) each.
        Raises:
            RuntimeError: under a transform of torch.func: rows are the samples already.
        """
        if torch._C._are_functorch_transforms_active():
            raise RuntimeError(f"{self}: torch.func transforms are refused; rows are samples already, use a batch")
        self._check_inputs(inputs, context)
        past, needed = self._past, self.training and torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
        this = Pass(self, self.key.child("pass", past.passes), tuple(t.detach() for t in inputs), context)
        past.passes += 1
        with self.named():
            results = this.run(check_rows=self._check_rows)
            self._check_rows = False
        if needed:
            results = _Through.apply(this, len(inputs), *inputs, *results)
        return results[0] if len(results) == 1 else results

    def get_extra_state(self) -> dict[str, int]:
        """Return how many passes were made, a part of the key: a model that is loaded goes on where it was."""
        return {"passes": self._past.passes, "calls": self._past.calls}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self._past.passes, self._past.calls = state["passes"], state["calls"]

    def __repr__(self) -> str:
        return f"BlackBox {self.name!r}"

    def _check_inputs(self, inputs: tuple[Tensor, ...], context: tuple[Tensor, ...]) -> None:
        everything = (*inputs, *context)
        if not inputs or not all(isinstance(t, Tensor) and t.ndim > 0 for t in everything):
            got = [type(t).__name__ for t in everything]
            raise TypeError(f"{self}: inputs and context must be tensors, sample first, got {got}")
        if len({t.shape[0] for t in everything}) > 1:
            raise ValueError(f"{self}: inputs must have equally many rows, got {[t.shape[0] for t in everything]}")
        if context and self.downstream is None:
            raise ValueError(f"{self}: context is for downstream, and this block has none")
        if self.distribution is not None and any(t.requires_grad for t in inputs[1:]):
            raise ValueError(f"{self}: with distribution= only the first input may require a gradient")

    @contextmanager
    def named(self) -> Iterator[None]:
        """Say in every error of what runs inside which block it comes from."""
        try:
            yield
        except (BudgetExceeded, FloatingPointError, ValueError, TypeError) as error:
            if str(error).startswith(f"{self}"):
                raise
            raise type(error)(f"{self}: {error}") from error
        except Exception as error:
            error.add_note(f"{self}: this came up while evaluating it")
            raise

    def count(self, rows: int) -> None:
        """Note rows that are about to be evaluated."""
        self._past.calls += rows

    def estimate(self, cost: Cost, at: Any, key: Key, context: Tensor) -> Estimate:
        """Ask the estimator, and keep its answer and its state; a row's cost depends on its `context` (n, k) too."""
        estimator, past = self._gradient, self._past
        state = estimator.with_context(past.state, context) if isinstance(estimator, Learner) else past.state
        if self.evaluations == 0 and isinstance(estimator, Critic):
            made = estimator.predict(at, state)
        else:
            made = estimator(cost, at, evaluations=self.evaluations, key=key, state=state, errors=False)
        past.state, past.estimate = made.state, made
        return made


class _Past:
    """What a block remembers of earlier passes; apart, for a torch module takes long over setting an attribute."""

    __slots__ = ("calls", "estimate", "passes", "state")

    def __init__(self) -> None:
        self.calls = self.passes = 0
        self.estimate: Estimate | None = None
        self.state: Any = None


class _Through(torch.autograd.Function):
    """(pass, k, k inputs, results) -> results. What is differentiable in a result by itself keeps its own gradient."""

    @staticmethod
    def forward(ctx: Any, this: Pass, k: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.this, ctx.k = this, k
        ctx.save_for_backward(*tensors[:k])  # torch then notices one that is written over
        return tuple(t.view_as(t) for t in tensors[k:])

    @staticmethod
    def backward(ctx: Any, *v: Tensor) -> tuple[Any, ...]:
        this, k = ctx.this, ctx.k
        if torch.is_grad_enabled():
            raise RuntimeError(f"{this.box}: create_graph=True is refused; an estimate has no derivative of its own")
        _ = ctx.saved_tensors
        needed = [i for i in range(k) if ctx.needs_input_grad[2 + i]]
        with this.box.named():
            g = this.pull(v, needed) if needed else {}
        return (None, None, *(g.get(i) for i in range(k)), *v)

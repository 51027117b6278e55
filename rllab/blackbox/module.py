"""BlackBox: any function as a block of a torch graph, its gradient estimated in whatever way the user chose."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.data import get_worker_info

from rllab.blackbox.asker import Asker
from rllab.blackbox.description import Description, Scope
from rllab.blackbox.passes import HALF, Pass, without_autocast
from rllab.checks import as_count
from rllab.cost import Cost
from rllab.distributions import Distribution
from rllab.estimate import Estimate
from rllab.estimators import GaussianSmoothing
from rllab.estimators.base import Estimator
from rllab.executors.dispatch import Dispatcher
from rllab.executors.jobs import Executor
from rllab.executors.spread import Spread
from rllab.keys import Key, as_key


class BlackBox(nn.Module):
    """A function of rows whose output carries a gradient: `loss.backward()` estimates it with fresh evaluations.

        ∂L/∂w = ĝ · ∂x/∂w    ĝ estimates ∂/∂x of    v · f(x)   local: what follows is linearised at f(x), v = ∂L/∂f
                                                       C(x)       cost: the block is one cost a row
                                                       c(f(x))    to cost: the block and all that follows, c

    The network before the block is differentiated exactly, only the block is not. The rest of backpropagation is linear
    in ĝ, so an unbiased ĝ makes ∂L/∂w unbiased. Where f jumps, the local form is wrong at every radius if what follows
    is not linear, even in sign: it takes v where f is, not where the jump leads. It is for blocks that are declared
    smooth.

    Args:
        function: maps inputs, sample first, to an output or a tuple of them, sample first: torch, numpy or numbers.
            Each row of an output depends on the same row of the inputs alone. Every input that requires a gradient is
            perturbed, in all its columns; labels and other data go into inputs of their own, `block(net(x), y)`.
        gradient: the estimator asked in every backward pass; may be exchanged between steps. Antithetic
            `GaussianSmoothing()` by default. What one learns from pass to pass, and of which rows, see below.
        evaluations: how many it may spend for each row in each backward pass; 0 follows a critic as it is.
        key: of all randomness; the number of the pass is part of it, so the same key gives the same loss curve.
        scope: "local", "cost" or "to_cost", see above. None: "local" if the block is declared smooth, else "to_cost".
        downstream: for "to_cost", all that follows: maps the outputs, and whatever `context` the call has, to one cost
            a row, (n,), which is then what the block returns. Its own parameters are differentiated exactly.
        smooth: whether f is differentiable; "local" is refused otherwise.
        differentiable: whether torch can differentiate f, so that gradients and jvps may be asked of it too.
        relaxed: whether f of bits or choices that are drawn is also a function of points between them, which torch can
            differentiate there, so that estimators which relax draws may be asked; what they estimate is their target.
        distribution: for estimators in output space: maps the first input to a distribution over rows (n, d), whose
            draws f gets in its place; the gradient is that of the expected cost. Other inputs need none. Parameters
            have the rows first: for one choice among K a row, outputs z (n, K) make `Categorical(z.unsqueeze(1))`.
        batched, seeded: as for `Cost`: whether f takes many rows at once, and seeds as a last argument. Seeds are then
            new in each call; in a backward pass the points of a unit share theirs (common random numbers).
        budget: the largest number of rows ever evaluated, forward passes included, or a `Cost` whose ledger to use, so
            that several blocks share one.
        check_rows: at the first call evaluate one row alone, and refuse a function whose rows depend on each other.
        name: for error messages; the function's own name by default.
        executor, chunk, timeout, retries: where, and in what pieces, rows are evaluated, as `Cost` has them; every
            attempt counts. What follows the block, and its estimator, stay in this process.

    In evaluation mode and under `no_grad` nothing but the output is evaluated, and it carries no gradient. Outputs have
    the dtype of the inputs, but for costs in half precision, which are float32; a backward pass takes differences and
    sums of what f returned, as wide as it came. Under autocast the block is computed in float32. A batch of no rows has
    costs (0,) and a gradient of no rows, and f is not called for them.

    In scope "cost", costs may be averaged or summed, and that be scaled. Something else, a square or a weight a row,
    shows in rows to which different gradients arrive, and is refused. It cannot show in a batch of one row, or of rows
    that all cost the same: there what follows is believed to be an average or a sum.

    Critics learn one function for all rows. Other estimators that keep a state (`Relax`, `Lax`, a learning `Rebar`,
    `ScoreFunction(baseline="moving")`, `SNES`, `xNES`, `PGPE`) keep one for each position in the batch. A batch of
    another size is refused in the backward pass, so a `DataLoader` needs `drop_last=True`. Where it shuffles, row i
    goes on from what was learned on another sample: an unbiased estimate stays unbiased, but less of its variance may
    be removed. Estimators without a state, such as `DisARM` or leave-one-out, take any batch.

    `state_dict` holds, as tensors and plain values, all that the passes to come depend on: how many there were, what
    the estimator has learned, and the ledger. A model that is loaded goes on where it was, to the bit.

    Raises:
        TypeError: an argument is of the wrong kind, or the estimator needs what the block cannot do.
        ValueError: the scope does not fit; or `function` or `distribution` is a module with parameters that would wait
            for a gradient in vain, for neither is differentiated with respect to its own parameters.

    Source:
        LeCun (2020), NYU Deep Learning, week 2 (a cost that only returns numbers); Schulman, Heess, Weber & Abbeel
        (2015), "Gradient estimation using stochastic computation graphs" (what may follow a block whose draws are
        scored).

    Example:
        import torch
        from rllab import BlackBox

        net, simulator = torch.nn.Linear(2, 3), BlackBox(torch.sin, smooth=True, key=0)
        simulator(net(torch.ones(4, 2))).square().mean().backward()
        net.weight.grad, simulator.calls  # estimated through the block, exact before it

        error = BlackBox(lambda z, y: (z - y).square().sum(1), scope="cost", key=0)
        error(net(torch.ones(4, 2)), torch.zeros(4, 3)).mean().backward()  # targets in an input of their own
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
        relaxed: bool = False,
        distribution: Callable[[Tensor], Distribution] | None = None,
        batched: bool = True,
        seeded: bool = False,
        budget: int | Cost | None = None,
        check_rows: bool = True,
        name: str | None = None,
        executor: Executor | None = None,
        chunk: int | Literal["auto"] = "auto",
        timeout: float | None = None,
        retries: int = 1,
    ):
        super().__init__()
        if not callable(function):
            raise TypeError(f"BlackBox: function must be callable, got {function!r}")
        smooth = smooth or differentiable
        called, dispatcher = function, Dispatcher(executor, chunk, timeout, retries, "BlackBox")
        if executor is not None or chunk != "auto":
            if differentiable or relaxed:
                raise ValueError("BlackBox: executor must be None for a function that torch is to differentiate")
            called = Spread(function, dispatcher, batched=batched, seeded=seeded, charge=self._charge_again)
        self.description = Description(
            name or getattr(function, "__name__", type(function).__name__),
            called,
            scope or ("local" if smooth else "to_cost"),
            downstream,
            distribution,
            smooth,
            batched or called is not function,
            seeded,
            relaxed,
        )
        # a module that is called or follows is a part of this one, and its parameters are too
        self.function, self.downstream, self.distribution = function, downstream, distribution
        self._check_frozen()
        self.differentiable = differentiable
        self.ledger = budget if isinstance(budget, Cost) else Cost(function, budget)
        self.key, self._check_rows = as_key(key), check_rows
        self._asker = Asker(GaussianSmoothing(), as_count("BlackBox", "evaluations", evaluations, least=0))
        if gradient is not None:
            self.gradient = gradient

    @property
    def gradient(self) -> Estimator:
        """The estimator. Setting another one forgets what the last one has learned.

        Raises:
            TypeError: if it needs what the block cannot do.
        """
        return self._asker.estimator

    @gradient.setter
    def gradient(self, estimator: Estimator) -> None:
        if not isinstance(estimator, Estimator):
            raise TypeError(f"{self}: gradient must be an estimator, got {estimator!r}")
        offers = {"value", "gradient", "jvp"} if self.differentiable else {"value"}
        if self.description.relaxed:
            offers |= {"gradient", "relaxed"}
        if lacking := sorted(estimator.needs - offers):
            hint = "" if self.differentiable else "; differentiable=True if torch can differentiate it"
            if "relaxed" in lacking:
                hint = "; relaxed=True, with distribution=, if torch can differentiate it between bits or choices"
            raise TypeError(f"{self}: offers {sorted(offers)}, but {type(estimator).__name__} needs {lacking}{hint}")
        self._asker.estimator, self._asker.state = estimator, None

    @property
    def evaluations(self) -> int:
        """How many evaluations the estimator may spend for each row in each backward pass."""
        return self._asker.evaluations

    @evaluations.setter
    def evaluations(self, evaluations: int) -> None:
        self._asker.evaluations = as_count(f"{self}", "evaluations", evaluations, least=0)

    @property
    def calls(self) -> int:
        """Rows evaluated so far, forward and backward, and one more where the first call checks rows one by one."""
        return self._asker.calls

    @property
    def last_estimate(self) -> Estimate | None:
        """What the last backward pass made: a row (d,) for each sample, over the inputs that needed a gradient.

        Its `evaluations` are those of one row.
        """
        return self._asker.estimate

    @property
    def forward(self) -> Callable[..., Any]:  # type: ignore[override] - torch.nn calls what it finds under this name
        """What a call does, see `run`: outside the graph of a compiled model, which is left here and gone back to.

        `torch.compiler.disable` as a decorator would load torch's compiler for everybody, which takes seconds.
        """
        return torch.compiler.disable(self.run) if "torch._dynamo" in sys.modules else self.run

    def run(self, *inputs: Tensor, context: tuple[Tensor, ...] = ()) -> Any:
        """Return the outputs of f; for scope "to_cost" the cost of each row, (n,).

        Args:
            inputs: (n, …) each; those that do not require a gradient cost nothing.
            context: further arguments of `downstream`, (n, …) each.
        Raises:
            RuntimeError: under a transform of torch.func, as rows are the samples already; or in a worker of a
                `DataLoader`, as every worker would repeat the same passes, and count them in a ledger of its own.
        """
        if torch._C._are_functorch_transforms_active():
            raise RuntimeError(
                f"{self}: torch.func transforms, and so `backprop.Wrapped`, are refused: rows are samples already, use "
                "a batch; between modules of `backprop` call it on what `forward` returns, and let autograd go through"
            )
        if get_worker_info() is not None:
            raise RuntimeError(
                f"{self}: a worker of a DataLoader is refused, as all would draw the same numbers and none count for "
                "the others; call the block on the batches that the loader returns, or use num_workers=0"
            )
        self._check_inputs(inputs, context)
        self._check_frozen()
        device = inputs[0].device.type
        if torch.is_autocast_enabled(device):
            inputs = tuple(t.float() if t.dtype in HALF else t for t in inputs)
        with without_autocast(device):
            return self._pass(inputs, context)

    def _pass(self, inputs: tuple[Tensor, ...], context: tuple[Tensor, ...]) -> Any:
        needed = self.training and torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
        key, asker = self.key.child("pass", self._asker.passes), self._asker
        this = Pass(self.description, self.ledger, asker, key, tuple(t.detach() for t in inputs), context)
        asker.passes += 1
        with self.description.named():
            results = this.run(check_rows=self._check_rows)
            self._check_rows = self._check_rows and this.rows < 2
        if needed:
            results = _Through.apply(this, len(inputs), *inputs, *results)
        return results[0] if len(results) == 1 else results

    def get_extra_state(self) -> dict[str, Any]:
        """Return what passes to come depend on beside parameters, as tensors and plain values.

        Raises:
            TypeError: the estimator keeps a state that is something else.
        """
        ledger = {"spent": dict(self.ledger.spent), "checks": self.ledger.checks}
        return {**self._asker.saved(f"{self}"), "check_rows": self._check_rows, **ledger}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Go on where another block was when `get_extra_state` returned this.

        Raises:
            ValueError: it is of something else, or of a block that asked another kind of estimator.
        """
        own = self.get_extra_state()
        if not isinstance(state, dict) or state.keys() != own.keys():
            got = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
            raise ValueError(f"{self}: a state to load must hold {sorted(own)}, got {got}")
        spent = state["spent"]
        if not isinstance(spent, dict) or spent.keys() != own["spent"].keys():
            raise ValueError(f"{self}: a state to load must hold what was spent on {[*own['spent']]}, got {spent!r}")
        self._asker.restore(f"{self}", state)
        self._check_rows = state["check_rows"]
        self.ledger.spent.update(spent)  # in place: the same for all blocks that share it
        self.ledger.checks = state["checks"]

    def __repr__(self) -> str:
        return str(self.description)

    def _charge_again(self, n: int) -> None:
        """Count rows that an executor lost, before they are evaluated again."""
        self.ledger.reserve("value", n)
        self.ledger.spent["value"] += n
        self._asker.calls += n

    def _check_frozen(self) -> None:
        for name, part in (("function", self.function), ("distribution", self.distribution)):
            if isinstance(part, nn.Module) and any(p.requires_grad for p in part.parameters()):
                raise ValueError(
                    f"{self}: {name} must be a module without parameters to learn, as a block is differentiated with "
                    f"respect to its inputs alone; freeze them, {name}.requires_grad_(False), or put what learns "
                    "before the block or into downstream="
                )

    def _check_inputs(self, inputs: tuple[Tensor, ...], context: tuple[Tensor, ...]) -> None:
        everything = (*inputs, *context)
        if not inputs or not all(isinstance(t, Tensor) and t.ndim > 0 for t in everything):
            got = [type(t).__name__ for t in everything]
            raise TypeError(f"{self}: inputs and context must be tensors, sample first, got {got}")
        if any(t.is_complex() for t in everything):
            got = [t.dtype for t in everything]
            raise TypeError(f"{self}: inputs and context must be real, got {got}; torch.view_as_real gives both parts")
        if len({t.shape[0] for t in everything}) > 1:
            raise ValueError(f"{self}: inputs must have equally many rows, got {[t.shape[0] for t in everything]}")
        if context and self.downstream is None:
            raise ValueError(f"{self}: context is for downstream, and this block has none")
        if self.distribution is not None and any(t.requires_grad for t in inputs[1:]):
            raise ValueError(f"{self}: with distribution= only the first input may require a gradient")


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
            raise RuntimeError(
                f"{this.description}: create_graph=True is refused; an estimate has no derivative of its own"
            )
        _ = ctx.saved_tensors
        needed = [i for i in range(k) if ctx.needs_input_grad[2 + i]]
        with this.description.named(), without_autocast(v[0].device.type):
            g = this.pull(v, needed) if needed else {}
        return (None, None, *(g.get(i) for i in range(k)), *v)

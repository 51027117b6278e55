"""Description: what a black box is, apart from what it has been asked so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from rllab.batches import calls_numpy
from rllab.checks import check_one_of
from rllab.cost import BudgetExceeded
from rllab.distributions import Categorical, Distribution
from rllab.executors.errors import NotDifferentiable

Scope = Literal["local", "cost", "to_cost"]


@dataclass(frozen=True)
class Description:
    """A function of rows and how it is to be called; its arguments are explained at `BlackBox`.

    Raises:
        ValueError: if the scope does not fit what follows the block.
    """

    name: str
    function: Callable[..., Any]
    scope: Scope
    downstream: Callable[..., Tensor] | None
    distribution: Callable[[Tensor], Distribution] | None
    smooth: bool
    batched: bool
    seeded: bool
    relaxed: bool

    def __post_init__(self) -> None:
        check_one_of(f"{self}", ("local", "cost", "to_cost"), scope=self.scope)
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
        if self.relaxed and self.distribution is None:
            raise ValueError(f"{self}: relaxed=True is said of draws; it goes with distribution=")

    def __str__(self) -> str:
        return f"BlackBox {self.name!r}"

    def drawn_by(self, x: Tensor) -> Distribution:
        """Return the distribution that an input (n, …) makes: a batch of n, as every row is drawn by itself.

        Raises:
            TypeError, ValueError: it is something else.
        """
        assert self.distribution is not None  # or nobody draws
        at, n = self.distribution(x), x.shape[0]
        if not isinstance(at, Distribution):
            hint = "; wrap it: FromTorch(…)" if isinstance(at, torch.distributions.Distribution) else ""
            raise TypeError(f"{self}: distribution must return a distribution of rllab, got {at!r:.80}{hint}")
        if len(at.shape) != 2 or at.shape[0] != n:
            got = f"a {type(at).__name__} over samples {at.shape} for an input {tuple(x.shape)}"
            hint = "its parameters must have the rows first"
            if isinstance(at, Categorical):
                hint = "logits (n, K) are n choices of a single sample; give (n, 1, K) for one a row, z.unsqueeze(1)"
            raise ValueError(f"{self}: distribution must be one of samples ({n}, d), a row each, got {got}: {hint}")
        return at

    @contextmanager
    def named(self) -> Iterator[None]:
        """Say in every error of what runs inside which block it comes from."""
        try:
            yield
        except NotDifferentiable as error:
            said = "relaxed=True" if self.relaxed else "differentiable=True"
            raise TypeError(
                f"{self}: function must compute with torch alone, since {said} says that torch can differentiate it, "
                "got one that it cannot follow, such as one that calls numpy; leave that out, and take an estimator "
                "that needs values alone"
            ) from (error.__cause__ or error)
        except (BudgetExceeded, FloatingPointError, ValueError, TypeError) as error:
            if str(error).startswith(f"{self}"):
                raise
            raise type(error)(f"{self}: {error}") from error
        except Exception as error:
            if calls_numpy(error):
                raise TypeError(
                    f"{self}: distribution and downstream must compute with torch alone, which differentiates them, "
                    "got one that calls numpy"
                ) from error
            error.add_note(f"{self}: this came up while evaluating it")
            raise

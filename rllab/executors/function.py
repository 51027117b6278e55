"""Function: what a cost computes at many points; it is what travels where points are evaluated elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad

from rllab.batches import as_numbers, calls_numpy, hint_at_call, note_where
from rllab.executors.errors import NotDifferentiable

What = Literal["values", "complex", "gradients", "backward", "forward"]


@dataclass(frozen=True)
class Function:
    """Evaluate a function, or differentiate it, at points (n, d), all at once or one by one.

    Args:
        value: maps points (n, d) to costs (n,); or, if not `batched`, a point (d,) to a number.
        batched: whether it takes many points.
        seeded: whether it takes seeds (n,), or one seed, as last argument.
        gradient, jvp: like `value`, as `Cost` has them; None for what torch does.
        first: the number of the first of these evaluations, for errors; None where an executor says it.
    """

    value: Callable[..., object]
    batched: bool = True
    seeded: bool = False
    gradient: Callable[..., object] | None = None
    jvp: Callable[..., Any] | None = None
    first: int | None = None

    def answer(
        self, what: What, points: Tensor, tangents: Tensor | None = None, seeds: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Return costs; or gradients as given; or costs and gradients by autograd; or costs and derivatives along."""
        if what == "backward":
            return self._backward(points, seeds)
        if what == "forward":
            assert tangents is not None  # `Cost.jvp` has them
            return self._forward(points, tangents, seeds)
        if what == "gradients":
            assert self.gradient is not None  # else it is "backward"
            return (self._derived(self.gradient, seeds, points) if len(points) else points.clone(),)
        with torch.no_grad():
            if what == "complex":
                with _hint("evaluating a complex point: function must be analytic in complex arithmetic"):
                    return (self.values(points, seeds),)
            return (self.values(points, seeds),)

    def values(self, points: Tensor, seeds: Tensor | None) -> Tensor:
        """Return costs (n,), which autograd can follow where the function lets it."""
        return self._run(self.value, seeds, points)

    def _backward(self, points: Tensor, seeds: Tensor | None) -> tuple[Tensor, Tensor]:
        doing = "differentiating function by autograd; pass gradient= if torch cannot"
        with torch.inference_mode(False), torch.enable_grad(), _hint(doing):
            x = (points.clone() if points.is_inference() else points.detach()).requires_grad_()
            y = self.values(x, seeds)
            g = torch.autograd.grad(y.sum(), x, allow_unused=True)[0] if y.requires_grad else None
        if g is None:
            raise NotDifferentiable("Cost: function is not differentiable by autograd; pass gradient=")
        return y.detach(), g

    def _forward(self, points: Tensor, tangents: Tensor, seeds: Tensor | None) -> tuple[Tensor, Tensor]:
        if self.jvp is not None and len(points):
            y, dy = self._derived(self.jvp, seeds, points, tangents)
            return y, dy
        doing = "differentiating function; pass jvp= if torch cannot"
        with torch.inference_mode(False), torch.no_grad(), forward_ad.dual_level(), _hint(doing):
            dual = forward_ad.make_dual(points.clone(), tangents.clone())  # a function may write into both
            y, dy = forward_ad.unpack_dual(self.values(dual, seeds))
        if dy is None:
            raise NotDifferentiable("Cost: function is not differentiable in forward mode; pass jvp=")
        return y, dy

    def _derived(self, function: Callable[..., Any], seeds: Tensor | None, *inputs: Tensor) -> Any:
        """Return what a function of derivatives says, detached; it may ask autograd for them."""
        with torch.inference_mode(False), torch.enable_grad():
            answer = self._run(function, seeds, *(t.clone() if t.is_inference() else t.detach() for t in inputs))
        return tuple(part.detach() for part in answer) if isinstance(answer, tuple) else answer.detach()

    def _run(self, function: Callable[..., Any], seeds: Tensor | None, *inputs: Tensor) -> Any:
        """Call a batched function once, any other point by point; return a tensor, or a tuple of them.

        Where there are no points, nothing is called.
        """
        if not len(inputs[0]):
            return inputs[0].sum(-1)  # no costs, which autograd can follow
        answers: list[Any] = []
        try:
            if self.batched:
                y = function(*inputs, seeds) if self.seeded else function(*inputs)
                return tuple(as_numbers(part, "Cost") for part in y) if isinstance(y, tuple) else as_numbers(y, "Cost")
            for row in zip(*inputs, *([seeds.tolist()] if self.seeded and seeds is not None else []), strict=True):
                answers.append(function(*row))
        except Exception as error:
            if not self.batched:
                given = ("point", "tangent")[: len(inputs)] + ("seed",) * self.seeded
                hint_at_call(error, function, given)
            if self.first is not None:
                note_where(error, self.first, inputs[0], None if self.batched else len(answers))
            raise
        if answers and isinstance(answers[0], tuple):
            columns = zip(*answers, strict=True)
            return tuple(torch.stack([as_numbers(a, "Cost") for a in column]) for column in columns)
        return torch.stack([as_numbers(a, "Cost") for a in answers])


@contextmanager
def _hint(doing: str) -> Iterator[None]:
    """Say in an error of the user's function what the lab was doing with it."""
    try:
        yield
    except Exception as error:
        if calls_numpy(error):
            raise NotDifferentiable(
                "Cost: function must compute with torch alone for autograd to differentiate it, got one that calls "
                "numpy; pass gradient=, or take an estimator that needs values alone"
            ) from error
        error.add_note(f"Cost: this came up while {doing}")
        raise

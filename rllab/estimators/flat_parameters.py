"""FlatParameters: a module's parameters, or tensors, as one vector that is perturbed in place and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from rllab.batches import as_numbers
from rllab.cost import Cost, Request

Parameters = torch.nn.Module | Tensor | Iterable[Tensor]


class FlatParameters:
    """Hold torch parameters as one vector θ, (d,), in the widest of their dtypes.

    A parameter that is shared counts once; one that requires no gradient is frozen, and is no part of θ.

    Args:
        who: for errors.
        parameters: a module, a tensor, or several tensors, such as `module.parameters()` gives.

    Raises:
        TypeError: there is something else among them than floating-point tensors.
        ValueError: none requires a gradient, or they are on several devices.
    """

    def __init__(self, who: str, parameters: Parameters):
        self._who, self._module = who, parameters if isinstance(parameters, torch.nn.Module) else None
        self._named = _named(who, parameters)
        tensors = list(self._named.values())
        devices = sorted({str(p.device) for p in tensors})
        if len(devices) > 1:
            raise ValueError(f"{who}: parameters must be on one device, got {', '.join(devices)}")
        self._dtype = tensors[0].dtype
        for p in tensors[1:]:
            self._dtype = torch.promote_types(self._dtype, p.dtype)
        self._sizes = [p.numel() for p in tensors]

    @property
    def vector(self) -> Tensor:
        """θ as it is now, (d,), a copy."""
        return torch.cat([p.detach().reshape(-1).to(self._dtype) for p in self._named.values()])

    @property
    def named(self) -> dict[str, Tensor]:
        """The parameters themselves, by name."""
        return dict(self._named)

    def cost(self, function: Callable[..., Any], kind: Request, vectorize: bool) -> Cost:
        """Return a cost of vectors (n, d): the function, called with the parameters at each of them.

        Args:
            function: () -> a scalar, which uses the parameters in place; or, to be vectorised, a function of what is
                called like the module.
            kind: what will be asked of it.
            vectorize: evaluate all points of a block at once by `torch.vmap`.

        Raises:
            TypeError: what is asked for can only be had of a function of the module.
        """
        if not callable(function):
            raise TypeError(f"{self._who}: cost must be a function that returns a scalar, got {function!r:.60}")
        if vectorize:
            if self._module is None:
                raise TypeError(f"{self._who}: parameters must be an nn.Module to be vectorised, got tensors")
            return Cost(vmap(lambda point: self._scalar(function(self._stand_in(point)))), check_rows=False)
        if kind in ("jvp", "complex"):
            raise TypeError(
                f"{self._who}: cost must be a function of the module for an estimator that asks for {kind!r}: "
                "backward(function, module, vectorize=True)"
            )

        def value(point: Tensor) -> Tensor:
            self._place(point)
            return self._scalar(function()).detach()

        def gradient(point: Tensor) -> Tensor:
            self._place(point)
            tensors = list(self._named.values())
            with torch.enable_grad():
                y = self._scalar(function())
                if not y.requires_grad:
                    raise TypeError(f"{self._who}: cost must depend on the parameters in a way autograd can follow")
                parts = torch.autograd.grad(y, tensors, materialize_grads=True, allow_unused=True)
            return torch.cat([part.detach().reshape(-1).to(point) for part in parts])

        return Cost(value, batched=False, gradient=gradient)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Put parameters, and a module's buffers, back to their own bits afterwards, also if an error is raised."""
        held = list(self._named.values())
        if self._module is not None:  # running averages, say, which every evaluation moves
            held += list(self._module.buffers())
        copies = [t.detach().clone() for t in held]
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, copy in zip(held, copies, strict=True):
                    tensor.copy_(copy)

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Return a vector like θ, (d,) or (m, d), in parts by name, each of its parameter's shape and dtype."""
        parts = vector.split(self._sizes, -1)
        lead = vector.shape[:-1]
        return {
            name: part.reshape(*lead, *p.shape).to(p.dtype)
            for (name, p), part in zip(self._named.items(), parts, strict=True)
        }

    def accumulate(self, gradient: dict[str, Tensor]) -> None:
        """Add a gradient to `.grad` of every parameter, as `Tensor.backward` does."""
        for name, p in self._named.items():
            p.grad = gradient[name].clone() if p.grad is None else p.grad + gradient[name]

    def _place(self, point: Tensor) -> None:
        with torch.no_grad():
            for p, part in zip(self._named.values(), point.split(self._sizes), strict=True):
                p.copy_(part.view_as(p))

    def _stand_in(self, point: Tensor) -> Callable[..., Any]:
        assert self._module is not None  # `cost` has asked
        module, values = self._module, self.split(point)
        return lambda *inputs, **named: functional_call(module, values, inputs, named)

    def _scalar(self, y: object) -> Tensor:
        with suppress(TypeError):  # what is not made of numbers
            if (number := as_numbers(y)).numel() == 1:
                return number.reshape(())
        got = f"a tensor {tuple(y.shape)}" if isinstance(y, Tensor) else f"{y!r:.60}"
        raise TypeError(f"{self._who}: cost must return a scalar, got {got}")


def _named(who: str, parameters: Parameters) -> dict[str, Tensor]:
    if isinstance(parameters, torch.nn.Module):
        pairs = list(parameters.named_parameters())  # a shared one is named once
    elif isinstance(parameters, Tensor):
        pairs = [("0", parameters)]
    else:
        try:
            pairs = [(str(i), p) for i, p in enumerate(parameters)]
        except TypeError:
            raise TypeError(f"{who}: parameters must be a module or tensors, got {parameters!r:.60}") from None
    found: dict[int, tuple[str, Tensor]] = {}
    for name, p in pairs:
        if not isinstance(p, Tensor) or not p.is_floating_point():
            got = p.dtype if isinstance(p, Tensor) else type(p).__name__
            raise TypeError(f"{who}: parameters must be floating-point tensors, got {got} for {name!r}")
        if p.requires_grad:
            found.setdefault(id(p), (name, p))
    if not found:
        raise ValueError(f"{who}: parameters must have at least one that requires a gradient, got none")
    return dict(found.values())

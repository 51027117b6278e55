"""FromTorch: any distribution of torch.distributions, its scores by autograd of its log_prob.

torch's samplers draw from the global generator. Here every random operation they make is given a generator of the
key's stream on its way to the kernel, so the global one is neither used nor set; an operation that takes none is
refused. Draws are made in the parameters' own precision, and so are others in float32 than in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.utils._python_dispatch import TorchDispatchMode

from rllab.arrays import as_array, as_tensor
from rllab.distributions.base import Distribution, Sums
from rllab.keys import Key

_SIMPLEX = type(constraints.simplex)


@dataclass(frozen=True, eq=False)
class FromTorch(Distribution):
    """`FromTorch(torch.distributions.Laplace, {"loc": μ, "scale": s})`, as slow as autograd; see `base`.

    A sample is batch and event dimensions together: (d,) are d independent outputs, or one vector; (B, d) are B
    problems, and then every argument must have B in front. Standard errors need the scores of single samples, K × d.

    Args:
        family: called as family(**arguments, validate_args=...), returns a `torch.distributions.Distribution`.
        arguments: floating tensors by name, with respect to which gradients are wanted; what else the family needs may
            be fixed by `functools.partial`.
    """

    family: Callable[..., torch.distributions.Distribution]
    arguments: dict[str, Tensor]

    def __post_init__(self) -> None:
        values = self.arguments.values()
        if not values or not all(isinstance(v, Tensor) and v.is_floating_point() for v in values):
            raise ValueError(f"FromTorch: arguments must be one or more floating tensors by name, got {self.arguments}")
        try:
            d = self.family(**self.arguments, validate_args=True)
        except ValueError as error:
            raise ValueError(f"FromTorch: {error}") from error
        shape = tuple(d.batch_shape + d.event_shape)
        if len(shape) not in (1, 2):
            raise ValueError(f"FromTorch: samples must be (d,) or (B, d), got batch and event shape {shape}")
        if len(shape) == 2 and any(v.shape[:1] != shape[:1] for v in values):
            got = {name: tuple(v.shape) for name, v in self.arguments.items()}
            raise ValueError(f"FromTorch: arguments for samples {shape} must be ({shape[0]}, ...), got {got}")

    @property
    def parameters(self) -> dict[str, Tensor]:
        return dict(self.arguments)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        d = self._made(self.arguments)
        return tuple(d.batch_shape + d.event_shape)

    @property
    def measure(self) -> tuple[str, ...]:
        support = self._made(self.arguments).support
        discrete = support is not None and support.is_discrete
        kind = "counting" if discrete else "simplex" if isinstance(support, _SIMPLEX) else "length"
        return (kind,) * self.shape[-1]

    def _with(self, parameters: dict[str, Tensor]) -> FromTorch:
        return FromTorch(self.family, parameters)

    def draw(self, k: int, key: Key) -> tuple[Tensor, None]:
        like = next(iter(self.arguments.values()))
        with torch.no_grad(), _Generators(key):
            return self._made(self.arguments).sample((k,)).to(like), None

    def log_prob(self, x: Tensor) -> Tensor:
        return self._log_prob(self.arguments, x, len(self.shape))

    def score_sums(self, once: np.ndarray | None, twice: np.ndarray | None, x: Tensor, noise: Any) -> tuple[Sums, Sums]:
        first, second = Sums(), Sums()
        if once is not None:
            first = self._weighted(as_tensor(once, x), x)
        if twice is not None:
            second = super().score_sums(None, twice, x, noise)[1]
        return first, second

    def _weighted(self, w: Tensor, x: Tensor) -> Sums:
        """Return Σ_k w_k s(x_k) by backpropagating the weights through log p."""
        with torch.enable_grad():
            leaves = {name: v.detach().requires_grad_() for name, v in self.arguments.items()}
            log_p = self._log_prob(leaves, x, len(self.shape))
            sums = [
                torch.autograd.grad(log_p, list(leaves.values()), one, retain_graph=True, materialize_grads=True)
                for one in w.reshape(-1, *log_p.shape)
            ]
        lead = w.shape[: w.ndim - log_p.ndim]
        stacked = (torch.stack(each).view(*lead, *each[0].shape) for each in zip(*sums, strict=True))
        return dict(zip(leaves, map(as_array, stacked), strict=True))

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        rank = len(self.shape)
        one = torch.func.grad(lambda arguments, sample: self._log_prob(arguments, sample[None], rank).sum())
        arguments = {name: v.detach() for name, v in self.arguments.items()}
        with torch.enable_grad():
            return torch.func.vmap(one, in_dims=(None, 0))(arguments, x)

    def _made(self, arguments: dict[str, Tensor]) -> torch.distributions.Distribution:
        return self.family(**arguments, validate_args=False)

    def _log_prob(self, arguments: dict[str, Tensor], x: Tensor, rank: int) -> Tensor:
        """Return log p, (k,) or (k, B), for samples of so many dimensions."""
        log_p = self._made(arguments).log_prob(x)
        return log_p.sum(-1) if log_p.ndim > rank else log_p


class _Generators(TorchDispatchMode):
    """Gives every random operation inside a generator of the key's stream."""

    def __init__(self, key: Key):
        super().__init__()
        self._key, self._generators = key, {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        packet = func.overloadpacket
        overloads = (getattr(packet, name) for name in packet.overloads())
        if not any(a.name == "generator" for overload in overloads for a in overload._schema.arguments):
            raise TypeError(f"FromTorch: {func} can draw from torch's global generator alone, and is refused")
        device = next((a.device for a in args if isinstance(a, Tensor)), kwargs.get("device") or "cpu")
        if device not in self._generators:
            self._generators[device] = self._key.generator(device)
        return packet(*args, **{**kwargs, "generator": self._generators[device]})

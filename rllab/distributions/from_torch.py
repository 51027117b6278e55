"""FromTorch: any distribution of torch.distributions, its scores by autograd of its log_prob."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.utils import lazy_property
from torch.utils._python_dispatch import TorchDispatchMode

from rllab.arrays import as_array, as_tensor
from rllab.distributions.base import Distribution, Sums
from rllab.keys import Key

_SIMPLEX = type(constraints.simplex)
_Arguments = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class FromTorch(Distribution):
    """`FromTorch(torch.distributions.Laplace, {"loc": μ, "scale": s})`, as slow as autograd; see `base`.

    torch's samplers draw from the global generator. Here every random operation they make is given a generator of the
    key's stream on its way to the kernel, so the global one is neither used nor set; an operation that takes none is
    refused. Draws are made in the parameters' own precision, and so are others in float32 than in float64.

    A sample is batch and event dimensions together: (d,) are d independent outputs, or one vector, and () a single
    output, (1,); (B, d) is a batch of B, and then every argument must have B in front. Standard errors need the scores
    of single samples, one by one where torch cannot take them together. Gradients hold what log p of a block of samples
    leaves for backpropagation.

    Args:
        family: called as family(**arguments, validate_args=...), makes a `torch.distributions.Distribution` of numbers
            or vectors. Or such a distribution itself, if all it was made of can be read off it: the arguments are then
            those that are real numbers, in the shapes that torch expanded them to.
        arguments: floating tensors by name, with respect to which gradients are wanted; what else the family needs may
            be fixed by `functools.partial`.

    Raises:
        ValueError: if they make no such distribution; or one whose support they move, as those of `Uniform` do: the
            score says nothing of that, and would be biased. It is seen if torch's `support` says so, which it does not
            of a transformed distribution.

    Example:
        import torch
        from rllab import FromTorch, Key

        p = FromTorch(torch.distributions.Laplace, {"loc": torch.zeros(3), "scale": torch.ones(3)})
        x, _ = p.draw(5, Key(0))  # (5, 3)
    """

    family: Callable[..., torch.distributions.Distribution] | torch.distributions.Distribution
    arguments: _Arguments | None = None
    _batch: tuple[int, ...] = field(init=False, repr=False)
    _event: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.family, torch.distributions.Distribution):
            if self.arguments is not None:
                raise ValueError("FromTorch: arguments must be None beside a distribution that has them, got some")
            family, arguments = _taken_apart(self.family)
            object.__setattr__(self, "family", family)
            object.__setattr__(self, "arguments", arguments)
        given = self.arguments
        values = given.values() if isinstance(given, dict) else ()
        if not values or not all(isinstance(v, Tensor) and v.is_floating_point() for v in values):
            raise ValueError(f"FromTorch: arguments must be one or more floating tensors by name, got {given}")
        with torch.enable_grad():
            leaves = {name: v.detach().requires_grad_() for name, v in self.parameters.items()}
            try:
                d = self._made(leaves, check=True)
            except (TypeError, ValueError, RuntimeError) as error:
                raise ValueError(f"FromTorch: {error}") from error
            moved = any(bound.requires_grad for bound in _bounds(_support(d)))
        if moved:
            raise ValueError(
                f"FromTorch: the support must not depend on the arguments, got {type(d).__name__}, whose score says "
                "nothing of its bounds; fix those arguments by functools.partial"
            )
        batch, event = tuple(d.batch_shape), tuple(d.event_shape)
        if len(event) > 1 or len(batch) + len(event) > 2:
            raise ValueError(
                "FromTorch: samples must be numbers or vectors, (d,) or (B, d), got "
                f"batch shape {batch} and event shape {event}"
            )
        object.__setattr__(self, "_batch", batch)
        object.__setattr__(self, "_event", event)
        if len(shape := self.shape) == 2 and any(v.shape[:1] != shape[:1] for v in values):
            got = {name: tuple(v.shape) for name, v in self.parameters.items()}
            raise ValueError(f"FromTorch: arguments for samples {shape} must be ({shape[0]}, ...), got {got}")

    @property
    def parameters(self) -> _Arguments:
        return dict(self.arguments or {})

    @property
    def shape(self) -> tuple[int, ...]:
        return self._batch + self._event or (1,)

    @property
    def measure(self) -> tuple[str, ...]:
        support = _support(self._made(self.parameters))
        discrete = support is not None and support.is_discrete
        kind = "counting" if discrete else "simplex" if isinstance(support, _SIMPLEX) else "length"
        return (kind,) * self.shape[-1]

    def _with(self, parameters: _Arguments) -> FromTorch:
        return FromTorch(self.family, parameters)

    def _repeated(self, n: int) -> FromTorch:
        alone = not self._batch and not self._event  # (n,) would be n outputs and no batch
        lead = {name: (n, 1) if alone or not v.ndim else (n,) for name, v in self.parameters.items()}
        return self._with({name: v.expand(*lead[name], *v.shape) for name, v in self.parameters.items()})

    def draw(self, k: int, key: Key) -> tuple[Tensor, None]:
        like = next(iter(self.parameters.values()))
        with torch.no_grad(), _Generators(key):
            return self._made(self.parameters).sample((k,)).to(like).reshape(k, *self.shape), None

    def log_prob(self, x: Tensor) -> Tensor:
        wide = {name: v.double() for name, v in self.parameters.items()}
        try:
            return self._log_prob(wide, x.double()).double()
        except RuntimeError:  # the family holds tensors of single precision, and torch does not mix them with double
            return self._log_prob(self.parameters, x).double()

    def score_sums(self, once: np.ndarray | None, twice: np.ndarray | None, x: Tensor, noise: Any) -> tuple[Sums, Sums]:
        first, second = Sums(), Sums()
        if once is not None:
            first = self._weighted(as_tensor(once, x), x)
        if twice is not None:
            second = super().score_sums(None, twice, x, noise)[1]
        return first, second

    def as_tensors(self, found: Sums) -> dict[str, Tensor]:
        return super().as_tensors({name: np.asarray(value) for name, value in found.items()})  # numpy numbers, of ()

    def _weighted(self, w: Tensor, x: Tensor) -> Sums:
        """Return Σ_k w_k s(x_k) by backpropagating the weights through log p."""
        with torch.enable_grad():
            leaves = {name: v.detach().requires_grad_() for name, v in self.parameters.items()}
            log_p = self._log_prob(leaves, x)
            sums = [
                torch.autograd.grad(log_p, list(leaves.values()), one, retain_graph=True, materialize_grads=True)
                for one in w.reshape(-1, *log_p.shape)
            ]
        lead = w.shape[: w.ndim - log_p.ndim]
        stacked = (torch.stack(each).detach().view((*lead, *each[0].shape)) for each in zip(*sums, strict=True))
        return dict(zip(leaves, map(as_array, stacked), strict=True))

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        one = torch.func.grad(lambda arguments, sample: self._log_prob(arguments, sample[None]).sum())
        arguments = {name: v.detach() for name, v in self.parameters.items()}
        with torch.enable_grad():
            try:
                return torch.func.vmap(one, in_dims=(None, 0))(arguments, x)
            except RuntimeError:  # an operation that cannot be vectorised, as some that depend on values
                each = [self._weighted(torch.ones((1, *x.shape[1:-1])).to(x), sample[None]) for sample in x]
        return {name: as_tensor(np.stack([s[name] for s in each]), v) for name, v in arguments.items()}

    def _made(self, arguments: _Arguments, check: bool = False) -> torch.distributions.Distribution:
        assert not isinstance(self.family, torch.distributions.Distribution)  # __post_init__ took it apart
        return self.family(**arguments, validate_args=check)

    def _log_prob(self, arguments: _Arguments, x: Tensor) -> Tensor:
        """Return log p, (k,) or (k, B)."""
        log_p = self._made(arguments).log_prob(x.reshape(len(x), *self._batch, *self._event))
        return log_p.sum(-1) if self._batch and not self._event else log_p


def _support(d: torch.distributions.Distribution) -> constraints.Constraint | None:
    try:
        return d.support
    except NotImplementedError:
        return None


def _bounds(constraint: object) -> Iterator[Tensor]:
    """Yield the tensors that a constraint is made of, those of its parts included."""
    if isinstance(constraint, Tensor):
        yield constraint
    elif isinstance(constraint, (list, tuple)):
        yield from itertools.chain.from_iterable(map(_bounds, constraint))
    elif isinstance(constraint, constraints.Constraint):
        yield from _bounds(list(vars(constraint).values()))


def _taken_apart(d: torch.distributions.Distribution) -> tuple[Callable[..., torch.distributions.Distribution], Any]:
    """Return the family of a distribution, all but real arguments fixed, and these.

    Raises:
        ValueError: if the two do not make it again.
    """
    own, arguments, fixed = vars(d), {}, {}
    family, known = type(d), d.arg_constraints
    same = True
    for name in (name for name in inspect.signature(family).parameters if name != "validate_args"):
        if isinstance(inspect.getattr_static(family, name, None), lazy_property) and name not in own:
            continue  # one of several ways to say the same, and not the one taken
        if not hasattr(d, name):
            same = False
            break
        value = getattr(d, name)
        real = name in known and not known[name].is_discrete and isinstance(value, Tensor) and value.is_floating_point()
        (arguments if real else fixed)[name] = value
    made = functools.partial(family, **fixed) if fixed else family
    try:
        again = made(**arguments, validate_args=False)
        same = same and again.batch_shape == d.batch_shape and again.event_shape == d.event_shape
    except (TypeError, ValueError, RuntimeError):
        same = False
    if not same or not arguments:
        raise ValueError(f"FromTorch: {family.__name__} does not tell what it was made of; give family and arguments")
    return made, arguments


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

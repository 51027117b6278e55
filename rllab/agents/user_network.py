"""ModuleNetwork: a user's torch module as a function of one flat vector of weights, differentiated by autograd."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.func import functional_call

from rllab.agents.observations import Observations
from rllab.agents.saved import check_names, check_tensor, take
from rllab.backprop import Tanh, Wrapped
from rllab.backprop.network import MLP, MLPChain

OFFSET = "offset.value"


class ModuleNetwork:
    """Hold a copy of a module, whose trainable parameters are one vector w, as those of an `MLP` are.

        y = module(o_w)     (n, outputs),      o: rows in the form of the observation space
        with actions:       y = module(o, a) + b,  b learned too

    A Box comes as (n, *shape), what is one-hot as (n, width), Dict and Tuple as dicts and tuples of these; numbers are
    float32, scaled and normalised as the agent's settings say. Parameters that require no gradient stay as they are.
    The module must treat each observation alone: dropout and batch statistics in training mode are refused.

    Args:
        who, name: the agent and its argument, for errors.
        module: the user's, which stays as it is.
        space: of one observation.
        outputs: numbers that it must return for each.
        actions: numbers in an action, where it takes actions too; 0 where not.

    Attributes:
        sizes: numbers in a row of inputs and in one of outputs.
        size: d, the trainable parameters.

    Raises:
        TypeError: it is no module.
        ValueError: it has no trainable parameters, or some that are not float32; it draws or mixes observations; it
            fails on observations of the space, or returns something else than `outputs` numbers for each.
    """

    def __init__(self, who: str, name: str, module: object, space: Space, *, outputs: int, actions: int = 0):
        self._what = f"{who}: {name}"
        if not isinstance(module, nn.Module):
            raise TypeError(f"{self._what} must be a torch.nn.Module, got {module!r:.80}")
        self._rows = _Rows(deepcopy(module), space, Observations(who, space).size, actions, outputs)
        trained = {n: p for n, p in self._rows.named_parameters() if p.requires_grad}
        own = set(trained) - {OFFSET}
        if not own or any(p.dtype != torch.float32 for p in trained.values()):
            got = sorted({str(trained[n].dtype) for n in own}) or "none"
            raise ValueError(f"{self._what} must have trainable parameters, all torch.float32, got {got}")
        try:
            Wrapped(self._rows)  # which refuses what draws or mixes rows
        except ValueError as error:
            raise ValueError(f"{self._what} must treat each observation alone: {error}") from None
        self._shapes = {n: tuple(p.shape) for n, p in trained.items()}
        self._writes = any(getattr(part, "inplace", False) for part in self._rows.modules())
        self.sizes = (self._rows.observations + actions, outputs)
        self.size = sum(map(math.prod, self._shapes.values()))
        self._try()

    def _try(self) -> None:
        """Raise a ValueError if it cannot be called as it will be."""
        try:
            with torch.no_grad():
                y = self(self.initial(), torch.zeros(2, self.sizes[0], dtype=torch.float32))
        except _Outputs as error:
            raise ValueError(f"{self._what} must return (n, {self.sizes[1]}) for n observations, {error}") from None
        except Exception as error:  # a module may fail in any way
            shown = self._rows.describe()
            raise ValueError(f"{self._what} must take {shown}, got {type(error).__name__}: {error}") from error
        if y.dtype != torch.float32:
            raise ValueError(f"{self._what} must return torch.float32, got {y.dtype}")

    def initial(self) -> Tensor:
        """Return the parameters it came with, (d,)."""
        named = dict(self._rows.named_parameters())
        return torch.cat([named[name].detach().reshape(-1) for name in self._shapes])

    def __call__(self, w: Tensor, rows: Tensor) -> Tensor:
        """Return outputs (n, k) of rows (n, o) at weights (d,), or (B, n, k) of (B, n, o) at weights (B, d)."""
        return self._one(w, rows) if w.ndim == 1 else torch.vmap(self._one)(w, rows)

    def _one(self, w: Tensor, rows: Tensor) -> Tensor:
        rows = rows.clone() if self._writes else rows  # a module may write over what it is given
        return functional_call(self._rows, self._parts(w), (rows,))

    def _parts(self, w: Tensor) -> dict[str, Tensor]:
        split = w.split([math.prod(shape) for shape in self._shapes.values()])
        return {name: part.view(shape) for part, (name, shape) in zip(split, self._shapes.items(), strict=True)}

    def on_array(self, w: Tensor, rows: np.ndarray) -> np.ndarray:
        """Return outputs (k,) of one row (o,), or (n, k) of (n, o), at weights (d,)."""
        with torch.no_grad():
            y = self(w.detach(), torch.from_numpy(np.atleast_2d(rows))).numpy()
        return y if rows.ndim == 2 else y[0]

    def as_module(self, w: Tensor) -> nn.Module:
        """Return a module of its own, from rows (n, o) to outputs (n, k), whose parameters are w (d,)."""
        made = deepcopy(self._rows)
        named = dict(made.named_parameters())
        with torch.no_grad():
            for name, part in self._parts(w.detach()).items():
                named[name].copy_(part)
        return made

    def state_dict(self, w: Tensor) -> dict[str, Tensor]:
        """Return the module's state at weights w (d,), views of them, under its own names."""
        return dict(self._rows.state_dict()) | self._parts(w.detach())

    def check_state(self, state: object) -> None:
        """Raise a ValueError if a file's state is of other names or shapes."""
        own = self.state_dict(self.initial())
        given = check_names(f"{self._what}'s state", state, set(own))
        for name, tensor in own.items():
            check_tensor(f"{self._what}'s {name}", given[name], tuple(tensor.shape), tensor.dtype)

    def constants_unlike(self, other: ModuleNetwork) -> list[str]:
        """Return the names of buffers and untrained parameters whose values differ from those of a like network."""
        own, theirs = self._rows.state_dict(), other._rows.state_dict()
        return [
            name.removeprefix("module.")
            for name, value in own.items()
            if name not in self._shapes and not torch.equal(value, theirs[name])
        ]

    def load_constants(self, state: dict[str, Tensor]) -> None:
        """Take over from a file's state what is not learned: buffers, and parameters that require no gradient."""
        own = {name: tensor for name, tensor in self._rows.state_dict().items() if name not in self._shapes}
        take(f"{self._what}'s", own, {name: state[name] for name in own})


class ModuleChain:
    """Backpropagate through a user's module, as `MLPChain` does through an MLP; what is returned is new every time.

    Args:
        network: the module.
        squash: whether tanh follows.
    """

    def __init__(self, network: ModuleNetwork, *, squash: bool = False):
        self._network, self._squash = network, squash

    def forward(self, w: Tensor, x: Tensor) -> Tensor:
        """Return outputs, (n, k), of inputs (n, o) for weights (d,)."""
        with torch.enable_grad():
            self._w, self._x = w.detach().requires_grad_(), x.detach().requires_grad_()
            y = self._network(self._w, self._x)
            self._y = torch.tanh(y) if self._squash else y
        return self._y.detach()

    def backward(self, v: Tensor, out: Tensor | None = None, *, to_input: bool = True) -> Tensor | None:
        """Return v · ∂y/∂x, (n, o), after `forward`, for v (n, k); None without `to_input`.

        Args:
            out: (d,), where v · ∂y/∂w is written; None leaves these products out.
        """
        wanted = ([] if out is None else [self._w]) + ([self._x] if to_input else [])
        found = [g.detach() for g in torch.autograd.grad(self._y, wanted, v, materialize_grads=True)]
        if out is not None:
            out.copy_(found.pop(0))
        return found[0] if to_input else None


def chain_through(network: MLP | ModuleNetwork, *, squash: bool = False) -> MLPChain | ModuleChain:
    """Return what backpropagates through a network, and a tanh after it if that is wanted."""
    if isinstance(network, ModuleNetwork):
        return ModuleChain(network, squash=squash)
    return MLPChain(network, Tanh()) if squash else MLPChain(network)


def on_arrays(network: MLP | ModuleNetwork, w: Tensor) -> Callable[[np.ndarray], np.ndarray]:
    """Return a network at weights w (d,), read where they are, as a function of one row or of n."""
    if isinstance(network, ModuleNetwork):
        return partial(network.on_array, w)
    return partial(network.forward_array, network.on_arrays(w))


def twin_networks(who: str, critic: object, space: Space, actions: int) -> tuple[ModuleNetwork, ModuleNetwork]:
    """Return two critics of observations and actions that a user gives, of one architecture.

    Raises:
        TypeError: they are no pair of modules; in the name of `who`.
        ValueError: see `ModuleNetwork`; or their states are of different names or shapes.
    """
    if not isinstance(critic, tuple | list) or len(critic) != 2:
        raise TypeError(f"{who}: critic must be two modules (Q_1, Q_2) of (observations, actions), got {critic!r:.80}")
    first, second = (
        ModuleNetwork(who, f"critic[{i}]", module, space, outputs=1, actions=actions) for i, module in enumerate(critic)
    )
    first.check_state(second.state_dict(second.initial()))
    different = first.constants_unlike(second)
    if different:
        raise ValueError(
            f"{who}: critic must be two modules whose constants are equal, since one pass serves both, got different "
            f"{', '.join(different)}: let them be trained, or copy them from one to the other"
        )
    return first, second


class _Outputs(Exception):
    """A module returned something else than it must."""


class _Offset(nn.Module):
    """Add a learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros((), dtype=torch.float32))

    def forward(self, y: Tensor) -> Tensor:
        return y + self.value


class _Rows(nn.Module):
    """Give a module rows of numbers in the form of a space, and make rows of what it returns."""

    def __init__(self, module: nn.Module, space: Space, observations: int, actions: int, outputs: int):
        super().__init__()
        self.module, self.observations = module, observations
        self._space, self._actions, self._outputs = space, actions, outputs
        if actions:
            self.offset = _Offset()  # after `module`: the last of the weights

    def forward(self, rows: Tensor) -> Tensor:
        seen = _shown(self._space, rows[:, : self.observations])
        y = self.module(seen, rows[:, self.observations :]) if self._actions else self.module(seen)
        n, k = len(rows), self._outputs
        if not isinstance(y, Tensor) or not (y.shape == (n, k) or (k == 1 and y.shape == (n,))):
            raise _Outputs(f"got {tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__} for {n}")
        y = y.reshape(n, k)
        return self.offset(y) if self._actions else y

    def describe(self) -> str:
        """Say what the module is called with, of two observations."""
        rows = torch.zeros(2, self.observations)
        inputs = [_shown(self._space, rows)] + ([torch.zeros(2, self._actions)] if self._actions else [])
        return f"inputs of shape {', '.join(str(_shapes(part)) for part in inputs)} for two observations"


def _shown(space: Space, rows: Tensor) -> Any:
    """Return rows (n, o) in the form of a space, whose parts follow one another in a row."""
    if isinstance(space, spaces.Dict):
        parts = _split(list(space.spaces.values()), rows)
        return {name: _shown(part, columns) for (name, part), columns in zip(space.spaces.items(), parts, strict=True)}
    if isinstance(space, spaces.Tuple):
        parts = _split(list(space.spaces), rows)
        return tuple(_shown(part, columns) for part, columns in zip(space.spaces, parts, strict=True))
    return rows.reshape(len(rows), *space.shape) if isinstance(space, spaces.Box) else rows


def _shapes(shown: Any) -> Any:
    """Return the shapes of what `_shown` returns, in its form."""
    if isinstance(shown, dict):
        return {name: _shapes(part) for name, part in shown.items()}
    return tuple(map(_shapes, shown)) if isinstance(shown, tuple) else tuple(shown.shape)


def _split(parts: list[Space], rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split([Observations("", part).size for part in parts], 1)

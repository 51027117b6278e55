"""Branches: modules whose path depends on the data, sample by sample, as an `if` or a loop in a program does (T6)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rllab.backprop.module import Module, Weights
from rllab.keys import Key, as_key


@dataclass(frozen=True)
class Switch(Module):
    """Each sample through the module that `choose` names for it.

        y = f_k(z, w_k),  k = choose(z)                 ∂C/∂z = ∂C/∂y ∂f_k/∂z of the path that was taken           (T6)

    The choice itself is discrete: where it changes, y may jump, and no gradient tells.

    Args:
        choose: from states (n, …) to the number of a branch for each, (n,) int64; a sample's must not depend on others.
        branches: modules of one state in, one out, whose outputs have one shape.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        leaky = bp.Switch(lambda z: (z[:, 0] > 0).long(), (bp.Tanh(), bp.Identity()))
        print(leaky.forward(torch.tensor([[-1.0], [2.0]])))
    """

    choose: Callable[[Tensor], Tensor]
    branches: tuple[Module, ...]

    def __post_init__(self) -> None:
        _check_plain("Switch", *self.branches)

    @property
    def passes_on(self) -> bool:  # type: ignore[override] - as its branches do
        return all(f.passes_on for f in self.branches)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        named = [(k, name, shape) for k, f in enumerate(self.branches) for name, shape in f.shapes.items()]
        return {f"{k}.{name}": shape for k, name, shape in named}

    def initial(self, key: Key | int) -> Tensor:
        """Draw each branch's weights from a key of its own."""
        return torch.cat([f.initial(as_key(key).child(k)) for k, f in enumerate(self.branches)])

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        taken = self._taken(z)
        order = torch.cat([rows for rows, _, _ in taken])
        # rows back in their own order
        return torch.cat([f._forward(z[rows], w[part]) for rows, f, part in taken])[order.argsort()]

    def _vjp_state(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Tensor | None = None) -> Tensor:
        g = torch.zeros_like(z)
        for rows, f, part in self._taken(z):
            g[rows] = f._vjp_state(v[rows], z[rows], w[part], y[rows])
        return g

    def _vjp_weights(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Weights) -> None:
        for into in out:
            into.zero_()
        for rows, f, part in self._taken(z):
            if f.size:
                f._vjp_weights(v[rows], z[rows], w[part], y[rows], out[part])

    def _taken(self, z: Tensor) -> list[tuple[Tensor, Module, slice]]:
        """Return the rows that take each branch, the branch, and where its weights are, of those that are taken."""
        choice, taken, at = self.choose(z), [], 0
        if choice.shape != z.shape[:1] or choice.dtype != torch.int64 or not _within(choice, len(self.branches)):
            raise ValueError(f"Switch: choose must return a branch, int64, for each of {len(z)} samples, got {choice}")
        for k, f in enumerate(self.branches):
            part = slice(at, at := at + len(f.shapes))
            if len(rows := (choice == k).nonzero()[:, 0]):
                taken.append((rows, f, part))
        return taken


@dataclass(frozen=True)
class Repeat(Module):
    """One module over and over, as often as `count` says for each sample, by the same weights.

        y = f(f(… f(z, w) …, w), w),  t = count(z) times             the chain rule t times, ∂C/∂w added up        (T6)

    Args:
        count: from states (n, …) to a number of times for each, (n,) int64; a sample's must not depend on others.
        module: of one state in, one out of the same shape.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        twice = bp.Repeat(lambda z: torch.full((len(z),), 2), bp.Tanh())
        print(twice.forward(torch.tensor([[-1.0], [2.0]])))
    """

    count: Callable[[Tensor], Tensor]
    module: Module

    def __post_init__(self) -> None:
        _check_plain("Repeat", self.module)

    @property
    def passes_on(self) -> bool:  # type: ignore[override] - as its module does
        return self.module.passes_on

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.module.shapes

    def initial(self, key: Key | int) -> Tensor:
        return self.module.initial(key)

    def _forward(self, z: Tensor, w: Weights, out: Tensor | None = None) -> Tensor:
        y = z
        for rows, _, after in self._passes(z, w):
            y = y.index_copy(0, rows, after)
        return y

    def _vjp_state(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Tensor | None = None) -> Tensor:
        g = v.clone()
        for rows, before, after in reversed(self._passes(z, w)):
            g[rows] = self.module._vjp_state(g[rows], before, w, after)
        return g

    def _vjp_weights(self, v: Tensor, z: Tensor, w: Weights, y: Tensor, out: Weights) -> None:
        # no numbers: a module that adds to them, in place of writing over them, shows
        g, once = v.clone(), [torch.full_like(into, math.nan) for into in out]
        for into in out:
            into.zero_()
        for rows, before, after in reversed(self._passes(z, w)):
            self.module._vjp_weights(g[rows], before, w, after, once)
            for into, part in zip(out, once, strict=True):
                into += part
            g[rows] = self.module._vjp_state(g[rows], before, w, after)

    def _passes(self, z: Tensor, w: Weights) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return for each time the rows that go through, and their states before and after."""
        times, passes, y = self.count(z), [], z
        if times.shape != z.shape[:1] or times.dtype != torch.int64:
            raise ValueError(f"Repeat: count must return a number, int64, for each of {len(z)} samples, got {times}")
        for t in range(int(times.max()) if len(times) else 0):
            rows = (times > t).nonzero()[:, 0]
            before = y[rows]
            after = self.module._forward(before, w)
            y = y.index_copy(0, rows, after)
            passes.append((rows, before, after))
        return passes


def _check_plain(who: str, *modules: Module) -> None:
    for f in modules:
        if (f.inputs, f.outputs, f.hidden) != (1, 1, 0) or not f.differentiable:
            raise ValueError(f"{who}: modules must be differentiable, one state in and one out, got {f}")
    if not modules:
        raise ValueError(f"{who}: needs a module")


def _within(choice: Tensor, n: int) -> bool:
    return bool(((choice >= 0) & (choice < n)).all())

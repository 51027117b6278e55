"""Gradients: what a graph's backward pass returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from rllab.backprop.explicit import Pass
from rllab.backprop.wiring import Wiring


@dataclass(eq=False)
class Gradients:
    """The average loss, and its gradient with respect to weights and to the variables that were asked for.

    Attributes:
        loss: L, ().
        weights: ∂L/∂w of all blocks, flat (d,).

    Example:
        import torch
        from rllab import backprop as bp

        net = bp.mlp((3, 4, 2))
        made = net.backward(torch.ones(5, 3), torch.zeros(5).long())
        made.loss, made.weights.shape
    """

    loss: Tensor
    weights: Tensor
    _variables: dict[str, Tensor] = field(repr=False)
    _wiring: Wiring = field(repr=False)
    _kind: tuple = field(default=(), repr=False)  # of call: what was asked for, shapes, dtypes and devices
    _made_by: Pass | None = field(default=None, repr=False)  # the pass that writes into these tensors, as `out`

    @cached_property
    def by_variable(self) -> dict[str, Tensor]:
        """∂L/∂z of the variables asked for, and ∂L/∂w of each block's own weights, flat, under the block's name."""
        return _ByVariable(self._wiring, self._variables | self._wiring.flat_parts(self.weights))

    def row_grad(self, name: str) -> Tensor:
        """Return ∂L/∂z as a row vector (1, m) of all m numbers of a variable (L76).

        Raises:
            ValueError: the variable is discrete.
            KeyError: there is no such variable, or it was not asked for.
        """
        return self.by_variable[name].reshape(1, -1)


class _ByVariable(dict[str, Tensor]):
    """Gradients by name; what has none says why."""

    def __init__(self, wiring: Wiring, gradients: dict[str, Tensor]):
        super().__init__(gradients)
        self._wiring = wiring

    def __missing__(self, name: str) -> Tensor:
        variable = self._wiring.variables.get(name)
        if variable is None:
            block = next((b for b in self._wiring.blocks if b.name == name), None)
            if block is None:
                raise KeyError(f"Gradients: there is no variable and no block {name!r}")
            of = f"shares those of block {block.shares!r}" if block.shares else "has none"
            raise KeyError(f"Gradients: block {name!r} has no weights of its own: it {of}")
        if variable.discrete:
            raise ValueError(f"Gradients: {variable} is discrete, and has no gradient")
        raise KeyError(f"Gradients: {variable} is left out: ask for it, Graph.backward(…, variables={name!r})")

"""Graph: any DAG of modules with a cost on top, and the gradient of the average loss with respect to every variable.

    L(S, w) = (1/n) Σ_p C_p        ∂L/∂z = Σ_k ∂L/∂f_k ∂f_k/∂z   over all blocks k that read z     (L16, L17, L68, L83)

Three engines give it: `explicit`, by the modules' own products; `autograd`, torch on the same forward; `differences`.

Source: LeCun (2020), NYU Deep Learning, week 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rllab.backprop.module import Module
from rllab.keys import Key, as_key

Engine = Literal["explicit", "autograd", "differences"]


@dataclass(frozen=True)
class Block:
    """A module, the variables it reads and the variables it computes."""

    name: str
    module: Module
    reads: tuple[str, ...]
    computes: tuple[str, ...]


@dataclass(frozen=True)
class Variable:
    """A variable's name, whether it is observed or computed, continuous or discrete (L10)."""

    name: str
    observed: bool
    discrete: bool


@dataclass(frozen=True)
class Gradients:
    """The average loss (), and its gradient by variable; weights are variables named by their block, flat."""

    loss: Tensor
    by_variable: dict[str, Tensor]
    weights: Tensor


class Graph:
    """Blocks in an order in which each reads only what is there already.

    Args:
        blocks: the modules.
        inputs: the observed variables in the order of the arguments, and whether each is discrete.
        output: the variable that `predict` returns.
        cost: the variable (n,) whose mean is the loss.
        key: the initial weights are drawn from it.
        dtype: of the weights.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        inputs: Mapping[str, bool],
        *,
        output: str,
        cost: str,
        key: Key | int,
        dtype: torch.dtype = torch.float32,
    ):
        self.blocks, self.inputs, self.output, self.cost = list(blocks), dict(inputs), output, cost
        self.variables = {name: Variable(name, True, discrete) for name, discrete in inputs.items()}
        self._trained: set[str] = set()  # the variables that depend on weights
        for block in blocks:
            if missing := [name for name in block.reads if name not in self.variables]:
                raise ValueError(f"Graph: block {block.name!r} reads {missing}, which no earlier block computes")
            if (len(block.reads), len(block.computes)) != (block.module.inputs, block.module.outputs):
                raise ValueError(f"Graph: block {block.name!r} does not have its module's numbers of variables")
            if taken := [name for name in (block.name, *block.computes) if name in self.variables]:
                raise ValueError(f"Graph: block {block.name!r} takes names that are in use: {taken}")
            self.variables |= {name: Variable(name, False, block.module.discrete) for name in block.computes}
            if block.module.size or self._trained & set(block.reads):
                self._trained |= set(block.computes)
        if len({block.name for block in blocks}) < len(blocks) or {b.name for b in blocks} & set(self.variables):
            raise ValueError("Graph: blocks and variables must all have different names")
        if {output, cost} - set(self.variables):
            raise ValueError(f"Graph: output and cost must be variables, got {output!r} and {cost!r}")
        parts = [block.module.initial(as_key(key).child(block.name)) for block in blocks]
        self.weights = torch.cat(parts).to(dtype) if parts else torch.zeros(0, dtype=dtype)

    def predict(self, *observed: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the output from the inputs it needs, the first ones; the others may be left away."""
        values = dict(zip(self.inputs, observed, strict=False))
        self._run(values, self._split(self.weights if weights is None else weights), until=self.output)
        return values[self.output]

    def loss_per_sample(self, *observed: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return C (n,)."""
        return self._forward(observed, self.weights if weights is None else weights)[self.cost]

    @torch.no_grad()
    def backward(
        self,
        *observed: Tensor,
        engine: Engine = "explicit",
        weights: Tensor | None = None,
        weights_only: bool = False,
    ) -> Gradients:
        """Return the loss and its gradient with respect to every continuous variable and the weights.

        With `weights_only` the products that no gradient of weights needs are left out, and `by_variable` is empty.

        Raises:
            ValueError: if a gradient would have to pass a module that has none, or an unknown engine is asked for.
        """
        engines = {"autograd": self._autograd, "differences": self._differences}
        if engine not in ("explicit", *engines):
            raise ValueError(f"Graph.backward: engine must be one of {('explicit', *engines)}, got {engine!r}")
        for block in self.blocks:
            if not block.module.differentiable:
                raise ValueError(f"Graph.backward: no gradient passes block {block.name!r} to {block.reads[0]!r}")
        flat = self.weights if weights is None else weights
        if engine == "explicit":
            return self._explicit(observed, flat, weights_only)
        answer = engines[engine](observed, flat)
        return Gradients(answer.loss, {}, answer.weights) if weights_only else answer

    def _split(self, w: Tensor) -> dict[str, Tensor]:
        if w.shape != self.weights.shape:
            raise ValueError(f"Graph: weights must be {tuple(self.weights.shape)}, got {tuple(w.shape)}")
        sizes = [block.module.size for block in self.blocks]
        return dict(zip([block.name for block in self.blocks], w.split(sizes), strict=True))

    def _run(self, values: dict[str, Tensor], w: dict[str, Tensor], until: str | None = None) -> None:
        for block in self.blocks:
            if until in values:
                return
            z = _gather(values, block.reads)
            y = block.module._forward(z, block.module.views(w[block.name]))
            values.update(zip(block.computes, y if len(block.computes) > 1 else (y,), strict=True))

    def _forward(self, observed: tuple[Tensor, ...], w: Tensor) -> dict[str, Tensor]:
        if len(observed) != len(self.inputs):
            raise ValueError(f"Graph: inputs must be {tuple(self.inputs)}, got {len(observed)} tensors")
        values = dict(zip(self.inputs, observed, strict=True))
        self._run(values, self._split(w))
        if values[self.cost].ndim != 1:
            raise ValueError(f"Graph: cost {self.cost!r} must be one number a sample, got {values[self.cost].shape}")
        return values

    def _gradients(self, values: dict[str, Tensor], g: dict[str, Tensor], flat: Tensor) -> Gradients:
        continuous = [name for name, variable in self.variables.items() if not variable.discrete]
        every = {name: g[name] if name in g else torch.zeros_like(values[name]) for name in continuous}
        return Gradients(values[self.cost].mean(), every | self._named(flat), flat)

    def _named(self, flat: Tensor) -> dict[str, Tensor]:
        return {name: part for name, part in self._split(flat).items() if part.numel()}

    def _explicit(self, observed: tuple[Tensor, ...], flat: Tensor, weights_only: bool) -> Gradients:
        values, w, into = self._forward(observed, flat), self._split(flat), torch.zeros_like(flat)
        parts, c = self._split(into), values[self.cost]
        g: dict[str, Tensor] = {self.cost: torch.full_like(c, 1 / len(c))}
        for block in reversed(self.blocks):
            if not any(name in g for name in block.computes):
                continue  # the cost does not depend on it
            for name in block.computes:
                g.setdefault(name, torch.zeros_like(values[name]))
            v, z, y = (_gather(d, n) for d, n in ((g, block.computes), (values, block.reads), (values, block.computes)))
            views = block.module.views(w[block.name])
            if block.module.size:
                block.module._vjp_weights(v, z, views, y, block.module.views(parts[block.name]))
            if weights_only and not self._trained & set(block.reads):
                continue
            products = block.module._vjp_state(v, z, views, y)
            for name, product in zip(block.reads, products if len(block.reads) > 1 else (products,), strict=True):
                if product is not None:
                    g[name] = self._accumulate(g.get(name), product)
        if weights_only:
            return Gradients(c.mean(), {}, into)
        return self._gradients(values, g, into)

    def _accumulate(self, so_far: Tensor | None, product: Tensor) -> Tensor:
        return product if so_far is None else so_far + product  # the fan-out sum, L67

    def _autograd(self, observed: tuple[Tensor, ...], flat: Tensor) -> Gradients:
        with torch.enable_grad():
            leaf = flat.detach().requires_grad_()
            values, w = {}, self._split(leaf)
            for name, t in zip(self.inputs, observed, strict=True):
                values[name] = t if self.inputs[name] else t.detach().requires_grad_()
            for block in self.blocks:
                y = block.module._forward(_gather(values, block.reads), block.module.views(w[block.name]))
                for name, t in zip(block.computes, y if len(block.computes) > 1 else (y,), strict=True):
                    values[name] = t.view_as(t)  # a node of its own, where a module hands its input on
            names = [name for name, variable in self.variables.items() if not variable.discrete]
            wanted = [values[name] for name in names]
            *g, into = torch.autograd.grad(values[self.cost].mean(), [*wanted, leaf], materialize_grads=True)
        return self._gradients({k: t.detach() for k, t in values.items()}, dict(zip(names, g, strict=True)), into)

    def _differences(self, observed: tuple[Tensor, ...], flat: Tensor) -> Gradients:
        values, w = self._forward(observed, flat), self._split(flat)
        names = [name for name, variable in self.variables.items() if not variable.discrete]
        g = {name: self._difference(values, w, name, values[name]) for name in names}
        into = [self._difference(values, w, block.name, w[block.name]) for block in self.blocks]
        return self._gradients(values, g, torch.cat(into))

    def _difference(self, values: dict[str, Tensor], w: dict[str, Tensor], name: str, at: Tensor) -> Tensor:
        """Central differences of the loss in each entry of one variable, whatever lies below it held fixed."""
        h, g = torch.finfo(at.dtype).eps ** (1 / 3), torch.empty(at.numel(), dtype=at.dtype, device=at.device)
        for i in range(at.numel()):
            loss = []
            for step in (h, -h):
                moved = at.clone().contiguous()
                moved.view(-1)[i] += step
                new_w = w | ({name: moved} if name in w else {})
                new, dirty = values | ({} if name in w else {name: moved}), {name}
                for block in self.blocks:
                    if dirty & {block.name, *block.reads}:
                        views = block.module.views(new_w[block.name])
                        y = block.module._forward(_gather(new, block.reads), views)
                        new.update(zip(block.computes, y if len(block.computes) > 1 else (y,), strict=True))
                        dirty |= set(block.computes)
                loss.append(new[self.cost].mean())
            g[i] = (loss[0] - loss[1]) / (2 * h)
        return g.view(at.shape)


def _gather(values: Mapping[str, Tensor], names: tuple[str, ...]) -> Tensor | tuple[Tensor, ...]:
    return values[names[0]] if len(names) == 1 else tuple(values[name] for name in names)

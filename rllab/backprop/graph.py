"""Graph: any DAG of modules with costs on top, and the gradient of the average loss with respect to every variable.

    L(S, w) = (1/n) Σ_p C_p        ∂L/∂z = Σ_k ∂L/∂f_k ∂f_k/∂z   over all blocks k that read z     (L16, L17, L68, L83)

with C the sum of the costs if there are several. Three engines give it: `explicit`, by the modules' own products;
`autograd`, torch on the same forward; `differences`.

Source: LeCun (2020), NYU Deep Learning, week 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from rllab.backprop import engines
from rllab.backprop.estimated import Asked, Estimated
from rllab.backprop.explicit import Pass, check_costs, forward, gather
from rllab.backprop.module import Weights
from rllab.backprop.order import Block, Plan, check_names, in_order, needed_for, overwriting, variables_of, wanting
from rllab.cost import Cost
from rllab.keys import Key, as_key

Engine = Literal["explicit", "autograd", "differences"]


@dataclass(frozen=True)
class Gradients:
    """The average loss (), and its gradient by variable; weights are variables named by their block, flat."""

    loss: Tensor
    by_variable: dict[str, Tensor]
    weights: Tensor
    _made_by: Pass | None = field(default=None, repr=False, compare=False)

    def row_grad(self, name: str) -> Tensor:
        """Return ∂L/∂z as a row vector (1, m) of all m numbers of a variable (L76).

        Raises:
            ValueError: the variable is discrete.
            KeyError: there is no such variable, or the weights' gradients alone were asked for.
        """
        return self.by_variable[name].reshape(1, -1)


class _ByVariable(dict[str, Tensor]):
    """Gradients by name; what has none says why."""

    def __init__(self, graph: Graph, gradients: Mapping[str, Tensor]):
        super().__init__(gradients)
        self._graph = graph

    def __missing__(self, name: str) -> Tensor:
        variable = self._graph.variables.get(name)
        if variable is None:
            block = next((b for b in self._graph.blocks if b.name == name), None)
            if block is None:
                raise KeyError(f"Gradients: there is no variable and no block {name!r}")
            if not block.module.size or block.shares:
                of = f"shares those of block {block.shares!r}" if block.shares else "has none"
                raise KeyError(f"Gradients: block {name!r} has no weights of its own: it {of}")
        elif variable.discrete:
            raise ValueError(f"Gradients: {variable} is discrete, and has no gradient")
        raise KeyError(f"Gradients: {variable or f'block {name!r}'} is left out: those of the weights alone were asked")


class Graph:
    """Blocks, in whatever order, between variables; the blocks must not depend on each other in a circle.

    Args:
        blocks: the modules.
        inputs: the observed variables in the order of the arguments, and whether each is discrete.
        output: the variable that `predict` returns, or several.
        cost: the variable (n,) whose mean is the loss, or several whose sum's mean it is.
        key: the initial weights are drawn from it.
        dtype: of the weights.

    Attributes:
        blocks: in an order in which each reads only what is there.
        variables: each by name: observed or computed, continuous or discrete.
        weights: of all blocks, flat (d,); a new vector may be put in its place.

    Raises:
        ValueError: names are used twice or by nobody, wires do not fit modules, or blocks form a circle.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        inputs: Mapping[str, bool],
        *,
        output: str | Sequence[str],
        cost: str | Sequence[str],
        key: Key | int,
        dtype: torch.dtype = torch.float32,
    ):
        check_names(blocks, inputs)
        self.blocks, self.inputs = in_order(blocks, inputs), dict(inputs)
        self.outputs = (output,) if isinstance(output, str) else tuple(output)
        self.costs = (cost,) if isinstance(cost, str) else tuple(cost)
        self.variables = variables_of(self.blocks, inputs)
        unknown = [name for name in (*self.outputs, *self.costs) if name not in self.variables]
        if unknown or not self.outputs or not self.costs:
            raise ValueError(f"Graph: output and cost must be variables, got {output!r} and {cost!r}")
        self.estimated: dict[str, Estimated] = {}
        self._owners = [block for block in self.blocks if block.shares is None]
        # where each block's weights are in the flat vector, and its plans: neither changes, and both are asked often
        self._shapes = {block.name: tuple(block.module.shapes.values()) for block in self._owners}
        self._plans: dict[tuple[bool, frozenset[str]], Plan] = {}
        parts = [block.module.initial(as_key(key).child(block.name)) for block in self._owners]
        self.weights = torch.cat(parts).to(dtype) if parts else torch.zeros(0, dtype=dtype)

    @property
    def output(self) -> str:
        """The first output."""
        return self.outputs[0]

    @property
    def cost(self) -> str:
        """The first cost."""
        return self.costs[0]

    def predict(self, *observed: Tensor, weights: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        """Return the output, a tuple if there are several, from the first inputs; later ones may be left away.

        Raises:
            ValueError: an input that the output depends on is missing, or there are more tensors than inputs.
        """
        if len(observed) > len(self.inputs):
            raise ValueError(f"Graph.predict: inputs are {tuple(self.inputs)}, got {len(observed)} tensors")
        values = dict(zip(self.inputs, observed, strict=False))
        path = needed_for(self.blocks, self.outputs)
        read = [name for block in path for name in block.reads] + list(self.outputs)
        if missing := [name for name in read if name in self.inputs and name not in values]:
            raise ValueError(f"Graph.predict: output {self.outputs} needs input {missing[0]!r}, which is missing")
        self._check_kinds(values)
        forward(path, values, self.split(self.weights if weights is None else weights))
        return gather(values, self.outputs)

    def loss_per_sample(self, *observed: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return C (n,), the sum of the costs."""
        values = self._observed(observed)
        w = self.split(self.weights if weights is None else weights)
        forward(needed_for(self.blocks, self.costs), values, w)
        first, *others = check_costs(self, values, len(observed[0]))
        return sum(others, start=first)

    def backward(
        self,
        *observed: Tensor,
        engine: Engine = "explicit",
        weights: Tensor | None = None,
        weights_only: bool = False,
        reuse: Gradients | None = None,
    ) -> Gradients:
        """Return the loss and its gradient with respect to every continuous variable and the weights.

        Args:
            weights_only: leave out the products that no gradient of weights needs; `by_variable` is then empty.
            reuse: what an earlier call returned and nobody needs any more. Where shapes, dtypes and devices still fit
                and no block is estimated, the explicit engine writes into its tensors and returns it again; otherwise
                it is left alone. Inputs, and weights, that are other tensors than in the call before are copied into
                the pass's own; those that are the same, changed in place or not, are read where they are.

        Cost: small nets are fast with `reuse` only, and fastest with `weights_only` too: from the third call on a pass
        is the bare list of torch's operations, beside one copy of each tensor that is new. A call without `reuse` asks
        what reads what and allocates all of its tensors.

        Raises:
            ValueError: a gradient would have to pass a module that has none, the cost is not one number a sample, a
                block cannot compute from what it reads, or an unknown engine is asked for.
        """
        flat = self.weights if weights is None else weights
        if engine == "explicit":
            return self._explicit(observed, flat, weights_only, reuse)
        if engine not in ("autograd", "differences"):
            raise ValueError(f"Graph.backward: engine must be explicit, autograd or differences, got {engine!r}")
        self._observed(observed)
        self.check_passable(weights_only, estimates=False)
        loss, by_variable, g = getattr(engines, engine)(self, observed, flat)
        named = {} if weights_only else by_variable | self._named(g)
        return Gradients(loss, _ByVariable(self, named), g)

    def _explicit(
        self, observed: tuple[Tensor, ...], flat: Tensor, weights_only: bool, reuse: Gradients | None
    ) -> Gradients:
        made = reuse and reuse._made_by
        if reuse and made and made.fits(self, observed, flat, weights_only):
            made(observed, flat)
            if not weights_only:
                reuse.by_variable.update(made.gradients)  # a module may have ignored its buffer
            return reuse
        self._observed(observed)
        made = Pass(self, observed, flat, weights_only)
        named = {} if weights_only else made.gradients | self._named(made.gradient)
        return Gradients(made.loss, _ByVariable(self, named), made.gradient, made)

    def set_gradient(
        self,
        block: str,
        estimator: Asked | None,
        *,
        key: Key | int,
        evaluations: int = 8,
        scope: Literal["local", "to_cost"] | None = None,
        smooth: bool = False,
        budget: int | Cost | None = None,
    ) -> None:
        """Let the explicit engine estimate one block's gradient with respect to what it reads; None: exactly again.

        Args:
            estimator: asked about n samples at once; it may need values only.
            evaluations: how many it may spend for each sample in each backward pass.
            scope: "to_cost" estimates the gradient through the block and all that follows, and needs neither of them
                differentiable; "local" takes what follows as linear, for a `smooth` block with one output. None:
                "local" if it is smooth, else "to_cost".
            budget: the largest number of evaluations, or a `Cost` whose ledger to use.

        Raises:
            ValueError: there is no such block, "local" is asked for one that is not smooth, or its weights would have
                no gradient.
        """
        found = next((b for b in self.blocks if b.name == block), None)
        if found is None:
            raise ValueError(f"Graph.set_gradient: block must be one of {[b.name for b in self.blocks]}, got {block!r}")
        if estimator is None:
            self.estimated.pop(block, None)
            return
        scope = scope or ("local" if smooth else "to_cost")
        if scope == "local" and (not smooth or len(found.computes) > 1):
            raise ValueError(
                f"Graph.set_gradient: scope 'local' takes what follows block {block!r} as linear; it is for blocks of "
                "one output that are declared smooth=True"
            )
        if found.module.size and not found.module.differentiable:
            raise ValueError(f"Graph.set_gradient: block {block!r} has weights that no product reaches")
        ledger = budget if isinstance(budget, Cost) else Cost(self.predict, budget)
        self.estimated[block] = Estimated(estimator, evaluations, as_key(key).child(block), scope, ledger)

    def per_sample(self, *observed: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the gradient of each sample's loss with respect to the weights, (n, d): their mean is `backward`'s."""
        flat = self.weights if weights is None else weights
        self._observed(observed)
        made = Pass(self, observed, flat, weights_only=True)
        n = len(observed[0])
        rows = torch.zeros(n, len(flat), dtype=flat.dtype, device=flat.device)
        at = dict(
            zip((b.name for b in self._owners), rows.split([b.module.size for b in self._owners], 1), strict=True)
        )
        for block in made.plan.path:
            if block.module.size and not made.gradients.keys().isdisjoint(block.computes):
                v, z = gather(made.gradients, block.computes), gather(made.values, block.reads)
                w, y = self.weights_of(block.name, weights=flat).values(), made.ys[block.name]
                # the pass began with 1/n
                at[block.shares or block.name] += n * block.module._vjp_weights_by_sample(v, z, list(w), y)
        return rows

    def rest(self, name: str, *observed: Tensor, weights: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """Return the loss as a function of one continuous variable alone, everything below it held fixed (L60).

        Cost: one forward pass here, and one over what lies above the variable for each call of the function.

        Raises:
            ValueError: there is no such variable, or it is discrete.
        """
        if name not in self.variables or self.variables[name].discrete:
            raise ValueError(f"Graph.rest: needs a continuous variable, got {name!r}")
        self._observed(observed)
        return engines.rest(self, name, observed, self.weights if weights is None else weights)

    def weights_of(self, block: str, *, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return a block's weights by their names, as views of the flat vector."""
        found = next((b for b in self.blocks if b.name == block), None)
        if found is None:
            raise ValueError(f"Graph.weights_of: block must be one of {[b.name for b in self.blocks]}, got {block!r}")
        views = self.split(self.weights if weights is None else weights)[block]
        return dict(zip(found.module.shapes, views, strict=True))

    def split(self, w: Tensor) -> dict[str, Weights]:
        """Return views of the flat vector w (d,) for each block, in the shapes of its module's weights."""
        if w.shape != self.weights.shape:
            raise ValueError(f"Graph: weights must be {tuple(self.weights.shape)}, got {tuple(w.shape)}")
        sizes = [math.prod(shape) for shapes in self._shapes.values() for shape in shapes]
        parts = iter(w.split(sizes) if sizes else ())
        own = {name: [next(parts).view(shape) for shape in shapes] for name, shapes in self._shapes.items()}
        return {block.name: own[block.shares or block.name] for block in self.blocks}

    def plan(self, weights_only: bool) -> Plan:
        """Return what the explicit engine's pass does.

        Raises:
            ValueError: a block lies on its way that has no gradient.
        """
        key = (weights_only, frozenset(self.estimated))
        if key not in self._plans:
            wanted, path = self.check_passable(weights_only), needed_for(self.blocks, self.costs)
            run = path if weights_only else self.blocks  # every variable's gradient needs its shape
            # gradients of variables, and estimates, are made of what was read
            over = overwriting(run, (*self.costs, *self.inputs)) if weights_only and not self.estimated else set()
            self._plans[key] = Plan(run, path, wanted, over)
        return self._plans[key]

    def check_passable(self, weights_only: bool, *, estimates: bool = True) -> set[str]:
        """Return the continuous variables through which a gradient passes that is asked for.

        Raises:
            ValueError: a block lies on its way that has none.
        """
        live = wanting(self.blocks, self.variables, weights_only)
        for block in needed_for(self.blocks, self.costs):
            if estimates and block.name in self.estimated:
                continue
            if not block.module.differentiable and (block.module.size or live & set(block.reads)):
                below = next((repr(name) for name in block.reads if name in live), "its weights")
                raise ValueError(f"Graph.backward: no gradient passes block {block.name!r} to {below}")
        return {name for name in live if not self.variables[name].discrete}

    def _flat_parts(self, w: Tensor) -> dict[str, Tensor]:
        parts = w.split([block.module.size for block in self._owners]) if self._owners else ()
        return dict(zip([block.name for block in self._owners], parts, strict=True))

    def _named(self, flat: Tensor) -> dict[str, Tensor]:
        return {name: part for name, part in self._flat_parts(flat).items() if part.numel()}

    def _observed(self, observed: tuple[Tensor, ...]) -> dict[str, Tensor]:
        if len(observed) != len(self.inputs):
            raise ValueError(f"Graph: inputs must be {tuple(self.inputs)}, got {len(observed)} tensors")
        values = dict(zip(self.inputs, observed, strict=True))
        self._check_kinds(values)
        return values

    def _check_kinds(self, values: Mapping[str, Tensor]) -> None:
        for name, t in values.items():
            if not isinstance(t, Tensor) or t.ndim == 0 or t.is_floating_point() is self.inputs[name]:
                kind = "integers" if self.inputs[name] else "floating point"
                got = f"{tuple(t.shape)} {t.dtype}" if isinstance(t, Tensor) else repr(t)
                raise ValueError(f"Graph: input {name!r} must be a tensor of {kind}, sample first, got {got}")

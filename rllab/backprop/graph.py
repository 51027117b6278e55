"""Graph: any DAG of modules with costs on top, its weights, and the gradient of the average loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from rllab.backprop import engines
from rllab.backprop.evaluation import check_costs, forward, gather, initial
from rllab.backprop.explicit import Pass
from rllab.backprop.gradients import Gradients
from rllab.backprop.module import Weights
from rllab.backprop.order import Block, Variable, needed_for
from rllab.backprop.replay import Kept
from rllab.backprop.wiring import wired
from rllab.checks import check_one_of
from rllab.keys import Key, as_key

Engine = Literal["explicit", "autograd", "differences"]
KINDS = 2  # of call whose passes are kept: those of whole batches, and of what is left at the end of an epoch


class Graph:
    """Blocks, in whatever order, between variables; the blocks must not depend on each other in a circle.

        L(S, w) = (1/n) Σ_p C_p                                                                          (L16, L17)
        ∂L/∂z = Σ_k ∂L/∂f_k ∂f_k/∂z   over all blocks k that read z                                      (L68, L83)

    with C the sum of the costs if there are several.

    Args:
        blocks: the modules.
        inputs: the observed variables in the order of the arguments, and whether each is discrete.
        output: the variable that `predict` returns, or several.
        cost: the variable (n,) whose mean is the loss, or several whose sum's mean it is.
        key: the initial weights are drawn from it.
        dtype: of the weights.

    Attributes:
        weights: of all blocks, flat (d,); a new vector may be put in its place.

    Raises:
        ValueError: names are used twice or by nobody, wires do not fit modules, or blocks form a circle.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        blocks = [
            bp.Block("linear", bp.Linear(2, 1), ("x",), ("ȳ",)),
            bp.Block("cost", bp.SquaredDistance(), ("ȳ", "y"), ("C",)),
        ]
        graph = bp.Graph(blocks, {"x": False, "y": False}, output="ȳ", cost="C", key=0)
        g = graph.backward(torch.ones(5, 2), torch.zeros(5, 1), variables="x")
        print(g.loss, g.weights, g.by_variable["x"])
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
        self.wiring = wired(blocks, inputs, output, cost)
        parts = [initial(block, as_key(key).child(name)) for name, block in self.wiring.owners.items()]
        self.weights = torch.cat(parts).to(dtype) if parts else torch.zeros(0, dtype=dtype)
        self._kept: Kept[Pass] = Kept(KINDS)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks in an order in which each reads only what is there."""
        return self.wiring.blocks

    @property
    def inputs(self) -> Mapping[str, bool]:
        """The observed variables in the order of the arguments, and whether each is discrete."""
        return self.wiring.inputs

    @property
    def variables(self) -> dict[str, Variable]:
        """Each variable by name: observed or computed, continuous or discrete."""
        return self.wiring.variables

    @property
    def continuous(self) -> tuple[str, ...]:
        """The names of the variables that have a gradient."""
        return tuple(name for name, variable in self.variables.items() if not variable.discrete)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The variables that `predict` returns."""
        return self.wiring.outputs

    @property
    def costs(self) -> tuple[str, ...]:
        """The variables whose sum's mean is the loss."""
        return self.wiring.costs

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
        self.wiring.check_inputs(values)
        forward(path, values, self.split(self._or_own(weights)))
        return gather(values, self.outputs)

    def loss_per_sample(self, *observed: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return C (n,), the sum of the costs.

        Cost: a forward pass, module by module, as `predict` makes one. It is never replayed, as `backward` is from its
        fourth call on, which in a small graph therefore takes less time: no measure of what a gradient costs in values.
        """
        values = self.wiring.observe(observed)
        forward(needed_for(self.blocks, self.costs), values, self.split(self._or_own(weights)))
        first, *others = check_costs(self.wiring, values)
        return sum(others, start=first)

    def backward(
        self,
        *observed: Tensor,
        weights: Tensor | None = None,
        variables: str | Sequence[str] = (),
        engine: Engine = "explicit",
        out: Gradients | None = None,
    ) -> Gradients:
        """Return the loss and its gradient with respect to the weights, and to variables if they are asked for.

        Args:
            weights: (d,), by default the graph's own.
            variables: names of the continuous variables whose gradients are wanted too; `graph.continuous` is all.
            engine: "explicit", by the modules' own products; "autograd", torch on the same forward; "differences", two
                forward passes an entry.
            out: what an earlier call of the explicit engine returned, for tensors of the same shapes, dtypes and
                devices and the same variables: its tensors are written over, and it is returned again.

        Returns:
            Gradients of its own: no later call writes over them, unless they are given as `out`.

        Cost: from the fourth call on with tensors of the same shapes, a pass is the bare list of torch's operations,
        beside one copy of each tensor that is new and of the gradients; for this the graph holds the variables of one
        pass for each of the last two kinds of call that came more than once. With `out` gradients are not copied.

        Raises:
            ValueError: a gradient would have to pass a module that has none, the cost is not one number a sample, a
                block cannot compute from what it reads, an unknown engine or variable is asked for, or `out` is of
                another kind of call.
        """
        flat, asked = self._or_own(weights), (variables,) if isinstance(variables, str) else tuple(variables)
        if engine == "explicit":
            if out is None:
                return self._backward(asked, observed, flat)
            return self._backward_into(out, asked, observed, flat)
        check_one_of("Graph.backward", get_args(Engine), engine=engine)
        if out is not None:
            raise ValueError(f"Graph.backward: out must be None for engine {engine!r}, got {out!r}")
        self.wiring.observe(observed)
        self.wiring.check_passable(asked)
        loss, g, of_variables = getattr(engines, engine)(self.wiring, observed, flat, asked)
        return Gradients(loss, g, of_variables, self.wiring)

    def _backward(self, asked: tuple[str, ...], observed: tuple[Tensor, ...], flat: Tensor) -> Gradients:
        """Return gradients of their own, copied from a pass that is kept if there was such a call before."""
        kind = self._kind(asked, observed, flat)
        call = (kind, torch.is_inference_mode_enabled())  # in which tensors are made that cannot be written outside
        seen, made = self._kept.seen(call), self._kept.take(call)
        if made is None:
            made = self._pass(asked, observed, flat)
        else:
            made(observed, flat)
        loss, g = (made.loss.clone(), made.gradient.clone()) if seen else (made.loss, made.gradient)
        # a variable's gradient may be a view of another's
        found = Gradients(loss, g, {name: made.gradients[name].clone() for name in asked}, self.wiring, kind)
        self._kept.put(call, made if seen else None)  # from here on another thread may write over it
        return found

    def _backward_into(
        self, out: Gradients, asked: tuple[str, ...], observed: tuple[Tensor, ...], flat: Tensor
    ) -> Gradients:
        """Write over `out` and return it."""
        kind = self._kind(asked, observed, flat)
        if not isinstance(out, Gradients) or out._wiring is not self.wiring or out._kind != kind:
            raise ValueError(
                "Graph.backward: out must be what this graph's explicit engine returned for the same variables and "
                f"tensors of the same shapes, dtypes and devices, {kind}, got "
                f"{out._kind if isinstance(out, Gradients) else out!r}"
            )
        if out._made_by is None:
            out._made_by = self._pass(asked, observed, flat, (out.loss, out.weights))
        else:
            out._made_by(observed, flat)
        for name, g in out._variables.items():
            g.copy_(out._made_by.gradients[name])
        return out

    def _pass(
        self,
        asked: tuple[str, ...],
        observed: tuple[Tensor, ...],
        flat: Tensor,
        out: tuple[Tensor, Tensor] | None = None,
    ) -> Pass:
        self.wiring.observe(observed)
        return Pass(self.wiring, self.wiring.plan(asked), observed, flat, out)

    def _kind(self, asked: tuple[str, ...], observed: tuple[Tensor, ...], flat: Tensor) -> tuple:
        """Return what calls must have in common that are made by one pass."""
        try:
            return (asked, *[(t.shape, t.dtype, t.device) for t in (*observed, flat)])
        except AttributeError:
            self.wiring.observe(observed)  # says which is no tensor
            raise

    def rest(self, name: str, *observed: Tensor, weights: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """Return the loss as a function of one continuous variable alone, everything below it held fixed (L60).

        Cost: one forward pass here, and one over what lies above the variable for each call of the function.

        Raises:
            ValueError: there is no such variable, or it is discrete.
        """
        if name not in self.variables or self.variables[name].discrete:
            raise ValueError(f"Graph.rest: needs a continuous variable, got {name!r}")
        self.wiring.observe(observed)
        return engines.rest(self.wiring, name, observed, self._or_own(weights))

    def weights_of(self, block: str, *, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return a block's weights by their names, as views of the flat vector.

        A block that shares weights has those of the block that it names: of a gradient, both get the sum over all that
        share. The part of one that computes s from x is `module.vjp_weights(g.by_variable["s"], x, w)`, with the flat
        w of the module, and g = backward(…, variables="s").
        """
        found = next((b for b in self.blocks if b.name == block), None)
        if found is None:
            raise ValueError(f"Graph.weights_of: block must be one of {[b.name for b in self.blocks]}, got {block!r}")
        return dict(zip(found.module.shapes, self.split(self._or_own(weights))[block], strict=True))

    def split(self, w: Tensor) -> dict[str, Weights]:
        """Return views of the flat vector w (d,) for each block, in the shapes of its module's weights.

        Blocks that share weights get the same views: of a gradient, each the sum over all of them, see `weights_of`.
        """
        return self.wiring.split(w)

    def _or_own(self, weights: Tensor | None) -> Tensor:
        return self.weights if weights is None else weights

"""Module: a block z_out = f(z, w) with both vector–Jacobian products written by hand, and both Jacobians as objects."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from rllab.keys import Key

State = Any  # a Tensor, or a tuple of them where a module has several
Weights = Sequence[Tensor]  # the weights of a module, one view of the flat vector each


class Module(ABC):
    """One block. A subclass writes `_forward` and `_vjp_state`, and more for weights.

        ∂C/∂z = ∂C/∂f · ∂f/∂z        ∂C/∂w = Σ_p ∂C/∂f · ∂f/∂w          over the samples p of a batch         (L76–L83)

    A module is stateless: its weights come as one flat vector w (d,), so that z and w are arguments alike (L2), and
    what it returns depends on nothing else; a graph may make the operations of an earlier call again without calling
    it. States are batches, sample first. A module of one input takes and returns a tensor for it, one of several a
    tuple.

    The methods with an underscore are the fast path: weights come as a list w of views in the shapes of `shapes`, and y
    is what `_forward` returned. `out` holds numbers of an earlier call, or of nothing: overwrite it, never add to it.
    In `_forward` and `_vjp_state` it is None or what the same method returned last time for the same shapes, and may be
    ignored. In `_vjp_weights` it is a list with one tensor for each weight, to be written in place, all of it:
    `out[0].copy_(…)`, not `out.copy_(…)` or `out[0] += …`. A method must never write into z, w, v or y, as other blocks
    read them. A graph looks for neither fault, `check_graph` for both.

    What `_forward` finds on its way and a product needs again, it may return after its outputs: `hidden` tensors,
    sample first, that only it sees. One with weights says their `shapes`, has a `_vjp_weights`, and an `initial` if
    they are not to begin at 0. One with settings is a frozen dataclass, as `Linear`, so that equal ones compare equal,
    which blocks that share weights must.

    What follows is of the class; a subclass sets what is otherwise. The defaults of the last two are safe, and cost a
    little memory.

    Attributes:
        inputs, outputs: numbers of states that it takes and returns, 1 each.
        hidden: number of tensors that `_forward` returns after its outputs, 0.
        differentiable: whether it has products; where not, a graph refuses to pass a gradient.
        discrete: whether its outputs are integers, to which no gradient goes; by default not.
        passes_on: whether its outputs are integers just where what it reads is, as of a copy; by default not.
        reads_output: whether a product reads y, or y may be z itself; by default so. Where not, the next block may
            write over y.
        in_place: whether `_forward` may get z itself as `out`, as no product reads z; by default not.

    Source: LeCun (2020), NYU Deep Learning, week 2, "Introduction to gradient descent and backpropagation"; the numbers
    L… here and in the modules count that lecture's statements in order, T… what was said beside them.

    Example:
        import torch
        from rllab import backprop as bp

        class Halve(bp.Module):
            def _forward(self, z, w, out=None):
                return torch.mul(z, 0.5, out=out)

            def _vjp_state(self, v, z, w, y, out=None):
                return torch.mul(v, 0.5, out=out)

        class Scale(bp.Module):  # with weights: two numbers
            shapes = {"a": (), "b": ()}

            def _forward(self, z, w, out=None):
                return w[0] * z + w[1]

            def _vjp_state(self, v, z, w, y, out=None):
                return w[0] * v

            def _vjp_weights(self, v, z, w, y, out):  # overwrites `out`, never adds to it
                out[0].copy_((v * z).sum())
                out[1].copy_(v.sum())

        print(Halve().jacobian_state(torch.ones(1, 2)))
        print(Scale().jacobian_weights(torch.ones(1, 2), torch.tensor([3.0, 0.5])))
    """

    inputs: int = 1
    outputs: int = 1
    hidden: ClassVar[int] = 0
    differentiable: ClassVar[bool] = True
    in_place: ClassVar[bool] = False
    reads_output: ClassVar[bool] = True
    discrete: ClassVar[bool] = False
    passes_on: ClassVar[bool] = False

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights by name, in the order in which the flat vector holds them."""
        return {}

    @property
    def size(self) -> int:
        """Number of weights, d."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def initial(self, key: Key | int) -> Tensor:
        """Draw a flat vector of weights (d,), float64."""
        return torch.zeros(self.size, dtype=torch.float64)

    @abstractmethod
    def _forward(self, z: State, w: Weights, out: State | None = None) -> State:
        """Return f(z, w)."""

    @abstractmethod
    def _vjp_state(self, v: State, z: State, w: Weights, y: State, out: State | None = None) -> State:
        """Return v · ∂f/∂z, one tensor an input; None for an input that is discrete."""

    def _vjp_weights(self, v: State, z: State, w: Weights, y: State, out: Weights) -> None:
        """Write Σ_p v_p · ∂f_p/∂w over what `out` holds, a list with one tensor for each of the weights."""
        raise NotImplementedError(f"{type(self).__name__}: has weights, but no _vjp_weights")

    def _check(self, z: tuple[Tensor, ...]) -> None:  # noqa: B027 - most modules leave it to torch
        """Raise a ValueError that says what is wrong with states on which `_forward` would not fail by itself."""

    def views(self, w: Tensor | None) -> list[Tensor]:
        """Return the weights as views of the flat vector w (d,).

        Raises:
            ValueError: if w has another shape.
        """
        if not self.size:
            return []
        if not isinstance(w, Tensor) or w.shape != (self.size,):
            got = tuple(w.shape) if isinstance(w, Tensor) else w
            raise ValueError(f"{type(self).__name__}: w must be a tensor ({self.size},), got {got}")
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        return [part.view(shape) for part, shape in zip(w.split(sizes), self.shapes.values(), strict=True)]

    def forward(self, z: State, w: Tensor | None = None) -> State:
        """Return f(z, w) for states z, sample first, and weights w (d,)."""
        views = self.views(w)
        shown = outputs(self, self._forward(self._checked(z, views), views))
        return shown if self.outputs > 1 else shown[0]

    def vjp_state(self, v: State, z: State, w: Tensor | None = None) -> State:
        """Return v · ∂f/∂z, shaped as z, for v shaped as the output.

        Raises:
            ValueError: the module has no gradient, z or v does not fit, or its `_vjp_state` returns another shape.
        """
        self._check_differentiable()
        views = self.views(w)
        y = self._forward(self._checked(z, views), views)
        products = self._vjp_state(self._checked_v(v, y), z, views, y)
        self._check_products(products, z)
        return products

    def vjp_weights(self, v: State, z: State, w: Tensor | None = None) -> Tensor:
        """Return Σ_p v_p · ∂f_p/∂w, (d,), for v shaped as the output.

        Raises:
            TypeError: its `_vjp_weights` returns something instead of writing it into `out`.
            ValueError: the module has no gradient, z or v does not fit, or its `_vjp_weights` writes another shape.
        """
        self._check_differentiable()
        views = self.views(w)
        y = self._forward(self._checked(z, views), views)
        v = self._checked_v(v, y)
        g = torch.zeros(0, dtype=torch.float64) if w is None else torch.zeros_like(w)
        if self.size:
            out = self.views(g)
            self._check_written(self._vjp_weights(v, z, views, y, out), out)
        return g

    def jacobian_state(self, z: State, w: Tensor | None = None) -> State:
        """Return J_ij = ∂f_i/∂z_j of each sample, (n, m, k) for states that flatten to m and k numbers (L78).

        A tuple over inputs if there are several; several outputs stand one below the other. Row i of J is the product
        with the i-th unit vector. Cost: one vjp a component of the output.
        """
        rows = [self.vjp_state(v, z, w) for v in self._unit_vectors(self.forward(z, w))]
        columns = list(zip(*rows, strict=True)) if self.inputs > 1 else [rows]
        jacobians = tuple(
            None if column[0] is None else torch.stack([g.flatten(1) for g in column], 1) for column in columns
        )
        return jacobians if self.inputs > 1 else jacobians[0]

    def jacobian_weights(self, z: State, w: Tensor | None = None) -> Tensor:
        """Return J_ij = ∂f_i/∂w_j of each sample, (n, m, d) (L82); several outputs stand one below the other."""
        z, samples = self._checked(z, self.views(w)), []
        for p in range(len(z[0] if self.inputs > 1 else z)):
            z_p = tuple(t[p : p + 1] for t in z) if self.inputs > 1 else z[p : p + 1]
            vectors = self._unit_vectors(self.forward(z_p, w))
            samples.append(torch.stack([self.vjp_weights(v, z_p, w) for v in vectors]))
        return torch.stack(samples)

    def _unit_vectors(self, y: State) -> list[State]:
        """Return, for each component of each output, the v that picks it in every sample."""
        ys, vectors = y if self.outputs > 1 else (y,), []
        for k, part in enumerate(ys):
            for i in range(part[0].numel()):
                v = tuple(torch.zeros_like(t) for t in ys)
                v[k].view(len(part), -1)[:, i] = 1.0
                vectors.append(v if self.outputs > 1 else v[0])
        return vectors

    def _check_call(self, z: State, w: Weights) -> None:
        """Raise a ValueError unless `_forward` may be given these: torch would widen one dtype to another."""
        zs = z if isinstance(z, tuple) else (z,)
        if len({t.dtype for t in (*zs, *w) if t.is_floating_point()}) > 1:
            of_weights = f" and weights of {w[0].dtype}" if w else ""
            raise ValueError(f"states must have one dtype, got {', '.join(str(t.dtype) for t in zs)}{of_weights}")
        self._check(zs)

    def _checked(self, z: State, w: Weights) -> State:
        zs = z if isinstance(z, tuple) else (z,)
        if len(zs) != self.inputs or not all(isinstance(t, Tensor) and t.ndim > 0 for t in zs):
            raise ValueError(f"{type(self).__name__}: z must be {self.inputs} tensor(s), sample first, got {z!r}")
        try:
            self._check_call(z, w)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None
        return z

    def _checked_v(self, v: State, y: State) -> State:
        vs, ys = v if isinstance(v, tuple) else (v,), outputs(self, y)
        if [_kind(t) for t in vs] != [_kind(t) for t in ys]:
            wanted, got = (", ".join(map(_kind, ts)) for ts in (ys, vs))
            raise ValueError(f"{type(self).__name__}: v must be shaped as the output, {wanted}, got {got}")
        return v

    def _check_products(self, products: State, z: State) -> None:
        """Raise unless `_vjp_state` returned a tensor shaped as each state, whatever it returned for a discrete one."""
        zs, gs = (z, products) if self.inputs > 1 else ((z,), (products,))
        many = isinstance(gs, tuple | list) and len(gs) == len(zs)
        if not many or any(t.is_floating_point() and _kind(g) != _kind(t) for t, g in zip(zs, gs, strict=True)):
            raise ValueError(f"{type(self).__name__}: _vjp_state must return {_kind(z)}, got {_kind(products)}")

    def _check_written(self, returned: object, out: Weights) -> None:
        """Raise unless `_vjp_weights` wrote into `out`, which it may take for a product to be returned."""
        if returned is not None:
            raise TypeError(f"{type(self).__name__}: _vjp_weights must write into out and return None")
        shapes, got = [tuple(shape) for shape in self.shapes.values()], [tuple(part.shape) for part in out]
        if got != shapes:  # torch gives another shape to what is given as `out` and does not fit
            raise ValueError(f"{type(self).__name__}: _vjp_weights must write tensors {shapes}, wrote {got}")

    def _check_differentiable(self) -> None:
        if not self.differentiable:
            raise ValueError(f"{type(self).__name__}: has no gradient; estimate one instead")


def outputs(module: Module, y: State) -> Sequence[Tensor]:
    """Return what `_forward` returned as a sequence of a module's outputs, without what is hidden."""
    if module.hidden:
        return y[: module.outputs]
    return y if module.outputs > 1 else (y,)


def check_alike(z: tuple[Tensor, ...]) -> None:
    """Raise a ValueError unless all states have one shape and dtype: torch would stretch and widen."""
    if any(t.shape != z[0].shape for t in z):
        raise ValueError(f"states must have one shape, got {', '.join(str(tuple(t.shape)) for t in z)}")
    check_one_dtype(z)


def check_one_dtype(z: tuple[Tensor, ...]) -> None:
    """Raise a ValueError unless all states have one dtype."""
    if any(t.dtype != z[0].dtype for t in z):
        raise ValueError(f"states must have one dtype, got {', '.join(str(t.dtype) for t in z)}")


def _kind(t: object) -> str:
    if isinstance(t, tuple | list):
        return f"({', '.join(map(_kind, t))})"
    return f"{tuple(t.shape)} of {t.dtype}" if isinstance(t, Tensor) else repr(t)

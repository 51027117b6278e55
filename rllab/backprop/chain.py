"""Chain: modules one after the other, with buffers of its own: forward, then back to the weights and to the input."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rllab.backprop.module import Module, Weights


class Chain:
    """Modules of one state in and one out.

        z_k = f_k(z_k−1, w_k)            g_k−1 = g_k ∂f_k/∂z_k−1            g_wk = g_k ∂f_k/∂w_k               (L81–L83)

    A graph asks what reads what; a chain knows, and does nothing but call its modules. Learners that make the same
    small step a million times, backpropagating through a critic to its input, use it. What `forward` and `backward`
    return is written over by their next call with states of the same shape.

    Args:
        modules: differentiable, each of one state in and one out, in the order they are called.

    Raises:
        ValueError: a module has several states, or no gradient.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        chain, layer = bp.Chain([bp.Linear(3, 2), bp.Tanh()]), bp.Linear(3, 2)
        w = [layer.views(layer.initial(0)), ()]
        y = chain.forward(torch.ones(5, 3).double(), w)
        print(y, chain.backward(torch.ones_like(y)))
    """

    def __init__(self, modules: Sequence[Module]):
        for f in modules:
            if (f.inputs, f.outputs, f.hidden) != (1, 1, 0) or not f.differentiable:
                raise ValueError(f"Chain: modules must be differentiable, one state in and one out, got {f}")
        self.modules = list(modules)
        # a pointwise function writes over what came before it, unless that is the input, or read again on the way back
        before: list[Module | None] = [None, *self.modules]
        self._steps = [
            (k, f._forward, bool(b and f.in_place and not b.reads_output))
            for k, (b, f) in enumerate(zip(before, self.modules, strict=False))
        ]
        self._back = [(k, f, bool(f.size)) for k, f in reversed(list(enumerate(self.modules)))]
        self._forget()

    def _forget(self) -> None:
        self._y: list[Tensor | None] = [None] * len(self.modules)
        self._g: list[Tensor | None] = [None] * len(self.modules)

    def forward(self, x: Tensor, w: Sequence[Weights]) -> Tensor:
        """Return the last state for x (n, …) and the weights of each module, in the shapes of its `shapes`."""
        if self._y[0] is not None and (x.shape != self._x.shape or x.dtype != self._x.dtype):
            self._forget()
        self._x, self._w, y = x, w, self._y
        for k, f, in_place in self._steps:
            y[k] = x = f(x, w[k], x if in_place else y[k])
        return x

    def backward(self, v: Tensor, out: Sequence[Weights] | None = None, *, to_input: bool = True) -> Tensor | None:
        """Return v · ∂z_K/∂x after `forward`, for v shaped as what it returned; None without `to_input`.

        Args:
            out: where v · ∂z_K/∂w_k is written, for each module; None leaves those products out.
        """
        for k, f, weighted in self._back:
            z, y = self._y[k - 1] if k else self._x, self._y[k]
            if weighted and out is not None:
                f._vjp_weights(v, z, self._w[k], y, out[k])
            if k == 0 and not to_input:
                return None
            self._g[k] = v = f._vjp_state(v, z, self._w[k], y, self._g[k])
        return v

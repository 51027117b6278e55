"""MLP: the fully connected network that models, critics and agents share, on one flat vector of weights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rllab.backprop.chain import Chain
from rllab.backprop.layers import Linear
from rllab.backprop.module import Module, Weights
from rllab.backprop.pointwise import ReLU, Sigmoid, Tanh
from rllab.checks import check_one_of
from rllab.keys import Key, as_key

Activation = Literal["tanh", "relu", "sigmoid"]
Layers = list[tuple[Tensor, Tensor]]
Arrays = list[tuple[np.ndarray, np.ndarray]]
_MODULES = {"tanh": Tanh(), "relu": ReLU(), "sigmoid": Sigmoid()}
_TORCH = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}
_NUMPY = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0), "sigmoid": lambda x: 1 / (1 + np.exp(-x))}


@dataclass(frozen=True)
class MLP:
    """Describe linear layers with one function between them, as a pure function of one flat vector w of weights.

        z_0 = x,    z_k = h(W_k z_{k−1} + b_k),    ȳ = W_K z_{K−1} + b_K            w = (W_1, b_1, …, W_K, b_K)

    Flat, because every way of getting a gradient then meets the same object: a perturbation is w + σu, a population is
    a matrix of such rows, an optimiser step is one call, and two critics are a population of two.

    Args:
        sizes: inputs, hidden widths, outputs, each >= 1; two numbers make a linear map.
        activation: h; the output is linear.
        inputs_first: whether w holds each matrix as (in, out), which the products of a population read fastest, or as
            (out, in), as `Linear` and torch do.

    Raises:
        ValueError: there are fewer than two sizes, one is below 1, or the activation is unknown.

    Source: LeCun (2020), NYU Deep Learning, week 2 (L53).

    Example:
        import torch
        from rllab.backprop.network import MLP

        network = MLP((3, 16, 1), "tanh")
        outputs = network(network.initial(key=0), torch.zeros(5, 3))  # (5, 1)
    """

    sizes: tuple[int, ...]
    activation: Activation = "tanh"
    inputs_first: bool = False

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or any(n < 1 for n in self.sizes):
            raise ValueError(f"MLP: sizes must be two or more numbers >= 1, got {self.sizes}")
        check_one_of("MLP", tuple(_MODULES), activation=self.activation)

    @property
    def size(self) -> int:
        """Number of weights, d."""
        return sum((i + 1) * o for i, o in itertools.pairwise(self.sizes))

    def modules(self) -> list[Module]:
        """Return the modules, one after the other."""
        modules: list[Module] = []
        for i, o in itertools.pairwise(self.sizes):
            modules += [Linear(i, o), _MODULES[self.activation]]
        return modules[:-1]

    def initial(self, key: Key | int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Draw W and b of each layer from U(±1/√fan_in), as torch does, by the keys that `bp.mlp` uses: (d,).

        The draws stand in the order of `Linear`: (out, in).
        """
        layers = (f for f in self.modules() if f.size)
        return torch.cat([f.initial(as_key(key).child(f"linear{k}")) for k, f in enumerate(layers, 1)]).to(dtype)

    def initial_without_biases(self, key: Key | int, *, copies: int | None = None, last: float = 1.0) -> Tensor:
        """Draw weights U(±1/√fan_in), biases 0; float32 (d,), or (copies, d) of independent networks.

        Args:
            last: factor on the weights of the last layer; below 1 the network starts close to 0.
        """
        shape = (self.size,) if copies is None else (copies, self.size)
        w = torch.empty(shape, dtype=torch.float32).uniform_(-1.0, 1.0, generator=as_key(key).generator())
        layers = list(self.layers(w))
        for (weight, bias), i in zip(layers, self.sizes, strict=False):
            weight.div_(math.sqrt(i))
            bias.zero_()
        layers[-1][0].mul_(last)
        return w

    def layers(self, w: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield W (…, in, out) and b (…, 1, out) of each layer as views of w (…, d)."""
        at = 0
        for i, o in itertools.pairwise(self.sizes):
            matrix, bias = w[..., at : at + i * o], w[..., at + i * o : at + (i + 1) * o].unsqueeze(-2)
            at += (i + 1) * o
            yield matrix.unflatten(-1, (i, o)) if self.inputs_first else matrix.unflatten(-1, (o, i)).mT, bias

    def views(self, w: Tensor) -> list[Weights]:
        """Return views of w (d,) for each of the `modules`, empty for h: matrices (out, in), in whatever order w is."""
        views: list[Weights] = []
        for weight, bias in self.layers(w):
            views += [(weight.t(), bias[0]), ()]
        return views[:-1]

    def __call__(self, w: Tensor | Layers, x: Tensor) -> Tensor:
        """Return ȳ (n, out) of inputs (n, in) for weights (d,), or (B, n, out) of (B, n, in) for weights (B, d).

        Who asks many times at the same weights gives their `layers`, as a list, instead of w.
        """
        layers = w if isinstance(w, list) else list(self.layers(w))
        add_product = torch.addmm if layers[0][0].ndim == 2 else torch.baddbmm
        activation = _TORCH[self.activation]
        for depth, (weight, bias) in enumerate(layers):
            x = add_product(bias, x if depth == 0 else activation(x), weight)
        return x

    def on_arrays(self, w: Tensor) -> Arrays:
        """Return the layers of w (d,) as numpy arrays that share its memory, for `forward_array`."""
        return [(weight.detach().numpy(), bias.detach().numpy()[0]) for weight, bias in self.layers(w)]

    def forward_array(self, layers: Arrays, x: np.ndarray) -> np.ndarray:
        """Return ȳ (out,) of one input (in,): four times faster than torch for a single observation."""
        activation = _NUMPY[self.activation]
        for depth, (weight, bias) in enumerate(layers):
            x = (x if depth == 0 else activation(x)) @ weight + bias
        return x


class MLPChain:
    """Backpropagate through an MLP, and modules behind it, whose weights are one flat vector; with buffers of its own.

    What `forward` and `backward` return is written over by their next call with inputs of the same shape.

    Args:
        network: gives the layers.
        last: modules without weights that follow.
    """

    def __init__(self, network: MLP, *last: Module):
        self._network, self._chain = network, Chain([*network.modules(), *last])
        self._last: list[Weights] = [()] * len(last)

    def forward(self, w: Tensor, x: Tensor) -> Tensor:
        """Return the last state, (n, out), of inputs (n, in) for weights (d,)."""
        return self._chain.forward(x, self._weights(w))

    def backward(self, v: Tensor, out: Tensor | None = None, *, to_input: bool = True) -> Tensor | None:
        """Return v · ∂ȳ/∂x, (n, in), after `forward`, for v (n, out); None without `to_input`.

        Args:
            out: (d,), where v · ∂ȳ/∂w is written; None leaves these products out.
        """
        return self._chain.backward(v, None if out is None else self._weights(out), to_input=to_input)

    def _weights(self, w: Tensor) -> list[Weights]:
        return self._network.views(w) + self._last

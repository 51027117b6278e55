"""Network of a critic: a scalar function of a row on the explicit core, with the gradients a critic needs of it.

C_p = v_p · N(z_p, w)        ∂/∂z_p at v = 1 is what an actor follows; ∂/∂w at v = 2(N − y)/n is what fits N to y
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from rllab import backprop as bp
from rllab.keys import Key


class Network:
    """tanh layers from d numbers to one."""

    def __init__(self, d: int, hidden: tuple[int, ...], dtype: torch.dtype):
        net = bp.mlp((d, *hidden, 1), "squared_distance", activation="tanh", dtype=dtype)
        blocks = [*net.blocks[:-1], bp.Block("weighted", bp.InnerProduct(), (net.output, "v"), ("C",))]
        self._graph = bp.Graph(blocks, {"x": False, "v": False}, output=net.output, cost="C", key=0, dtype=dtype)
        self._owners = [block for block in blocks if block.module.size]

    @property
    def size(self) -> int:
        """Number of weights."""
        return self._graph.weights.numel()

    def initial(self, key: Key) -> Tensor:
        """Draw weights (size,)."""
        parts = [block.module.initial(key.child(block.name)) for block in self._owners]
        return torch.cat(parts).to(self._graph.weights)

    def value(self, w: Tensor, z: Tensor) -> Tensor:
        """Return N (n,)."""
        out = self._graph.predict(z, weights=w)
        assert isinstance(out, Tensor)
        return out[:, 0]

    def slope(self, w: Tensor, z: Tensor) -> Tensor:
        """Return ∂N/∂z of each row, (n, d)."""
        v = z.new_full((len(z), 1), float(len(z)))  # the loss is a mean
        return self._graph.backward(z, v, weights=w, variables="x").by_variable["x"]

    def pull(self, w: Tensor, z: Tensor, v: Tensor, out: bp.Gradients | None = None) -> bp.Gradients:
        """Return (1/n) Σ_p v_p ∂N_p/∂w as `weights`, (size,), in the tensors of an earlier answer if one is given."""
        return self._graph.backward(z, v[:, None], weights=w, out=out)


@lru_cache(maxsize=16)
def network_of(d: int, hidden: tuple[int, ...], dtype: torch.dtype) -> Network:
    """Return the network of these widths; it holds no weights that anybody uses."""
    return Network(d, hidden, dtype)

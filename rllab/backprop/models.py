"""Models: graphs of the usual networks."""

from __future__ import annotations

from typing import Literal

import torch

from rllab.backprop.graph import Block, Graph
from rllab.backprop.layers import Flatten, Linear
from rllab.backprop.losses import CrossEntropy, SquaredDistance
from rllab.backprop.pointwise import ReLU, Sigmoid, Tanh
from rllab.keys import Key

_LOSSES = {"cross_entropy": CrossEntropy(), "squared_distance": SquaredDistance()}
_ACTIVATIONS = {"relu": ReLU(), "tanh": Tanh(), "sigmoid": Sigmoid()}


def mlp(
    sizes: tuple[int, ...],
    loss: Literal["cross_entropy", "squared_distance"] = "cross_entropy",
    *,
    activation: Literal["relu", "tanh", "sigmoid"] = "relu",
    key: Key | int = 0,
    dtype: torch.dtype = torch.float32,
) -> Graph:
    """Return linear layers with a pointwise function between them: s_k = W_k z_k−1 + b_k, z_k = h(s_k) (L53).

    Its inputs are x (n, sizes[0]) and y: classes (n,) int64 for cross-entropy, else (n, sizes[-1]).
    """
    if len(sizes) < 2 or loss not in _LOSSES or activation not in _ACTIVATIONS:
        raise ValueError(f"mlp: got sizes {sizes}, loss {loss!r}, activation {activation!r}")
    blocks, at = [], "x"
    for k in range(1, len(sizes)):
        blocks.append(Block(f"linear{k}", Linear(sizes[k - 1], sizes[k]), (at,), (f"s{k}",)))
        at = f"s{k}"
        if k < len(sizes) - 1:
            blocks.append(Block(f"{activation}{k}", _ACTIVATIONS[activation], (at,), (f"z{k}",)))
            at = f"z{k}"
    blocks.append(Block(loss, _LOSSES[loss], (at, "y"), ("C",)))
    inputs = {"x": False, "y": loss == "cross_entropy"}
    return Graph(blocks, inputs, output=at, cost="C", key=key, dtype=dtype)


def lecture_net(sizes: tuple[int, int, int, int] = (600, 60, 40, 10), *, key: Key | int = 0) -> Graph:
    """Return the lecture's three layers with ReLU between, on images (n, …) of sizes[0] numbers (L71).

    Unlike the lecture's listing it keeps the batch when it flattens (L75).
    """
    net = mlp(sizes, key=key)
    first, *rest = net.blocks
    blocks = [Block("flatten", Flatten(), ("x",), ("z0",)), Block(first.name, first.module, ("z0",), first.computes)]
    return Graph([*blocks, *rest], net.inputs, output=net.output, cost=net.cost, key=key)

"""Models: graphs of the usual networks."""

from __future__ import annotations

from typing import Literal

import torch

from rllab.backprop.graph import Graph
from rllab.backprop.layers import Flatten, Linear, NearestRow
from rllab.backprop.losses import CrossEntropy, SquaredDistance, ZeroOne
from rllab.backprop.network import MLP, Activation
from rllab.backprop.order import Block
from rllab.checks import check_one_of
from rllab.keys import Key

_LOSSES = {"cross_entropy": CrossEntropy(), "squared_distance": SquaredDistance()}


def mlp(
    sizes: tuple[int, ...],
    loss: Literal["cross_entropy", "squared_distance"] = "cross_entropy",
    *,
    activation: Activation = "relu",
    key: Key | int = 0,
    dtype: torch.dtype = torch.float32,
) -> Graph:
    """Return linear layers with a pointwise function between them: s_k = W_k z_k−1 + b_k, z_k = h(s_k) (L53).

    Args:
        sizes: inputs, hidden widths, outputs, each >= 1.
        loss: on the last s_k and y.
        activation: h.
        key: the weights, and biases, are drawn from it: U(±1/√fan_in), as torch draws them.
        dtype: of the weights.

    Returns:
        A graph of inputs x (n, sizes[0]) and y: classes (n,) int64 for cross-entropy, else (n, sizes[-1]).

    Raises:
        ValueError: the sizes are impossible, or loss or activation is unknown.

    Example:
        import torch
        from rllab import backprop as bp

        net = bp.mlp((2, 8, 3), key=0)
        scores = net.predict(torch.zeros(5, 2))  # (5, 3)
    """
    check_one_of("mlp", tuple(_LOSSES), loss=loss)
    blocks, last = [], "x"
    for number, module in enumerate(MLP(sizes, activation).modules()):
        k = number // 2 + 1
        name, state = (f"linear{k}", f"s{k}") if module.size else (f"{activation}{k}", f"z{k}")
        blocks.append(Block(name, module, (last,), (state,)))
        last = state
    blocks.append(Block(loss, _LOSSES[loss], (last, "y"), ("C",)))
    inputs = {"x": False, "y": loss == "cross_entropy"}
    return Graph(blocks, inputs, output=last, cost="C", key=key, dtype=dtype)


def linear(inputs: int, outputs: int = 1, *, key: Key | int = 0, dtype: torch.dtype = torch.float32) -> Graph:
    """Return the linear model ȳ = Σ_i w_i x_i with C = ‖y − ȳ‖² (L7), x (n, inputs) and y (n, outputs).

    Args:
        inputs, outputs: widths of x and ȳ, >= 1.
        key: the weights are drawn from it, as `mlp` draws them.
        dtype: of the weights.

    Returns:
        A graph of inputs x (n, inputs) and y (n, outputs).

    Example:
        import torch
        from rllab import backprop as bp

        bp.linear(3).predict(torch.ones(5, 3)).shape  # (5, 1)
    """
    blocks = [
        Block("linear", Linear(inputs, outputs, bias=False), ("x",), ("ȳ",)),
        Block("squared_distance", SquaredDistance(), ("ȳ", "y"), ("C",)),
    ]
    return Graph(blocks, {"x": False, "y": False}, output="ȳ", cost="C", key=key, dtype=dtype)


def nearest_neighbour(rows: int, width: int, *, key: Key | int = 0, dtype: torch.dtype = torch.float32) -> Graph:
    """Return ȳ = argmin_k ‖x − w_k‖² of x (n, width) (L8), judged by whether it is y (n,); it has no gradient.

    Args:
        rows: number of rows w_k, >= 1.
        width: of x, >= 1.
        key: the rows are drawn from it.
        dtype: of the weights.

    Returns:
        A graph of inputs x (n, width) and y (n,) int64.

    Example:
        import torch
        from rllab import backprop as bp

        bp.nearest_neighbour(4, 2).predict(torch.ones(5, 2))  # (5,) int64
    """
    blocks = [
        Block("nearest", NearestRow(rows, width), ("x",), ("ȳ",)),
        Block("zero_one", ZeroOne(), ("ȳ", "y"), ("C",)),
    ]
    return Graph(blocks, {"x": False, "y": True}, output="ȳ", cost="C", key=key, dtype=dtype)


def lecture_net(
    sizes: tuple[int, ...] = (600, 60, 40, 10), *, key: Key | int = 0, dtype: torch.dtype = torch.float32
) -> Graph:
    """Return the lecture's linear layers with ReLU between, on images (n, …) of sizes[0] numbers (L71).

    Unlike the lecture's listing it keeps the batch when it flattens (L75).

    Args:
        sizes: numbers of an image, hidden widths, classes.
        key: the weights are drawn from it, as `mlp` draws them.
        dtype: of the weights.

    Returns:
        A graph of inputs x (n, …) and classes y (n,) int64.

    Example:
        import torch
        from rllab import backprop as bp

        bp.lecture_net((6, 4, 2)).predict(torch.ones(5, 2, 3)).shape  # (5, 2)
    """
    net = mlp(sizes, key=key, dtype=dtype)
    first, *rest = net.blocks
    blocks = [Block("flatten", Flatten(), ("x",), ("z0",)), Block(first.name, first.module, ("z0",), first.computes)]
    return Graph([*blocks, *rest], net.inputs, output=net.outputs, cost=net.costs, key=key, dtype=dtype)

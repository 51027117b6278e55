"""Stacks: linear layers with a function between them or with nothing, and the affine map that linear ones are."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from rllab import Key
from rllab import backprop as bp

Layer = tuple[Tensor, Tensor]  # W (out, in) and b (out,)


def stack(
    sizes: tuple[int, ...],
    between: bp.Module | None,
    loss: bp.Module,
    key: Key,
    *,
    dtype: torch.dtype = torch.float64,
) -> bp.Graph:
    """Return linear layers s_k of these sizes, with a function z_k = h(s_k) between them or with nothing."""
    blocks, at = [], "x"
    for k, (fan_in, fan_out) in enumerate(pairwise(sizes), 1):
        blocks.append(bp.Block(f"linear{k}", bp.Linear(fan_in, fan_out), (at,), (f"s{k}",)))
        at = f"s{k}"
        if between is not None and k < len(sizes) - 1:
            blocks.append(bp.Block(f"h{k}", between, (at,), (f"z{k}",)))
            at = f"z{k}"
    blocks.append(bp.Block("loss", loss, (at, "y"), ("C",)))
    inputs = {"x": False, "y": isinstance(loss, bp.CrossEntropy)}
    return bp.Graph(blocks, inputs, output=at, cost="C", key=key, dtype=dtype)


def layers_of(graph: bp.Graph, flat: Tensor) -> list[Layer]:
    """Return W and b of each linear layer, of numbers laid out as the graph's weights are."""
    modules = [block.module for block in graph.blocks if block.module.size]
    parts = flat.split([module.size for module in modules])
    return [tuple(module.views(part)) for module, part in zip(modules, parts, strict=True)]  # type: ignore[misc]


def compose(layers: list[Layer], like: Tensor) -> Layer:
    """Return A and b of the affine map that these layers are, one after the other; the identity if there are none."""
    a = torch.eye(like.shape[1], dtype=like.dtype)
    b = like.new_zeros(like.shape[1])
    for w, bias in layers:
        a, b = w @ a, w @ b + bias
    return a, b

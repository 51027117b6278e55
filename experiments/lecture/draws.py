"""What rows and scripts of the lecture are measured on: numbers drawn by key and name, and small graphs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rllab import Key
from rllab import backprop as bp
from rllab.keys import as_key
from rllab.noise import standard_normal

FLOAT64 = torch.float64
LIKE = torch.empty(0, dtype=FLOAT64)


def normal(key: Key | int, name: str, *shape: int) -> Tensor:
    """Draw N(0, 1) numbers of a shape, float64."""
    return standard_normal(shape, as_key(key).child(name), LIKE)


def classes(key: Key | int, name: str, samples: int, among: int) -> Tensor:
    """Draw uniform classes (samples,), int64."""
    return torch.randint(among, (samples,), generator=as_key(key).child(name).generator())


def relative(a: Tensor, b: Tensor) -> float:
    """Return ‖a − b‖∞ / ‖b‖∞."""
    return float((a - b).abs().max() / b.abs().max())


def apart(a: Tensor, b: Tensor) -> float:
    """Return ‖a − b‖∞."""
    return float((a - b).abs().max())


def predict(graph: bp.Graph, *observed: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the output of a graph that has one."""
    output = graph.predict(*observed, weights=weights)
    assert isinstance(output, Tensor)
    return output


def judged(blocks: Sequence[bp.Block], key: Key | int = 0) -> bp.Graph:
    """Return blocks, from what the first reads to what the last computes, and its squared distance C to y."""
    output = blocks[-1].computes[0]
    cost = bp.Block("cost", bp.SquaredDistance(), (output, "y"), ("C",))
    inputs = {blocks[0].reads[0]: False, "y": False}
    return bp.Graph([*blocks, cost], inputs, output=output, cost="C", key=key, dtype=FLOAT64)


def regression(key: Key | int, sizes: tuple[int, ...] = (5, 6, 3), samples: int = 4) -> tuple[bp.Graph, Tensor, Tensor]:
    """Return linear layers with tanh between and a squared distance on top, and samples x and y for them."""
    graph = bp.mlp(sizes, "squared_distance", activation="tanh", key=key, dtype=FLOAT64)
    return graph, normal(key, "x", samples, sizes[0]), normal(key, "y", samples, sizes[-1])


def each_gradient(graph: bp.Graph, x: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the gradient of each sample alone, one after the other, (P, d)."""
    pairs = zip(x.split(1), y.split(1), strict=True)
    return torch.stack([graph.backward(*pair, weights=weights).weights for pair in pairs])


def with_ones(x: Tensor) -> Tensor:
    """Return x with a column of ones, for the bias."""
    return torch.cat([x, x.new_ones(len(x), 1)], 1)


def least_squares(x: Tensor, y: Tensor) -> Tensor:
    """Return the weights (d + 1, m), the bias last, of the affine map with the least mean square."""
    return torch.linalg.lstsq(with_ones(x), y).solution

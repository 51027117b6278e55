"""Modules and graphs with one mistake each; the three-way check on random DAGs must fail every one of them."""

import pytest
import torch
from backprop.dags import random_graph

from rllab import backprop as bp

MUTANTS = {
    "transposed W": ("Linear", "_vjp_state", lambda self, v, z, w, y, out=None: v @ w[0].t()),
    "forgotten h'": ("Tanh", "_vjp_state", lambda self, v, z, w, y, out=None: v),
    "relu gate of the gradient": ("ReLU", "_vjp_state", lambda self, v, z, w, y, out=None: v * (v > 0)),
    "sigmoid slope without 1 - z": ("Sigmoid", "_slope", lambda self, s, z, out: z.clone()),
    "softplus slope of tanh": ("Softplus", "_slope", lambda self, s, z, out: 1 - torch.tanh(s) ** 2),
    "add to the first only": ("Add", "_vjp_state", lambda self, v, z, w, y, out=None: (v, 0 * v)),
    "copy drops a branch": ("Copy", "_vjp_state", lambda self, v, z, w, y, out=None: v[0]),
    "factors not swapped": ("Multiply", "_vjp_state", lambda self, v, z, w, y, out=None: (v * z[0], v * z[1])),
    "max to both": ("Max", "_vjp_state", lambda self, v, z, w, y, out=None: (v, v)),
    "softmax forgotten": ("LogSoftmax", "_vjp_state", lambda self, v, z, w, y, out=None: v),
    "factor 2 forgotten": (
        "SquaredDistance",
        "_vjp_state",
        lambda self, v, z, w, y, out=None: ((z[0] - z[1]) * v[:, None], (z[1] - z[0]) * v[:, None]),
    ),
    "fan-out sum dropped": ("Graph", "_accumulate", lambda self, so_far, product: product),
}


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_wrong_rule_fails_the_three_way_check(mistake, monkeypatch):
    owner, method, wrong = MUTANTS[mistake]
    monkeypatch.setattr(getattr(bp, owner), method, wrong)
    graphs = (random_graph(seed) for seed in range(40))
    assert not all(bp.check_graph(graph, *observed).passed for graph, observed in graphs)

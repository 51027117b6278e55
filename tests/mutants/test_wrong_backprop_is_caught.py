"""Modules and graphs with one mistake each; the three-way check on random DAGs must fail every one of them."""

import pytest
import torch
from backprop.dags import random_graph

from rllab import backprop as bp
from rllab.backprop import explicit
from rllab.backprop.explicit import Pass

MUTANTS = {
    "transposed W": ("Linear", "_vjp_state", lambda self, v, z, w, y, out=None: v @ w[0].t()),
    "forgotten h'": ("Tanh", "_vjp_state", lambda self, v, z, w, y, out=None: v),
    "relu gate of the gradient": ("ReLU", "_vjp_state", lambda self, v, z, w, y, out=None: v * (v > 0)),
    "sigmoid slope without 1 - z": ("Sigmoid", "_slope", lambda self, s, z, out: z.clone()),
    "softplus slope of tanh": ("Softplus", "_slope", lambda self, s, z, out: 1 - torch.tanh(s) ** 2),
    "add to the first only": ("Add", "_vjp_state", lambda self, v, z, w, y, out=None: (v, 0 * v)),
    "copy drops a branch": ("Copy", "_vjp_state", lambda self, v, z, w, y, out=None: v[0]),
    "factors not swapped": ("Multiply", "_vjp_state", lambda self, v, z, w, y, out=None: (v * z[0], v * z[1])),
    "max to all": ("Max", "_vjp_state", lambda self, v, z, w, y, out=None: (v,) * self.inputs),
    "columns exchanged": (
        "Concatenate",
        "_vjp_state",
        lambda self, v, z, w, y, out=None: v.split([t.shape[1] for t in z], 1)[::-1],
    ),
    "gradient through the branch not taken": (
        "Switch",
        "_vjp_state",
        lambda self, v, z, w, y, out=None: self.branches[1]._vjp_state(v, z, [], y),
    ),
    "one pass of a loop": (
        "Repeat",
        "_vjp_state",
        lambda self, v, z, w, y, out=None: self.module._vjp_state(v, z, w, y),
    ),
    "weights of the last pass of a loop only": (
        "Repeat",
        "_vjp_weights",
        lambda self, v, z, w, y, out: self.module._vjp_weights(v, z, w, y, out),
    ),
    "softmax forgotten": ("LogSoftmax", "_vjp_state", lambda self, v, z, w, y, out=None: v),
    "factor 2 forgotten": (
        "SquaredDistance",
        "_vjp_state",
        lambda self, v, z, w, y, out=None: ((z[0] - z[1]) * v[:, None], (z[1] - z[0]) * v[:, None]),
    ),
    "fan-out sum dropped": (Pass, "_accumulate", lambda self, name, product: self.gradients.update({name: product})),
    "shared weights overwritten": (
        Pass,
        "_weigh",
        lambda self, b, v, z, w, y, first: b.module._vjp_weights(v, z, w, y, self.parts[b.name]),
    ),
    "sum for mean": (explicit, "_average", lambda c, out: torch.ones_like(c)),
    "samples mixed up": (explicit, "_average", lambda c, out: torch.linspace(0, 2 / len(c), len(c), dtype=c.dtype)),
}


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_wrong_rule_fails_the_three_way_check(mistake, monkeypatch):
    owner, method, wrong = MUTANTS[mistake]
    monkeypatch.setattr(getattr(bp, owner) if isinstance(owner, str) else owner, method, wrong)
    graphs = (random_graph(seed) for seed in range(40))
    assert not all(bp.check_graph(graph, *observed).passed for graph, observed in graphs)

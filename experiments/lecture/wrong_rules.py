"""Wrong rules of the chain rule, one mistake each: what a check of gradients has to notice.

with wrong("forgotten h'"):
    ...                                  the library as if it had been written so
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch

from rllab import backprop as bp
from rllab.backprop import explicit
from rllab.backprop.explicit import Pass

# what is wrong: the owner, a module by its name; what of it; the wrong function
MUTANTS = {
    "transposed W": (
        "Linear",
        "_vjp_state",
        lambda self, v, z, w, y, out=None: v @ (w[0].t() if self.fan_in == self.fan_out else w[0]),
    ),
    "forgotten h'": ("Tanh", "_vjp_state", lambda self, v, z, w, y, out=None: v),
    "relu gate of the gradient": ("ReLU", "_vjp_state", lambda self, v, z, w, y, out=None: v * (v > 0)),
    "sigmoid slope without 1 - z": ("Sigmoid", "_slope", lambda self, s, z, out: z.clone()),
    "softplus slope of tanh": ("Softplus", "_slope", lambda self, s, z, out: 1 - torch.tanh(s) ** 2),
    "add to the first only": ("Add", "_vjp_state", lambda self, v, z, w, y, out=None: (v, *(0 * v for _ in z[1:]))),
    "copy drops a branch": ("Copy", "_vjp_state", lambda self, v, z, w, y, out=None: v[0]),
    "factors not swapped": ("Multiply", "_vjp_state", lambda self, v, z, w, y, out=None: tuple(v * t for t in z)),
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
    "sum for mean": (explicit, "_average", lambda c, out=None: torch.ones_like(c)),
    "samples mixed up": (
        explicit,
        "_average",
        lambda c, out=None: torch.linspace(0, 2 / len(c), len(c), dtype=c.dtype),
    ),
}


@contextmanager
def wrong(mistake: str | None) -> Iterator[None]:
    """Put a wrong rule, or none, in its place; afterwards it is as it was."""
    if mistake is None:
        yield
        return
    owner, method, rule = MUTANTS[mistake]
    with patch.object(getattr(bp, owner) if isinstance(owner, str) else owner, method, rule):
        yield


def under(*mistakes: str) -> dict[str, dict[str, str]]:
    """Return what a row's `wrong` takes: its measure with `mistake=` each of these."""
    return {mistake: {"mistake": mistake} for mistake in mistakes}

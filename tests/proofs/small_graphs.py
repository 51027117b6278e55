"""Small graphs, and data, that several files of tests look at."""

import torch

from rllab import backprop as bp


def beside(metric_reads="k"):
    """A net whose zero-one error hangs beside its cost."""
    blocks = [
        bp.Block("linear", bp.Linear(2, 3), ("x",), ("s",)),
        bp.Block("cross_entropy", bp.CrossEntropy(), ("s", metric_reads if metric_reads != "k" else "y"), ("C",)),
        bp.Block("nearest", bp.NearestRow(3, 3), ("s",), ("k",)),
        bp.Block("zero_one", bp.ZeroOne(), ("k", "y"), ("error",)),
    ]
    return blocks, {"x": False, "y": True}


X2 = torch.tensor([[0.3, -1.1], [0.7, 0.4], [-0.2, 0.9]])


Y2 = torch.tensor([2, 0, 1])


ENGINES = ("explicit", "autograd", "differences")


def cost_of(module, *more):
    """A graph of one module between x and y and its cost C."""
    blocks = [bp.Block("f", module, ("x", "y")[: module.inputs], ("C", *more))]
    return bp.Graph(blocks, {"x": False, "y": False}, output="C", cost="C", key=0)

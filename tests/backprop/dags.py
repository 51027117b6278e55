"""Random DAGs of modules, each ending in a squared distance to y."""

import itertools
import random

import torch

from rllab import backprop as bp

WIDTH, N = 3, 2


def random_graph(seed: int) -> tuple[bp.Graph, tuple[torch.Tensor, ...]]:
    """Return a graph of 3 to 9 blocks between variables of one width, re-used at random, and inputs for it.

    Graphs that stand exactly on a kink, as a ReLU of a ReLU does, are passed over: there every slope between is right.
    """
    for attempt in itertools.count():
        graph, observed = _random_graph(random.Random(f"{seed}/{attempt}"), seed)
        if not _on_a_kink(graph, observed):
            return graph, observed
    raise AssertionError


def _on_a_kink(graph: bp.Graph, observed: tuple[torch.Tensor, ...]) -> bool:
    values = graph._forward(observed, graph.weights)
    for block in graph.blocks:
        read = [values[name] for name in block.reads]
        if isinstance(block.module, bp.Max) and (read[0] == read[1]).any():
            return True
        if isinstance(block.module, bp.ReLU) and (read[0] == 0).any():
            return True
    return False


def _random_graph(draw: random.Random, seed: int) -> tuple[bp.Graph, tuple[torch.Tensor, ...]]:
    pool, blocks = ["x", "u"], []
    names = ["Linear", "ReLU", "Tanh", "Sigmoid", "Softplus", "Add", "Multiply", "Max", "Copy", "LogSoftmax"]
    for k in range(draw.randint(3, 9)):
        name = draw.choice(names)
        kind = getattr(bp, name)
        module = kind(WIDTH, WIDTH) if name == "Linear" else kind()
        reads = tuple(draw.sample(pool, module.inputs))
        computes = tuple(f"v{k}_{i}" for i in range(module.outputs))
        blocks.append(bp.Block(f"b{k}", module, reads, computes))
        pool += computes
    blocks.append(bp.Block("join", bp.Add(), (pool[-1], draw.choice(pool[:-1])), ("out",)))
    blocks.append(bp.Block("cost", bp.SquaredDistance(), ("out", "y"), ("C",)))
    graph = bp.Graph(
        blocks, dict.fromkeys(("x", "u", "y"), False), output="out", cost="C", key=seed, dtype=torch.float64
    )
    g = torch.Generator().manual_seed(seed)
    return graph, tuple(torch.randn(N, WIDTH, generator=g, dtype=torch.float64) for _ in range(3))

"""Random DAGs of modules, in any order, some sharing weights, ending in one or two squared distances to y."""

import itertools
import random

import torch

from rllab import backprop as bp
from rllab.backprop.evaluation import forward

WIDTH, N, NEAR = 3, 2, 1e-4


def random_graph(seed: int, modules: int | None = None) -> tuple[bp.Graph, tuple[torch.Tensor, ...]]:
    """Return a graph of so many modules, or 3 to 9, between variables of one width, re-used at random, and its inputs.

    Concatenations have a layer of their own behind them; a sum and one cost, or two, stand on top.

    Graphs that stand on a kink, as a ReLU of a ReLU does, are passed over: there every slope between is right.
    """
    for attempt in itertools.count():
        graph, observed = _random_graph(random.Random(f"{seed}/{attempt}"), seed, modules)
        if not _on_a_kink(graph, observed):
            return graph, observed
    raise AssertionError


def values_of(graph: bp.Graph, observed: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
    """Return every variable."""
    values = dict(zip(graph.inputs, observed, strict=True))
    forward(graph.blocks, values, graph.split(graph.weights))
    return values


def _on_a_kink(graph: bp.Graph, observed: tuple[torch.Tensor, ...]) -> bool:
    """Whether a step of a difference, 6e-6, might cross a kink or change a branch."""
    values = values_of(graph, observed)
    for block in graph.blocks:
        read, distance = values[block.reads[0]], torch.ones(1)
        if isinstance(block.module, bp.Max):
            first, second = torch.stack([values[name] for name in block.reads]).topk(2, 0).values
            distance = first - second
        elif isinstance(block.module, bp.ReLU):
            distance = read.abs()
        elif isinstance(block.module, bp.Switch | bp.Repeat):
            distance = read.sum(1).abs()
        if (distance < NEAR).any():
            return True
    return False


def positive(z: torch.Tensor) -> torch.Tensor:
    """Which branch, or how often: 1 where the numbers of a sample sum up to more than 0."""
    return (z.sum(1) > 0).long()


SINGLE = ["Linear", "ReLU", "Tanh", "Sigmoid", "Softplus", "LogSoftmax", "Identity", "Switch", "Repeat"]
JOINS = ["Add", "Multiply", "Max", "Copy", "Concatenate"]


def _module(draw: random.Random, name: str) -> bp.Module:
    linear = bp.Linear(WIDTH, WIDTH, bias=draw.random() < 0.7)
    if name == "Linear":
        return linear
    if name == "Switch":
        return bp.Switch(positive, (linear, bp.Tanh()))
    if name == "Repeat":
        return bp.Repeat(lambda z: 2 * positive(z), linear)
    return getattr(bp, name)(draw.choice((2, 3))) if name in JOINS else getattr(bp, name)()


def _random_graph(draw: random.Random, seed: int, modules: int | None) -> tuple[bp.Graph, tuple[torch.Tensor, ...]]:
    pool, blocks = ["x", "u"], []
    for k in range(draw.randint(3, 9) if modules is None else modules):
        linears = [b for b in blocks if type(b.module) is bp.Linear and b.module.fan_in == WIDTH and not b.shares]
        shared = draw.choice(linears) if linears and draw.random() < 0.3 else None
        module = shared.module if shared else _module(draw, draw.choice([*SINGLE, *JOINS]))
        reads = tuple(draw.choices(pool, k=module.inputs))
        computes = tuple(f"v{k}_{i}" for i in range(module.outputs))
        if isinstance(module, bp.Concatenate):
            blocks.append(bp.Block(f"c{k}", module, reads, (f"w{k}",)))
            module, reads = bp.Linear(module.inputs * WIDTH, WIDTH), (f"w{k}",)
        blocks.append(bp.Block(f"b{k}", module, reads, computes, shares=shared.name if shared else None))
        pool += computes
    blocks.append(bp.Block("join", bp.Add(), (pool[-1], draw.choice(pool[:-1])), ("out",)))
    costs = ["C", "D"][: draw.choice((1, 1, 2))]
    judged = ["out", draw.choice(pool)]
    for cost, name in zip(costs, judged, strict=False):
        blocks.append(bp.Block(f"cost{cost}", bp.SquaredDistance(), (name, "y"), (cost,)))
    draw.shuffle(blocks)
    graph = bp.Graph(
        blocks, dict.fromkeys(("x", "u", "y"), False), output="out", cost=costs, key=seed, dtype=torch.float64
    )
    g = torch.Generator().manual_seed(seed)
    return graph, tuple(torch.randn(N, WIDTH, generator=g, dtype=torch.float64) for _ in range(3))

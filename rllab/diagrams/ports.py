"""Ports: where on a node's side each edge is attached, and which edges are to go straight."""

from __future__ import annotations

from rllab.diagrams.diagram import Diagram
from rllab.diagrams.layers import Layered, Name
from rllab.diagrams.shapes import PORT, Direction, Point, Shape


def most_ports(diagram: Diagram, height: dict[str, int]) -> dict[str, int]:
    most = {}
    for node in diagram.nodes:
        sides = [diagram.reads(node.name), diagram.read_by(node.name)]
        weights = [2 * len(side) - 1 if len(side) == 2 else len(side) for side in sides]  # one may sit in the middle
        most[node.name] = max(1, *weights)
    return most


def ports_of(
    layered: Layered, diagram: Diagram, shapes: dict[str, Shape], direction: Direction
) -> tuple[list[Point], list[float]]:
    """Return for each chain where it is attached at its low and high ends, and how much it is a trunk."""
    order = {name: i for row in layered.layers for i, name in enumerate(row)}
    depth: dict[Name, int] = {}
    lower: dict[Name, list[int]] = {}
    upper: dict[Name, list[int]] = {}
    for i, chain in enumerate(layered.chains):
        lower.setdefault(chain[-1], []).append(i)
        upper.setdefault(chain[0], []).append(i)
    for row in layered.layers:
        for name in row:
            depth[name] = 1 + max((depth[layered.chains[i][0]] for i in lower.get(name, ())), default=-1)
    low, high, trunks = ([0.0] * len(layered.chains) for _ in range(3))
    for name, chains in lower.items():
        deepest = max(depth[layered.chains[i][0]] for i in chains)
        trunk = [i for i in chains if depth[layered.chains[i][0]] == deepest]
        node = diagram.node(str(name))
        if node.kind != "sum" and deepest <= (node.beside is not None):  # all end at once: the first goes straight
            trunk = trunk[:1]
        for i in trunk:
            trunks[i] = 1.0 if len(trunk) == 1 else 0.04
        _spread(chains, trunk, high, {i: order[layered.chains[i][-2]] for i in chains}, shapes[str(name)], direction)
    for name, chains in upper.items():
        straight = [i for i in chains if trunks[i] == 1.0]
        for i in straight if len(straight) > 1 else ():
            trunks[i] = 0.3  # not all of them can be
        _spread(chains, chains, low, {i: order[layered.chains[i][1]] for i in chains}, shapes[str(name)], direction)
    return list(zip(low, high, strict=True)), trunks


def _spread(
    chains: list[int], trunk: list[int], into: list[float], at: dict[int, int], shape: Shape, direction: Direction
) -> None:
    """Write where edges are attached to one side of a node: one trunk in the middle, else all evenly."""
    if shape.beside:
        return  # circles take all in the middle
    across = shape.width if direction == "up" else shape.height
    ordered = sorted(chains, key=at.__getitem__)
    middle = ordered.index(trunk[0]) if len(trunk) == 1 else (len(ordered) - 1) / 2
    furthest = max(middle, len(ordered) - 1 - middle)
    step = min(PORT, (across / 2 - 7) / furthest) if furthest else 0.0
    for k, i in enumerate(ordered):
        into[i] = (k - middle) * step

"""Layers: which node stands how high, and in what order side by side, so that few edges cross."""

from __future__ import annotations

import itertools
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rllab.diagrams.diagram import Diagram, Node

SWEEPS = 12


@dataclass(frozen=True)
class Layered:
    """Names side by side, from the lowest layer up, and for each edge its chain of names from low to high.

    A stand-in's name is (edge, layer); a name is a node's otherwise.
    """

    layers: list[list[Name]]
    chains: list[list[Name]]

    @property
    def links(self) -> list[tuple[Name, Name]]:
        """Pairs (low, high) one layer apart."""
        return [pair for chain in self.chains for pair in itertools.pairwise(chain)]

    @property
    def crossings(self) -> int:
        return _crossings(self.layers, _neighbours(self.links)[1])


Name = str | tuple[int, int]


def heights_of(diagram: Diagram) -> dict[str, int]:
    """Return the layer of each node, the lowest 0.

    It is the longest path to the node from below; nodes that read nothing are raised to those that read them.
    """
    forward = [node for node in diagram.nodes if node.beside is None]
    height: dict[str, int] = {}

    def longest(name: str) -> int:
        if name not in height:
            height[name] = 1 + max(map(longest, diagram.reads(name)), default=-1)
        return height[name]

    for node in forward:
        longest(node.name)
    for node in forward:
        readers = set(diagram.read_by(node.name))
        if readers and not diagram.reads(node.name):
            several = node.kind == "parameter" and len(readers) > 1  # a layer below, so as to pass beside what is read
            height[node.name] = min(height[name] for name in readers) - (2 if several else 1)
    for node in diagram.nodes:
        if node.beside is not None:
            height[node.name] = height[node.beside[0]] + node.beside[1]
    lowest = min(height.values())
    return {name: at - lowest for name, at in height.items()}


def arranged(diagram: Diagram, nodes: Sequence[Node], height: dict[str, int]) -> Layered:
    """Return some nodes of a diagram and the edges between them, in layers, ordered for few crossings.

    An edge over several layers goes through a stand-in in each. Orders come from sweeps in which each node moves to the
    mean place of its neighbours, then from exchanges of neighbours, and the order with the fewest crossings is kept.

    Source: Sugiyama, Tagawa & Toda (1981), "Methods for visual understanding of hierarchical system structures";
    exchanges as in Gansner, Koutsofios, North & Vo (1993), "A technique for drawing directed graphs", section 3.
    """
    own = {node.name for node in nodes}
    layers: list[list[Name]] = [[] for _ in range(max(height.values()) + 1)]
    for node in nodes:
        layers[height[node.name]].append(node.name)
    chains: list[list[Name]] = []
    for i, edge in enumerate(diagram.edges):
        if edge.tail in own and edge.head in own:
            low, high = sorted((edge.tail, edge.head), key=height.__getitem__)
            between: list[Name] = [(i, k) for k in range(height[low] + 1, height[high])]
            for name, k in zip(between, range(height[low] + 1, height[high]), strict=True):
                layers[k].append(name)
            chains.append([low, *between, high])
    start = Layered(layers, chains)
    below, above = _neighbours(start.links)
    best, fewest = layers, _crossings(layers, above)
    for backwards in (False, True):
        trial = [row[::-1] if backwards else list(row) for row in layers]
        for sweep in range(SWEEPS):
            up = sweep % 2 == 0
            _sweep(trial, below if up else above, range(1, len(trial)) if up else range(len(trial) - 2, -1, -1))
            _exchange(trial, below, above)
            if (found := _crossings(trial, above)) < fewest:
                best, fewest = [list(row) for row in trial], found
            if not fewest:
                return Layered(best, chains)
    return Layered(best, chains)


def _neighbours(links: Iterable[tuple[Name, Name]]) -> tuple[dict[Name, list[Name]], dict[Name, list[Name]]]:
    below, above = defaultdict(list), defaultdict(list)
    for low, high in links:
        below[high].append(low)
        above[low].append(high)
    return below, above


def _sweep(layers: list[list[Name]], neighbours: dict[Name, list[Name]], rows: Iterable[int]) -> None:
    """Move each node of a row to the mean place of its neighbours in the row before; those without one stay."""
    places = {name: i for row in layers for i, name in enumerate(row)}
    for k in rows:
        wanted = {
            name: sum(places[other] for other in near) / len(near) if (near := neighbours.get(name)) else i
            for i, name in enumerate(layers[k])
        }
        layers[k].sort(key=wanted.__getitem__)
        places |= {name: i for i, name in enumerate(layers[k])}


def _exchange(layers: list[list[Name]], below: dict[Name, list[Name]], above: dict[Name, list[Name]]) -> None:
    """Exchange neighbours in a row while that takes crossings away."""
    places = {name: i for row in layers for i, name in enumerate(row)}
    better = True
    while better:
        better = False
        for row in layers:
            for i in range(len(row) - 1):
                left, right = row[i], row[i + 1]
                gain = 0
                for side in (below, above):
                    a, b = ([places[other] for other in side.get(name, ())] for name in (left, right))
                    gain += sum((p > q) - (p < q) for p in a for q in b)
                if gain > 0:
                    row[i], row[i + 1] = right, left
                    places[left], places[right] = i + 1, i
                    better = True


def _crossings(layers: list[list[Name]], above: dict[Name, list[Name]]) -> int:
    total, places = 0, {name: i for row in layers for i, name in enumerate(row)}
    for row in layers:
        ends: list[int] = []
        for name in row:
            heads = sorted(places[other] for other in above.get(name, ()))
            total += sum(len(ends) - bisect_right(ends, head) for head in heads)
            for head in heads:
                insort(ends, head)
    return total

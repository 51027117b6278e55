"""Places: where in its layer each node stands, so that edges are short and as many as possible straight."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from rllab.diagrams.layers import Layered, Name

TRUNK, BRANCH, BENDS, LOOSE = 100.0, 1.0, 4.0, 0.01  # weights: BENDS more for each end that is a stand-in
APART, BESIDE = 16.0, 7.5  # points between nodes, and beside an edge that passes


def places_of(
    layered: Layered,
    extents: Mapping[str, tuple[float, float]],
    ports: list[tuple[float, float]],
    trunks: list[float],
) -> dict[Name, float]:
    """Return the place of every node and stand-in.

        minimise Σ_e weight_e |u_tail − u_head|    subject to    u_right − u_left >= what both need    in every layer

    a linear programme; of its solutions the mean of the leftmost and the rightmost is taken, which centres what is
    free.

    Args:
        extents: of each node to the left and right of its centre.
        ports: for each chain, how far beside the centres of its low and its high end it is attached.
        trunks: for each chain, how much it should be straight before others, 0 to 1.

    Source: Gansner, Koutsofios, North & Vo (1993), "A technique for drawing directed graphs", section 4.
    """
    import numpy as np
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    names = [name for row in layered.layers for name in row]
    index = {name: i for i, name in enumerate(names)}
    terms: list[tuple[float, Name, Name, float]] = []  # weight · |u_low − u_high + shift|
    for chain, (low, high), trunk in zip(layered.chains, ports, trunks, strict=True):
        for k, (a, b) in enumerate(itertools.pairwise(chain)):
            shift = (low if k == 0 else 0.0) - (high if k == len(chain) - 2 else 0.0)
            loose = (not isinstance(a, str)) + (not isinstance(b, str))
            terms.append((BRANCH + TRUNK * trunk + BENDS * loose, a, b, shift))
    terms += [(LOOSE, names[0], other, 0.0) for other in _first_of_each(names, layered)[1:]]
    n, m = len(names), len(terms)
    rows, bounds = [], []  # row · (u, t) <= bound
    for j, (_, a, b, shift) in enumerate(terms):
        for sign in (1.0, -1.0):  # ±(u_a − u_b + shift) <= t_j
            rows.append([(index[a], sign), (index[b], -sign), (n + j, -1.0)])
            bounds.append(-sign * shift)
    for row in layered.layers:
        for a, b in itertools.pairwise(row):
            need = _extent(a, extents)[1] + _extent(b, extents)[0]
            need += APART if isinstance(a, str) and isinstance(b, str) else BESIDE
            rows.append([(index[a], 1.0), (index[b], -1.0)])
            bounds.append(-need)
    weights = np.array([0.0] * n + [term[0] for term in terms])
    limits = [(0.0, 0.0), *[(None, None)] * (n - 1), *[(0.0, None)] * m]  # the first stands at 0

    def solve(cost: np.ndarray) -> np.ndarray:
        entries = [(i, column, value) for i, row in enumerate(rows) for column, value in row]
        i, column, value = zip(*entries, strict=True) if entries else ((), (), ())
        a = coo_array((value, (i, column)), shape=(len(rows), n + m)).tocsr()
        answer = linprog(cost, A_ub=a, b_ub=np.array(bounds), bounds=limits, method="highs-ds")
        if answer.x is None:
            raise RuntimeError(f"places_of: {answer.message}")
        return answer.x

    if n == 1:
        return {names[0]: 0.0}
    least = float(weights @ solve(weights))
    rows.append([(n + j, weights[n + j]) for j in range(m)])
    bounds.append(least + 1e-6 * max(1.0, least))
    ends = [solve(np.array([sign] * n + [0.0] * m)) for sign in (1.0, -1.0)]
    return {name: round(float(ends[0][i] + ends[1][i]) / 2, 2) for name, i in index.items()}


def _extent(name: Name, extents: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    return extents[name] if isinstance(name, str) else (0.0, 0.0)


def _first_of_each(names: list[Name], layered: Layered) -> list[Name]:
    """Return the first name of every connected part."""
    root = {name: name for name in names}

    def find(name: Name) -> Name:
        while root[name] != name:
            name = root[name]
        return name

    for a, b in layered.links:
        first, second = sorted((find(a), find(b)), key=names.index)
        root[second] = first
    return [name for name in names if root[name] == name]

"""The exact mean and variance of an estimator, as it is implemented: an integral over the noise it draws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from rllab._special.nodes import gauss_hermite
from rllab.checks import as_count
from rllab.cost import Cost
from rllab.estimate import Gradient
from rllab.estimators.base import Estimator
from rllab.keys import Key

Path = tuple[str | int, ...]
Law = Literal["normal", "sign"]
_MOST = 1 << 18  # estimates; a few minutes of a cheap cost


@dataclass(frozen=True, eq=False)
class ExactMoments:
    """Mean and elementwise variance of an estimate, both structured like its gradient."""

    mean: Gradient
    variance: Gradient


def exact_moments(
    estimator: Estimator, cost: Cost, at: Any, *, evaluations: int, nodes: int = 9, state: Any = None
) -> ExactMoments:
    """Integrate an estimator over its own noise.

        E ĝ = Σ_k w_k ĝ(z_k)            Var ĝ = Σ_k w_k (ĝ(z_k) − E ĝ)²

    z are all the numbers of one estimate. Normal ones take the nodes of a Gauss–Hermite rule, signs take both values,
    and every combination is evaluated: exact for costs that are polynomials of moderate degree, close for smooth ones,
    and affordable only while the numbers are few (units × d <= 4 or so).

    Args:
        estimator: one that draws normal numbers or signs only.
        state: what a stateful estimator is given.
        cost: without noise of its own; it is charged for every evaluation, nodes^(normal numbers) 2^(signs) estimates.
        at: parameters (d,), or a distribution over vectors (d,).
        evaluations: for one estimate.
        nodes: of the Gauss–Hermite rule, exact up to degree 2 nodes − 1 in each normal number.

    Returns:
        Mean and variance, exact but for the rule, each structured like the gradient.

    Raises:
        TypeError: if the estimator draws anything but normal numbers and signs, or makes of them what is no polynomial
            (directions on a sphere, or orthonormal), or the cost has noise of its own.
        ValueError: if there are too many combinations.

    Source:
        Golub & Welsch (1969), "Calculation of Gauss quadrature rules".

    Example:
        import torch
        from rllab import Cost, estimators as est

        cost = Cost(lambda x: x.square().sum(-1))
        moments = est.exact_moments(est.GaussianSmoothing(0.1), cost, torch.ones(2), evaluations=2)
        moments.mean, moments.variance  # 2, 2 and 12, 12
    """
    if cost.seeded:
        raise TypeError("exact_moments: cost must have no noise of its own, got a seeded one")
    nodes = as_count("exact_moments", "nodes", nodes)
    requests: dict[Path, tuple[Law, int]] = {}

    def record(path: Path, law: Law, n: int) -> Tensor:
        requests[path] = law, n
        return torch.ones(n, dtype=torch.float64)

    for _ in estimator.ask(at, evaluations, _GivenNoise(record), state=state):
        pass
    laws: list[Law] = [law for law, n in requests.values() for _ in range(n)]
    combinations = nodes ** laws.count("normal") * 2 ** laws.count("sign")
    if combinations > _MOST:
        raise ValueError(
            f"exact_moments: an estimate draws {len(laws)} numbers, which makes {combinations} combinations; at most "
            f"{_MOST} can be evaluated"
        )
    starts = dict(zip(requests, itertools.accumulate((n for _, n in requests.values()), initial=0), strict=False))
    gradients, weights = [], []
    for z, w in _grid(laws, nodes):
        key = _GivenNoise(lambda path, law, n, z=z: z[starts[path] : starts[path] + n])
        gradients.append(estimator(cost, at, evaluations=evaluations, key=key, state=state, errors=False).gradient)
        weights.append(w)
    if not isinstance(gradients[0], dict):
        return ExactMoments(*_moments(gradients, weights))
    each = {name: _moments([g[name] for g in gradients], weights) for name in gradients[0]}
    return ExactMoments({name: m for name, (m, _) in each.items()}, {name: v for name, (_, v) in each.items()})


class _GivenNoise(Key):
    """A key whose streams are laid down: `supply(path, law, n)` gives the numbers of the stream called `path`."""

    __slots__ = ("_path", "_supply")

    def __init__(self, supply: Callable[[Path, Law, int], Tensor], path: Path = ()):
        super().__init__(0)
        self._supply, self._path = supply, path

    def child(self, *path: str | int) -> Key:
        return _GivenNoise(self._supply, self._path + path)

    def given(self, law: str, shape: tuple[int, ...]) -> Tensor:
        if law not in ("normal", "sign"):
            raise self._refused()
        return self._supply(self._path, law, math.prod(shape)).view(shape)

    def integer(self) -> int:  # what any of torch's generators starts from
        raise self._refused()

    def generate_state(self, n_words: int, dtype: type = np.uint32) -> np.ndarray:
        raise self._refused()

    def _refused(self) -> TypeError:
        return TypeError(f"exact_moments: the estimator draws {self._path} in a way that cannot be integrated over")


def _grid(laws: Sequence[Law], nodes: int) -> Iterator[tuple[Tensor, float]]:
    """Yield every combination of nodes, one for each number, with its weight."""
    x, w = gauss_hermite(nodes)
    rules = {"normal": list(zip(x, w / w.sum(), strict=True)), "sign": [(-1.0, 0.5), (1.0, 0.5)]}
    for choice in itertools.product(*(rules[law] for law in laws)):
        yield torch.tensor([z for z, _ in choice], dtype=torch.float64), math.prod(p for _, p in choice)


def _moments(gradients: list[Tensor], weights: list[float]) -> tuple[Tensor, Tensor]:
    g = torch.stack(gradients)
    w = torch.tensor(weights).to(g)
    mean = torch.tensordot(w, g, 1)
    return mean, torch.tensordot(w, (g - mean).square(), 1)

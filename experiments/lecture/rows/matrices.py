"""Rows on step sizes that are matrices, on steepest ways, and on ways that use gradients without following them."""

from __future__ import annotations

from collections.abc import Callable

from experiments.common.acceptance import AtLeast, AtMost, Equals, largest, row
from experiments.lecture.draws import FLOAT64, LIKE, apart, normal
from experiments.lecture.quadratics import bowl as random_bowl
from experiments.lecture.quadratics import (
    degrees_between,
    descend,
    in_null_space,
    matrix_of,
    one_case,
    worst_start,
)
from experiments.lecture.zigzag import problem

import numpy as np
import torch
from torch import Tensor

from rllab import Key
from rllab import backprop as bp
from rllab.noise import standard_normal


@row("L21", AtMost(0.5), wrong={"descent itself": {"methods": ("descent",)}})
def beyond_descent(seed: int, fast: bool, methods: tuple[str, ...] = ("momentum", "lbfgs", "newton")) -> float:
    """Gradient-based need not mean gradient descent: momentum, L-BFGS and Newton use the same gradients better.

    Measures: most gradients of the three over those of descent at its best step, condition 100.
    """
    of_descent = len(descend("descent", *random_bowl(seed))) - 1
    return largest(*((len(descend(method, *random_bowl(seed))) - 1) / of_descent for method in methods))


@row("L21", AtMost(0.75), wrong={"descent itself": {"methods": ("descent",)}}, first="<= 0.5")
def adam(seed: int, fast: bool, methods: tuple[str, ...] = ("adam",)) -> float:
    """So does Adam.

    Measures: its gradients over those of descent at its best step, condition 100.
    Note: its step size was tuned on other seeds.
    """
    return beyond_descent(seed, fast, methods)


@row("L24", AtMost(0.5), wrong={"−Mg": {"matrix": torch.diag(torch.tensor([1.0, 3.0]).double())}})
def looking_around(seed: int, fast: bool, matrix: Tensor | None = None) -> float:
    """Lost on a foggy mountain, look around: the steepest way down is against the gradient.

    Measures: degrees between the steepest of 10,000 random ways, found from losses alone, and −g.
    """
    graph, samples, _ = problem(seed)
    w, h = torch.tensor([-1.0, 6.0], dtype=FLOAT64), 1e-4
    u = torch.nn.functional.normalize(normal(seed, "ways", 10_000, 2), dim=1)
    x, y = samples.x[:, 0], samples.y[:, 0]
    up, down = (((w + s * h * u) @ torch.stack([x, x * 0 + 1]) - y).square().mean(1) for s in (1, -1))
    steepest = u[((up - down) / (2 * h)).argmin()]
    g = graph.backward(samples.x, samples.y, weights=w).weights
    g = g if matrix is None else matrix @ g
    return degrees_between(-steepest, g)


@row("L24", Equals(1.0), wrong={"steps that leap over the ridge": {"eta": 0.4}}, identity=False)
def own_valley(seed: int, fast: bool, eta: float = 0.02) -> float:
    """The view is local: small steps end in the valley they start in, the deeper one or not.

    Measures: share of 200 starts that end in their own of two valleys.

    f(x, y) = (x² − 1)² + 0.3 x + y² has its ridge at the middle root of 4x³ − 4x + 0.3.
    """
    ridge = float(np.sort(np.roots([4, 0, -4, 0.3]).real)[1])
    w = normal(seed, "starts", 200, 2).clamp(-2, 2)
    start = w[:, 0] > ridge
    for _ in range(300):
        x, y = w.T
        g = torch.stack([4 * x**3 - 4 * x + 0.3, 2 * y], 1)
        w = bp.step(w.flatten(), g.flatten(), eta).view(-1, 2).clamp(-2, 2)
    return float(((w[:, 0] > ridge) == start).double().mean())


@row("L27", Equals(0.0), wrong={"sum over the rows": {"step": lambda w, g, eta: w - eta.sum() * g}})
def identity_and_number(seed: int, fast: bool, step: Callable[[Tensor, Tensor, Tensor], Tensor] = bp.step) -> float:
    """The step size may be a matrix; a multiple of the identity is the number.

    Measures: largest difference of a step with ηI from one with η.
    """
    worst = 0.0
    for n in (1, 3, 20):
        w, g = (standard_normal((n,), Key(seed).child(name, n), LIKE) for name in ("w", "g"))
        for eta in (0.1, 1 / 3, 7.3):
            worst = largest(worst, apart(step(w, g, eta * torch.eye(n, dtype=FLOAT64)), bp.step(w, g, eta)))
    return worst


@row("L28", Equals(0.0), wrong={"indefinite matrix": {"kind": "indefinite"}, "ten times the step": {"factor": 10.0}})
def downhill(seed: int, fast: bool, kind: str = "deficient", factor: float = 1.0) -> float:
    """With a positive semidefinite matrix a small enough step still goes downhill.

    Measures: random quadratics of 2 to 50 dimensions, matrix of any rank, in which f rises at η = 1/(λ(M) λ(H)).
    Note: small enough matters, and semidefinite allows to stand still where g is in the null space.
    """
    cases = 20 if fast else 200
    rows = (r for i in range(cases) for r in one_case(kind, 2 + i % 49, Key(seed).child("case", i)))
    return float(sum(r["rises"] for r in rows if r["factor"] == factor))


@row("L28", AtMost(1e-12), wrong={"positive definite": {"kind": "positive"}})
def null_space(seed: int, fast: bool, kind: str = "deficient") -> float:
    """The caveat: where g is in the null space of the matrix, nothing moves.

    Measures: length of the step for a gradient of length 1.
    """
    m = matrix_of(kind, 6, Key(seed).child("null"))
    g = in_null_space(m)
    return float(bp.step(torch.zeros_like(g), g, m).norm())


@row("L29", AtLeast(10.0), wrong={"the identity": {"identity": True}})
def off_the_steepest(seed: int, fast: bool, identity: bool = False) -> float:
    """But not the steepest way.

    Measures: degrees between −Mg and −g, the median of 200 random positive definite M.
    """
    angles = []
    for i in range(30 if fast else 200):
        n, key = 2 + i % 49, Key(seed).child("angle", i)
        g = normal(key, "g", n)
        step = g if identity else bp.step(torch.zeros_like(g), -g, matrix_of("positive", n, key.child("M")))
        angles.append(degrees_between(step, g))
    return float(np.median(angles))


@row("L29", AtMost(1e-10), wrong={"a hundredth of another": {"mixed": 0.01}})
def eigenvector(seed: int, fast: bool, mixed: float = 0.0) -> float:
    """Unless the gradient is an eigenvector of the matrix.

    Measures: |sin| of the angle between Mg and g.
    """
    m = matrix_of("positive", 8, Key(seed).child("eigenvector"))
    vectors = torch.linalg.eigh(m).eigenvectors
    g = torch.nn.functional.normalize(vectors[:, 1] + mixed * vectors[:, 6], dim=0)
    step = torch.nn.functional.normalize(bp.step(torch.zeros_like(g), -g, m), dim=0)
    return float((step - (step @ g) * g).norm())


@row("L30", AtMost(0.2), wrong={"Newton's way": {"matrix": True}}, identity=True)
def way_to_the_minimum(seed: int, fast: bool, matrix: bool = False) -> float:
    """The steepest way is not always the wanted one: in an elongated bowl it is far off the minimum.

    Measures: cos between −g and the way to the minimum, condition 100, worst start: 2√κ/(1 + κ).
    """
    h, w = worst_start(seed)
    way = -(torch.linalg.solve(h, h @ w) if matrix else h @ w)
    return float(way @ -w / (way.norm() * w.norm()))


@row("L30", AtLeast(100.0), wrong={"Newton": {"method": "newton"}}, identity=True)
def steps_of_descent(seed: int, fast: bool, method: str = "descent") -> float:
    """There descent takes many steps.

    Measures: steps at the best step size to 0.001 of the distance, condition 100.
    """
    return len(descend(method, *worst_start(seed))) - 1


@row("L30", Equals(1.0), wrong={"descent": {"method": "descent"}})
def steps_of_newton(seed: int, fast: bool, method: str = "newton") -> float:
    """where the right matrix takes one.

    Measures: steps of Newton to 0.001 of the distance.
    """
    return steps_of_descent(seed, fast, method)

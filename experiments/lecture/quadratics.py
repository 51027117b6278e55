"""Quadratics f(w) = w'Hw/2, matrices of every kind for a step −Mg on them, and ways down that use gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

from experiments.lecture.draws import LIKE, normal

import torch
from torch import Tensor
from torch.optim import LBFGS, SGD, Adam

from rllab import Key
from rllab import backprop as bp
from rllab.noise import standard_normal

CONDITION, DIMENSION, CLOSE = 100.0, 20, 1e-3
FACTORS = (0.1, 0.3, 1.0, 1.9, 2.1, 3.0, 10.0)  # η over 1/(λ(M) λ(H))
ADAM = 0.5  # fewest gradients in the median of ADAM_TRIALS, seeds TUNING_SEEDS


def orthogonal(n: int, key: Key) -> Tensor:
    return torch.linalg.qr(standard_normal((n, n), key, LIKE)).Q


def spd(eigenvalues: Tensor, key: Key) -> Tensor:
    """Return a symmetric matrix with these eigenvalues in a random basis."""
    q = orthogonal(len(eigenvalues), key)
    return (q * eigenvalues) @ q.T


def matrix_of(kind: str, n: int, key: Key) -> Tensor:
    """Return a random symmetric matrix (n, n): positive definite, semidefinite of a rank below n, or indefinite."""
    generator = key.child("eigenvalues").generator()
    sizes = 10 ** (2 * torch.rand(n, generator=generator, dtype=torch.float64))
    if kind == "deficient":
        sizes[int(torch.randint(1, n, (), generator=generator)) :] = 0
    if kind == "indefinite":
        sizes[: max(1, n // 2)] *= -1
    return spd(sizes, key.child("basis"))


def value(h: Tensor, w: Tensor) -> float:
    return 0.5 * float(w @ h @ w)


def in_null_space(m: Tensor) -> Tensor:
    """Return the vector of length 1 that a symmetric matrix shrinks most: to nothing, if it has a null space."""
    values, vectors = torch.linalg.eigh(m)
    return vectors[:, values.abs().argmin()]


def degrees_between(a: Tensor, b: Tensor) -> float:
    """Return the angle of two vectors in degrees; NaN if a number of theirs is."""
    cosine = a @ b / (a.norm() * b.norm())
    return math.degrees(cosine.clamp(-1, 1).acos().item())


def one_case(kind: str, n: int, key: Key) -> Iterator[dict[str, float | bool]]:
    """Yield for each factor whether the step raised f; and of every step the same, with λ for λ(M):

    down = g'Mg/(λ|g|²), moved = |Mg|/(λ|g|), and angle, that of −Mg to −g in degrees.
    """
    h = matrix_of("positive", n, key.child("H"))
    m = matrix_of("deficient" if kind == "null space" else kind, n, key.child("M"))
    w = normal(key, "w", n)
    if kind == "null space":
        w = torch.linalg.solve(h, w.norm() * in_null_space(m))
    g = h @ w
    size = float(torch.linalg.matrix_norm(m, 2))
    down, moved = float(g @ m @ g / (size * g @ g)), float((m @ g).norm() / (size * g.norm()))
    angle = degrees_between(m @ g, g)
    for factor in FACTORS:
        eta = factor / (size * float(torch.linalg.matrix_norm(h, 2)))
        rises = value(h, bp.step(w, g, eta * m)) > value(h, w) * (1 + 1e-12)
        yield {"factor": factor, "rises": rises, "down": down, "moved": moved, "angle": angle, "n": n}


def bowl(seed: int) -> tuple[Tensor, Tensor]:
    """Return H of condition 100, its eigenvalues spread evenly in the logarithm, and where to start."""
    key = Key(seed).child("bowl")
    sizes = torch.logspace(0, math.log10(CONDITION), DIMENSION, dtype=torch.float64)
    return spd(sizes, key.child("H")), normal(key, "w", DIMENSION)


def worst_start(seed: int) -> tuple[Tensor, Tensor]:
    """Return H of two dimensions and condition 100, and where the steepest way is furthest off the minimum.

    In the basis of H it is (√κ, 1): then g = (√κ, κ), and cos = 2√κ/(1 + κ).
    """
    q = orthogonal(2, Key(seed).child("turn"))
    h = (q * torch.tensor([1.0, CONDITION], dtype=torch.float64)) @ q.T
    return h, q @ torch.tensor([math.sqrt(CONDITION), 1.0], dtype=torch.float64)


def descend(method: str, h: Tensor, w: Tensor, *, eta: float | None = None, most: int = 3000) -> list[float]:
    """Return the distance from the minimum, relative to the start, before each gradient until it is at most CLOSE.

    Descent and heavy ball have the step sizes that are best for the worst case, from the eigenvalues: 2/(1 + κ), and
    Polyak's 4/(1 + √κ)² with momentum ((√κ − 1)/(√κ + 1))². L-BFGS has a line search, which is charged its gradients.
    """
    root = math.sqrt(CONDITION)
    optimizers: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
        "descent": partial(SGD, lr=2 / (1 + CONDITION)),
        "momentum": partial(SGD, lr=4 / (1 + root) ** 2, momentum=((root - 1) / (root + 1)) ** 2),
        "adam": partial(Adam, lr=ADAM if eta is None else eta),
        "lbfgs": partial(LBFGS, line_search_fn="strong_wolfe"),
    }
    start, distances = float(w.norm()), []
    w = w.clone().requires_grad_()
    stepper = optimizers[method]([w]) if method in optimizers else None

    def closure() -> float:
        distances.append(float(w.detach().norm()) / start)
        w.grad = h @ w.detach()
        if distances[-1] <= CLOSE or len(distances) > most:
            raise StopIteration
        return value(h, w.detach())

    try:
        while True:
            if stepper is None:  # Newton
                closure()
                w = bp.step(w.detach(), h @ w.detach(), torch.linalg.inv(h))
            else:
                stepper.step(closure)
    except StopIteration:
        return distances

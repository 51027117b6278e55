"""Nodes and weights of Gauss's rules, worked out once each."""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def gauss_legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights (n,) each of the rule on (−1, 1), exact up to degree 2n − 1; not to be written to.

    Source: C. F. Gauss (1814), "Methodus nova integralium valores per approximationem inveniendi".
    """
    return _frozen(np.polynomial.legendre.leggauss(nodes))


@cache
def gauss_hermite(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights (n,) each of the rule for the weight e^(−x²/2); not to be written to."""
    return _frozen(np.polynomial.hermite_e.hermegauss(nodes))


def _frozen(rule: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    for part in rule:
        part.setflags(write=False)
    return rule

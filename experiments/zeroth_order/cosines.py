"""The law of the cosine between an estimate from m directions and the gradient, on a linear cost of d parameters.

    normal directions         cos² ~ Beta(m/2, (d − 1)/2)
    orthonormal directions    cos² ~ Beta(m/2, (d − m)/2)

Where they are from: `dimension`. How probable a mean of such numbers is follows from Chernoff (1952), "A measure of
asymptotic efficiency for tests of a hypothesis based on the sum of observations".
"""

from __future__ import annotations

import math

from scipy import optimize, special, stats


def cosine_law(law: str, d: int, m: int) -> tuple[float, float]:
    """Return the a and b of cos² ~ Beta(a, b) under the law of the directions; b = 0 if it is 1 for certain."""
    return m / 2, (d - 1 if law == "gaussian" else d - m) / 2


def mean_cosine(d: int, m: int) -> float:
    """Return E cos of m independent normal directions: E √x, x ~ Beta(m/2, (d − 1)/2)."""
    a, b = cosine_law("gaussian", d, m)
    return math.exp(math.lgamma(a + 0.5) - math.lgamma(a) + math.lgamma(a + b) - math.lgamma(a + b + 0.5))


def chance(mean: float, law: tuple[float, float], n: int) -> float:
    """Bound the probability that n numbers ~ Beta(a, b) have a mean as far off as this, on its side; two-sided.

    Chernoff's bound, for any s:  P(x̄ >= x) <= e^(−n (s x − log E e^(s X))),  E e^(s X) = ₁F₁(a, a + b, s); exact to the
    exponent, and so in the tail, where a normal law is not.
    """
    a, b = law
    if b == 0:
        return float(abs(mean - 1) < 1e-10)  # rounding: nothing is left to chance
    beta = stats.beta(a, b)
    most = 40 / (float(beta.std()) * math.sqrt(n)) * (1 if mean > beta.mean() else -1)

    def exponent(s: float) -> float:
        # e^(s X) is at most e^s: where ₁F₁ overflows, that is a bound too
        moment = float(special.hyp1f1(a, a + b, s))
        return s * mean - (math.log(moment) if 0 < moment < math.inf else max(0.0, s))

    best = optimize.minimize_scalar(lambda s: -exponent(s), bounds=sorted((0.0, most)), method="bounded")
    return min(1.0, 2 * math.exp(-n * max(0.0, -float(best.fun))))

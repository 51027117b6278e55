"""Power: is the mean of estimates the truth, and how large a bias would have been seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

FALSE_ALARM = 1e-10  # α of a whole check, all its components together
MISS = 1e-3  # β
ROUNDING = 1e-8  # of the truth's largest component, or of 1, below which nothing is called biased
FIRST = 2_000  # estimates, on which it is decided how many more there must be
LARGEST = 1 << 21  # of all numbers at which a cost is evaluated for one check: estimates × evaluations × d


@dataclass(frozen=True)
class NotTested:
    """A rule that was not tested, and why; it prints as that.

    Args:
        why: what the test would need that there is not.

    Example:
        from rllab import estimators as est
        from rllab.testing import check_estimator

        print(check_estimator(est.CentralDifference(), rules=["unbiased"])["unbiased"])
    """

    why: str

    def __str__(self) -> str:
        return f"not tested: {self.why}"


@dataclass(frozen=True)
class Power:
    """What a test that the mean of estimates is the truth would have seen.

    With estimates g_r (R, d) and truth t, the d components and the one along t itself, g_r·t/‖t‖, are each held to
    theirs by Student's test:

        |ḡ_j − t_j| <= T_j = q s_j/√R + rounding        q: two-sided rate α/(d + 1) with R − 1 degrees of freedom
        detected    =  max_j T_j + q_β s_j/√R           a bias of that size in any of them is missed with probability β
                                                        q_β: Student's too, of one side, as s_j is of these estimates

    So a factor of 1 ± detected/‖t‖ before the whole gradient is seen with probability 1 − β. The rates are those of
    normal means; means of thousands of estimates are nearly that.

    Args:
        of: what was measured.
        repeats: estimates, R.
        detected: the bias, in one component or along the truth, that is missed with probability MISS only.
        truth: ‖t‖, 0 if it is no more than rounding.
        wanted: the share of ‖t‖ that was to be seen.

    Example:
        from rllab import estimators as est
        from rllab.testing import check_estimator

        print(check_estimator(est.SPSA(), rules=["unbiased"], detects=0.2)["unbiased"])
    """

    of: str
    repeats: int
    detected: float
    truth: float
    wanted: float

    @property
    def share(self) -> float:
        """What is detected as a share of the truth's norm; infinite if that is zero."""
        return self.detected / self.truth if self.truth > 0 else float("inf")

    @property
    def enough(self) -> bool:
        """Whether the share is what was wanted; of a truth that is zero none can be."""
        return self.truth == 0 or self.share <= self.wanted

    def __str__(self) -> str:
        size = f"{self.share:.2g} of its norm" if self.truth > 0 else f"{self.detected:.2g}, its norm being 0,"
        return (
            f"{self.of}: by {self.repeats:,} estimates a bias of {size} is seen with probability {1 - MISS:g}"
            + ("" if self.enough else f"; {self.wanted:g} was wanted and takes more than a check may evaluate")
            + f" (false alarm {FALSE_ALARM:g})"
        )


def power_of(g: Tensor, truth: Tensor, of: str, wanted: float, false_alarm: float = FALSE_ALARM) -> Power:
    """Return what estimates (R, d) can tell of their mean.

    Raises:
        AssertionError: if that is not `truth` (d,).
    """
    r, size = len(g), float(truth.norm())
    size = size if size > ROUNDING else 0.0
    if size > 0:
        along = truth / size
        g, truth = torch.cat((g, (g @ along)[:, None]), -1), torch.cat((truth, truth.new_tensor([size])))
    mean = g[0] + (g - g[0]).mean(0)
    se = (g - g[0]).std(0) / r**0.5
    rounding = ROUNDING * max(1.0, float(truth.abs().max()))
    limit = _student(false_alarm / (2 * len(truth)), r - 1) * se + rounding
    off = (mean - truth).abs()
    if not (off <= limit).all():
        j = int((off / limit).argmax())
        where = "along the truth" if size > 0 and j == len(truth) - 1 else f"in component {j}"
        raise AssertionError(
            f"the mean of {r} estimates of {of} must be {truth[j]:.6g} ± {limit[j]:.2g} {where}, got {mean[j]:.6g}"
        )
    return Power(of, r, float((limit + _student(MISS, r - 1) * se).max()), size, wanted)


@cache
def _student(rate: float, freedom: int) -> float:
    """Return what Student's t exceeds at this rate."""
    from scipy.stats import t

    return float(t.isf(rate, freedom))


def repeats_for(first: Power, numbers: int) -> int:
    """Return how many estimates, of as many numbers each, show what is wanted, as far as LARGEST allows."""
    wanted = int(1.2 * first.repeats * (first.share / first.wanted) ** 2)  # detected ~ 1/√R, and the sd is an estimate
    return max(first.repeats, min(wanted, LARGEST // numbers))

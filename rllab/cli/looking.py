"""Commands that say what there is: the estimators, and whether this installation works."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from rllab.cli.common import short
from rllab.tables import table
from rllab.text import printable

MOST = 10_000_000  # parameters that are made to ask every estimator for its price: in seconds, in a gigabyte


@dataclass(frozen=True)
class Estimators:
    """List the gradient estimators: what each estimates, what it asks of a cost, its price, and where it comes from.

    Unbiased is meant for the target that stands beside it: for a relaxed one, that is no gradient of the expected cost.
    Points that share a seed meet the same noise, if the cost is seeded: none, pairs, units (a sample, say) or all.
    """

    dimension: int = 20
    """Number of parameters d for which the fewest evaluations are given."""

    def run(self) -> None:
        if not 1 <= self.dimension <= MOST:
            raise ValueError(f"rllab estimators: dimension must be >= 1 and <= {MOST:,}, got {self.dimension}")
        import torch

        from rllab import critics
        from rllab.testing import RULES, SharedSeeds, Subject, accepted_kinds, exported_estimators

        head = ["estimator", "at", "target", "unbiased for it", "needs", "share a seed"]
        head += [f"evaluations, d = {self.dimension}", "source"]
        lines = []
        for cls in (*exported_estimators(), *exported_estimators(critics)):
            estimator, kinds = cls(), accepted_kinds(cls())
            try:
                least = estimator.minimum(next(iter(kinds.values()))(torch.zeros(self.dimension)))
                evaluations = f"{least:,}" if least < 10**9 else f"10^{math.log10(least):.0f}"
            except ValueError:  # Sobol' points have at most 21,201 coordinates
                evaluations = "cannot"
            unbiased = "yes" if estimator.unbiased else "no" if estimator.order is None else f"O(h^{estimator.order})"
            source = "; ".join(text.strip() for text in re.findall(r"[^;]+?\(\d{4}\)", estimator.source))
            needs, target = ", ".join(sorted(estimator.needs)), short(str(estimator.target), 40)
            shared = RULES["seeds"](Subject(estimator))
            assert isinstance(shared, SharedSeeds)  # that rule's answer
            lines.append([cls.__name__, "|".join(kinds), target, unbiased, needs, shared.word, evaluations, source])
        print(table(head, lines))


@dataclass(frozen=True)
class Doctor:
    """Check this installation: versions, what it computes, threads, environments, and which extras are there."""

    def run(self) -> int:
        from rllab.cli.checkup import EXTRAS, checks, installed

        wrong = 0
        for what, check in checks():
            try:
                print(printable(f"ok     {what}: {check()}"))
            except Exception as error:  # whatever it is, it is what is amiss
                wrong += 1
                print(printable(f"WRONG  {what}: {str(error) or type(error).__name__}"))
        for extra, (packages, what) in EXTRAS.items():
            missing = [package for package in packages if not installed(package)]
            how = f"not there: pip install '.[{extra}]'" if missing else "there"
            print(f"{'-----' if missing else 'ok   '}  extra {extra}, {what}: {how}")
        print(f"\n{wrong} of the checks failed" if wrong else "\nall is well")
        return 1 if wrong else 0

"""Claims that several experiments make: printed numbers are met, samples have the moments that theory says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from experiments.common.acceptance import REGISTRY, shown
from experiments.common.frame import Judge, by_seed

import numpy as np

from rllab.runs import Record


def agrees(value: float, text: str) -> bool:
    """Whether a number rounds to the one printed, in the middle between two included: "17.49", "-.045", "1.356e-7"."""
    digits, _, exponent = text.partition("e")
    return abs(value - float(text)) <= 0.5001 * 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))


def judge_printed(judge: Judge, found: Iterable[tuple[str, float, str]], says: str) -> None:
    """Judge whether numbers agree with those printed elsewhere, and note each that does not.

    Args:
        found: of each number where it stands, its value here and as printed.
        says: the claim; "{right}" and "{count}" in it are how many agree, and how many there are.
    """
    found = list(found)
    wrong = [f"{where}: {value:.6g} is not {text}" for where, value, text in found if not agrees(value, text)]
    judge(not wrong, says.format(right=len(found) - len(wrong), count=len(found)))
    for text in wrong:
        judge.note(text)


def judge_row(judge: Judge, measure: Callable[..., float], numbers: Iterable[float]) -> None:
    """Judge the numbers of all seeds by the row of the lecture's table that a function measures, one number a seed."""
    (entry,) = (entry for entry in REGISTRY if entry.measure is measure)
    each = [float(number) for number in numbers]
    judge(
        entry.holds(each),
        f"{'/'.join(entry.ids)} {entry.says}: {entry.measures} {shown(entry.one_of(each))} "
        f"({entry.seeds} of {len(each)} seeds; needs {entry.criterion})",
        fails=entry.fails,
    )


def judge_moments(judge: Judge, records: Sequence[Record], **wanted: object) -> None:
    """Judge mean and variance of samples by "off" and "off_variance", their deviations in standard errors.

    Deviations of one setting under n seeds add up to a normal number of variance n.
    """
    for name, what in (("off", "mean"), ("off_variance", "variance")):
        off = by_seed(records, name, **wanted)
        pooled = np.abs(off.sum(0)) / math.sqrt(len(records))
        judge(
            pooled.max() <= 6,
            f"samples of {len(records)} seeds, by the {what} in each of {off.shape[1]} settings: off by at most "
            f"{pooled.max():.1f} standard errors (needs <= 6; single seeds {np.abs(off).max():.1f})",
        )


def sign_test(less: np.ndarray, more: np.ndarray) -> float:
    """Return p of the one-sided sign test that `less` is below `more`: P(at least as many wins of n tosses of a coin).

    Ties count for neither, two infinite numbers included.

    Args:
        less, more: a number of each seed, (seeds,), the same seeds in the same order.

    Source: Dixon & Mood (1946), "The statistical sign test".
    """
    from scipy.special import bdtrc  # scipy.stats takes a second to load

    wins, losses = int((less < more).sum()), int((less > more).sum())
    return float(bdtrc(wins - 1, wins + losses, 0.5))


def judge_paired(judge: Judge, less: np.ndarray, more: np.ndarray, says: str, *, level: float = 1e-3) -> None:
    """Judge by the sign test whether one method's number is below another's, seed by seed; ten of ten pass.

    Args:
        less, more: a number of each seed, (seeds,), the same seeds in the same order.
        says: the claim, with its numbers.
        level: of the test.
    """
    p, wins = sign_test(less, more), int((less < more).sum())
    judge(p <= level, f"{says}: on {wins} of {len(less)} seeds (sign test: p = {p:.1g}, needs <= {level:g})")


def note_prediction(judge: Judge, text: str, *pairs: tuple[np.ndarray, np.ndarray], level: float = 1e-3) -> None:
    """Note whether what was predicted before a run holds: each first number below its second by the sign test."""
    p = max(sign_test(less, more) for less, more in pairs)
    verdict = "so it was" if p <= level else "it was NOT"
    judge.note(f"predicted beforehand: {text}: {verdict} (largest sign test: p = {p:.1g}, of level {level:g})")

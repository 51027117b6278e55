"""Acceptance: what must hold for each statement of the lecture, and the functions that measure it.

A statement is a row, L1 … L83 as the lecture makes them in order, T1 … T7 what its spoken version adds. A function that
measures it stands in the file that proves it and registers itself:

    @row("L50", Within(-1.05, -0.95), wrong={"the sum instead of the mean": {"summed": True}})
    def variance_of_batches(seed: int, fast: bool, summed: bool = False) -> float:
        '''A mini-batch is an average of gradients, so its variance falls with its size.

        Measures: log-log slope of the variance in the size.
        '''

Its docstring is what the table says: the statement, what the number is, and a caveat, if there is one, after `Note:`.
A wrong version is the same function with other arguments, or another one of (seed, fast).

A criterion is set on seeds 0 to 9 and checked once on 10 to 19; a wrong version must fail it. One that was changed
after a look at those is checked on ten seeds that come after them (`fresh`), and `first` says what was asked first. A
row that misses what was asked first may stay in the table as one that `fails`: its wrong versions must then hold. The
table is made by `experiments/lecture/table.py`.

Source: LeCun (2020), NYU Deep Learning, week 2, "Introduction to gradient descent and backpropagation".
"""

from __future__ import annotations

import importlib
import inspect
import math
import re
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

Measure = Callable[[int, bool], float]  # of (seed, fast)
Seeds = Literal["worst", "median"]
AMeasure = TypeVar("AMeasure", bound=Measure)


@dataclass(frozen=True)
class Criterion(ABC):
    """What a number must satisfy; NaN satisfies nothing."""

    def __post_init__(self) -> None:
        for name, bound in vars(self).items():
            if not isinstance(bound, int | float) or math.isnan(bound):
                raise ValueError(f"{type(self).__name__}: {name} must be a number, got {bound!r}")

    @abstractmethod
    def excess(self, value: float) -> float:
        """Return how far `value` is beyond its bound, or short of it if negative."""

    def holds(self, value: float) -> bool:
        return self.excess(value) <= 0  # False for NaN

    def worst(self, values: Sequence[float]) -> float:
        """Return the value that is furthest beyond, or nearest to, the bound; NaN if there is one."""
        return max(values, key=lambda value: math.inf if math.isnan(value) else self.excess(value))


@dataclass(frozen=True)
class AtLeast(Criterion):
    low: float

    def excess(self, value: float) -> float:
        return self.low - value

    def __str__(self) -> str:
        return f">= {self.low:g}"


@dataclass(frozen=True)
class AtMost(Criterion):
    high: float

    def excess(self, value: float) -> float:
        return value - self.high

    def __str__(self) -> str:
        return f"<= {self.high:g}"


@dataclass(frozen=True)
class Within(Criterion):
    low: float
    high: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ValueError(f"Within: low must be below high, got {self.low} and {self.high}")

    def excess(self, value: float) -> float:
        return max(self.low - value, value - self.high)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Equals(Criterion):
    """Exactly this number, to the last bit."""

    number: float

    def excess(self, value: float) -> float:
        return abs(value - self.number)

    def __str__(self) -> str:
        return f"= {shown(self.number)}"


def largest(*values: float) -> float:
    """Return the largest number, or NaN if there is one: `max` may lose it. What a row is made of goes through here."""
    return float(np.max(values))


def least(*values: float) -> float:
    """Return the least number, or NaN if there is one."""
    return float(np.min(values))


def furthest(values: Sequence[float], center: float) -> float:
    """Return the number that is furthest from `center`, or NaN if there is one."""
    return values[int(np.argmax(np.abs(np.subtract(values, center))))]  # NaN is the largest to argmax


def shown(number: float) -> str:
    """Return a number as tables show it: a count whole, anything else to three digits."""
    return f"{number:,.0f}" if number == round(number, 0) and abs(number) < 1e9 else f"{number:.3g}"


@dataclass(frozen=True)
class Section:
    """A part of the lecture: its title in English, in Japanese, and as that is read, and its rows in order."""

    english: str
    japanese: str
    read: str
    ids: tuple[str, ...]


def _numbered(first: int, last: int, *extra: str) -> tuple[str, ...]:
    return (*(f"L{i}" for i in range(first, last + 1)), *extra)


SECTIONS = (
    Section("Models, costs and losses", "モデルとコスト、損失", "moderu to kosuto, sonshitsu", _numbered(1, 21)),
    Section("Gradient descent", "勾配降下法", "kōbai kōka-hō", _numbered(22, 30, "T3", "T5")),
    Section(
        "Costs without a gradient: zeroth order, reinforcement learning, critics",
        "勾配のないコスト：0次法、強化学習、批評家",
        "kōbai no nai kosuto: zeroji-hō, kyōka gakushū, hihyōka",
        _numbered(31, 44),
    ),
    Section(
        "Stochastic gradient descent and mini-batches",
        "確率的勾配降下法とミニバッチ",
        "kakuritsu-teki kōbai kōka-hō to minibatchi",
        _numbered(45, 52, "T1", "T2"),
    ),
    Section("Neural networks", "ニューラルネットワーク", "nyūraru nettowāku", _numbered(53, 59)),
    Section(
        "Backpropagation through one function and one sum",
        "関数と加重和の逆伝播",
        "kansū to kajūwa no gyakudenpa",
        _numbered(60, 69),
    ),
    Section(
        "Networks as programs",
        "プログラムとしてのネットワーク",
        "puroguramu to shite no nettowāku",
        _numbered(70, 75, "T6", "T7"),
    ),
    Section(
        "Backpropagation in general: Jacobians",
        "一般の逆伝播：ヤコビ行列",
        "ippan no gyakudenpa: Yakobi gyōretsu",
        _numbered(76, 83, "T4"),
    ),
)
ROWS: dict[str, Section] = {id: section for section in SECTIONS for id in section.ids}

ROUNDING = 1e-6  # criteria up to this allow for rounding, or for that of differences, and for nothing else
FRESH = 10  # the first seed that no criterion was set on, but where a row says otherwise; and seeds of each kind


@dataclass(frozen=True)
class Row:
    """One function that measures one row or several of them, and the criterion for its number.

    Args:
        ids: the rows it is about.
        says: the statement, in our words.
        measures: what the number is.
        criterion: what the number must satisfy.
        measure: (seed, fast) to the number.
        wrong: the same number from wrong versions, by what is wrong with them; each must come out on its other side.
        seeds: whether it must hold for every seed ("worst") or for the median of the numbers.
        note: a caveat, if there is one.
        fresh: the first of the ten seeds that it is checked on.
        first: the criterion that was asked first, if it was relaxed after a look.
        fails: whether it misses its criterion, and the table says so.
        identity: whether only a fault of the code can make it fail; by default where the criterion is exact, up to
            ROUNDING.
    """

    ids: tuple[str, ...]
    says: str
    measures: str
    criterion: Criterion
    measure: Measure
    wrong: Mapping[str, Measure] = field(default_factory=dict)
    seeds: Seeds = "worst"
    note: str = ""
    fresh: int = FRESH
    first: str = ""
    fails: bool = False
    identity: bool | None = None

    def __post_init__(self) -> None:
        who = f"row {'/'.join(self.ids)}"
        if not self.ids or len(set(self.ids)) < len(self.ids):
            raise ValueError(f"{who}: ids must be different and at least one, got {self.ids}")
        for id in self.ids:
            if id not in ROWS:
                raise ValueError(f"{who}: unknown id {id!r}; there are L1 to L83 and T1 to T7")
        if not isinstance(self.criterion, Criterion):
            raise ValueError(f"{who}: criterion must be AtLeast, AtMost, Within or Equals, got {self.criterion!r}")
        if self.seeds not in ("worst", "median"):
            raise ValueError(f"{who}: seeds must be 'worst' or 'median', got {self.seeds!r}")
        if self.fresh < FRESH or self.fresh % FRESH:
            raise ValueError(f"{who}: fresh must be 10, 20, …, got {self.fresh}")
        if not self.says.strip() or not self.measures.strip():
            raise ValueError(f"{who}: says and measures must not be empty")

    @property
    def exact(self) -> bool:
        """Whether it is an identity, not a measurement."""
        c = self.criterion
        by_criterion = isinstance(c, Equals) or (isinstance(c, AtMost) and c.high <= ROUNDING)
        return by_criterion if self.identity is None else self.identity

    @property
    def where(self) -> str:
        """The file and function that measure it, as lecture/rows/models.py:name."""
        file = Path(self.measure.__code__.co_filename).resolve()
        here = Path(__file__).resolve().parents[1]
        return f"{file.relative_to(here) if file.is_relative_to(here) else file.name}:{self.measure.__name__}"

    def takes(self, seed: int) -> bool:
        """Whether it is measured under a seed: one of 0 to 9, or of those that it is checked on."""
        return 0 <= seed < FRESH or self.fresh <= seed < self.fresh + FRESH

    def one_of(self, values: Sequence[float]) -> float:
        """Return the one number of several seeds that is held to the criterion."""
        if self.seeds == "worst" or any(map(math.isnan, values)):
            return self.criterion.worst(values)
        return statistics.median(values)

    def holds(self, values: Sequence[float]) -> bool:
        return self.criterion.holds(self.one_of(values))

    def catches(self, values: Sequence[float]) -> bool:
        """Whether all numbers of a wrong version, or their median, come out on the other side of the criterion."""
        if self.seeds == "median":
            return self.holds(values) is self.fails
        return all(self.criterion.holds(value) is self.fails for value in values)


REGISTRY: list[Row] = []


def row(
    ids: str | tuple[str, ...],
    criterion: Criterion,
    *,
    wrong: Mapping[str, Measure | Mapping[str, object]] | None = None,
    seeds: Seeds = "worst",
    fresh: int = FRESH,
    first: str = "",
    fails: bool = False,
    identity: bool | None = None,
) -> Callable[[AMeasure], AMeasure]:
    """Register the function below as a measurement of these rows; a row may have several, all of which must hold.

    Args:
        wrong: other arguments with which the function measures a wrong version, or another function.
        seeds, fresh, first, fails, identity: as of `Row`.

    Raises:
        ValueError: on an unknown id, a docstring without `Measures:`, or a function that is registered already.
    """

    def register(measure: AMeasure) -> AMeasure:
        several = (ids,) if isinstance(ids, str) else tuple(ids)
        versions = {what: _version(measure, change) for what, change in (wrong or {}).items()}
        says, measures, note = _described(measure)
        new = Row(several, says, measures, criterion, measure, versions, seeds, note, fresh, first, fails, identity)
        for old in REGISTRY:
            if set(old.ids) & set(new.ids) and old.where == new.where:
                raise ValueError(f"row {'/'.join(new.ids)}: {new.where} is registered for it already")
        REGISTRY.append(new)
        return measure

    return register


def _version(measure: Callable[..., float], change: Measure | Mapping[str, object]) -> Measure:
    """Return a measure that is another function, or the same one with other arguments."""
    if isinstance(change, Mapping):
        return lambda seed, fast: measure(seed, **{"fast": fast, **change})
    return change


def _described(measure: Measure) -> tuple[str, str, str]:
    """Return statement, what is measured, and the note, each on one line and without its full stop."""
    says, _, rest = (inspect.getdoc(measure) or "").partition("\n\nMeasures: ")
    measures, _, note = rest.partition("\n\n")[0].partition("\nNote: ")
    says, measures, note = (" ".join(text.split()).removesuffix(".") for text in (says, measures, note))
    return says, measures, note


def proofs(id: str, registry: Sequence[Row] | None = None) -> list[Row]:
    """Return what is registered for a row, in the order of registration."""
    return [entry for entry in (REGISTRY if registry is None else registry) if id in entry.ids]


def missing(registry: Sequence[Row] | None = None) -> list[str]:
    """Return the rows that nothing measures."""
    return [id for id in ROWS if not proofs(id, registry)]


FEW = 6  # seeds in all; a median of fewer is one of all of them
LACKING = f"{ModuleNotFoundError.__name__}: "  # in an error of a verdict: a package is not installed


@dataclass(frozen=True)
class Verdict:
    """What was measured for one entry of the registry.

    Args:
        numbers: by seed.
        wrong: numbers of the wrong versions that were measured; one that raised has none, and is not caught by that.
        errors: what raised instead of returning a number, wrong versions included; then the row fails.
    """

    entry: Row
    numbers: Mapping[int, float]
    wrong: Mapping[str, Sequence[float]]
    errors: Sequence[str] = ()

    def number(self, *, fresh: bool) -> float:
        """Return the one number of the seeds that the criterion was set on, or of the fresh ones; NaN without any."""
        values = [value for seed, value in self.numbers.items() if (seed >= FRESH) == fresh]
        return self.entry.one_of(values) if values else math.nan

    @property
    def holds(self) -> bool:
        kinds = {seed >= FRESH for seed in self.numbers}
        numbers = [self.number(fresh=fresh) for fresh in kinds]
        if self.entry.seeds == "median" and len(self.numbers) < FEW:
            numbers = [self.entry.one_of(list(self.numbers.values()))]
        return not self.errors and bool(numbers) and all(map(self.entry.criterion.holds, numbers))

    @property
    def lacks(self) -> str:
        """What could not be imported, and so why nothing was measured; empty if that is not so."""
        return next((text.partition(LACKING)[2] for text in self.errors if LACKING in text), "")

    @property
    def should_fail(self) -> bool:
        """Whether the table says that it fails; an error is a failure of its own."""
        return self.entry.fails and not self.errors

    @property
    def survivors(self) -> list[str]:
        """The wrong versions that come out as the row does."""
        return [what for what, values in self.wrong.items() if not self.entry.catches(values)]


def load_rows() -> None:
    """Import every script of the experiments that registers rows."""
    checkout = Path(__file__).resolve().parents[2]
    for path in sorted(checkout.glob("experiments/**/*.py"), key=lambda path: (path.parent.name == "rows", path.name)):
        if re.search(r"^@row\(", path.read_text("utf-8"), flags=re.MULTILINE):
            importlib.import_module(".".join(path.relative_to(checkout).with_suffix("").parts))

"""Data: real sets that ship inside scikit-learn, as float64 tensors; nothing is downloaded.

    digits          1,797 images of 8 × 8, ten classes; pixels in [0, 1]
    wine              178 samples of 13 measurements, three classes
    breast_cancer     569 samples of 30 measurements, two classes; raw, their scales differ by a million
    diabetes          442 patients of 10 measurements, and how far the disease went a year later

Source: Pedregosa et al. (2011), "Scikit-learn: machine learning in Python"; each set's own is in its documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from rllab import Key
from rllab.keys import as_key


@dataclass(frozen=True)
class Data:
    """Samples x (n, d) float64, and y: classes (n,) int64, or numbers (n, 1) float64."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.x)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.y.max()) + 1

    def take(self, picked: Tensor | slice) -> Data:
        """Return these samples alone."""
        return Data(self.x[picked], self.y[picked])

    def draw(self, samples: int, key: Key | int) -> Data:
        """Return so many different samples, in an order of their own.

        Raises:
            ValueError: if there are not as many.
        """
        if not 1 <= samples <= len(self):
            raise ValueError(f"Data: there are {len(self)} samples, {samples} are wanted")
        return self.take(self._shuffled(key)[:samples])

    def split(self, test: int, key: Key | int) -> tuple[Data, Data]:
        """Return samples to train with and so many others to test with.

        Raises:
            ValueError: if none would be left to train with.
        """
        if not 0 <= test < len(self):
            raise ValueError(f"Data: none of {len(self)} samples is left to train with, {test} are wanted to test with")
        order = self._shuffled(key)
        return self.take(order[test:]), self.take(order[:test])

    def standardised(self, like: Data | None = None) -> Data:
        """Return x with mean 0 and deviation 1 in each column, or shifted and scaled as `like` would be."""
        by = self.x if like is None else like.x
        deviation = by.std(0, correction=0)
        return Data((self.x - by.mean(0)) / torch.where(deviation > 0, deviation, 1.0), self.y)

    def _shuffled(self, key: Key | int) -> Tensor:
        return torch.randperm(len(self), generator=as_key(key).child("split").generator())


def digits() -> Data:
    x, y = _loaded("digits")
    return Data(torch.tensor(x / 16, dtype=torch.float64), torch.tensor(y, dtype=torch.int64))


def wine() -> Data:
    return _classes("wine")


def breast_cancer() -> Data:
    return _classes("breast_cancer")


def diabetes() -> Data:
    """Return its measurements as they come, centred and of length one, and y of mean 0 and deviation 1."""
    x, y = _loaded("diabetes")
    return Data(
        torch.tensor(x, dtype=torch.float64), torch.tensor((y - y.mean()) / y.std(), dtype=torch.float64)[:, None]
    )


def _classes(name: str) -> Data:
    x, y = _loaded(name)
    return Data(torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.int64))


@lru_cache(maxsize=4)
def _loaded(name: str) -> tuple[Any, Any]:
    return getattr(datasets(name), f"load_{name}")(return_X_y=True)


def datasets(name: str) -> Any:
    """Return scikit-learn's module of data sets.

    Raises:
        ModuleNotFoundError: without scikit-learn; it says what is needed for the set of that name.
    """
    try:
        return import_module("sklearn.datasets")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"{name}: needs scikit-learn, which is in the extra: pip install '.[data]'") from None

"""Prescribed: a key that hands out numbers laid down beforehand in the place of draws, by what they follow."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rllab import Bernoulli, Categorical, Key
from rllab.quality.estimates import repeated

ONE, ZERO = 0.0, 1 - 2.0**-53  # uniform numbers below, and not below, every probability that is neither 0 nor 1


class Prescribed(Key):
    """A key whose draws are laid down, by law or by stream and law: "normal", or "inner.logistic"; others are as ever.

    Args:
        drawn: what is returned in the place of draws, or a function of their shape that makes it.
    """

    __slots__ = ("_drawn", "_stream")

    def __init__(self, drawn: dict[str, Any], seed: int = 0):
        super().__init__(seed)
        self._drawn, self._stream = drawn, ""

    def child(self, *path: str | int) -> Key:
        key = object.__new__(Prescribed)
        key._bits = super().child(*path)._bits
        key._drawn = self._drawn
        key._stream = next((part for part in reversed(path) if isinstance(part, str)), self._stream)
        return key

    def given(self, law: str, shape: tuple[int, ...]) -> Any:
        drawn = self._drawn.get(f"{self._stream}.{law}", self._drawn.get(law))
        if callable(drawn):
            return drawn(shape)
        return drawn.clone() if isinstance(drawn, Tensor) else drawn


def each_problem(drawn: dict[str, Any]) -> Prescribed:
    """Return the key for a batch with a node each, of nodes (N, units, *shape of one draw) or functions of shapes."""
    return Prescribed(
        {law: nodes.movedim(1, 0) if isinstance(nodes, Tensor) else nodes for law, nodes in drawn.items()}
    )


def bits_as_uniforms(x: Tensor) -> Tensor:
    """Return uniform numbers of which a `Bernoulli` makes the bits x."""
    return torch.where(x.bool(), ONE, ZERO).double()


def choices_as_uniforms(index: Tensor, p: Tensor) -> Tensor:
    """Return uniform numbers of which a `Categorical` of probabilities p (…, K) makes choices (k, …)."""
    middle = p.cumsum(-1) - p / 2
    return middle.expand(*index.shape, -1).gather(-1, index.unsqueeze(-1)).squeeze(-1).double()


def samples_as_drawn(at: Bernoulli | Categorical, x: Tensor) -> tuple[Any, Prescribed]:
    """Return a batch of `at`, and the key at which draws are the samples x (N, k, …) of them, each its own."""
    if isinstance(at, Bernoulli):
        u = bits_as_uniforms(x)
    else:
        p = torch.softmax(at.logits, -1)
        u = choices_as_uniforms(x.view(*x.shape[:2], *p.shape[-2:]).argmax(-1), p)
    return repeated(at, len(x)), each_problem({"uniform": u})

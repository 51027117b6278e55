"""Printed: whether a number computed here is one that was printed elsewhere, with as many digits as it was given."""

from __future__ import annotations


def agrees(value: float, text: str) -> bool:
    """Whether a number rounds to the one printed, in the middle between two included: "17.49", "-.045", "1.356e-7"."""
    digits, _, exponent = text.partition("e")
    return abs(value - float(text)) <= 0.5001 * 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))

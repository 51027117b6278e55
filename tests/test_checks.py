"""Checks of arguments: what is right passes, and what is wrong is named."""

import math

import numpy as np
import pytest
import torch

from rllab import checks


def test_what_is_right_passes():
    checks.check_number("W", a=1, b=math.nan, c=np.float32(2))
    checks.check_finite("W", a=-1.5)
    checks.check_positive("W", a=1e-300, b=3)
    checks.check_not_negative("W", a=0)
    checks.check_fraction("W", a=1, b=1e-300)
    checks.check_fraction("W", below=True, a=0.999)
    checks.check_count("W", a=1, b=np.int64(7))
    checks.check_count("W", least=0, a=0)
    assert checks.as_widths("W", "hidden", ()) == ()
    checks.check_one_of("W", ("a", "b"), form="b")
    at = torch.ones(2, 3)
    assert checks.check_parameters("W", at) is at
    assert checks.check_floating("W", "x", at, checks.VECTORS) is at
    checks.check_positive_everywhere("W", "x", at)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: checks.check_number("W", a="1"), TypeError, "W: a must be a number, got '1'"),
        (lambda: checks.check_finite("W", a=math.inf), ValueError, "W: a must be finite, got inf"),
        (lambda: checks.check_positive("W", a=1, b=0), ValueError, "W: b must be positive and finite, got 0"),
        (lambda: checks.check_positive("W", a=math.nan), ValueError, "W: a must be positive and finite, got nan"),
        (lambda: checks.check_not_negative("W", a=-1e-9), ValueError, "W: a must be >= 0 and finite, got -1e-09"),
        (lambda: checks.check_fraction("W", a=0.5, b=1.5), ValueError, r"W: b must be in \(0, 1\], got 1.5"),
        (lambda: checks.check_fraction("W", a=0), ValueError, r"W: a must be in \(0, 1\], got 0"),
        (lambda: checks.check_fraction("W", below=True, a=1.0), ValueError, r"W: a must be in \(0, 1\), got 1.0"),
        (lambda: checks.check_count("W", a=0), ValueError, "W: a must be an integer >= 1, got 0"),
        (lambda: checks.check_count("W", least=2, a=1.5), TypeError, "W: a must be an integer >= 2, got 1.5"),
        (lambda: checks.check_count("W", a=True), TypeError, "W: a must be an integer >= 1, got True"),
        (lambda: checks.as_widths("W", "hidden", (64, 0)), ValueError, r"W: hidden must be widths >= 1, got \(64, 0\)"),
        (lambda: checks.check_truth("W", on="false"), TypeError, "W: on must be True or False, got 'false'"),
        (lambda: checks.check_one_of("W", ("a",), form="b"), ValueError, r"W: form must be one of \('a',\), got 'b'"),
        (lambda: checks.check_parameters("W", [1.0]), TypeError, "W: at must be a tensor of parameters, got list"),
        (lambda: checks.check_parameters("W", torch.ones(())), ValueError, r"W: at must be \(d,\) or \(B, d\)"),
        (lambda: checks.check_parameters("W", torch.ones(2, dtype=int)), TypeError, "W: at must be a floating-point"),
        (
            lambda: checks.check_floating("W", "x", torch.ones(1, 1, 1), checks.VECTORS),
            ValueError,
            r"W: x must be a floating tensor \(d,\) or \(B, d\), got \(1, 1, 1\) torch.float32",
        ),
        (
            lambda: checks.check_positive_everywhere("W", "x", torch.tensor([1.0, -2.0])),
            ValueError,
            "W: x must be positive everywhere, got a minimum of -2.0",
        ),
        (
            lambda: checks.check_positive_everywhere("W", "x", torch.tensor([1.0, math.inf])),
            ValueError,
            "W: x must be finite, got inf",
        ),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_is_wrong_is_named(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()

"""Numbers against what was printed."""

from experiments.common.claims import agrees

import pytest


@pytest.mark.parametrize(
    ("value", "text", "holds"),
    [
        (17.4868, "17.49", True),
        (17.4951, "17.49", False),
        (17.4849, "17.49", False),
        (-0.04504, "-.045", True),
        (0.045, "-.045", False),
        (7.6, "8", True),
        (7.4, "8", False),
        (1.3561e-7, "1.356e-7", True),
        (1.3569e-7, "1.356e-7", False),
    ],
)
def test_a_number_agrees_only_to_its_last_digit(value, text, holds):
    assert agrees(value, text) is holds

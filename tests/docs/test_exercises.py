"""The exercises of the lecture tell a wrong answer in words: what was expected, and what is the likely mistake."""

import re

import pytest
import torch

from rllab import backprop as bp
from rllab import estimators as est
from tests.docs.pages import DOCS, blocks


@pytest.fixture(scope="module")
def checks():
    """Return the names that the page's blocks without solutions define."""
    session = {"__name__": "__main__"}
    for block in blocks(DOCS / "lecture" / "exercises.md"):
        solution = re.match(r"(share|class Cube|def gradient|def minimise|check_)", block.text)
        if block.language == "python" and not solution:
            exec(block.text, session)
    return session


def told(check, answer):
    with pytest.raises(AssertionError) as error:
        check(answer)
    return str(error.value)


def test_a_gradient_of_another_shape_is_said_to_be_of_another_shape(checks):
    assert "wrong shape: it must be one number a weight, (3,), got ()" in told(checks["check_1"], lambda w, x, y: 0.0)
    assert "got (3, 1)" in told(checks["check_1"], lambda w, x, y: torch.zeros(3, 1))


def test_a_product_without_its_vector_is_noticed_at_once(checks):
    class Cube(bp.Module):
        def _forward(self, z, w, out=None):
            return z**3

        def _vjp_state(self, v, z, w, y, out=None):
            return 3 * z**2

    assert "is the slope multiplied by v?" in told(checks["check_2"], Cube())


def test_an_estimator_that_claims_nothing_is_no_case_of_bias(checks):
    assert "does not say that it is unbiased" in told(checks["check_5"], est.CentralDifference())


def test_a_way_down_ends_at_parameters_and_asks_the_cost(checks):
    assert "of a Trace its .at, not object" in told(checks["check_6"], lambda cost, start: object())
    assert "the cost was never asked" in told(checks["check_6"], lambda cost, start: 0 * start)

"""The exercises of the lecture tell a wrong answer in words: what was expected, and what is the likely mistake."""

import re

import pytest
import torch

import rllab
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


def test_a_gradient_that_is_a_multiple_of_the_right_one_is_told_so(checks):
    def times(factor):
        return lambda w, x, y: factor * (-2 * (y - x @ w)[:, None] * x).mean(0)

    for factor in (-1, 20, 0.5):
        assert told(checks["check_1"], times(factor)).endswith(f": each number is {factor} times the right one")
    assert "times" not in told(checks["check_1"], lambda w, x, y: torch.arange(3, dtype=torch.float64))
    assert "1.40995, off by -0.755" in told(checks["check_3"], lambda z: 2 * z + 0.00995)


@pytest.mark.parametrize("written", ["v", "z"])
def test_a_product_that_writes_into_what_it_is_given_is_told_so(checks, written):
    class InPlace(bp.Module):
        def _forward(self, z, w, out=None):
            return z**3

        def _vjp_state(self, v, z, w, y, out=None):
            return v.mul_(3 * z**2) if written == "v" else z.square_().mul_(3 * v)

    assert f"vjp_state writes into {written}" in told(checks["check_2"], InPlace())


def test_a_block_that_writes_into_what_it_reads_is_told_so(checks):
    class InPlace(bp.Module):
        def _forward(self, z, w, out=None):
            return z.pow_(3)

        def _vjp_state(self, v, z, w, y, out=None):
            return v * 3 * z**2

    assert "forward writes into z" in told(checks["check_2"], InPlace())
    assert "InPlace() with brackets, not its class" in told(checks["check_2"], InPlace)


def test_an_estimator_that_claims_nothing_is_no_case_of_bias(checks):
    assert "does not say that it is unbiased" in told(checks["check_5"], est.CentralDifference())


def test_a_way_down_ends_at_parameters_and_asks_the_cost(checks):
    assert "of a Trace its .at, not object" in told(checks["check_6"], lambda cost, start: object())
    assert "the cost was never asked" in told(checks["check_6"], lambda cost, start: 0 * start)


def test_a_way_down_that_was_known_before_is_noticed(checks):
    def knows(cost, start):
        cost(start[None])
        return 0 * start

    def draws(cost, start):
        cost(start.repeat(50, 1))
        return 0 * start

    assert "1 values cannot tell the way" in told(checks["check_6"], knows)
    assert "only seen at 20 or above" in told(checks["check_6"], draws)

    def hardly_moves(cost, start):
        return rllab.minimize(cost, start, est.GaussianSmoothing(0.2), evaluations=40, budget=400, lr=1e-4, key=0).at

    assert "another σ, or a longer or shorter step?" in told(checks["check_6"], hardly_moves)


def test_a_critic_is_not_right_where_it_has_seen_nothing(checks):
    said = told(checks["check_7"], {0.5, 0.7, 1.2, 1.5})
    assert said.startswith("measured: right at [0.5, 0.7]; you said [0.5, 0.7, 1.2, 1.5]")

"""What the pages recommend for a cost of values alone needs values alone, as the estimators themselves say."""

import re

import pytest

from rllab import estimators as est
from rllab.testing import exported_estimators
from tests.docs.pages import DOCS

CLASSES = {cls.__name__: cls for cls in exported_estimators(est)}


def lines(page):
    """Return what a page's table recommends: the text of a line, and the estimators it names."""
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("|") and (names := [name for name in re.findall(r"`(\w+)", line) if name in CLASSES]):
            yield line, [CLASSES[name] for name in names]


def test_who_needs_a_slope_stands_where_a_slope_is_said_to_be_needed():
    found = list(lines(DOCS / "how" / "discrete_outputs.md"))
    assert {est.Relax, est.Rebar, est.DisARM} < {cls for _, named in found for cls in named}
    for line, named in found:
        slope = "has a slope" in line or "the same" in line  # as in the line above
        assert {"gradient" in cls.needs for cls in named} == {slope}, line


@pytest.mark.parametrize("cls", (est.MuProp, est.Rebar, est.Relax, est.Lax))
def test_the_price_of_a_control_variate_is_in_gradients_if_it_needs_them(cls):
    (line,) = (line for line, named in lines(DOCS / "families" / "control_variates.md") if named == [cls])
    assert ("gradient" in line.split("|")[3]) == ("gradient" in cls.needs)

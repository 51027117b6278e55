"""Every statistic that the lab offers over runs is used by an experiment: what nothing needs is not offered."""

import inspect
import re
from pathlib import Path

import pytest

from rllab.runs import comparisons, statistics, survival

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SHARED = {"check_interval", "percentiles"}  # what the statistics have in common, and nobody else is offered
OFFERED = [
    (module, name)
    for module in (statistics, survival, comparisons)
    for name, thing in vars(module).items()
    if inspect.isfunction(thing) and thing.__module__ == module.__name__ and name[0] != "_" and name not in SHARED
]


@pytest.mark.parametrize(("module", "name"), OFFERED, ids=[name for _, name in OFFERED])
def test_a_statistic_is_imported_and_called_by_an_experiment(module, name):
    texts = [path.read_text("utf-8") for path in EXPERIMENTS.rglob("*.py")]
    imported = re.compile(rf"from {re.escape(module.__name__)} import (\([^)]*\b{name}\b|[^(\n]*\b{name}\b)")
    used = re.compile(rf"\b{name}\b")
    assert any(imported.search(text) and len(used.findall(text)) > 1 for text in texts)


def test_what_nothing_uses_is_noticed():
    assert len(OFFERED) >= 15
    with pytest.raises(AssertionError):
        test_a_statistic_is_imported_and_called_by_an_experiment(statistics, "harmonic_mean")

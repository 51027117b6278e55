"""Docstrings of what the lab exports: every example runs, and every estimator states what the API pages show."""

import re
import textwrap
from importlib import import_module

import pytest

from rllab.testing import exported_estimators

PACKAGES = (
    "rllab",
    "rllab.agents",
    "rllab.estimators",
    "rllab.critics",
    "rllab.distributions",
    "rllab.problems",
    "rllab.testing",
)


def exported() -> dict[str, object]:
    """Return classes and functions of the lab by name, those that packages export."""
    found = {}
    for package in map(import_module, PACKAGES):
        for name in dir(package):
            value = getattr(package, name)
            if callable(value) and getattr(value, "__module__", "").startswith("rllab"):
                found[f"{value.__module__}.{name}"] = value
    return found


def examples(doc: str) -> list[str]:
    """Return the code under each `Example:` of a docstring."""
    return [textwrap.dedent(code) for code in re.findall(r"^Example:\n((?:    .*\n?|\n)+)", textwrap.dedent(doc), re.M)]


def section(doc: str) -> str:
    """Return a docstring with its own indentation taken out, as help() shows it."""
    first, _, rest = doc.partition("\n")
    return f"{first}\n{textwrap.dedent(rest)}"


EXAMPLES = {
    name: code for name, value in exported().items() for code in examples(section(getattr(value, "__doc__", "") or ""))
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name):
    exec(compile(EXAMPLES[name], name, "exec"), {})


@pytest.mark.parametrize("cls", exported_estimators())
def test_every_estimator_has_its_equation_returns_source_and_example(cls):
    doc = section(cls.__doc__)
    assert re.search(r"^    \S.* = ", doc.split("\nArgs:")[0], re.M) or "= " in doc, "no equation"
    for name in ("Returns:", "Source:", "Example:"):
        assert re.search(rf"^{name}\n    \S", doc, re.M), f"no section {name}"
    assert any(name.endswith(f".{cls.__name__}") for name in EXAMPLES)

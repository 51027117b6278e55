"""Docstrings of what environment folders export, and of the shared machinery: every example runs."""

import pkgutil
from importlib import import_module

import pytest

import rllab_envs
from rllab_envs.task import Task
from tests.test_docstrings import examples, section


def exported():
    """Return the functions and classes of environment folders by name, and what every task has."""
    found = {"Task.dynamics": Task.dynamics}
    for module in pkgutil.iter_modules(rllab_envs.__path__, "rllab_envs."):
        face = vars(import_module(module.name)) if module.ispkg else {}
        found |= {f"{module.name}.{name}": value for name, value in face.items() if callable(value)}
    return found


EXAMPLES = {name: code for name, value in exported().items() for code in examples(section(value.__doc__ or ""))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name):
    exec(compile(EXAMPLES[name], name, "exec"), {})


def test_pure_functions_have_examples():
    wanted = {"Task.dynamics", "rllab_envs.bicycle.step"}
    wanted |= {f"rllab_envs.whipple.{name}" for name in ("matrices", "eigenvalues", "critical_speeds", "optimum")}
    assert wanted <= set(EXAMPLES)

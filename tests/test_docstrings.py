"""Docstrings of what the lab exports: every example runs, and every public name states what the API pages show."""

import ast
import inspect
import re
import textwrap
from dataclasses import is_dataclass
from importlib import import_module

import pytest

from rllab.testing import exported_estimators

PACKAGES = [
    f"rllab{part}"
    for part in (
        "",
        ".agents",
        ".backprop",
        ".blackbox",
        ".critics",
        ".diagrams",
        ".distributions",
        ".estimators",
        ".executors",
        ".plots",
        ".problems",
        ".quality",
        ".recommendation",
        ".report",
        ".runs",
        ".testing",
    )
]
MODULES = {  # names that users import from where they are written
    "rllab.array_policy": ("ArrayPolicy",),
    "rllab.tuning": ("Range", "Trial", "Tuning", "tune"),
    "rllab.video": ("record_episode",),
}
CHECKS = re.compile(r"(check_|take_counts$|as_count$|as_widths$|positive_beside$)")  # functions that raise by name


OPAQUE = {  # arguments that a neighbour's text describes, or that only the class itself passes
    "rllab.cost.Cost": {"batched", "seeded"},
    "rllab.runs.record.Record": {"file"},
    "rllab.testing.subject.Subject": {"estimator"},
}


def exported() -> dict[str, object]:
    """Return classes and functions of the lab by name, those that packages export."""
    found = {}
    for package in map(import_module, PACKAGES):
        for name in dir(package):
            value = getattr(package, name)
            if callable(value) and getattr(value, "__module__", "").startswith("rllab") and name[0] != "_":
                found[f"{value.__module__}.{name}"] = value
    return found | {f"{home}.{name}": getattr(import_module(home), name) for home in MODULES for name in MODULES[home]}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_help_of_a_package_names_all_that_it_shows(package):
    module = import_module(package)
    names = {n for n in dir(module) if n[0] != "_" and not inspect.ismodule(getattr(module, n))}
    names -= {"annotations", "TYPE_CHECKING", "import_module"}
    names -= set(dir(import_module("rllab.distributions"))) if package == "rllab" else set()
    assert names - set(re.findall(r"\w+", module.__doc__ or "")) == set()
    listed = (module.__doc__ or "").rpartition("each with a help of its own:")[2]
    assert [n for n in re.findall(r"\w+", listed) if not hasattr(module, n)] == []


def examples(doc: str) -> list[str]:
    """Return the code under each `Example:` of a docstring."""
    return [textwrap.dedent(code) for code in re.findall(r"^Example:\n((?:    .*\n?|\n)+)", textwrap.dedent(doc), re.M)]


def section(doc: str) -> str:
    """Return a docstring with its own indentation taken out, as help() shows it."""
    first, _, rest = doc.partition("\n")
    return f"{first}\n{textwrap.dedent(rest)}"


def raises(function: object) -> bool:
    """Return whether the body itself raises an error, or calls a check of arguments, which does."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(isinstance(node, ast.Raise) and node.exc for node in ast.walk(tree)) or any(
        isinstance(called, ast.Name) and CHECKS.match(called.id) for called in calls
    )


def lacking(value: object) -> list[str]:
    """Return the sections that the docstring of a class or function has not, though it needs them."""
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    doc = section(own or "")
    bodies = [value]
    takes = [*inspect.signature(value).parameters] if not is_error(value) else []
    if inspect.isclass(value):
        written = ("__post_init__",) if is_dataclass(value) else ("__init__",)  # a dataclass has its __init__ made
        bodies = [vars(value)[name] for name in written if name in vars(value)]
        takes = [] if value.__init__ is object.__init__ else takes
    needed = {
        "Args|Attributes": bool(takes),
        "Returns": not inspect.isclass(value) and inspect.signature(value).return_annotation not in (None, "None"),
        "Raises": any(map(raises, bodies)),
        "Example": not is_error(value),
    }
    return [name for name, need in needed.items() if need and not re.search(rf"^({name}):\n    \S", doc, re.M)]


def described(value: object) -> set[str]:
    """Return the arguments that a docstring describes; what a base class describes, a class has from there."""
    found = set()
    for one in inspect.getmro(value) if inspect.isclass(value) else [value]:
        doc = vars(one).get("__doc__") if inspect.isclass(one) else one.__doc__
        for body in re.findall(r"^(?:Args|Attributes):\n((?:    .*\n?|\n(?=    ))+)", section(doc or ""), re.M):
            for names in re.findall(r"^    ([\w, *]+):", body, re.M):
                found |= {name.strip(" *") for name in names.split(",")}
    return found


def is_error(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, BaseException)


EXPORTED = exported()
EXAMPLES = {
    name: code for name, value in EXPORTED.items() for code in examples(section(getattr(value, "__doc__", "") or ""))
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name):
    exec(compile(EXAMPLES[name], name, "exec"), {})


@pytest.mark.parametrize("name", EXPORTED)
def test_a_public_name_says_what_it_takes_returns_and_raises_and_shows_an_example(name):
    assert lacking(EXPORTED[name]) == []


@pytest.mark.parametrize("name", [name for name, value in EXPORTED.items() if not is_error(value)])
def test_every_argument_is_described(name):
    value = EXPORTED[name]
    takes = [] if inspect.isclass(value) and value.__init__ is object.__init__ else inspect.signature(value).parameters
    public = {argument for argument in takes if argument[0] != "_"}
    assert public - described(value) - OPAQUE.get(name, set()) == set()


def test_a_missing_section_is_noticed():
    def bare(x: int) -> int:
        """Return x."""
        if x < 0:
            raise ValueError("bare: x must be >= 0")
        return x

    def checked(x: int) -> None:
        """Check x.

        Args:
            x: a number.

        Example:
            checked(1)
        """
        check_positive("checked", x=x)  # noqa: F821 - only read here

    assert lacking(bare) == ["Args|Attributes", "Returns", "Raises", "Example"] and described(bare) == set()
    assert described(checked) == {"x"}
    assert lacking(checked) == ["Raises"]


@pytest.mark.parametrize("cls", exported_estimators())
def test_every_estimator_has_its_equation_returns_source_and_example(cls):
    doc = section(cls.__doc__)
    assert re.search(r"^    \S.* = ", doc.split("\nArgs:")[0], re.M) or "= " in doc, "no equation"
    for name in ("Returns:", "Source:", "Example:"):
        assert re.search(rf"^{name}\n    \S", doc, re.M), f"no section {name}"
    assert any(name.endswith(f".{cls.__name__}") for name in EXAMPLES)

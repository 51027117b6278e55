"""`exports`: a directive that documents every public name of a package, so that a new one needs no line in the docs.

Of a module that no package exports, the names that users import from it stand here.
"""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

PACKAGES = [
    *(f"rllab.{part}" for part in "agents backprop blackbox critics diagrams distributions estimators".split()),
    *(f"rllab.{part}" for part in "executors plots problems quality recommendation report runs testing".split()),
    *(f"rllab_envs.{part}" for part in "bicycle bicycle_goal whipple".split()),
    "rllab",
]
MODULES = {
    "rllab.array_policy": ("ArrayPolicy",),
    "rllab.tuning": ("Range", "Trial", "Tuning", "tune"),
    "rllab.video": ("record_episode",),
}


@cache
def documented() -> dict[str, dict[str, object]]:
    """Return for each package what its page documents: what is written in it, and what it alone shows."""
    pages: dict[str, dict[str, object]] = {package: {} for package in PACKAGES}
    for package in PACKAGES:
        module = import_module(package)
        for name in sorted(
            dir(module), key=lambda name: (not name.endswith("Env"), name.lower())
        ):  # environments first
            value = getattr(module, name)
            home = getattr(value, "__module__", None) or ""
            if name[0] == "_" or not callable(value) or not home.startswith("rllab"):
                continue
            own = next((other for other in PACKAGES[:-1] if home.startswith(f"{other}.")), package)
            if own == package or name not in dir(import_module(own)):
                pages[package][name] = value
    return pages | {
        module: {name: getattr(import_module(module), name) for name in MODULES[module]} for module in MODULES
    }


@cache
def shown() -> dict[str, str]:
    """Return under which name each thing is documented, for the name of the file that it is written in."""
    return {
        f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}": f"{package}.{name}"
        for package, names in documented().items()
        for name, value in names.items()
    }


class Exports(SphinxDirective):
    """Document the classes and functions of a package or module by their docstrings, in the order of the alphabet."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what autodoc makes of each name."""
        lines = []
        for name, value in documented()[self.arguments[0]].items():
            is_class = inspect.isclass(value)
            kind = "exception" if is_class and issubclass(value, BaseException) else "class" if is_class else "function"
            lines += [f".. auto{kind}:: {self.arguments[0]}.{name}", *(["   :members:"] * (kind == "class")), ""]
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(StringList(lines, self.arguments[0]), self.content_offset, node)
        return node.children


def link(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element) -> nodes.Node | None:
    """Resolve the name of the file that a thing is written in, or of the package, to that under which it is shown."""
    target = node.get("reftarget", "")
    package, _, name = target.rpartition(".")
    if package in PACKAGES and target not in shown().values():
        value = getattr(import_module(package), name, None)
        target = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
    found = shown().get(target)
    if found is None or node.get("refdomain") != "py":
        return None
    return env.get_domain("py").resolve_xref(env, node["refdoc"], app.builder, "obj", found, node, text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive, and the resolving of names."""
    app.add_directive("exports", Exports)
    app.connect("missing-reference", link)
    return {"parallel_read_safe": True}

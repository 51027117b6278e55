"""The house rules that a machine can read: who imports whom, sizes, names, and what loading the package costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rllab

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("rllab/**/*.py"), *ROOT.glob("envs/**/*.py"), *ROOT.glob("experiments/**/*.py")])

# part: what it may import of rllab, besides itself
VALUES = {"arrays", "keys", "cost", "estimate"}
MODELS = VALUES | {"distributions", "problems"}
GRADIENTS = MODELS | {"estimators", "backprop", "loop"}
LEARNERS = GRADIENTS | {"critics", "agents", "blackbox", "quality"}
MAY_IMPORT = {
    "arrays": set(),
    "keys": set(),
    "files": set(),
    "cost": {"keys"},
    "estimate": {"keys", "cost", "estimators"},  # the last for the type of a query's estimator only, see below
    "distributions": VALUES,
    "problems": VALUES | {"distributions"},
    "estimators": MODELS,
    "backprop": MODELS | {"files"},
    "loop": MODELS | {"estimators"},
    "agents": GRADIENTS | {"critics", "files"},
    "runs": {"keys", "files"},
    "plots": {"keys", "files", "runs"},
    "report": {"plots"},  # late, and only to draw; what yields a report does not reach runs otherwise
    "critics": GRADIENTS,
    "blackbox": GRADIENTS | {"critics"},
    "quality": GRADIENTS | {"report"},
    "testing": GRADIENTS | {"quality"},
    "cli": LEARNERS | {"runs", "plots", "report", "testing"},
    "__init__": set(MODELS) | {"blackbox", "loop", "quality"},
}


def imports(path: Path, *, typing_only: bool = True) -> set[str]:
    """Return the modules a file imports, whether at its top or late; without those under TYPE_CHECKING if asked."""
    tree, found = ast.parse(path.read_text()), set()
    skipped = set()
    if not typing_only:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                skipped |= {id(child) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).with_suffix("").parts
            base = ".".join(package[: len(package) - node.level]) if node.level else ""
            found.add(".".join(part for part in (base, node.module) if part))
            if node.module == "rllab":
                names = {alias.name for alias in node.names if not alias.name.startswith("__")}
                found |= {rllab._HOME.get(name, f"rllab.{name}") for name in names}
    return found


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "rllab").with_suffix("").parts[0]


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT / "rllab")], ids=lambda p: p.stem)
def test_imports_go_only_downwards(path):
    part = part_of(path)
    assert part in MAY_IMPORT, f"say in MAY_IMPORT what {part} may import"
    for name in imports(path):
        if name.startswith("rllab."):
            target = name.split(".")[1]
            assert target == part or target in MAY_IMPORT[part], f"{path.name} imports {name}"


def test_the_values_do_not_load_the_estimators():
    loaded = {name for name in imports(ROOT / "rllab/estimate.py", typing_only=False) if name.startswith("rllab.")}
    assert loaded == {"rllab.keys", "rllab.cost"}


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT / "envs")], ids=lambda p: p.stem)
def test_environments_know_nothing_of_the_lab(path):
    allowed = {"numpy", "torch", "gymnasium", "PIL", "rllab_envs"} | set(sys.stdlib_module_names)
    assert {name.split(".")[0] for name in imports(path)} - {"envs"} <= allowed


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT / "rllab")], ids=lambda p: p.stem)
def test_the_lab_reaches_environments_by_id_and_plots_alone_loads_matplotlib(path):
    names = {name.split(".")[0] for name in imports(path)}
    assert "rllab_envs" not in names
    assert "matplotlib" not in names or path.stem in ("plots", "draw_paint")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_a_file_is_short_and_opens_with_a_sentence(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_no_public_function_bears_its_modules_name(path):
    names = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert path.stem not in names


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_global_random_state_is_left_alone(path):
    wrong = r"torch\.manual_seed|np\.random\.(seed|rand|randn|normal|uniform|choice)\(|(?<!\.)\brandom\.(seed|random)\("
    assert not re.search(wrong, path.read_text())


def test_no_two_modules_and_no_module_of_the_standard_library_share_a_test_or_script_name():
    for folder in ("tests", "experiments"):
        stems = {path.stem for path in (ROOT / folder).rglob("*.py")}
        assert not stems & set(sys.stdlib_module_names)


def test_importing_the_package_loads_neither_torch_nor_matplotlib():
    heavy = "('torch', 'matplotlib', 'scipy')"
    program = f"import sys, rllab, rllab.cli, rllab_envs; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "[]"


def test_every_public_name_can_be_loaded():
    for name in rllab._HOME:
        assert getattr(rllab, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = rllab.nonsense

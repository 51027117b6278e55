"""The house rules that a machine can read: who imports whom, sizes, names, and what loading the package costs."""

import ast
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

import rllab

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("rllab/**/*.py"), *ROOT.glob("envs/**/*.py"), *ROOT.glob("experiments/**/*.py")])
LAB = [path for path in SOURCES if path.is_relative_to(ROOT / "rllab")]
ENVIRONMENTS = [path for path in SOURCES if path.is_relative_to(ROOT / "envs")]

# part: what it may import of rllab, besides itself
GROUND = {
    "array_policy",
    "arrays",
    "batches",
    "checkpoint",
    "checks",
    "children",
    "due",
    "executors",
    "files",
    "keys",
    "noise",
    "progress",
    "stopping",
    "tables",
    "text",
    "version",
    "warned",
    "_special",
}
VALUES = GROUND | {"cost", "estimate"}
MODELS = VALUES | {"distributions"}
CRITICS = MODELS | {"problems", "estimators", "backprop", "optimize", "critics"}
MAY_IMPORT = {
    **{part: GROUND for part in GROUND},  # one another without a circle
    "cost": {"executors", "keys", "checks", "batches", "arrays"},
    "estimate": {"cost", "keys"},
    "runs": {"executors", "checkpoint", "checks", "children", "files", "keys", "text", "version", "warned"},
    "distributions": VALUES,
    "problems": MODELS,
    "estimators": MODELS,
    "backprop": MODELS,
    "optimize": MODELS | {"estimators"},
    "diagrams": {"backprop", "files", "text"},
    "critics": CRITICS,
    "agents": CRITICS,
    "blackbox": CRITICS,
    "quality": CRITICS,
    "testing": CRITICS | {"quality"},
    "recommendation": CRITICS | {"quality"},
    "plots": {"files", "keys", "quality", "runs", "text"},
    "report": {"files", "plots", "quality", "runs", "text", "version"},
}
FACE = {"__init__", "__main__", "cli", "training", "tuning", "video"}  # may import anything of rllab


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "envs" if path.is_relative_to(ROOT / "envs") else ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in SOURCES}


@lru_cache(maxsize=1000)
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=1000)
def imports(path: Path) -> set[str]:
    """Return the modules a file imports, at its top, late or for types only; a name of `rllab` stands for its home."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = module_of(path).split(".")
            base = ".".join(package[: len(package) - node.level + (path.stem == "__init__")]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                found.add(f"{module}.{alias.name}" if f"{module}.{alias.name}" in MODULES else module)
                if module == "rllab" and alias.name in rllab._HOME:
                    found.add(rllab._HOME[alias.name])
                elif module == "rllab" and alias.name in rllab._distributions():
                    found.add("rllab.distributions")
    return found


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "rllab").with_suffix("").parts[0]


def test_imports_go_only_downwards():
    wrong = []
    for path in LAB:
        part = part_of(path)
        assert part in MAY_IMPORT or part in FACE, f"say in MAY_IMPORT what {part} may import"
        for name in imports(path):
            if name.startswith("rllab.") and part not in FACE:
                target = name.split(".")[1]
                if target != part and target not in MAY_IMPORT[part]:
                    wrong.append(f"{module_of(path)} imports {name}")
    assert not wrong


def test_nothing_imports_in_a_circle():
    # A package's own face names what stands in it, so files of the package are left out of what imports a face.
    arrows = {
        name: {
            other for other in imports(path) if other in MODULES and other != name and not name.startswith(f"{other}.")
        }
        for name, path in MODULES.items()
    }
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above[above.index(name) :], name])
        if name not in done:
            for other in sorted(arrows[name]):
                walk(other, (*above, name))
            done.add(name)

    for name in arrows:
        walk(name, ())


def test_environments_know_nothing_of_the_lab():
    allowed = {"numpy", "torch", "gymnasium", "PIL", "rllab_envs"} | set(sys.stdlib_module_names)
    foreign = {module_of(path): {name.split(".")[0] for name in imports(path)} - allowed for path in ENVIRONMENTS}
    # loaded late, by those who ask for it
    compiled = ("rllab_envs.streams", "rllab_envs.bicycle.kernels", "rllab_envs.bicycle.riding")
    assert {name: found for name, found in foreign.items() if found} == {name: {"numba"} for name in compiled}


def test_the_lab_reaches_environments_by_id_and_plots_alone_loads_matplotlib():
    for path in LAB:
        names = {name.split(".")[0] for name in imports(path)}
        assert "rllab_envs" not in names, path
        assert "matplotlib" not in names or part_of(path) in ("plots", "diagrams"), path


def test_a_file_is_short_and_opens_with_a_sentence():
    assert not [module_of(path) for path in SOURCES if len(path.read_text(encoding="utf-8").splitlines()) > 400]
    assert not [module_of(path) for path in SOURCES if not ast.get_docstring(parsed(path))]


def test_no_public_function_bears_its_modules_name():
    named = {path: {node.name for node in parsed(path).body if isinstance(node, ast.FunctionDef)} for path in SOURCES}
    assert not [module_of(path) for path, names in named.items() if path.stem in names]


def test_global_random_state_is_left_alone():
    wrong = r"torch\.manual_seed|np\.random\.(seed|rand|randn|normal|uniform|choice)\(|(?<!\.)\brandom\.(seed|random)\("
    assert not [module_of(path) for path in SOURCES if re.search(wrong, path.read_text(encoding="utf-8"))]


def test_no_test_or_script_takes_the_name_of_a_module_of_the_standard_library():
    for folder in ("tests", "experiments"):
        stems = {path.stem for path in (ROOT / folder).rglob("*.py")}
        assert not stems & set(sys.stdlib_module_names)


def test_importing_the_package_loads_neither_torch_nor_matplotlib():
    heavy = "('torch', 'matplotlib', 'scipy', 'numba')"
    program = f"import sys, rllab, rllab.cli, rllab_envs.bicycle; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240)
    assert out.stdout.strip() == "[]"


def test_only_what_needs_its_laws_and_tests_loads_scipy_stats():
    needing = {f"rllab.testing.{name}" for name in ("spread", "order", "power")} | {
        "experiments.agents.learners",  # Sobol sequences
        "experiments.common.survival",  # the log-rank test, loaded when it is made
        *(f"experiments.zeroth_order.{name}" for name in ("approximation_laws", "approximations", "cosines")),
        "experiments.zeroth_order.nonsmooth",
        "experiments.score_function.relax_toy",
    }  # it takes a second to load: a quantile of a common law is one function of scipy.special
    loads = re.compile(
        r"^\s*(from scipy\.stats import|import scipy\.stats|from scipy import .*\bstats\b)", re.MULTILINE
    )
    assert {module_of(path) for path in SOURCES if loads.search(path.read_text(encoding="utf-8"))} == needing


@pytest.mark.slow
def test_a_black_box_and_an_agent_load_neither_torchs_compiler_nor_scipy():
    program = "import sys, rllab.blackbox, rllab.optimize, rllab.agents; rllab.agents.ARS; "
    program += "print([m for m in ('torch._dynamo', 'scipy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert out.stdout.strip() == "[]"


def test_every_public_name_can_be_loaded():
    for name in (*rllab._HOME, *rllab._distributions()):
        assert name in dir(rllab) and getattr(rllab, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = rllab.nonsense

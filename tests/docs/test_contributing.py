"""The examples of contributing.md are complete: put into a copy of the tree, each keeps the contract of its kind."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.docs.pages import DOCS, FILE, ROOT, blocks

PAGE = DOCS / "contributing.md"
PARTS = ("rllab", "envs", "experiments", "tests", "docs", "pyproject.toml", "README.md")
FILES = [
    "tests/estimators/test_contract.py",
    "tests/problems/test_problem_contract.py",
    "tests/distributions/test_every_distribution.py",
    "tests/envs/test_environment_contract.py",
    "tests/agents/test_agents_contract.py",
    "tests/test_docstrings.py",
    "tests/docs/test_experiments.py",
]
# words in the names of tests that are about the new things, all of which must be seen to pass
ABOUT = ["RandomCoordinate", "Quartic", "waiting", "rllab/Cart", "FixedSteps", "distributions.exponential"]
ABOUT += ["has_its_case", "exported", "every_experiment"]


def apply(root):
    """Put the blocks that name a file into a copy of the tree; return the new files."""
    new = []
    for block in blocks(PAGE):
        if match := FILE.match(block.text):
            path, after, body = root / match[1], match[2], block.text[match.end() :]
            if after is None:
                assert not path.exists(), f"{match[1]} is there already"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(body, "utf-8")
                new.append(match[1])
            else:
                lines = path.read_text("utf-8").splitlines(keepends=True)
                (at,) = [i for i, line in enumerate(lines) if line.startswith(after)]
                at += lines[at + 1].startswith("| ---") if lines[at].startswith("|") else 0
                path.write_text("".join([*lines[: at + 1], body, *lines[at + 1 :]]), "utf-8")
    return new


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "figures"))
        else:
            shutil.copy(ROOT / part, root / part)
    return root, apply(root)


def inside(root, *command):
    """Run a command of Python in the copy, which imports the copy and nothing of this tree."""
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'envs'}", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True, timeout=570
    )


def test_there_is_an_example_of_each_kind(copy):
    folders = [name.rsplit("/", 1)[0] for name in copy[1]]
    assert [folder.split("/")[1] for folder in folders] == [
        "estimators", "distributions", "problems", "rllab_envs", "agents", "zeroth_order"
    ]  # fmt: skip


# one process for both, as it takes seconds to load all; what fails is shown without values
PROGRAM = """
import runpy, sys
import pytest
failed = pytest.main(["-vv", "-p", "no:cacheprovider", "--assert=plain", *sys.argv[2:], "-k", sys.argv[1]])
sys.argv = ["one_radius.py", "--fast", "--out", "out"]
try:
    runpy.run_path("experiments/zeroth_order/one_radius.py", run_name="__main__")
except SystemExit as end:
    failed = failed or end.code
sys.exit(failed)
"""


@pytest.mark.slow
def test_the_examples_keep_the_contract_of_their_kind_and_the_experiment_runs_and_draws(copy):
    done = inside(copy[0], "-c", PROGRAM, " or ".join(ABOUT), *FILES)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-1_000:]
    passed = [line for line in done.stdout.splitlines() if " PASSED" in line]
    assert [word for word in ABOUT if not any(word in line for line in passed)] == []
    assert (copy[0] / "out" / "one_radius.png").exists()


def test_examples_are_formatted_and_without_faults(copy):
    ruff = shutil.which("ruff", path=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
    if ruff is None:
        pytest.skip("ruff is not installed")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff, *command, *copy[1]], cwd=copy[0], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout

"""The README is true: snippets and commands run, what it shows exists, and no script or distribution is left out."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import rllab.distributions

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.S)
PYTHON = [text for language, text in BLOCKS if language == "python"]
PAGES = [(ROOT / "docs" / page).read_text() for page in ("guide.md", "agents.md")]
GUIDE = [snippet for page in PAGES for snippet in re.findall(r"```python\n(.*?)```", page, flags=re.S)]
SHELL = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("snippet", PYTHON + GUIDE, ids=lambda s: s.strip().splitlines()[-1][:40])
def test_a_python_snippet_runs(snippet, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_first_python_snippet_is_short():
    assert len([line for line in PYTHON[0].splitlines() if line.strip()]) <= 12


def test_the_first_two_shell_lines_set_everything_up():
    first, second = SHELL[:2]
    for line in (first, second):
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")
        assert "-c constraints.txt" in line
    assert first.endswith("experiments/agents/bicycle.py")
    assert "-m pytest" in second


def test_every_file_the_readme_shows_exists():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_other_shell_line_runs(tmp_path):
    # They are shown to be run in this order in a checkout; results go to a folder of the test's own.
    for line in SHELL[2:]:
        words = shlex.split(line.replace("results/", f"{tmp_path}/"), comments=True)
        words[0] = str(Path(sys.executable).parent / Path(words[0]).name)
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def scripts(folder):
    paths = folder.glob("**/*.py")
    return {str(p.relative_to(folder)) for p in paths if re.search(r"^if __name__ ==", p.read_text(), flags=re.M)}


def test_the_table_of_scripts_has_every_experiment_once_and_nothing_else():
    listed = re.findall(r"^\| `([\w./]+)` \|", README, flags=re.M)
    assert len(listed) == len(set(listed))
    assert set(listed) == {name for name in scripts(ROOT / "experiments") if not name.startswith("benchmarks/")}


def test_every_distribution_is_named():
    public = {name for name in dir(rllab.distributions) if name[0].isupper()} - {"Distribution"}
    assert "Dirichlet" in public
    assert {name for name in public if f"`{name}`" not in README} == set()

"""The README is true: every snippet runs, its two commands are what is promised, and every file it shows exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.S)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("snippet", PYTHON, ids=lambda s: s.strip().splitlines()[-1][:40])
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
    assert first.endswith("experiments/bicycle.py")
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

"""The README is true and short: its snippet and commands run, and what it shows exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rllab.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.S)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines() if line.strip()]


@pytest.mark.slow
@pytest.mark.parametrize("snippet", PYTHON, ids=lambda s: s.strip().splitlines()[-1][:40])
def test_a_python_snippet_runs(snippet, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("*.png"))


def test_it_is_read_in_a_minute_and_its_code_at_a_glance():
    assert len(README.splitlines()) <= 120
    assert len(PYTHON) == 1 and len([line for line in PYTHON[0].splitlines() if line.strip()]) <= 10


def test_it_is_cloned_as_it_says(tmp_path):
    clone = SHELL[0].replace("<address of this repository>", f"-q {ROOT}")
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the tree is no checkout")
    subprocess.run(["bash", "-ec", f"{clone} && test -f pyproject.toml"], cwd=tmp_path, check=True, timeout=240)


def test_two_lines_set_everything_up():
    first, second = SHELL[1:3]
    for line in (first, second):
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")
        assert "-c constraints.txt" in line
    assert first.endswith("experiments/agents/bicycle.py")
    assert "-m pytest" in second


@pytest.mark.slow
def test_every_other_shell_line_runs(tmp_path, monkeypatch):
    # in this order, as they are shown, but in this process, and with results in a folder of the test
    monkeypatch.chdir(ROOT)
    for line in SHELL[3:]:
        program, *words = shlex.split(line.replace("results/", f"{tmp_path}/"), comments=True)
        assert program == ".venv/bin/rllab"
        main([*words, *(("--processes", "1") if words[0] == "train" else ())])
    assert (tmp_path / "cartpole" / "again.png").exists()

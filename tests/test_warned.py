"""Warnings of a command are one plain line each, shown once, whichever process gives them."""

import subprocess
import sys
import warnings

import pytest

from rllab.runs import Job, one_line_errors, sweep
from rllab.runs.elsewhere import do_job_apart
from rllab.warned import Warned, one_line_warnings

SCRIPT = """
import sys, warnings
from rllab.runs import Job, one_line_errors, sweep

def work(job, record):
    warnings.warn("\\x1b[33mthe same\\nof all\\x1b[0m")
    warnings.warn(f"of {job.name}", RuntimeWarning)

if __name__ == "__main__":
    with one_line_errors():
        jobs = [Job(f"run-{seed}", {}, seed) for seed in range(2)]
        warnings.warn("mine")
        sweep(work, jobs, sys.argv[1], config={}, **eval(sys.argv[2]))
"""
LINES = ["warning: mine", "warning: of run-0", "warning: of run-1", "warning: the same of all"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["{'processes': 1}", "{'processes': 2}", "{'executor': 1}"])
def test_each_text_is_one_line_and_comes_once(tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script, tmp_path / "runs", how], capture_output=True, text=True, check=True)
    assert sorted(line for line in done.stderr.splitlines() if "finished" not in line) == LINES


def warns(job, record):
    warnings.warn("said", RuntimeWarning, stacklevel=1)


def test_what_a_child_warns_of_is_a_warning_of_its_parent_once(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda *what: shown.append(what))
    sweep(warns, [Job(f"run-{seed}", {}, seed) for seed in range(2)], tmp_path / "s", config={}, processes=2)
    ((text, category, file, line),) = shown
    assert (text, category, file) == ("said", RuntimeWarning, __file__) and line > 0


@pytest.mark.filterwarnings("always")
def test_warnings_come_back_with_the_files_of_a_run():
    before = warnings.showwarning
    *_, (warned,) = do_job_apart(warns, Job("run-0", {}, 0))
    assert isinstance(warned, Warned) and warned.text == "said" and warnings.showwarning is before


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("shown", [one_line_warnings, one_line_errors])
def test_what_showed_warnings_before_shows_them_again(capsys, shown):
    before = warnings.showwarning
    with shown():
        for _ in range(2):
            warnings.warn("twice", stacklevel=1)
    assert capsys.readouterr().err == "warning: twice\n" and warnings.showwarning is before


def test_a_traceback_that_is_asked_for_has_warnings_as_python_shows_them(monkeypatch):
    monkeypatch.setenv("RLLAB_TRACEBACK", "1")
    before = warnings.showwarning
    with one_line_errors():
        assert warnings.showwarning is before

"""A user's error is one line on stderr and an exit code; a bug keeps its traceback."""

import subprocess
import sys

import pytest

from rllab.runs import ResultsConflict, SweepFailed, one_line_errors


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("Who: what must be 1, got 2"), 2, "error: Who: what must be 1, got 2\n"),
        (ValueError("load_records: no run in x: it is empty"), 2, "error: no run in x: it is empty\n"),
        (ValueError("Record.open: x holds no run"), 2, "error: x holds no run\n"),
        (ValueError("rllab train: --set takes NAME=VALUE"), 2, "error: rllab train: --set takes NAME=VALUE\n"),
        (ResultsConflict("in the way"), 2, "error: in the way\n"),
        (
            FileNotFoundError(2, "No such file or directory", "x.json"),
            2,
            "error: x.json: No such file or directory\n",
        ),
        (
            OSError(28, "No space left on device", "x.json"),
            2,
            "error: x.json: No space left on device\n",
        ),
        (OSError(5, "Input/output error"), 2, "error: Input/output error\n"),
        (SweepFailed("1 of 2\nruns failed"), 1, "error: 1 of 2 runs failed\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, BaseException) else None,
)
def test_a_users_error_is_one_line_and_an_exit_code(capsys, monkeypatch, error, code, line):
    monkeypatch.delenv("RLLAB_TRACEBACK", raising=False)

    @one_line_errors()
    def script():
        raise error

    for _ in range(2):  # a decorated function can be called again
        with pytest.raises(SystemExit) as caught:
            script()
        out, err = capsys.readouterr()
        assert caught.value.code == code and out == "" and err == line
    monkeypatch.setenv("RLLAB_TRACEBACK", "1")
    with pytest.raises(type(error)):
        script()


def test_a_note_is_part_of_the_line(capsys):
    error = KeyboardInterrupt()
    error.add_note("(go on with --resume)")
    with pytest.raises(SystemExit), one_line_errors():
        raise error
    assert capsys.readouterr().err == "interrupted (go on with --resume)\n"


@pytest.mark.parametrize("bug", [TypeError, ZeroDivisionError, IndexError, AssertionError])
def test_a_bug_keeps_its_traceback(bug):
    with pytest.raises(bug), one_line_errors():
        raise bug


def test_a_reader_that_has_seen_enough_is_no_error():
    program = """
from rllab.runs import one_line_errors
with one_line_errors():
    while True:
        print("a line")
"""
    writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout.readline() == b"a line\n"
    writer.stdout.close()
    assert writer.wait(timeout=240) == 1 and writer.stderr.read() == b""
    writer.stderr.close()


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX does")
def test_a_full_disk_is_one_line_that_names_the_file_and_what_helps(tmp_path):
    program = """
import resource, signal
from rllab.runs import Job, one_line_errors, sweep, write_atomically

def work(job, record):
    for i in range(1000):
        record.append({"steps": i})

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
with one_line_errors():
    FIRST
"""
    whole, runs = tmp_path / "report.html", tmp_path / "all"
    for first, code, wanted in (
        (f"write_atomically({str(whole)!r}, 'x' * 5000)", 2, f"error: {whole}: File too large: free some space there"),
        (f"sweep(work, [Job('a', {{}}, 0)], {str(runs)!r}, config={{}}, processes=1)", 1, "rows.jsonl'"),
    ):
        command = [sys.executable, "-c", program.replace("FIRST", first)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert done.returncode == code and wanted in line and "free some space there and go on" in line
    assert not whole.exists() and (runs / "a" / "rows.jsonl").read_text().endswith("}\n")

"""What goes wrong around runs: folders that vanish, deaths of any kind, two at once, damaged files, closed streams."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rllab.runs import Job, Record, ResultsConflict, SweepFailed, load_records, sweep
from rllab.runs.locks import locked
from rllab.runs.rows import being_written
from rllab.text import printable
from tests.proofs.sweep_workers import note, tear_down

CHECKOUT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="forks, and real-time signals")


def python(program, *arguments, **options):
    done = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(done, capture_output=True, text=True, timeout=240, cwd=CHECKOUT, **options)


def children():
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    found = {child for task in tasks for child in task.read_text().split()}
    return {child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


@linux
def test_a_folder_that_vanishes_hides_no_cause_and_leaves_no_child(tmp_path):
    before = children()
    with pytest.raises(SweepFailed, match="gone: the process ended with exit code 3"):
        sweep(tear_down, [Job("gone", {}, 0), Job("other", {}, 1)], tmp_path / "out", config={}, processes=2)
    assert children() <= before


@linux
@pytest.mark.parametrize("processes", [1, 2])
def test_errors_that_are_hard_to_write_down_are_written(tmp_path, processes):
    with pytest.raises(SweepFailed) as caught:
        sweep(tear_down, [Job("surrogate", {}, 0), Job("b", {}, 1)], tmp_path, config={}, processes=processes)
    assert r"half a sign \udc80, ∇ and \x1b[31m" in str(caught.value)
    error = Record.open(tmp_path / "surrogate").error
    assert error is not None and r"half a sign \udc80, ∇" in error


@linux
def test_a_signal_without_a_name_is_a_number(tmp_path):
    number = signal.SIGRTMIN + 3
    with pytest.raises(SweepFailed, match=f"the process ended with signal {number}"):
        sweep(tear_down, [Job("realtime", {}, 0), Job("b", {}, 1)], tmp_path, config={}, processes=2)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_worker_may_change_directory_under_a_relative_folder(tmp_path, monkeypatch, processes):
    monkeypatch.chdir(tmp_path)
    records = sweep(tear_down, [Job("moves", {}, i) for i in (0,)], "out", config={}, processes=processes)
    assert records[0].summary == {"value": 1} and Path.cwd() == tmp_path


@linux
def test_a_process_that_a_worker_forked_does_not_keep_its_run(tmp_path):
    program = """
import sys
from rllab.runs import Job, sweep
from tests.proofs.sweep_workers import tear_down
sweep(tear_down, [Job("forks", {}, 0)], sys.argv[1], config={}, processes=1)
"""
    parent = subprocess.Popen([sys.executable, "-c", program, tmp_path], cwd=CHECKOUT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    rows = tmp_path / "forks" / "rows.jsonl"
    while not (rows.exists() and rows.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.02)
    child = json.loads(rows.read_text())["child"]
    assert being_written(tmp_path / "forks")
    parent.kill()
    parent.wait()
    try:
        os.kill(child, 0)  # it lives on
        assert not being_written(tmp_path / "forks")
        with locked(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


@linux
def test_a_folder_is_in_the_hands_of_one_sweep(tmp_path):
    with locked(tmp_path):
        with pytest.raises(ResultsConflict, match="is being made by another sweep"):
            sweep(note, [Job("a", {}, 0)], tmp_path, config={}, processes=1)
        assert not any(tmp_path.iterdir())
    sweep(note, [Job("a", {}, 0)], tmp_path, config={}, processes=1)


@pytest.mark.parametrize("config", [None, [1], "x"])
def test_a_config_that_no_resume_could_read_is_refused(tmp_path, config):
    with pytest.raises(TypeError, match="sweep: config must be a mapping"):
        sweep(note, [Job("a", {}, 0)], tmp_path / "out", config=config, processes=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", [1.7, "4", True, None])
def test_a_seed_that_is_no_integer_is_refused_at_the_job(seed):
    with pytest.raises(TypeError, match="Job a: seed must be an integer, got"):
        Job("a", {}, seed)
    assert Job("a", {}, np.int64(3)).seed == 3


def test_a_worker_of_a_session_without_a_file_is_refused_with_the_cure(tmp_path):
    program = """
import sys
from rllab.runs import Job, sweep
def work(job, record): return {}
try: sweep(work, [Job("a", {}, 0)], sys.argv[1], config={}, processes=2)
except ValueError as error: print(error)
print(sweep(work, [Job("a", {}, 0)], sys.argv[1], config={}, processes=1)[0].status)
"""
    told, status = python(program, tmp_path / "out").stdout.splitlines()
    assert "write it in a module, or give processes=1" in told and status == "finished"


def damaged(folder, **changes):
    with Record.create(folder, {"method": "m"}, seed=0) as record:
        record.append({"steps": 1, "evaluation": 1.0})
        record.finish()
    for name, content in changes.items():
        (folder / name.replace("_", ".")).write_bytes(content if isinstance(content, bytes) else content.encode())


HEADER = {"config": {"method": "m"}, "seed": 0}
DAMAGE = {
    "no config": {"run_json": json.dumps({"seed": 0})},
    "config is a list": {"run_json": json.dumps({**HEADER, "config": [1]})},
    "no seed": {"run_json": json.dumps({"config": {}})},
    "seed is a text": {"run_json": json.dumps({**HEADER, "seed": "4"})},
    "null": {"run_json": "null"},
    "not JSON": {"run_json": "{"},
    "deep": {"run_json": "[" * 100_000 + "]" * 100_000},
    "not Unicode": {"run_json": b"\xff\xfe{}"},
    "a row is deep": {"rows_jsonl": '{"steps": ' + "[" * 100_000 + "]" * 100_000 + "}\n"},
    "a value is an object": {"rows_jsonl": '{"steps": {"a": 1}}\n'},
    "a number is too large": {"rows_jsonl": '{"steps": 1' + "0" * 400 + "}\n"},
    "the summary is a list": {"done_json": "[1]"},
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_run_is_named_and_the_others_are_read(tmp_path, what):
    damaged(tmp_path / "bad", **DAMAGE[what])
    damaged(tmp_path / "good")
    told = []
    (record,) = load_records(tmp_path, skipped=lambda run, why: told.append((run, why)))
    assert record.folder.name == "good" and record.column("steps").tolist() == [1.0]
    assert told[0][0] == tmp_path / "bad" and str(tmp_path / "bad") in told[0][1]
    with pytest.warns(UserWarning, match="bad is skipped"):
        load_records(tmp_path)
    with pytest.raises(ValueError, match="load_records: no run can be read"):
        load_records(tmp_path / "bad")


def test_an_error_text_that_is_no_unicode_is_shown_all_the_same(tmp_path):
    damaged(tmp_path / "a", error_txt=b"\xff broke")
    assert Record.open(tmp_path / "a").error == "\ufffd broke"


def test_columns_tell_none_from_nan_and_absent(tmp_path):
    with Record.create(tmp_path / "a", {}, seed=0) as record:
        for row in ({"x": 1}, {"y": None}, {"x": float("nan"), "y": True}, {"x": None, "y": "text"}, {}):
            record.append(row)
    columns = Record.open(tmp_path / "a").columns
    assert columns.count == 5 and columns.names == ["x", "y"]
    np.testing.assert_array_equal(columns.numbers("x"), [1, np.nan, np.nan, np.nan, np.nan])
    assert columns.there("x").tolist() == [True, False, True, False, False]
    assert columns.there("z").tolist() == [False] * 5
    with pytest.raises(ValueError, match="'y' must hold numbers, got 'text' in row 3"):
        columns.numbers("y")


CLOSED = """
import os, sys
os.close(2)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1], *sys.argv[2:]])
"""


@pytest.mark.slow
def test_a_sweep_and_a_measurement_need_no_standard_error(tmp_path):
    if python(CLOSED, "import numpy.f2py; print('loaded')").stdout != "loaded\n":
        pytest.skip("numpy itself needs standard error: its f2py, which old versions of scipy load with it")
    program = """
import sys, torch, rllab
from rllab.runs import Job, sweep
from tests.proofs.sweep_workers import note
assert sys.stderr is None
sweep(note, [Job("a", {}, 0)], sys.argv[1], config={}, processes=1)
at = torch.ones(2).double()
stairs, spsa = rllab.problems.Staircase(dimension=2), rllab.estimators.SPSA()
rllab.measure_quality(spsa, stairs, at=at, budgets=[4], repeats=4, key=0)
print("done")
"""
    assert python(CLOSED, program, tmp_path / "out").stdout == "done\n"


LEFT = """
import os, sys, torch, rllab
from rllab.runs import Job, sweep
from tests.proofs.sweep_workers import note
def work(folder):
    sweep(note, [Job("a", {}, 0)], folder, config={}, processes=1)
    stairs, spsa = rllab.problems.Staircase(dimension=2), rllab.estimators.SPSA()
    rllab.measure_quality(spsa, stairs, at=torch.ones(2).double(), budgets=[4], repeats=4, key=0, progress=True)
    rllab.fit(rllab.agents.Evolution("CartPole-v1", hidden=(), population=2), 400, episodes=1)
sys.stdin.readline()
work(sys.argv[1])
print("done while nobody reads")
sys.stderr = open(os.devnull, "w")
sys.stderr.close()
work(sys.argv[2])
print("done while it is closed")
"""


@pytest.mark.slow
def test_work_goes_on_when_nobody_reads_what_it_says(tmp_path):
    command = [sys.executable, "-c", LEFT, tmp_path / "unread", tmp_path / "closed"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, cwd=CHECKOUT, text=True, **pipes) as child:
        child.stderr.close()
        child.stdin.write("begin\n")
        child.stdin.close()
        assert child.stdout.read() == "done while nobody reads\ndone while it is closed\n"


def test_text_is_utf8_whatever_the_locale(tmp_path):
    program = """
import sys
from rllab.runs import Job, Record, SweepFailed, sweep
text = "\\u03c1 is wrong: \\u2207f"
def work(job, record): raise RuntimeError(text)
try: sweep(work, [Job("a", {}, 0)], sys.argv[1], config={text: 1}, processes=1)
except SweepFailed: pass
sys.exit(text not in Record.open(sys.argv[1] + "/a").error)
"""
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = python(program, tmp_path / "out", env=plain)
    assert done.returncode == 0, done.stderr


def test_what_is_shown_does_nothing_to_a_terminal():
    assert printable("a\x1b[31mred\n\t∇é\x07\udc80") == r"a\x1b[31mred\n\t∇é\x07\udc80"


def test_no_file_of_text_is_read_or_written_as_the_locale_has_it():
    wrong = re.compile(r"\.read_text\(\)|\.write_text\((?![^\n]*encoding)|\bopen\([^)\n]*\"[rwax]t?\"\)")
    sources = [path for folder in ("rllab", "envs") for path in (CHECKOUT / folder).rglob("*.py")]
    assert [str(path) for path in sources if wrong.search(path.read_text("utf-8"))] == []

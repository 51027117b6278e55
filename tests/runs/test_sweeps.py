"""sweep: the same numbers however many processes, every job its own fate, and no result ever overwritten."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch  # noqa: F401 - whose threads a run notes if it is loaded, whichever test came before

from rllab.runs import Job, Record, ResultsConflict, SweepFailed, sweep
from rllab.runs.progress import Progress
from rllab.runs.results import first_difference
from tests.proofs.sweep_workers import note, once_let, stop_second, trouble, walk

CONFIG = {"steps": 5, "methods": ["walk"], "lr": 0.1}


def jobs(n, **config):
    return [Job(f"walk-{seed}", {"method": "walk", **config}, seed) for seed in range(n)]


def bytes_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_one_process_and_several_give_the_same_bytes_in_the_same_order(tmp_path):
    made = {
        n: sweep(walk, jobs(3, steps=20), tmp_path / str(n), config=CONFIG, processes=n, describe=lambda r: "made")
        for n in (1, 2)
    }
    for one, two in zip(made[1], made[2], strict=True):
        assert one.folder.name == two.folder.name and one.finished and len(one.rows) == 20
        for name in ("rows.jsonl", "done.json"):
            assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()
        assert one.summary["threads"] == 1 and one.about["threads"] == two.about["threads"] | {"torch": 1}
    assert len({record.summary["last"] for record in made[1]}) == 3


def test_children_take_one_job_after_another_outside_of_this_process(tmp_path):
    records = sweep(note, jobs(6), tmp_path, config=CONFIG, processes=2)
    assert [record.summary["value"] for record in records] == [0, 10, 20, 30, 40, 50]
    processes = {record.rows[0]["process"] for record in records}
    assert len(processes) <= 2 and os.getpid() not in processes


@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_that_fails_leaves_its_traceback_and_the_others_alone(tmp_path, processes):
    names = ["fine-0", "raises", "exits", "unstorable", "fine-1"] + ["dies"] * (processes > 1) + ["fine-2"]
    todo = [Job(name, {}, seed) for seed, name in enumerate(names)]
    with pytest.raises(SweepFailed) as caught:
        sweep(trouble, todo, tmp_path, config=CONFIG, processes=processes)
    bad = [name for name in names if not name.startswith("fine")]
    assert str(caught.value).startswith(f"{len(bad)} of {len(names)} runs failed, the others are kept: ")
    for name in names:
        record = Record.open(tmp_path / name)
        assert record.status == ("failed" if name in bad else "finished") and record.rows == [{"steps": 1}]
        assert (f"{name}: " in str(caught.value)) == (name in bad) == (record.error is not None)
    assert "RuntimeError: the pole (" in str(caught.value)  # one line of the message; all of it is in the file
    assert 'raise RuntimeError("the pole\\nfell over")' in Record.open(tmp_path / "raises").error
    assert "summary.value must be" in Record.open(tmp_path / "unstorable").error
    if processes > 1:
        assert Record.open(tmp_path / "dies").error == "the process ended with signal SIGKILL\n"


def test_going_on_skips_what_is_finished_and_sets_aside_what_was_another_run(tmp_path):
    sweep(note, jobs(2), tmp_path, config=CONFIG, processes=1)
    with Record.create(tmp_path / "walk-2", {"method": "walks"}, seed=2) as record:
        record.append({"steps": -5})
    before = bytes_in(tmp_path)
    records = sweep(note, jobs(4), tmp_path, config=CONFIG, processes=1, resume=True)
    assert [record.summary["value"] for record in records] == [0, 10, 20, 30]
    after = bytes_in(tmp_path)
    for path, content in before.items():
        if path.parts[0] == "walk-2":
            path = Path("walk-2", "interrupted-1", path.name)
        assert after[path] == content


def count(job, record):
    """Append ten rows, the last ones differently where a file says so; stop after four where another does."""
    for i in range(10):
        if i == 4 and Path(job.config["stop"]).exists():
            raise KeyboardInterrupt
        shift = i >= 2 and Path(job.config["shift"]).exists()
        record.append({"steps": i + shift, "seconds": time.monotonic()})
        assert len(record.rows) == i + 1  # a run sees no rows that it has not made yet
    return {}


@pytest.mark.parametrize("differs", [False, True])
def test_an_interrupted_run_makes_its_rows_again_which_stay_meanwhile(differs, tmp_path):
    stop, shift = tmp_path / "stop", tmp_path / "shift"
    todo, out = [Job("a", {"stop": str(stop), "shift": str(shift)}, 0)], tmp_path / "out"
    stop.touch()
    with pytest.raises(KeyboardInterrupt):
        sweep(count, todo, out, config=CONFIG, processes=1)
    before = (out / "a" / "rows.jsonl").read_bytes()
    assert before.count(b"\n") == 4
    with pytest.raises(KeyboardInterrupt):  # as far as it came before: nothing is lost, nothing twice
        sweep(count, todo, out, config=CONFIG, processes=1, resume=True)
    assert (out / "a" / "rows.jsonl").read_bytes() == before
    stop.unlink()
    if not differs:
        (record,) = sweep(count, todo, out, config=CONFIG, processes=1, resume=True)
        assert (out / "a" / "rows.jsonl").read_bytes().startswith(before)
        assert record.column("steps").tolist() == list(range(10)) and not (out / "a" / "interrupted-1").exists()
        return
    shift.touch()
    with pytest.warns(UserWarning, match=r"a: a row made again differs .*\(steps was 2 and is 3\).*interrupted-1"):
        (record,) = sweep(count, todo, out, config=CONFIG, processes=1, resume=True)
    assert record.column("steps").tolist() == [0, 1, *range(3, 11)]
    assert (out / "a" / "interrupted-1" / "rows.jsonl").read_bytes() == before


def test_an_interrupted_run_that_ends_with_fewer_rows_keeps_the_old_ones_aside(tmp_path):
    with Record.create(tmp_path / "walk-0", {"method": "walk"}, seed=0) as record:
        for steps in (0, 1, 2):
            record.append({"steps": steps})
    with Record.reopen(tmp_path / "walk-0") as record, pytest.warns(UserWarning, match="there are fewer rows"):
        record.repeat()
        record.append({"steps": 0})
        record.finish()
    assert record.rows == [{"steps": 0}]
    assert [row["steps"] for row in Record.open(tmp_path / "walk-0" / "interrupted-1").rows] == [0, 1, 2]


def test_a_failed_job_is_done_again(tmp_path):
    todo = [Job("a", {"permit": str(tmp_path / "permit")}, 0)]
    with pytest.raises(SweepFailed, match=r"1 of 1 runs failed.*a: RuntimeError: not yet \(.*error\.txt\)"):
        sweep(once_let, todo, tmp_path / "out", config=CONFIG, processes=1)
    (tmp_path / "permit").touch()
    (record,) = sweep(once_let, todo, tmp_path / "out", config=CONFIG, processes=1, resume=True)
    assert record.status == "finished" and record.error is None
    assert Record.open(record.folder / "interrupted-1").status == "failed"


def test_an_interruption_keeps_what_is_there_and_says_how_to_go_on(tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        sweep(stop_second, jobs(3), tmp_path, config=CONFIG, processes=1)
    assert caught.value.__notes__ == [f"(1 of 3 runs in {tmp_path} are finished; --resume goes on)"]
    status = {name: Record.open(tmp_path / name).status for name in ("walk-0", "walk-1")}
    assert status == {"walk-0": "finished", "walk-1": "interrupted"}
    assert not (tmp_path / "walk-2").exists()


PARENT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts the tests in the background ignores it
sys.path.insert(0, {checkout!r})
from tests.proofs.sweep_workers import forever
from rllab.runs import Job, one_line_errors, sweep
if __name__ == "__main__":
    with one_line_errors():
        sweep(forever, [Job(f"run-{{i}}", {{}}, i) for i in range(3)], sys.argv[1], config={{}}, processes=2)
"""


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return met


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_children_end_with_their_parent_and_their_rows_stay(tmp_path, how):
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(PARENT.format(checkout=str(Path(__file__).parents[2])))
    parent = subprocess.Popen([sys.executable, script, out], stderr=subprocess.PIPE, text=True, start_new_session=True)

    def rows(i):
        return Record.open(out / f"run-{i}").rows if (out / f"run-{i}" / "run.json").exists() else []

    assert wait_until(lambda: all(len(rows(i)) > 3 for i in (0, 1)))
    processes = [rows(i)[0]["process"] for i in (0, 1)]
    assert all(map(alive, processes))
    with pytest.raises(ResultsConflict, match=r"run-0 is being written by another process"):
        sweep(note, [Job("run-0", {}, 0)], out, config={}, resume=True, processes=1)
    os.kill(processes[0], signal.SIGINT)  # Ctrl-C reaches children too, and is not theirs to answer
    seen = len(rows(0))
    assert wait_until(lambda: len(rows(0)) > seen + 3)
    (os.killpg if how is signal.SIGINT else os.kill)(parent.pid, how)  # Ctrl-C goes to the whole group
    said = parent.communicate(timeout=240)[1]
    assert wait_until(lambda: not any(map(alive, processes)))
    assert [Record.open(out / f"run-{i}").status for i in (0, 1)] == ["interrupted"] * 2
    assert len(rows(0)) > 3 and not (out / "run-2").exists()
    assert "Traceback" not in said
    if how is signal.SIGINT:
        assert parent.returncode == 130
        assert said.splitlines()[-1] == f"interrupted (0 of 3 runs in {out} are finished; --resume goes on)"


def test_results_of_another_configuration_are_not_touched(tmp_path):
    sweep(note, jobs(1), tmp_path, config=CONFIG, processes=1)
    before = bytes_in(tmp_path)
    for resume in (False, True):
        with pytest.raises(ResultsConflict, match=r"another configuration: lr is 0\.1 there and 0\.2 now"):
            sweep(note, jobs(1), tmp_path, config=CONFIG | {"lr": 0.2}, processes=1, resume=resume)
    assert bytes_in(tmp_path) == before


def test_results_of_the_same_configuration_are_not_touched_without_being_told_to_go_on(tmp_path):
    sweep(note, jobs(2), tmp_path, config=CONFIG, processes=1)
    before = bytes_in(tmp_path)
    with pytest.raises(ResultsConflict, match=r"2 finished runs; 3 are wanted\): --resume .*rllab plot .*--out"):
        sweep(note, jobs(3), tmp_path, config=CONFIG, processes=1)
    assert bytes_in(tmp_path) == before


def test_a_finished_run_of_another_seed_or_configuration_is_not_taken_for_the_job(tmp_path):
    sweep(note, jobs(2, width=1), tmp_path, config=CONFIG, processes=1)
    before = bytes_in(tmp_path)
    for wrong, why in (
        ([Job("walk-1", {"method": "walk", "width": 1}, 7)], "seed is 1, not 7"),
        (jobs(2, width=2), r"config\.width is 1, not 2"),
    ):
        with pytest.raises(ResultsConflict, match=why):
            sweep(note, wrong, tmp_path, config=CONFIG, processes=1, resume=True)
    assert bytes_in(tmp_path) == before


@pytest.mark.parametrize("content", [None, "{", "[1]"])
def test_a_folder_of_unknown_results_is_not_touched(tmp_path, content):
    with Record.create(tmp_path / "other-0", {}, seed=0) as record:
        record.finish()
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    before = bytes_in(tmp_path)
    for resume in (False, True):
        with pytest.raises(ResultsConflict, match=r"config\.json.*choose another folder"):
            sweep(note, jobs(1), tmp_path, config=CONFIG, processes=1, resume=resume)
    assert bytes_in(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"sweep: cannot write to .*file/out: Not a directory"):
        sweep(note, jobs(1), tmp_path / "file" / "out", config=CONFIG, processes=1)


@pytest.mark.parametrize(
    ("todo", "options", "why"),
    [
        ([], {}, "at least one job"),
        (jobs(2) + jobs(1), {}, "names of jobs must differ, got 'walk-0' 2 times"),
        (jobs(1), {"processes": 0}, "processes must be an integer >= 1, got 0"),
        (jobs(1), {"processes": 1.5}, r"processes must be an integer >= 1, got 1\.5"),
    ],
    ids=["none", "twice", "processes", "half"],
)
def test_wrong_arguments_are_refused_before_anything_is_written(tmp_path, todo, options, why):
    with pytest.raises(ValueError, match=why):
        sweep(note, todo, tmp_path / "out", config=CONFIG, **options)
    with pytest.raises(ValueError, match="must be a function at the top level of a module"):
        sweep(lambda job, record: None, jobs(1), tmp_path / "out", config=CONFIG, processes=2)
    with pytest.raises(TypeError, match=r"Job walk-0\.config\.f must be"):
        sweep(note, jobs(1, f=len), tmp_path / "out", config=CONFIG, processes=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a\\b", "interrupted-1"])
def test_a_job_is_named_after_a_folder(name):
    with pytest.raises(ValueError, match="name must be the name of a folder"):
        Job(name, {}, 0)


@pytest.mark.parametrize(
    ("there", "here", "difference"),
    [
        ({"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": [1, 2]}, "a": 1}, None),
        ({"a": 1, "b": {"c": [1, 2]}}, {"a": 1, "b": {"c": [1, 3]}}, ("b.c", "[1, 2]", "[1, 3]")),
        ({"a": 1}, {"a": True}, ("a", "1", "true")),
        ({"a": 1}, {}, ("a", "1", "absent")),
        ({}, {"a": None}, ("a", "absent", "null")),
        ({"a": "NaN"}, {"a": "NaN"}, None),
    ],
)
def test_the_first_field_that_differs_is_named(there, here, difference):
    assert first_difference(there, here) == difference


def test_nothing_on_disk_is_a_pickle(tmp_path):
    sweep(note, jobs(1), tmp_path, config=CONFIG, processes=1)
    for path, content in bytes_in(tmp_path).items():
        assert path.suffix in (".json", ".jsonl")
        for line in content.splitlines() if path.suffix == ".jsonl" else [content]:
            assert isinstance(json.loads(line), dict)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_progress_tells_finished_runs_failures_and_how_far_the_others_are(tmp_path, stream):
    heard = stream()
    for job in jobs(2):
        with Record.create(tmp_path / job.name, {}, seed=0) as record:
            record.append({"steps": 12_000 + job.seed})
            record.finish(value=3)
    first, second, third = jobs(3)
    with Progress(tmp_path, 1, 5, describe=lambda r: f"value {r.summary['value']}", stream=heard) as progress:
        for job in (first, second, third):
            progress.started(job)
        line = r"1/5 runs finished, 0:00:\d\d elapsed; walk-0 at 12,000 steps; walk-1 at 12,001 steps; walk-2 running"
        assert re.fullmatch(line, progress.line())
        progress.ended(first, None)
        progress.ended(second, "ValueError: no")
        progress.describe = lambda record: 1 / 0
        progress.running["walk-1"] = None
        progress.ended(second, None)
    said = heard.getvalue()
    assert "walk-0: value 3\n" in said and "walk-1 failed: ValueError: no\n" in said
    assert "walk-1: describe raised ZeroDivisionError('division by zero')\n" in said
    if stream is Terminal:
        assert "3/5" in said and "walk-2 running" in said
    else:
        assert re.search(r"^3/5 runs finished, 0:00:\d\d elapsed, about \S+ left; walk-2 running\n\Z", said, flags=re.M)


def test_progress_says_how_long_it_will_take(tmp_path):
    with Record.create(tmp_path / "walk-1", {}, seed=0) as record:
        record.append({"steps": 25})
    with Progress(tmp_path, 2, 4, stream=io.StringIO()) as progress:
        progress._start -= 30.0
        progress.started(Job("walk-1", {"steps": 100}, 0))  # a quarter of one of two that are to be made: 7 times 30 s
        assert "0:00:30 elapsed, about 0:03:30 left; walk-1 at 25 steps" in progress.line()


def test_progress_speaks_while_it_waits(tmp_path):
    heard = io.StringIO()
    with Progress(tmp_path, 0, 1, stream=heard, seconds_per_line=0.01):
        assert wait_until(lambda: heard.getvalue().count("0/1 runs finished") >= 3)

"""Trackers are fed the rows of the record, and whatever happens to them is no matter of the run."""

import sys
from types import SimpleNamespace

import pytest

from rllab.agents import Evolution
from rllab.runs import Job, Record, sweep
from rllab.runs.trackers import TRACKERS, Tracking
from rllab.training import fit

ROWS = [
    {"steps": 10, "return": 1.5, "evaluation": None, "why": "text", "done": True},
    {"steps": 30, "return": float("nan"), "evaluation": 2},
]


def tracked(folder, name, rows=ROWS):
    with Record.create(folder, {"method": "td3", "settings": {"lr": 0.1}}, seed=3) as record:
        record.watch(Tracking(name, record))
        for row in rows:
            record.append(row)
        record.finish()
    return Record.open(folder)


def test_tensorboard_holds_the_finite_numbers_at_their_steps(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tracked(tmp_path / "run", "tensorboard")
    shown = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    scalars = {tag: [(e.step, e.value) for e in shown.Scalars(tag)] for tag in shown.Tags()["scalars"]}
    assert scalars == {"steps": [(10, 10), (30, 30)], "return": [(10, 1.5)], "evaluation": [(30, 2)], "done": [(10, 1)]}


@pytest.mark.slow
def test_trackio_holds_the_rows(tmp_path):
    pytest.importorskip("trackio")
    import subprocess

    program = f"""
import sys
from pathlib import Path
from tests.runs.test_trackers import tracked
tracked(Path({str(tmp_path / "runs" / "td3-3")!r}), "trackio")
from trackio.sqlite_storage import SQLiteStorage
for row in SQLiteStorage.get_logs("rllab", "runs/td3-3"):
    print("row", row["step"], row["steps"], row.get("return"))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120)
    assert [line for line in done.stdout.splitlines() if line.startswith("row ")] == [
        "row 10 10.0 1.5",
        "row 30 30.0 None",
    ], done.stderr
    assert list((tmp_path / "runs" / "trackio").glob("*.db"))


def test_wandb_is_told_offline(tmp_path, monkeypatch):
    told = []
    run = SimpleNamespace(log=lambda row, step: told.append((step, row)), finish=lambda: told.append("end"))
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **about: told.append(about) or run))
    tracked(tmp_path / "runs" / "td3-3", "wandb")
    about, *logged = told
    assert about["mode"] == "offline" and about["name"] == "runs/td3-3" and about["config"]["settings"] == {"lr": 0.1}
    assert logged == [
        (10, {"steps": 10.0, "return": 1.5, "done": 1.0}),
        (30, {"steps": 30.0, "evaluation": 2.0}),
        "end",
    ]


class Broken:
    """A tracker that loses its connection after a row, or cannot even begin."""

    def __init__(self, record, fails=1):
        self.left = fails

    def log(self, row, step):
        self.left -= 1
        if self.left < 0:
            raise ConnectionError("the line\nis dead")

    def finish(self):
        raise AssertionError("a tracker that was given up is not told of the end")


def test_a_tracker_that_fails_is_reported_once_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(TRACKERS, "tensorboard", Broken)
    record = tracked(tmp_path / "run", "tensorboard", [{"steps": i} for i in range(5)])
    assert len(record.rows) == 5 and record.finished
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path / 'run'}: tracking by tensorboard ended: the line\\nis dead; the run goes on")


def test_a_tracker_that_is_not_installed_is_said_with_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not there
    record = tracked(tmp_path / "run", "wandb")
    assert len(record.rows) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "it is not installed: pip install '.[wandb]'; the run goes on" in line


def test_sweeps_and_fit_hand_their_rows_on(tmp_path, monkeypatch):
    told = []

    class Listening(Broken):
        def log(self, row, step):
            told.append(step)

        def finish(self):
            told.append("end")

    monkeypatch.setitem(TRACKERS, "tensorboard", Listening)
    jobs = [Job(f"job-{i}", {}, i) for i in range(2)]
    sweep(lambda job, record: record.append({"x": 1.0}), jobs, tmp_path, config={}, processes=1, track="tensorboard")
    assert told == [0, "end", 0, "end"]
    told.clear()
    agent = Evolution("CartPole-v1", hidden=(), population=4)
    done = fit(agent, 200, folder=tmp_path / "fit", episodes=2, progress=False, track="tensorboard")
    assert told == [*(row["steps"] for row in done.rows), "end"]


def test_an_unknown_tracker_is_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="track: must be one of tensorboard, wandb, trackio, got 'mlflow'"):
        sweep(lambda job, record: None, [Job("a", {}, 0)], tmp_path / "a", config={}, processes=1, track="mlflow")
    assert not (tmp_path / "a").exists()
    with pytest.raises(ValueError, match="fit: folder must be given with track='wandb', got None"):
        fit(Evolution("CartPole-v1"), 100, track="wandb")

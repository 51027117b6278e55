"""Trackers are fed the rows of the record, and whatever happens to them is no matter of the run."""

import sys
from pathlib import Path

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


class Wandb:
    """What wandb 0.31 documents of `init`, `Run.log` and `Run.finish`, as https://docs.wandb.ai/ref/python has them.

    `log` writes to the current and the next step only: what comes for an earlier one is dropped, what comes for the
    same one is joined to it.
    """

    def __init__(self):
        self.about, self.history, self.step, self.ended = {}, {}, 0, 0

    def init(
        self, entity=None, project=None, dir=None, id=None, name=None, notes=None, tags=None, config=None,
        config_exclude_keys=None, config_include_keys=None, allow_val_change=None, group=None, job_type=None,
        mode=None, force=None, anonymous=None, reinit=None, resume=None, resume_from=None, fork_from=None,
        save_code=None, tensorboard=None, sync_tensorboard=None, monitor_gym=None, settings=None,
    ):  # fmt: skip
        assert mode in ("online", "offline", "disabled", None) and Path(dir).is_absolute() and Path(dir).is_dir()
        assert reinit in (True, False, None, "default", "return_previous", "finish_previous", "create_new")
        self.about = {"project": project, "name": name, "group": group, "config": config, "mode": mode}
        return self

    def log(self, data, step=None, commit=None):
        assert isinstance(data, dict) and all(isinstance(name, str) for name in data)
        if step is not None and step < self.step:
            return  # with a warning: steps must increase
        self.step = self.step + 1 if step is None else step
        self.history.setdefault(self.step, {}).update(data)

    def finish(self, exit_code=None, quiet=None):
        self.ended += 1


def test_wandb_is_told_offline(tmp_path, monkeypatch):
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    tracked(tmp_path / "runs" / "td3-3", "wandb")
    config = {"method": "td3", "settings": {"lr": 0.1}, "seed": 3}
    about = {"project": "rllab", "name": "runs/td3-3", "group": "runs", "config": config, "mode": "offline"}
    assert wandb.about == about and wandb.ended == 1
    assert wandb.history == {
        10: {"steps": 10.0, "return": 1.5, "done": 1.0},
        30: {"steps": 30.0, "evaluation": 2.0},
    }


def test_wandb_loses_no_row_where_a_count_begins_again_or_stands_still(tmp_path, monkeypatch):
    wandb, counts = Wandb(), (0, 100, 100, 0, 50, 300)  # rows of two methods in one table, say
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    tracked(tmp_path / "run", "wandb", [{"evaluations": n, "error": 0.5} for n in counts])
    assert [row["evaluations"] for row in wandb.history.values()] == list(counts)
    assert list(wandb.history) == [0, 100, 101, 102, 103, 300]


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

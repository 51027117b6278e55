"""A sweep by an executor: the same records as here, files sent back, workers that write nothing."""

import json
import os
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from rllab.executors.named import executor_of
from rllab.runs import Job, SweepFailed, sweep
from rllab.runs.elsewhere import do_job_apart, keep_files
from rllab.runs.record import DONE, RUN

JOBS = [Job(f"run-{seed}", {"lr": 0.1}, seed) for seed in range(4)]


def work(job, record):
    for step in range(3):
        record.append({"step": step, "loss": job.seed / (step + 1)})
    (record.folder / "more").mkdir()
    (record.folder / "more" / "weights.bin").write_bytes(bytes([job.seed]))
    return {"loss": job.seed}


def fails(job, record):
    record.append({"step": 0})
    if job.seed == 2:
        raise ZeroDivisionError("two")


class Apart:
    """Do what is submitted at once, through JSON-free futures that are not those of concurrent.futures."""

    def __init__(self, lost=None):
        self.lost, self.folders = lost, []

    def submit(self, function, /, worker, job):
        future = Future()
        if job.seed == self.lost:
            future.set_exception(RuntimeError("the node is gone"))
        else:
            future.set_result(function(worker, job))
        self.folders.append(sorted(os.listdir()))
        return _Wrapped(future)


class _Wrapped:
    def __init__(self, future):
        self.done, self.result, self.cancel = future.done, future.result, future.cancel


@pytest.mark.parametrize("executor", [Apart(), Apart, lambda: ThreadPoolExecutor(1)], ids=["given", "made", "pool"])
def test_records_are_those_of_a_sweep_here(tmp_path, executor):
    here = sweep(work, JOBS, tmp_path / "here", config={"lr": 0.1}, processes=1)
    there = sweep(work, JOBS, tmp_path / "there", config={"lr": 0.1}, executor=executor)
    for a, b in zip(here, there, strict=True):
        assert a.rows == b.rows and a.summary == b.summary and a.config == b.config and a.seed == b.seed and b.finished
        assert (b.folder / "more" / "weights.bin").read_bytes() == bytes([b.seed])
        assert sorted(os.listdir(a.folder)) == sorted(os.listdir(b.folder))


def test_a_run_that_fails_and_one_whose_worker_is_lost_leave_the_others_and_can_be_gone_on_with(tmp_path):
    with pytest.raises(SweepFailed, match=r"2 of 4 runs failed.*run-2: ZeroDivisionError: two") as caught:
        sweep(fails, JOBS, tmp_path / "s", config={}, executor=Apart(lost=1))
    assert "run-1: RuntimeError: the node is gone" in str(caught.value)
    assert "ZeroDivisionError" in (tmp_path / "s" / "run-2" / "error.txt").read_text()
    records = sweep(work, JOBS, tmp_path / "s", config={}, executor=Apart(), resume=True)
    assert all(record.finished for record in records)


def test_whoever_makes_a_run_writes_nothing_where_records_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error, files, _ = do_job_apart(work, JOBS[1])
    assert error is None and os.listdir(tmp_path) == []
    assert {RUN, DONE, "more/weights.bin"} < set(files) and json.loads(files[DONE])["loss"] == 1


def test_a_folder_is_no_finished_run_until_all_its_files_are_there(tmp_path):
    _, files, _ = do_job_apart(work, JOBS[1])
    order = []

    class Watched(dict):
        def __getitem__(self, name):
            order.append(name)
            return super().__getitem__(name)

    keep_files(tmp_path / "run", Watched(files))
    assert order[-2:] == [RUN, DONE] and len(order) == len(files)


def test_what_is_no_executor_is_refused(tmp_path):
    with pytest.raises(TypeError, match="executor must be a number of workers"):
        sweep(work, JOBS, tmp_path / "s", config={}, executor=[])


def test_a_flag_names_an_executor():
    assert executor_of("") is None and executor_of("4") == 4
    with pytest.raises(ValueError, match="--executor must be a number of workers, ray, or the address"):
        executor_of("dask")

"""Record: what was appended comes back, whatever ended the process, and nothing on disk is lost or taken over."""

import json
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from rllab.runs import Record, load_records
from rllab.runs.columns import Columns
from rllab.runs.rows import ROWS, TAIL, last_row

CONFIG = {"method": "evolution", "sizes": (32, 32), "lr": 0.05, "cap": math.inf, "note": None}


def make(folder, rows=(), *, seed=3, finish=True, **summary):
    with Record.create(folder, CONFIG, seed=seed) as record:
        for row in rows:
            record.append(row)
        if finish:
            record.finish(**summary)
    return folder


def test_a_run_comes_back_as_it_was_written(tmp_path):
    rows = [{"steps": 10, "evaluation": np.float32(0.5), "ok": np.bool_(True)}, {"steps": torch.tensor(20), "why": "é"}]
    record = Record.open(make(tmp_path / "a", rows, best=0.5, curve=(1, 2)))
    assert record.rows == [{"steps": 10, "evaluation": 0.5, "ok": True}, {"steps": 20, "why": "é"}]
    assert record.config == {**CONFIG, "sizes": [32, 32]} and record.seed == 3
    assert record.finished and record.status == "finished" and record.summary == {"best": 0.5, "curve": [1, 2]}
    assert set(record.about) == {"versions", "machine", "threads", "started"}
    assert record.about["threads"]["OMP_NUM_THREADS"] == "1" and record.about["threads"]["torch"] == 1
    assert record.about["started"].endswith("+00:00")


def test_every_file_is_strict_json(tmp_path):
    folder = make(tmp_path / "a", [{"x": math.nan}, {"x": -math.inf}], best=math.inf)
    for path in (folder / "run.json", folder / "done.json"):
        json.loads(path.read_bytes(), parse_constant=pytest.fail)
    lines = [json.loads(line, parse_constant=pytest.fail) for line in (folder / ROWS).read_text().splitlines()]
    assert lines == [{"x": "NaN"}, {"x": "-Infinity"}]
    record = Record.open(folder)
    assert math.isnan(record.rows[0]["x"]) and record.rows[1]["x"] == -math.inf and record.summary == {"best": math.inf}


def test_a_column_has_nan_where_a_row_has_no_value(tmp_path):
    record = Record.open(make(tmp_path / "a", [{"x": 1, "b": True}, {"x": None}, {"y": 5}, {"x": -math.inf, "t": "a"}]))
    np.testing.assert_array_equal(record.column("x"), [1, np.nan, np.nan, -np.inf])
    np.testing.assert_array_equal(record.column("b"), [1, np.nan, np.nan, np.nan])
    assert record.column("nothing").shape == (4,)
    with pytest.raises(ValueError, match="'t' must hold numbers, got 'a' in row 3"):
        record.column("t")


def test_a_row_that_cannot_be_stored_is_refused_whole_and_named(tmp_path):
    with Record.create(tmp_path / "a", CONFIG, seed=0) as record:
        record.append({"x": 1})
        with pytest.raises(TypeError, match=r"Record.append: row\['g'\] must be .* got ndarray of shape \(2,\)"):
            record.append({"x": 2, "g": np.zeros(2)})
        with pytest.raises(TypeError, match="keys must be strings, got 4"):
            record.append({4: 2})
        record.append({"x": 3})
        assert record.rows == [{"x": 1}, {"x": 3}]


def test_a_config_that_is_no_mapping_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"config must be a mapping \(dataclasses.asdict"):
        Record.create(tmp_path / "a", object(), seed=0)
    with pytest.raises(TypeError, match=r"config\.f must be"):
        Record.create(tmp_path / "a", {"f": len}, seed=0)
    assert not (tmp_path / "a").exists()


def test_a_torn_last_line_is_dropped(tmp_path):
    folder = make(tmp_path / "a", [{"x": 1}, {"x": 22}], finish=False)
    whole = (folder / ROWS).read_bytes()
    second = whole.index(b"\n") + 1
    for end in range(len(whole) + 1):
        (folder / ROWS).write_bytes(whole[:end])
        rows = [{"x": 1}, {"x": 22}][: (end >= second) + (end == len(whole))]
        assert Record.open(folder).rows == rows
        assert last_row(folder) == (rows[-1] if rows else None)


def test_a_torn_line_anywhere_else_is_an_error_that_names_it(tmp_path):
    folder = make(tmp_path / "a", [{"x": 1}], finish=False)
    for damage in (b'{"x": 1}\n{"x"\n{"x": 3}\n', b'{"x": 1}\n[2]\n', b'{"x": 1}\n\n'):
        (folder / ROWS).write_bytes(damage)
        with pytest.raises(ValueError, match=r"rows\.jsonl: line 2 is not a row"):
            Record.open(folder)


def test_the_last_row_of_a_long_file_is_found_from_its_end(tmp_path):
    with Record.create(tmp_path / "a", CONFIG, seed=0) as record:
        for i in range(3):
            record.append({"i": i, "text": "x" * (TAIL // 2)})
            assert last_row(record.folder)["i"] == i
        record.append({"i": 3, "text": "x" * TAIL})
        assert last_row(record.folder) is None  # longer than what is looked at: unknown, not wrong
        record.append({"i": 4})
        assert last_row(record.folder) == {"i": 4}


def test_a_write_that_fails_half_way_leaves_no_torn_line_before_the_next_row(tmp_path):
    class Full:
        """A disk that is full after five bytes, once."""

        def __init__(self, file):
            self.file, self.left = file, 5

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, data):
            if self.left == 0:
                self.left = 1 << 20
                raise OSError(28, "No space left on device")
            n = self.file.write(data[: self.left])
            self.left -= n
            return n

    with Record.create(tmp_path / "a", CONFIG, seed=0) as record:
        record.append({"x": 1})
        record._file = Full(record._file)
        with pytest.raises(OSError, match=r"No space left on device: free some space there .*--resume.*rows\.jsonl"):
            record.append({"x": 2})
        assert (record.folder / ROWS).read_bytes() == b'{"x": 1}\n'
        record.append({"x": 3})
        assert record.rows == [{"x": 1}, {"x": 3}]


def test_the_rows_reach_the_disk_before_the_word_that_they_are_all_there(tmp_path, monkeypatch):
    record = Record.create(tmp_path / "a", CONFIG, seed=0)
    rows, events = (tmp_path / "a" / ROWS).stat().st_ino, []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: events.append(os.fstat(fd).st_ino == rows) or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda a, b: events.append(b.name) or replace(a, b))
    record.finish()
    assert events == [True, False, "done.json"]


WRITER = """
import os, sys
{mutation}
from rllab.runs import Record
record = Record.create(sys.argv[1], {{"method": "m"}}, seed=0)
for i in range(10**9):
    record.append({{"i": i, "text": "x" * (i % 50)}})
    os.write(1, b"%d\\n" % i)
"""
BUFFERED = """
import io, rllab.runs.record
create = rllab.runs.record.create_rows
rllab.runs.record.create_rows = lambda folder: io.BufferedWriter(create(folder), 1 << 26)
"""


def lost_by_kill(folder, acknowledged, mutation=""):
    """Kill -9 a process that writes rows as fast as it can; return how many whole rows it had written are gone."""
    program = WRITER.format(mutation=mutation)
    with subprocess.Popen([sys.executable, "-c", program, folder], stdout=subprocess.PIPE) as writer:
        said = b"".join(writer.stdout.readline() for _ in range(acknowledged))
        assert Record.open(folder).status == "running"
        writer.kill()
        said += writer.stdout.read()
    record = Record.open(folder)
    assert record.status == "interrupted" and not record.finished
    assert [row["i"] for row in record.rows] == list(range(len(record.rows)))
    return said.count(b"\n") - len(record.rows)


@pytest.mark.parametrize("acknowledged", [1, 7, 150, 2000])
def test_a_killed_writer_loses_no_row_it_had_handed_over(tmp_path, acknowledged):
    # −1: the kill came between the write and its acknowledgement
    assert lost_by_kill(tmp_path / "a", acknowledged) in (0, -1)


def test_the_kill_test_catches_a_writer_that_buffers(tmp_path):
    assert lost_by_kill(tmp_path / "a", 7, BUFFERED) > 0


def test_what_an_unfinished_run_left_is_set_aside_whole(tmp_path):
    folder = tmp_path / "a"
    for n in (1, 2):
        make(folder, [{"x": n}], finish=False, seed=n)
        (folder / "error.txt").write_text("why")
        before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        aside = Record.set_aside(folder)
        assert aside == folder / f"interrupted-{n}"
        assert {path.name: path.read_bytes() for path in aside.iterdir()} == before
        assert sorted(path.name for path in folder.iterdir()) == [f"interrupted-{i}" for i in range(1, n + 1)]
        with pytest.raises(ValueError, match="no run in"):
            load_records(tmp_path)
    make(folder, [{"x": 3}])
    assert [record.rows for record in load_records(tmp_path)] == [[{"x": 3}]]
    assert Record.open(folder / "interrupted-1").rows == [{"x": 1}]


def test_what_is_set_aside_never_meets_an_older_one_when_some_were_deleted(tmp_path):
    folder = tmp_path / "a"
    for n in (1, 2, 3):
        make(folder, [{"x": n}], finish=False)
        assert Record.set_aside(folder) == folder / f"interrupted-{n}"
    shutil.rmtree(folder / "interrupted-1")
    make(folder, [{"x": 4}], finish=False)
    assert Record.set_aside(folder) == folder / "interrupted-4"
    assert [Record.open(folder / f"interrupted-{n}").rows for n in (2, 3, 4)] == [[{"x": n}] for n in (2, 3, 4)]


def test_neither_a_finished_nor_a_live_run_is_set_aside_or_taken_over(tmp_path):
    make(tmp_path / "finished", [{"x": 1}])
    with Record.create(tmp_path / "live", CONFIG, seed=0):
        for name, why in (("finished", "is finished"), ("live", "is still being written")):
            before = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
            with pytest.raises(ValueError, match=why):
                Record.set_aside(tmp_path / name)
            with pytest.raises(FileExistsError, match="already holds a run"):
                Record.create(tmp_path / name, CONFIG, seed=0)
            assert {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} == before
        assert Record.open(tmp_path / "live").status == "running"
    assert Record.open(tmp_path / "live").status == "interrupted"


def test_a_record_takes_no_rows_after_its_end(tmp_path):
    record = Record.create(tmp_path / "a", CONFIG, seed=0)
    record.finish()
    for closed in (record, Record.open(tmp_path / "a")):
        with pytest.raises(ValueError, match=r"Record.append: .* is finished and open for reading only"):
            closed.append({"x": 1})
        with pytest.raises(ValueError, match=r"Record\.finish"):
            closed.finish()


def test_runs_are_found_below_a_folder_once_and_in_natural_order(tmp_path):
    for name in ("td3-0", "evolution-10", "evolution-2"):
        make(tmp_path / "deep" / name)
    found = [record.folder.name for record in load_records([tmp_path, tmp_path / "deep" / "td3-0"])]
    assert found == ["evolution-2", "evolution-10", "td3-0"]
    assert [record.folder.name for record in load_records(tmp_path / "deep" / "td3-0")] == ["td3-0"]


def test_a_run_is_read_once_by_whatever_path_it_is_reached(tmp_path):
    make(tmp_path / "deep" / "td3-0")
    (tmp_path / "linked").symlink_to(tmp_path / "deep")
    paths = [tmp_path / "linked", tmp_path / "deep" / ".." / "deep", tmp_path / "deep"]
    assert len(load_records(paths)) == 1


def test_a_column_is_there_in_the_rows_that_have_a_value_of_it():
    columns = Columns([{"x": 1}, {"y": 2}, {"x": None}, {"x": 3, "y": None}])
    assert columns.there("x").tolist() == [True, False, False, True]
    assert columns.there("y").tolist() == [False, True, False, False]
    assert columns.there("z").tolist() == [False] * 4


def test_a_folder_without_runs_is_a_clear_error(tmp_path):
    with pytest.raises(ValueError, match=f"no run in {tmp_path}"):
        load_records(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        load_records([tmp_path / "nowhere"])
    with pytest.raises(FileNotFoundError, match="holds no run"):
        Record.open(tmp_path)

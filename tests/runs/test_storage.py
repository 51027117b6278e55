"""Files are replaced whole or not at all, and what JSON cannot hold is refused by name."""

import json
import math
import os

import numpy as np
import pytest
import torch

from rllab.runs import write_atomically
from rllab.runs.storage import read_object, restored, scalar, storable, to_json


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "done.json"
    write_atomically(path, "old")
    write_atomically(path, "néw")
    assert path.read_bytes() == "néw".encode() and os.listdir(tmp_path) == ["done.json"]
    write_atomically(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("interruption", [OSError("disk full"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch, step, interruption):
    path = tmp_path / "done.json"
    write_atomically(path, "old")

    def stop(*_):
        raise interruption

    with monkeypatch.context() as patch, pytest.raises(type(interruption)):
        patch.setattr(os, step, stop)
        write_atomically(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["done.json"]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float64(2.5), 2.5),
        (np.int64(-3), -3),
        (np.bool_(True), True),
        (np.array(7), 7),
        (torch.tensor(1.5), 1.5),
        (torch.tensor(4), 4),
        (torch.tensor(2.0, requires_grad=True), 2.0),
        (np.str_("a"), "a"),
        (2**70, 2**70),
        (True, True),
        (None, None),
        ("ü", "ü"),
    ],
    ids=repr,
)
def test_scalars_become_pythons_own(value, plain):
    stored = scalar(value, "x")
    assert stored == plain and type(stored) is type(plain)


@pytest.mark.parametrize("value", [math.inf, -math.inf, np.float32("inf"), torch.tensor(-math.inf)])
def test_infinities_come_back_from_strict_json(value):
    text = to_json(scalar(value, "x"))
    assert restored(json.loads(text, parse_constant=pytest.fail)) == float(value)


def test_nan_comes_back_from_strict_json_at_any_depth():
    text = to_json(storable({"a": [1.0, (math.nan,)]}, "config"))
    back = restored(json.loads(text, parse_constant=pytest.fail))
    assert back["a"][0] == 1.0 and math.isnan(back["a"][1][0])


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_text_that_stands_for_a_number_is_refused(text):
    with pytest.raises(ValueError, match=rf"row\['x'\] must not be the text '{text}'"):
        scalar(text, "row['x']")


@pytest.mark.parametrize(
    "value",
    [[1], {}, 1j, b"x", np.zeros(3), torch.zeros(1), np.datetime64("2020-01-01"), len],
    ids=lambda v: type(v).__name__,
)
def test_what_is_no_scalar_is_refused_by_name(value):
    with pytest.raises(TypeError, match=r"row\['x'\] must be a number, text, bool or None, got "):
        scalar(value, "row['x']")


def test_a_wrong_value_in_a_nest_is_named_by_its_place():
    with pytest.raises(TypeError, match=r"config\.optimizer\.betas\[1\] must be"):
        storable({"optimizer": {"betas": (0.9, b"x")}}, "config")
    with pytest.raises(TypeError, match=r"config\.a: keys must be strings, got 3"):
        storable({"a": {3: 1}}, "config")


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "run.json"
    for content in ("{", "[1]", ""):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"run\.json"):
            read_object(path)

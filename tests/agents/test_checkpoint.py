"""Checkpoints: whole or not at all, and nothing but values is ever read from one."""

import os
import pickle
import random

import numpy as np
import pytest
import torch

from rllab.agents import Evolution, load
from rllab.checkpoint import FORMAT, digest, read_checkpoint, write_checkpoint
from tests.proofs.toy_environments import DRIFT

CONTENT = {"arguments": {"lr": 0.1, "hidden": (3, 4), "none": None}, "state": [torch.arange(3.0), {"n": 5}]}


def test_what_was_written_is_read_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "folder" / "agent.pt"
    write_checkpoint("Test", path, CONTENT)
    read = read_checkpoint(path)
    assert set(read) == set(CONTENT)
    assert read["arguments"] == CONTENT["arguments"]
    assert torch.equal(read["state"][0], CONTENT["state"][0]) and read["state"][1] == {"n": 5}
    assert os.listdir(path.parent) == ["agent.pt"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "agent.pt"
    write_checkpoint("Test", path, CONTENT)
    old = path.read_bytes()

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_checkpoint("Test", path, CONTENT | {"more": 1})
    assert path.read_bytes() == old and os.listdir(tmp_path) == ["agent.pt"]


class Hostile:
    """Unpickling this makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("form", ("pickle", "torch", "old torch", "inside a checkpoint"))
def test_a_hostile_file_runs_nothing(tmp_path, form):
    path, made = tmp_path / "agent.pt", tmp_path / "made"
    if form == "pickle":
        path.write_bytes(pickle.dumps(Hostile(made), protocol=2))
    elif form == "inside a checkpoint":
        torch.save({"format": FORMAT, **CONTENT, "agent": Hostile(made)}, path)
    else:
        torch.save(Hostile(made), path, _use_new_zipfile_serialization=form == "torch")
    with pytest.raises(ValueError, match=r"load: .*agent\.pt must be a checkpoint of rllab, got a file that cannot be"):
        load(path)
    assert not made.exists()
    with open(path, "rb") as file:  # the trap is a real one
        if form == "pickle":
            pickle.load(file)
        else:
            torch.load(file, weights_only=False)
    assert made.exists()


def test_damaged_files_are_errors_that_name_the_file(tmp_path):
    path = tmp_path / "agent.pt"
    write_checkpoint("Test", path, CONTENT)
    whole, rng = path.read_bytes(), random.Random(0)
    damaged = [whole[: len(whole) * i // 20] for i in range(20)]
    damaged += [rng.randbytes(rng.randrange(1, 60)) for _ in range(200)]
    damaged += [b"", b"[1, 2]", b"# a text\n"]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"load: .*agent\.pt must be a checkpoint of rllab"):
            read_checkpoint(path)


def test_one_flipped_bit_is_never_read_as_other_values(tmp_path):
    path, rng = tmp_path / "agent.pt", random.Random(0)
    write_checkpoint("Test", path, CONTENT | {"weights": torch.randn(200), "more": torch.arange(50)})
    whole, right = path.read_bytes(), digest(read_checkpoint(path))
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            assert digest(read_checkpoint(path)) == right  # a bit of the zip that says nothing
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 100


def test_the_digest_is_of_every_type_and_bit():
    values = [0, 0.0, -0.0, False, None, "0", [], (), {}, [0], (0,), [[0]], {"a": 0}, {"b": 0}, {"a": 0, "b": 0}]
    values += [{"b": 0, "a": 0}, torch.zeros(2), torch.zeros(2, 1), torch.zeros(2).int(), torch.tensor([0.0, -0.0])]
    values += [torch.zeros(0), torch.zeros(2, dtype=torch.bfloat16), ["a", "b"], ["ab"], ["a", "b", None]]
    assert len({digest(value) for value in values}) == len(values)
    turned = torch.arange(6.0).view(2, 3).T
    assert digest(turned) == digest(turned.contiguous())  # how it lies in memory is no part of it
    with pytest.raises(TypeError, match="set is no plain value"):
        digest({"a": {1}})


@pytest.mark.parametrize("content", ([1, 2], {"a": 1}, {"format": FORMAT + 1}, torch.zeros(3)), ids=str)
def test_files_of_another_kind_are_errors(tmp_path, content):
    path = tmp_path / "agent.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=f"must be a checkpoint of rllab, format {FORMAT}, got something else"):
        load(path)


def test_a_checkpoint_of_no_known_agent_and_a_missing_file_are_errors(tmp_path):
    write_checkpoint("Test", tmp_path / "other.pt", {**CONTENT, "agent": "Oracle"})
    with pytest.raises(ValueError, match=r"must hold one of the agents \[.*'Evolution'.*\], got 'Oracle'"):
        load(tmp_path / "other.pt")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.pt")


def test_numpy_numbers_as_arguments_are_saved_as_numbers(tmp_path):
    agent = Evolution(DRIFT, np.int64(3), population=np.int32(4), lr=np.float64(0.1), hidden=())
    agent.learn(200)
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt")
    assert (again.seed, again.population, again.lr) == (3, 4, 0.1)
    assert isinstance(again, Evolution) and torch.equal(again.weights, agent.weights)


def test_an_argument_of_the_environment_may_be_called_like_one_of_the_agents(tmp_path):
    agent = Evolution(DRIFT, population=2, hidden=())
    vars(agent)["environment_arguments"] = {"estimator": "mine"}  # past the agent's own check
    agent.save(tmp_path / "agent.pt")
    with pytest.raises(ValueError, match=r"Evolution: environment must be .*'estimator'"):  # Drift does not take it
        load(tmp_path / "agent.pt")

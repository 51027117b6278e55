"""The ride to the goal: who looks arrives, claims can fail, and the GIF is drawn from the disk alone."""

from experiments.agents import goal_ride
from experiments.common.frame import Judge

import numpy as np
import pytest
from PIL import Image

from rllab.runs import Job, Record


def test_pictures_are_stored_and_drawn_without_riding_again(tmp_path, monkeypatch):
    monkeypatch.setattr(goal_ride, "RIDES", 2)
    monkeypatch.setattr(goal_ride, "LIMIT", 250)
    with Record.create(tmp_path / "looks-0", {"rider": "looks", "pictures": True}, seed=0) as record:
        record.finish(**goal_ride.run(Job("looks-0", {"rider": "looks", "pictures": True}, 0), record))
    assert record.summary["arrived"] == 0  # 2.5 s do not suffice for 90 m at 2.8 m/s
    monkeypatch.setattr("gymnasium.make", None)
    path = goal_ride.figure([Record.open(tmp_path / "looks-0")], goal_ride.Config(out=tmp_path))
    with Image.open(path) as drawn:
        assert drawn.n_frames == 250 // goal_ride.EVERY
        first = np.asarray(drawn.convert("RGB"))
        drawn.seek(drawn.n_frames - 1)
        assert (np.asarray(drawn.convert("RGB")) != first).any()


class Rode:
    def __init__(self, rider, arrived):
        self.config, self.summary = {"rider": rider}, {"arrived": arrived, "steps": 3_000.0}


@pytest.mark.parametrize(("looks", "blind", "verdicts"), [(90, 10, [True, True]), (89, 11, [False, False])])
def test_each_claim_can_fail(looks, blind, verdicts):
    judge = Judge()
    goal_ride.claims([Rode("looks", looks), Rode("does not look", blind)], goal_ride.Config(), judge)
    assert judge.verdicts == verdicts


def test_who_does_not_look_acts_the_same_wherever_the_goal_is():
    left, right = np.zeros((1, 6)), np.zeros((1, 6))
    left[0, 4], right[0, 4] = 1.0, -1.0
    blind, looks = goal_ride.RIDERS["does not look"], goal_ride.RIDERS["looks"]
    np.testing.assert_array_equal(blind(left), blind(right))
    assert looks(left)[0, 0] != looks(right)[0, 0]

"""The GIF of an episode: one frame a step, thinned where there are many, written whole."""

import pytest
from gymnasium import Wrapper
from PIL import Image

from rllab import video
from rllab.agents import Evolution
from rllab.video import WIDTH, record_episode

BICYCLE = "rllab_envs:rllab/BicycleBalance-v0"
FRAMES = 12  # instead of 300


class Blind(Wrapper):
    def render(self):
        return None


def test_every_step_is_a_frame_until_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "FRAMES", FRAMES)
    agent = Evolution(BICYCLE, seed=0, hidden=(), population=4)
    assert agent.evaluate(1).lengths[0] > FRAMES + 7
    for most, frames in ((3, 4), (FRAMES + 7, None)):
        with Image.open(record_episode(agent, tmp_path / "a" / "ride.gif", max_steps=most)) as gif:
            assert gif.n_frames == frames if frames else 1 < gif.n_frames <= FRAMES + 1
            assert max(gif.size) <= WIDTH
    assert agent.spent.steps == 0


def test_an_environment_without_pictures_is_named(tmp_path):
    agent = Evolution(BICYCLE, seed=0, hidden=(), population=4, wrappers=[Blind])
    with pytest.raises(ValueError, match="must render pictures"):
        record_episode(agent, tmp_path / "ride.gif")
    assert not (tmp_path / "ride.gif").exists()

"""The GIF of an episode: one frame a step, thinned where there are many, written whole."""

import sys
from pathlib import Path
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import Wrapper, spaces
from PIL import Image

from rllab import video
from rllab.agents import Evolution
from rllab.cli import main
from rllab.plots.palettes import reduced
from rllab.video import WIDTH, record_episode

BICYCLE = "rllab_envs:rllab/BicycleBalance-v0"
FRAMES = 12  # instead of 300


class Blind(Wrapper):
    def render(self):
        return None


class Floats(Wrapper):
    def render(self):
        return np.ones((8, 8, 3))


class Grey(Wrapper):
    def render(self):
        return np.ones((8, 8, 1), np.uint8)


class Counting(gymnasium.Env):
    """Pictures in a grey that says seed and step, of episodes that are cut off after five steps."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        self.seed, self.t = seed, 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(1, np.float32), 0.0, False, self.t == 5, {}

    def render(self):
        return np.full((8, 8, 3), 20 * (self.seed % 10) + self.t, np.uint8)


class Untimed(Counting):
    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": None}


def greys(gif):
    shown = []
    for i in range(gif.n_frames):
        gif.seek(i)
        shown.append(gif.convert("L").getpixel((4, 4)))
    return shown


@pytest.mark.parametrize("kind", [Counting, Untimed, lambda: Counting("rgb_array")])
def test_the_episode_that_is_asked_for_is_shown_to_its_end_at_its_speed(tmp_path, monkeypatch, kind):
    agent, frame = Evolution(kind, hidden=(), population=2), 50 if kind is Untimed else 100
    with Image.open(record_episode(agent, tmp_path / "a.gif", episode=3)) as gif:
        assert greys(gif) == [60, 61, 62, 63, 64, 65] and gif.info["duration"] == frame
    monkeypatch.setattr(video, "FRAMES", 2)
    with Image.open(record_episode(agent, tmp_path / "a.gif", episode=3)) as gif:
        assert greys(gif) == [60, 63] and gif.info["duration"] == 3 * frame


def test_every_step_is_a_frame_until_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "FRAMES", FRAMES)
    agent = Evolution(BICYCLE, seed=0, hidden=(), population=4)
    assert agent.evaluate(1).lengths[0] > FRAMES + 7
    for most, frames in ((3, 4), (FRAMES + 7, None)):
        with Image.open(record_episode(agent, tmp_path / "a" / "ride.gif", max_steps=most)) as gif:
            assert gif.n_frames == frames if frames else 1 < gif.n_frames <= FRAMES + 1
            assert max(gif.size) <= WIDTH
    assert agent.spent.steps == 0


@pytest.mark.parametrize(
    ("wrapper", "got"), [(Blind, "None"), (Floats, r"\(8, 8, 3\) float64"), (Grey, r"\(8, 8, 1\) uint8")]
)
def test_an_environment_without_pictures_is_named(tmp_path, wrapper, got):
    agent = Evolution(BICYCLE, seed=0, hidden=(), population=4, wrappers=[wrapper])
    with pytest.raises(ValueError, match=f"must render pictures .*, got {got}"):
        record_episode(agent, tmp_path / "ride.gif")
    assert not (tmp_path / "ride.gif").exists()


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ('pygame is not installed, run `pip install "gymnasium[classic_control]"`', r"pip install '\.\[video\]'$"),
        ("box2d is not installed, run so and so", "run so and so$"),
    ],
)
def test_a_package_that_is_missing_is_named_in_one_sentence(tmp_path, monkeypatch, missing, says):
    def render(self):
        raise gymnasium.error.DependencyNotInstalled(missing)

    agent = Evolution(Counting, hidden=(), population=2)
    monkeypatch.setattr(Counting, "render", render)
    with pytest.raises(ModuleNotFoundError, match=f"Evolution: .* not installed: .*{says}") as raised:
        record_episode(agent, tmp_path / "a.gif")
    assert raised.value.name is None  # so that a command says it in one line


OWN = """
import gymnasium, numpy as np

class Tank(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}

    def render(self):
        return np.zeros((8, 8, 3), np.uint8)

gymnasium.register("Tank-v0", Tank, max_episode_steps=5)
"""


def test_an_environment_of_the_folder_is_trained_in_and_filmed_where_it_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("own_tank.py").write_text(OWN)
    options = ["--steps", "40", "--seeds", "1", "--processes", "1", "--episodes", "1", "--set", "population=4"]
    main(["train", "own_tank:Tank-v0", "--method", "evolution", "--out", "tank", *options])
    del sys.modules["own_tank"], gymnasium.registry["Tank-v0"]  # as in another process
    with pytest.raises(SystemExit):
        main(["video", "tank/evolution-0", "--out", "ride.gif"])
    err = capsys.readouterr().err
    assert "of the module own_tank, which is not imported because a file says so" in err
    assert "on the command line --environment own_tank:Tank-v0" in err
    main(["video", "tank/evolution-0", "--environment", "own_tank:Tank-v0", "--out", "ride.gif"])
    with Image.open("ride.gif") as ride:
        assert ride.size == (8, 8)


def test_thin_lines_of_a_frame_keep_their_colours():
    env = gymnasium.make(BICYCLE, render_mode="rgb_array")
    env.reset(seed=0)
    drawn = np.asarray(env.render()).astype(int)
    env.close()

    def off(frame):
        return np.abs(np.asarray(frame.convert("RGB")).astype(int) - drawn)[wheels].max()

    wheels = np.zeros(drawn.shape[:2], bool)
    for colour in ((0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00)):  # front and back
        found = (drawn == colour).all(-1)
        assert 50 < found.sum() < drawn[..., 0].size / 50
        wheels |= found
    picture = Image.fromarray(drawn.astype(np.uint8))
    assert off(reduced(picture)) <= 24  # of 255
    assert off(picture.quantize(64)) > 24  # the median cut

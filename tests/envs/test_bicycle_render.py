"""The picture: it shows what happens, to the side it happens, and looking does not change the ride."""

import math

import numpy as np
import pytest

from rllab_envs.bicycle import BicycleBalanceEnv, Parameters, render, start, step
from rllab_envs.bicycle.render import Trail
from tests.proofs.bicycle import VARIANTS


def actions_of(seed, n):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 2))


@pytest.mark.parametrize("variant", VARIANTS)
def test_watching_does_not_change_the_ride(variant):
    watched, plain = (BicycleBalanceEnv(variant, render_mode=mode, dtype=np.float64) for mode in ("rgb_array", None))
    watched.reset(seed=6)
    plain.reset(seed=6)
    for t, action in enumerate(actions_of(4, 30)):
        np.testing.assert_array_equal(watched.step(action)[0], plain.step(action)[0])
        if t % 10 == 9:
            picture = watched.render()
    assert picture.shape == (360, 960, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, watched.render())


def test_without_a_render_mode_there_is_a_warning_and_no_picture():
    env = BicycleBalanceEnv()
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="without a render mode"):
        assert env.render() is None


def marked(picture, colour):
    """Which pixels are drawn in a colour, bool (height, width)."""
    rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return (np.abs(picture.astype(int) - rgb) <= 8).all(2)


def middle_of(picture, colour):
    """Mean (x, y) in pixels, from the left and the top, of what is drawn in a colour."""
    y, x = np.nonzero(marked(picture, colour))
    assert x.size > 20, f"nothing is drawn in {colour}"
    return x.mean(), y.mean()


def test_lean_and_handlebar_are_drawn_to_the_side_they_go():
    env = BicycleBalanceEnv(render_mode="rgb_array", noise=False)
    lean, steer = [], []
    for side in (-1, 0, 1):  # right, straight, left
        env.reset(options={"state": [0.1 * side, 0.0, 0.4 * side, 0.0]})
        picture = env.render()
        lean.append(middle_of(picture[:, :300], render.RIDER)[0])
        steer.append(middle_of(picture[:, 300:600], render.FRONT)[0])
    # the rider's middle is some 1.1 m above the ground at 125 pixels a metre, the front tyre's 0.19 m ahead of its axis
    # at 92 pixels a metre, of which the handlebar covers a part
    for (right, straight, left), arm in ((lean, 1.1 * 125 * math.sin(0.1)), (steer, 0.19 * 92 * math.sin(0.4))):
        assert abs(straight - 150) < 1.5
        assert 0.6 < (right - straight) / arm < 1.6 and 0.6 < (straight - left) / arm < 1.6


def test_the_words_beside_the_picture_name_the_side():
    assert render.sided(0.12, 1, " cm") == "0.1 cm left"
    assert render.sided(-1.5, 2, "°") == "1.50° right"
    assert render.sided(-0.04, 1, "°") == "0.0°"


def test_the_picture_says_when_the_rider_has_fallen():
    env = BicycleBalanceEnv(render_mode="rgb_array", noise=False)
    limit = Parameters().fall_angle
    for lean, body, other in ((0.99 * limit, render.RIDER, render.DANGER), (1.01 * limit, render.DANGER, render.RIDER)):
        env.reset(options={"state": [lean, 0.0, 0.0, 0.0]})
        view = env.render()[:, :300]  # the lines of the limit are in DANGER as well, but thin
        assert marked(view, body).sum() > 4000 > 3 * marked(view, other).sum()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_track_lies_behind_the_bicycle_wherever_it_goes(variant):
    for turn, steps in ((0.3, 150), (-0.3, 150), (0.3, 400)):
        trail, turned = Trail(variant, Parameters()), np.array([0.0, 0.0, turn, 0.0])
        for _ in range(steps):
            trail.follow(turned, np.zeros(2), turned)
        psi = trail.pose[4]
        heading = np.array([-math.sin(psi), -math.cos(psi)])  # in the picture, where y points down
        picture = trail.draw(turned)[40:310, 604:]  # between title and legend
        back = np.array(middle_of(picture, render.BACK))
        for colour, ahead in ((render.BAND, 0.0), (render.FRONT, trail.parameters.wheelbase)):
            pixels = np.argwhere(marked(picture, colour))[:, ::-1] - back
            near = pixels[np.linalg.norm(pixels, axis=1) < 1.8 * render.METRE]
            # all of a track lies behind its own wheel, whose radius is 0.34 m; 0.2 m for the breadth of the lines
            assert len(near) > 50 and (near @ heading).max() < (ahead + 0.34 + 0.2) * render.METRE
            assert (near @ heading).min() < (ahead - 1.0) * render.METRE
        wheel = (pixels @ heading).max()
        assert wheel > (trail.parameters.wheelbase + 0.1) * render.METRE


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_trail_follows_both_tyres_of_either_variant(variant):
    parameters, trail = Parameters(), Trail(variant, Parameters())
    state = start(1, variant=variant)
    for action in actions_of(7, 200) * [0.2, 0.02]:
        before, state = state, step(state, action[None], variant=variant)
        trail.follow(before[0], action, state[0])
    front, back, psi = trail.pose[:2], trail.pose[2:4], trail.pose[4]
    assert abs(math.dist(front, back) - parameters.wheelbase) <= parameters.wheelbase_tolerance + 1e-12
    np.testing.assert_allclose(psi, state[0, -1], rtol=0, atol=1e-12)
    if variant == "author":
        np.testing.assert_allclose(trail.pose, state[0, 4:], rtol=0, atol=1e-12)
    # One contact advances v dt in every step: the back one of ernst, the front one of the authors, who pull the back
    # one along the frame afterwards and so may shorten its way.
    driven = np.array(trail.past)[:, :2] if variant == "author" else np.array(trail.past)[:, 2:4]
    travelled = np.linalg.norm(np.diff(driven, axis=0), axis=1)
    assert len(travelled) == 200
    np.testing.assert_allclose(travelled, parameters.speed * parameters.time_step, rtol=0, atol=1e-12)

"""Games: fields by hand, and ways whose closed form is known."""

import math

from experiments.lecture import minmax

import pytest
import torch

DTYPE = torch.float64
Z = torch.tensor([0.7, -1.3], dtype=DTYPE)


def test_the_fields_of_the_games_are_those_by_hand():
    x, y = Z.tolist()
    slope = 1 / (1 + math.exp(x * y))  # of log σ(t) at t = xy
    by_hand = {"bilinear": [y, -x], "one-point GAN": [slope * y, -slope * x], "curved": [x + y, y - x]}
    assert set(by_hand) == set(minmax.GAMES)
    for game, expected in by_hand.items():
        torch.testing.assert_close(minmax.field(game, Z), torch.tensor(expected, dtype=DTYPE), rtol=1e-12, atol=0)


@pytest.mark.parametrize("method", ["simultaneous", "extragradient"])
def test_the_radius_on_the_bilinear_game_follows_its_closed_form(method):
    assert minmax.relative_error(4, method, 100) < 1e-12
    assert minmax.relative_error(4, "alternating", 100, method) > 0.1


def test_alternating_is_the_product_of_two_shears():
    eta = 0.3
    path = minmax.play("bilinear", "alternating", 0, 2, eta)
    shears = torch.tensor([[1.0, 0.0], [eta, 1.0]], dtype=DTYPE) @ torch.tensor([[1.0, -eta], [0.0, 1.0]], dtype=DTYPE)
    torch.testing.assert_close(path[1:], torch.stack([shears @ path[0], shears @ shears @ path[0]]), rtol=1e-13, atol=0)


def test_each_step_of_the_gan_is_at_a_right_angle_to_the_way_home():
    path = minmax.play("one-point GAN", "simultaneous", 1, 50)
    radius = path.norm(dim=1)
    slope = torch.sigmoid(-path[:, 0] * path[:, 1])
    torch.testing.assert_close(radius[1:] ** 2, (radius**2 * (1 + (minmax.ETA * slope) ** 2))[:-1], rtol=1e-12, atol=0)

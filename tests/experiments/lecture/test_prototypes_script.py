"""Ten prototypes of digits: costs that are known exactly."""

import math

from experiments.common.data import Data, digits
from experiments.lecture import prototypes

import pytest
import torch

from rllab import Key
from rllab import backprop as bp


@pytest.fixture(scope="module")
def images():
    return digits().take(slice(200))


def test_the_share_of_errors_is_the_graphs_for_many_points_at_once(images):
    points = torch.rand(3, 640, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    graph = bp.nearest_neighbour(10, 64, dtype=torch.float64)
    one_by_one = [graph.loss_per_sample(images.x, images.y, weights=w).mean() for w in points]
    assert torch.equal(prototypes.errors(images)(points), torch.stack(one_by_one))


def test_the_relaxed_loss_of_one_image_is_the_log_loss_of_softmin(images):
    one, w = images.take(slice(1)), prototypes.mean_of_each(images)
    distances = (one.x - w.view(10, 64)).square().sum(1)
    p = torch.exp(-prototypes.BETA * distances)
    expected = -math.log(p[one.y[0]] / p.sum())
    assert prototypes.relaxed(one)(w[None]).item() == pytest.approx(expected, rel=1e-12)


def test_prototypes_that_are_the_images_make_no_error():
    x = torch.eye(10, 64, dtype=torch.float64)
    data = Data(x, torch.arange(10))
    assert prototypes.accuracy(x.flatten(), data) == 1
    assert prototypes.errors(data)(x.flatten()[None]).item() == 0
    assert torch.equal(prototypes.first_of_each(data), prototypes.mean_of_each(data))


def test_every_evaluation_is_counted(images):
    path, cost = prototypes.by_values(images, 200, Key(0))
    assert len(path) == 6 and cost.spent["value"] == 200
    path, cost = prototypes.by_relaxation(images, 7, Key(0))
    assert len(path) == 8 and cost.spent["gradient"] == 7 and cost.spent["value"] == 0


def test_shuffled_labels_are_the_same_ones_and_leave_the_start_alone(images):
    mixed = prototypes.shuffled(images, Key(0))
    assert torch.equal(mixed.y.bincount(), images.y.bincount()) and not torch.equal(mixed.y, images.y)
    assert torch.equal(prototypes.first_of_each(mixed), prototypes.first_of_each(images))

"""Paths and pulls: what is exact about the experiment on zigzags."""

import math

from experiments.common.data import Data
from experiments.common.frame import Judge
from experiments.lecture import zigzag
from experiments.lecture.draws import each_gradient

import pytest
import torch

from rllab import backprop as bp
from rllab.runs import Job, Record

DTYPE = torch.float64


def trace(path, losses):
    return bp.FitHistory(torch.zeros(2), 0, 0, 0, [], losses, torch.tensor(path, dtype=DTYPE))


def test_a_detour_is_the_way_over_the_distance_and_uphill_the_share_of_steps_that_raise_the_loss():
    there_and_back = trace([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]], [5.0, 1.0, 2.0])
    assert zigzag.detour(there_and_back) == pytest.approx(3.0) and zigzag.uphill(there_and_back) == 0.5
    assert zigzag.detour(trace([[0.0, 0.0], [1.0, 1.0], [3.0, 3.0]], [2.0, 1.0, 0.0])) == pytest.approx(1.0)


def test_disagreement_of_three_known_gradients():
    g = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, 2.0]], dtype=DTYPE)
    opposed, mean = zigzag.disagreement(g)
    assert opposed == pytest.approx(1 / 3)  # only the first two are more than 90° apart
    assert mean == pytest.approx((2.5 / 3) / ((1 + math.sqrt(1.25) + 2) / 3))


def test_the_line_of_equal_loss_of_an_ellipse_is_known():
    matrix = torch.tensor([[3.0, 1.0], [1.0, 0.5]], dtype=DTYPE)
    w = torch.tensor([1.2, -2.0], dtype=DTYPE)
    found = zigzag.tangent(lambda w: float(w @ matrix @ w), w)
    g = 2 * matrix @ w
    across = torch.stack([-g[1], g[0]]) / g.norm()
    assert abs(float(found @ across)) > 1 - 1e-9


def test_single_gradients_of_the_line_are_those_by_hand():
    graph, _, _ = zigzag.problem(0)
    samples = Data(torch.tensor([[2.0], [-1.0]], dtype=DTYPE), torch.tensor([[1.0], [4.0]], dtype=DTYPE))
    w = torch.tensor([3.0, -2.0], dtype=DTYPE)  # residuals 2·3 − 2 − 1 = 3 and −3 − 2 − 4 = −9
    assert each_gradient(graph, samples.x, samples.y, w).tolist() == [[12.0, 6.0], [18.0, -18.0]]


def test_the_way_over_its_law_is_by_hand_that_of_single_lengths():
    graph, samples, _ = zigzag.problem(3)
    middle = zigzag.descend("batch", 3, zigzag.STEPS).path
    steps = [zigzag.ETA * each_gradient(graph, samples.x, samples.y, w).norm(dim=1).mean() for w in middle[:-1]]
    there = trace([[0.0, 0.0], [3.0, 4.0]], [5.0, 1.0])
    assert zigzag.over_law(3, there) == pytest.approx(5 / float(sum(steps)))


def test_every_claim_holds_for_a_short_run(tmp_path):
    with Record.create(tmp_path / "run", {"long_run": 1500}, seed=1) as record:
        record.finish(**zigzag.run(Job("run", {"long_run": 1500}, 1), record))
    config, judge = zigzag.Config(long_run=1500), Judge()
    zigzag.claims([Record.open(tmp_path / "run")], config, judge)
    assert judge.all_hold and len(judge.verdicts) == 9

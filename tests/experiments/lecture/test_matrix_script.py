"""Matrix steps: what is exact about the bowls, the matrices and the bound on softmax regression's Hessian."""

import math

from experiments.lecture import matrix_data, matrix_step, quadratics
from experiments.lecture.rows import matrices

import pytest
import torch

from rllab import Key
from rllab import backprop as bp

DTYPE = torch.float64


def test_no_chosen_step_size_is_at_the_edge_of_its_grid():
    assert set(matrix_data.BEST) == set(matrix_data.TRIALS)
    for method, etas in matrix_step.ALL_TRIALS.items():
        assert etas[0] < matrix_step.ALL_BEST[method] < etas[-1] and matrix_step.ALL_BEST[method] in etas
    assert not set(matrix_data.TUNING_SEEDS) & set(range(20))


def test_matrices_are_of_the_kind_they_are_named():
    for seed in range(20):
        values = {kind: torch.linalg.eigvalsh(quadratics.matrix_of(kind, 7, Key(seed))) for kind in matrix_step.KINDS}
        assert values["positive"].min() > 0.9
        assert values["deficient"].min() > -1e-10 and (values["deficient"].abs() < 1e-10).any()
        assert values["indefinite"].min() < -0.9 and values["indefinite"].max() > 0.9


def test_the_bowl_has_its_condition_and_its_minimum_at_zero():
    h, w = quadratics.bowl(3)
    values = torch.linalg.eigvalsh(h)
    assert float(values[-1] / values[0]) == pytest.approx(quadratics.CONDITION)
    assert w.shape == (quadratics.DIMENSION,)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_worst_start_meets_the_bound_of_kantorovich(seed):
    assert matrices.way_to_the_minimum(seed, fast=False) == pytest.approx(2 * math.sqrt(100) / 101)
    h, _ = quadratics.worst_start(seed)
    turned = torch.nn.functional.normalize(torch.randn(500, 2, generator=Key(seed).generator(), dtype=DTYPE), dim=1)
    g = turned @ h
    assert ((g * turned).sum(1) / g.norm(dim=1)).min() > 2 * 10 / 101 - 1e-12  # no start is worse


def test_descent_on_the_worst_start_takes_as_many_steps_as_its_rate_says():
    h, w = quadratics.worst_start(0)
    steps = len(quadratics.descend("descent", h, w)) - 1
    assert steps == math.ceil(math.log(quadratics.CLOSE) / math.log(99 / 101))  # both ends of the spectrum shrink alike
    assert len(quadratics.descend("newton", h, w)) - 1 == 1


def test_the_angle_of_a_known_step():
    # g = (1, 1) and M = diag(1, 3): cos = 4/(√2 √10)
    m, g = torch.diag(torch.tensor([1.0, 3.0], dtype=DTYPE)), torch.ones(2, dtype=DTYPE)
    step = bp.step(torch.zeros(2, dtype=DTYPE), -g, m)
    assert float(step @ g / (step.norm() * g.norm())) == pytest.approx(4 / math.sqrt(20))


def test_the_bound_on_the_hessian_is_above_it_everywhere():
    """Autograd's Hessian of the cross-entropy of three weightings, against the matrix whose inverse is the step."""
    samples = matrix_data.data.wine().standardised().take(slice(40))
    samples = matrix_data.Data(samples.x[:, :3], samples.y.clamp(max=1))
    graph = bp.mlp((3, 2), key=0, dtype=DTYPE)
    bound = torch.linalg.inv(matrix_data.preconditioner(samples, "matrix"))
    for scale in (0.0, 0.3, 2.0):

        def loss(w):
            return graph.loss_per_sample(samples.x, samples.y, weights=w).mean()

        hessian = torch.func.hessian(loss)(scale * graph.weights)
        assert torch.linalg.eigvalsh(bound - hessian).min() > -1e-10
    diagonal = matrix_data.preconditioner(samples, "diagonal")
    torch.testing.assert_close(diagonal * bound.diagonal(), torch.ones_like(diagonal), rtol=1e-12, atol=0)

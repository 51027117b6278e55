"""Jumps: descent takes the steps its estimates say, and the flags ask for what the claims read."""

from experiments.zeroth_order import jumps

import numpy as np
import pytest
import torch

from rllab import Key


@pytest.mark.parametrize("method", jumps.METHODS)
@pytest.mark.parametrize("name", jumps.PROBLEMS)
def test_a_step_of_descent_is_the_rate_times_an_estimate(monkeypatch, name, method):
    monkeypatch.setattr(jumps, "CHUNK", 1)
    rows = list(jumps.descend(name, method, jumps.STARTS[name], 2, Key(4)))
    assert [row["step"] for row in rows] == [0, 1, 2]
    at = torch.tensor(jumps.STARTS[name], dtype=torch.float64)
    for step, row in enumerate(rows):
        assert (row["at"], row["second"]) == (at[0].item(), at[-1].item())
        assert row["value"] == jumps.PROBLEMS[name].smoothed_value(at, jumps.SIGMA).item()
        cost, estimator, where = jumps.method_of(name, method, at)
        g = estimator(cost, where, evaluations=jumps.SAMPLES, key=Key(4).child("step", step)).gradient
        assert cost.spent["gradient" if method == "pathwise" else "value"] == jumps.SAMPLES
        at = at - jumps.RATES[name] * (g["mean"] if method == "score" else g)
    moved = rows[2]["at"] != rows[0]["at"]
    assert moved == (method != "pathwise" or name in jumps.CURVES)  # the gates are flat but for their edges


@pytest.mark.parametrize("name", jumps.CURVES)
def test_jumps_found_by_bisection_are_what_the_pathwise_gradient_misses(name):
    problem, theta = jumps.CURVES[name], np.array([0.3, 0.7, 1.1])
    at = torch.from_numpy(theta)[:, None]
    missed = problem.smoothed_gradient(at, jumps.SIGMA) - problem.pathwise_gradient(at, jumps.SIGMA)
    np.testing.assert_allclose(jumps.jump_term(problem, theta), missed[:, 0].numpy(), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("steps", [77, 1_002])
def test_long_descents_of_which_no_row_would_tell_the_end_are_refused(steps):
    with pytest.raises(ValueError, match=f"--long must be a multiple of 77 from 1,001 on, got {steps}"):
        jumps.Config(long=steps).check()
    jumps.Config().check()
    jumps.Config().faster().check()

"""Policy gradients of the linear system that contrast.py compares: each is what it says."""

import math
from dataclasses import replace
from itertools import islice

from experiments.agents import contrast
from experiments.agents import policy_gradients as lqr
from experiments.common.frame import Judge

import numpy as np
import pytest
import torch

from rllab import Key


def gains_after(steps):
    """Return the policy after a few steps of the descent, whose 400 take seconds."""
    return next(islice(lqr.descent(), steps, None))


def test_policies_stand_along_the_descent_at_steps_that_grow_by_a_factor():
    few = lqr.policies(last=16)  # a factor of √2: rounded, the steps are 0 and 1, 1, 2, 3, 4, 6, 8, 11, 16
    for gains, step in zip(few, (0, 1, 2, 3, 4, 6, 8, 11, 16), strict=True):
        assert torch.equal(gains, gains_after(step))
    assert (lqr.task().value(few).diff() < 0).all()


@pytest.mark.slow
def test_costs_to_go_add_up_to_the_cost_of_a_run():
    problem = lqr.task()
    runs = lqr.simulated(problem, gains_after(9), 7, Key(0))
    to_go = lqr.costs_to_go(problem, runs)
    torch.testing.assert_close(to_go[:, 0], runs.cost, rtol=1e-12, atol=1e-12)


def test_the_exact_critic_gives_the_exact_policy_gradient():
    problem, gains, n = lqr.task(), gains_after(4), 4000
    runs, true = lqr.simulated(problem, gains, n, Key(0)), problem.critic(gains)

    def slope(x, u):
        return torch.stack([true.action_gradient(t, x[:, t], u[:, t]) for t in range(problem.horizon)], 1)

    pieces = [lqr.Trajectories(*(t[i : i + 40] for t in runs)) for i in range(0, n, 40)]
    g = torch.stack([lqr.backpropagated(problem, piece, slope) for piece in pieces])
    z = (g.mean(0) - problem.gradient(gains[None])[0]) / (g.std(0) / math.sqrt(len(g)))
    assert z.abs().max() < 8  # Student's t with 99 degrees: a false alarm in 10¹¹


def test_a_baseline_of_the_other_half_never_sees_its_own_costs():
    states = torch.randn(10, 20, 4, generator=Key(0).generator(), dtype=torch.float64)
    to_go = torch.randn(10, 20, generator=Key(1).generator(), dtype=torch.float64)
    before = lqr.crossed(states, to_go)
    to_go[:5] += 100
    after = lqr.crossed(states, to_go)
    assert torch.equal(before[:5], after[:5]) and not torch.equal(before[5:], after[5:])


def test_a_net_stops_where_its_error_on_episodes_held_out_is_least():
    problem, gains = lqr.task(), gains_after(20)
    runs = lqr.simulated(problem, gains, 60, Key(0))
    to_go = lqr.costs_to_go(problem, runs)
    made = lqr.fitted_net(problem, runs, to_go, Key(1), lqr.Settings(0.1, 1e-2, (16,)))
    assert 0 < made.minibatches < lqr.MOST and made.held_out < 0.5
    mixed = to_go.flatten()[torch.randperm(to_go.numel(), generator=Key(2).generator())].view(to_go.shape)
    noise = lqr.fitted_net(problem, runs, mixed, Key(1), lqr.Settings(0.1, 1e-2, (16,)))  # nothing to learn
    assert noise.held_out > 0.8


@pytest.mark.parametrize(("bias", "holds"), [(0.0, True), (0.05, False), (-0.05, False)])
def test_five_percent_too_much_or_too_little_are_caught(bias, holds):
    draws = np.random.default_rng(0)
    rows = [
        {
            "method": method,
            "share": 1 + bias + 0.005 * math.sqrt(600) * draws.normal(),
            **{f"g{i}": draws.normal() for i in range(8)},
        }
        for method in lqr.UNBIASED
        for _ in range(600)
    ]
    judge = Judge()
    contrast.judge_unbiased([type("Run", (), {"rows": rows})], contrast.Config(fast=True), judge)
    assert judge.verdicts == [holds] * len(lqr.UNBIASED)


def drawn(monkeypatch, tmp_path, config, cosines):
    """Return the figure that contrast.py draws of these cosines by number of steps, at every policy and seed."""
    config, figures = replace(config, out=tmp_path), []
    rows = [
        {"policy": p, "steps": steps, "method": method, "cosine": cosine + 0.001 * p}
        for p in contrast.SHOWN
        for steps, made in cosines.items()
        for method, cosine in made.items()
    ]
    runs = [type("Run", (), {"rows": rows, "config": {"part": "contrast"}}) for _ in range(config.seeds)]
    monkeypatch.setattr(contrast.plots, "save", lambda drawing, path: figures.append(drawing))
    contrast.figure(runs, config)
    return figures[0]


def test_the_title_says_what_the_data_say(monkeypatch, tmp_path):
    few = dict(zip(contrast.made_from(1_000), (0.5, 0.3, 0.8, 0.1, 0.9), strict=True))
    many = dict(zip(contrast.made_from(20_000), (0.8, 0.7, 0.9, 0.95, 0.6, 1.0), strict=True))
    title = lambda *given: drawn(monkeypatch, tmp_path, *given).get_suptitle()  # noqa: E731
    full = title(contrast.Config(seeds=5), {1_000: few, 20_000: many})
    assert full.startswith(f"{contrast.ANSWER}\nOpen: from 1,000 steps, filled: from 20,000; bars: 95 %")
    other = title(contrast.Config(seeds=5), {1_000: few, 20_000: many | {"smoothing": 0.99}})
    assert other.startswith("From 20,000 steps the gradient by smoothing is the nearest to the exact one\n")
    figure = drawn(monkeypatch, tmp_path, contrast.Config(seeds=2, fast=True), {1_000: few})
    assert figure.get_suptitle().startswith("2 seeds are too few to say which gradient is the best\nOpen: from 1,000")
    assert "filled" not in figure.get_suptitle() and "interval" not in figure.get_suptitle().partition("no ")[0]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == contrast.made_from(1_000)


def test_a_cell_is_made_alone_and_the_long_runs_come_with_the_whole_only():
    near = contrast.Config(policies=(9,), steps=(20_000,), seeds=3)
    near.check()
    jobs = list(contrast.jobs_of(near))
    assert [job.name for job in jobs] == ["contrast-1000", "contrast-1001", "contrast-1002"]
    assert {(*job.config["policies"], *job.config["steps"]) for job in jobs} == {(9, 20_000)}
    parts = [job.config["part"] for job in contrast.jobs_of(contrast.Config(seeds=3))]
    assert parts == ["contrast"] * 3 + ["unbiased"] * 10
    fast = list(contrast.jobs_of(contrast.Config(fast=True).faster()))
    assert [job.config["part"] for job in fast] == ["contrast", "contrast", "unbiased"]
    assert fast[0].config["policies"] == [0, 9] and fast[0].config["steps"] == [1_000]
    assert near.identity != contrast.Config(seeds=3).identity  # never in one folder


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"policies": (3,)}, "--policies must be some of 0, 9, got 3"),
        ({"policies": ()}, "--policies must be some of 0, 9, got none"),
        ({"steps": (20_000, 500)}, "--steps must be some of 1000, 20000, got 20000 500"),
        ({"steps": (1_000,), "seeds": 1}, "--seeds must be at least 2 with fewer --policies or --steps, got 1"),
    ],
)
def test_what_is_no_cell_is_refused_by_its_flag(flags, message):
    with pytest.raises(ValueError, match=message):
        contrast.Config(**flags).check()


@pytest.mark.parametrize(("bias", "holds"), [(0.0, True), (0.2, False)])
def test_a_cell_is_judged_by_the_exact_critic_and_drawn_under_its_place(bias, holds, monkeypatch, tmp_path):
    config, judge, figures = contrast.Config(policies=(9,), steps=(20_000,), seeds=30, out=tmp_path), Judge(), []
    draws = np.random.default_rng(0)
    runs = [type("Run", (), {"rows": [], "config": {"part": "contrast"}})() for _ in range(config.seeds)]
    for run in runs:
        for method in contrast.made_from(20_000):
            share = 1 + bias * (method == "exact critic") + 0.05 * draws.normal()
            made = {"cosine": 0.9, "error": 0.1, "share": share}
            run.rows.append({"policy": 9, "steps": 20_000, "method": method, **made})
    contrast.claims(runs, config, judge)
    assert judge.verdicts == [holds]
    said = " ".join(claim.text for claim in judge.claims)
    assert "20,000 steps, near the optimum, of the exact gradient along it" in said and "K = 0" not in said
    monkeypatch.setattr(contrast.plots, "save", lambda drawing, path: figures.append(drawing))
    contrast.figure(runs, config)
    assert [ax.get_title() for ax in figures[0].axes] == ["The gradient of a policy near the optimum"]

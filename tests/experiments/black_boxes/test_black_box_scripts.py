"""Scripts on black boxes and critics: what they count, predict and choose."""

import json
import math

from experiments.agents import contrast
from experiments.black_boxes import cut, learned_simulator, revealed
from experiments.common.frame import main
from experiments.common.tuning import choose

import pytest
import torch
from torch import nn

from rllab import Cost, Key


@pytest.mark.parametrize("name", revealed.METHODS)
def test_a_step_of_every_method_spends_its_price(name):
    net = revealed.network((64, 5, 10), Key(0))
    learner = revealed.Learner(name, net, 0.5, Key(1))
    x = torch.rand(revealed.BATCH, 64, generator=Key(2).generator())
    onehot = nn.functional.one_hot(torch.arange(revealed.BATCH) % 10, 10).float()
    for step in range(1, 3):
        learner.backward(x, onehot)
        assert learner.calls == step * learner.price
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("name", learned_simulator.METHODS)
def test_a_step_through_the_forest_spends_its_rows(name):
    net, ledger = learned_simulator.network(Key(0)), Cost(learned_simulator.cost_of)
    step = learned_simulator.learner(name, net, 0.3, ledger, Key(1))
    step(*learned_simulator.orders(learned_simulator.BATCH, Key(2).generator()))
    assert ledger.evaluations == learned_simulator.BATCH * (2 if name == learned_simulator.AT_WEIGHTS else 3)


def test_the_forest_is_flat_and_reads_its_wines():
    assert learned_simulator.flatness(Key(3)) >= 0.95
    data = learned_simulator.wine().standardised()
    growers = nn.functional.one_hot(data.y, 3).double()
    assert learned_simulator.cost_of(data.x, growers).mean() < 0.1


class Run:
    def __init__(self, method, lr, reached, missed):
        self.config, self.summary = {"method": method, "lr": lr, "sigma": 1.0}, {"reached": reached, "missed": missed}


def test_the_setting_of_fewest_calls_is_chosen_and_else_the_nearest_miss(tmp_path):
    trials = [
        *(Run("reaches", 0.1, calls, 0) for calls in (50, 70)),
        *(Run("reaches", 0.2, calls, 0) for calls in (20, 30)),
        *(Run("reaches", 0.3, calls, missed) for calls, missed in ((None, 0.1), (10, 0))),
        Run("misses", 0.1, None, 0.5),
        Run("misses", 0.2, None, 0.2),
    ]
    path = tmp_path / "tuned.json"
    choose(trials, path, lambda runs: max(run.summary["missed"] for run in runs))
    chosen = json.loads(path.read_text())
    assert chosen["reaches"]["settings"] == chosen["misses"]["settings"] == {"lr": 0.2, "sigma": 1.0}
    assert [t["calls"] for t in chosen["reaches"]["trials"]] == [60, 25, None]


def script(monkeypatch, module, *arguments):
    """Run a script in this process; return its exit code."""
    monkeypatch.setattr("sys.argv", [module.__name__, *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main(module.Config, module.__doc__, module.jobs_of, module.run, module.claims, module.figure)
    return stop.value.code


@pytest.mark.parametrize("module", [revealed, learned_simulator])
def test_some_methods_alone_are_run_and_not_compared(monkeypatch, module, tmp_path, capsys):
    flags = ("--methods", "critic", "--seeds", 1, "--budget", 2_000, "--processes", 1)
    assert script(monkeypatch, module, *flags, "--out", tmp_path / "some") == 0
    assert "no more is judged of some methods alone" in capsys.readouterr().out
    assert script(monkeypatch, module, "--methods", "guessing", "--out", tmp_path / "none") == 2
    assert "--methods must be some of" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_the_forest_is_not_fitted_again_to_replot(monkeypatch, tmp_path):
    flags = ("--fast", "--methods", "critic", "--out", tmp_path)
    assert script(monkeypatch, learned_simulator, *flags) == 0
    monkeypatch.setattr(learned_simulator, "forest", None)
    assert script(monkeypatch, learned_simulator, *flags, "--replot") == 0


def test_costs_to_go_add_up_to_the_cost_of_a_run():
    problem = contrast.task()
    runs = contrast.simulated(problem, contrast.policies()[4], 7, Key(0))
    to_go = contrast.costs_to_go(problem, runs)
    torch.testing.assert_close(to_go[:, 0], runs.cost, rtol=1e-12, atol=1e-12)


def test_the_exact_critic_gives_the_exact_policy_gradient():
    problem, gains, n = contrast.task(), contrast.policies()[3], 4000
    runs, true = contrast.simulated(problem, gains, n, Key(0)), problem.critic(gains)

    def slope(x, u):
        return torch.stack([true.action_gradient(t, x[:, t], u[:, t]) for t in range(problem.horizon)], 1)

    pieces = [contrast.Trajectories(*(t[i : i + 40] for t in runs)) for i in range(0, n, 40)]
    g = torch.stack([contrast.backpropagated(problem, piece, slope) for piece in pieces])
    z = (g.mean(0) - problem.gradient(gains[None])[0]) / (g.std(0) / math.sqrt(len(g)))
    assert z.abs().max() < 8  # Student's t with 99 degrees: a false alarm in 10¹¹


def test_a_baseline_of_the_other_half_never_sees_its_own_costs():
    states = torch.randn(10, 20, 4, generator=Key(0).generator(), dtype=torch.float64)
    to_go = torch.randn(10, 20, generator=Key(1).generator(), dtype=torch.float64)
    before = contrast.crossed(states, to_go)
    to_go[:5] += 100
    after = contrast.crossed(states, to_go)
    assert torch.equal(before[:5], after[:5]) and not torch.equal(before[5:], after[5:])


def test_the_predicted_error_of_a_cut_is_that_of_a_linear_cost():
    # with one sample and one layer, C = a · (W x + b): g = a, J = (I ⊗ xᵀ, I): (‖a‖² ‖J‖_F² + ‖a J‖²)/‖a J‖²
    layer = nn.Linear(2, 3).double()
    x, y = torch.tensor([[0.5, -1.0]], dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64)
    truth = cut.gradient(layer, cut.costs(y, layer(x)).mean())
    predicted = cut.prediction(layer, nn.Identity(), x, y, truth)
    square = float(x.square().sum()) + 1
    assert predicted == pytest.approx((3 * square + square) / square)

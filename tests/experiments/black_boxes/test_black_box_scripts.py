"""Scripts on black boxes and critics: what they count, predict and choose."""

import json
from types import SimpleNamespace

from experiments.black_boxes import critic_quality, cut, learned_simulator, revealed
from experiments.common.frame import main
from experiments.common.tuning import best_tried, choose

import numpy as np
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
    step, _ = learned_simulator.learner(name, net, 0.3, ledger, Key(1))
    step(0, *learned_simulator.orders(learned_simulator.BATCH, Key(2).generator()))
    assert ledger.evaluations == learned_simulator.BATCH * (2 if name == learned_simulator.AT_WEIGHTS else 3)


def test_the_forest_is_flat_and_reads_its_wines():
    assert learned_simulator.flatness(Key(3)) >= 0.95
    data = learned_simulator.wine().standardised()
    growers = nn.functional.one_hot(data.y, 3).double()
    costs = learned_simulator.cost_of(data.x, growers)
    assert costs.mean() < 0.1
    sure = torch.as_tensor(learned_simulator.forest().predict_proba(data.x.numpy()))
    torch.testing.assert_close(costs, 1 - (sure * growers).sum(1), rtol=0, atol=1e-12)


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
    assert best_tried(path, ["misses", "reaches"]) == "reaches"


def script(monkeypatch, module, *arguments):
    """Run a script in this process; return its exit code."""
    monkeypatch.setattr("sys.argv", [module.__name__, *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main(module.Config, module.__doc__, module.jobs_of, module.run, module.claims, module.figure)
    return stop.value.code


@pytest.mark.slow
@pytest.mark.parametrize("module", [revealed, learned_simulator])
def test_some_methods_alone_are_run_and_not_compared(monkeypatch, module, tmp_path, capsys):
    flags = ("--methods", "critic", "--seeds", 1, "--budget", 2_000, "--processes", 1)
    assert script(monkeypatch, module, *flags, "--out", tmp_path / "some") == 0
    assert "no more is judged of some methods alone" in capsys.readouterr().out
    assert script(monkeypatch, module, "--methods", "guessing", "--out", tmp_path / "none") == 2
    assert "--methods must be some of" in capsys.readouterr().err and not (tmp_path / "none").exists()


@pytest.mark.slow
def test_the_forest_is_not_fitted_again_to_replot(monkeypatch, tmp_path):
    flags = ("--fast", "--methods", "critic", "--out", tmp_path)
    assert script(monkeypatch, learned_simulator, *flags) == 0
    monkeypatch.setattr(learned_simulator, "forest", None)
    assert script(monkeypatch, learned_simulator, *flags, "--replot") == 0


def test_what_a_radius_takes_away_from_waves_is_known():
    waves = critic_quality.Waves.drawn(3, 2.0, Key(0))
    x = critic_quality.points(4, 3, Key(1))
    # E f'(x + σu) by Gauss–Hermite quadrature, exact to rounding for so slow a wave
    nodes, weights = (torch.as_tensor(t) for t in np.polynomial.hermite_e.hermegauss(40))
    smoothed = sum(w * waves.gradient(x + 0.5 * u) for u, w in zip(nodes, weights / weights.sum(), strict=True))
    torch.testing.assert_close(waves.bias(x, 0.5), (smoothed - waves.gradient(x)).square().sum(1), rtol=1e-10, atol=0)


def test_the_critics_settings_are_those_of_least_error_in_the_trials():
    radii = {"smoothing": 0.5, "residual": 0.2}

    def trial(case, lr, error):
        rows = [
            {"method": method, "pairs": 16, "sigma": sigma, "error": abs(sigma - best) + (0 if lr == 3e-3 else sigma)}
            for method, best in radii.items()
            for sigma in critic_quality.SIGMAS
        ]
        return SimpleNamespace(config={"case": case, "lr": lr}, summary={"error": error}, rows=rows)

    records = [trial(case, lr, abs(lr - 3e-3)) for case in critic_quality.CASES for lr in critic_quality.RATES]
    assert critic_quality.chosen_of(records) == {case: {"lr": 3e-3, **radii} for case in critic_quality.CASES}


def test_the_predicted_error_of_a_cut_is_that_of_a_linear_cost():
    # with one sample and one layer, C = a · (W x + b): g = a, J = (I ⊗ xᵀ, I): (‖a‖² ‖J‖_F² + ‖a J‖²)/‖a J‖²
    layer = nn.Linear(2, 3).double()
    x, y = torch.tensor([[0.5, -1.0]], dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64)
    truth = cut.gradient(layer, cut.costs(y, layer(x)).mean())
    predicted = cut.prediction(layer, nn.Identity(), x, y, truth)
    square = float(x.square().sum()) + 1
    assert predicted == pytest.approx((3 * square + square) / square)

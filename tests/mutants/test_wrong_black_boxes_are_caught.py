"""Black boxes with one mistake each; a check that the right one passes must fail every one of them."""

import pytest
import torch

from rllab import estimators as est
from rllab.blackbox import BlackBox
from rllab.blackbox.asker import Asker
from rllab.blackbox.passes import Pass
from tests.blackbox import test_precision, test_saved

_pull, _factor, _weighted, _inputs_at, _copies = (
    Pass.pull,
    Pass._factor,
    Pass._weighted_outputs,
    Pass._inputs_at,
    Pass._copies,
)


def _forget_others(self, points, needed):
    made = list(_inputs_at(self, points, needed))
    return tuple(t if i in needed else torch.zeros_like(t) for i, t in enumerate(made))


MUTANTS = {
    "what arrives is forgotten": (
        "_weighted_outputs",
        lambda self, v, needed: _weighted(self, tuple(map(torch.ones_like, v)), needed),
    ),
    "what arrives at costs is forgotten": ("_factor", lambda self, v: torch.ones(())),
    "only the first output counts": (
        "_weighted_outputs",
        lambda self, v, needed: _weighted(self, (v[0], *map(torch.zeros_like, v[1:])), needed),
    ),
    "inputs swapped": (
        "pull",
        lambda self, v, needed: dict(zip(reversed(needed), _pull(self, v, needed).values(), strict=True)),
    ),
    "the others are forgotten": ("_inputs_at", _forget_others),
    "copies row by row": (
        "_copies",
        lambda self, tensors, rows: tuple(t.detach().repeat_interleave(rows // self.rows, 0) for t in tensors),
    ),
    "sum for mean": ("_factor", lambda self, v: _factor(self, v) * len(v)),
}


def check() -> None:
    g = torch.Generator().manual_seed(0)
    a, b, c = (torch.randn(4, 2, generator=g, dtype=torch.float64).requires_grad_() for _ in range(3))

    def f(x, y, z):
        return torch.sin(x) * y, (x * z).sum(1)

    def loss(out):
        return (out[0].sum(1) * out[1]).tanh().mean()

    box = BlackBox(f, est.CentralDifference(), 8, smooth=True, key=0)
    wanted = [a, b]
    mine = torch.autograd.grad(loss(box(a, b, c.detach())), wanted)
    exact = torch.autograd.grad(loss(f(a, b, c)), wanted)
    label = torch.tensor([3.0, 1.0, 4.0, 1.0], dtype=torch.float64)
    down = BlackBox(torch.sin, est.CentralDifference(), 4, downstream=lambda y, k: (y.sum(1) - k) ** 2, key=0)
    mine += torch.autograd.grad(down(a, context=(label,)).mean(), a)
    exact += torch.autograd.grad(((torch.sin(a).sum(1) - label) ** 2).mean(), a)
    for m, e in zip(mine, exact, strict=True):
        torch.testing.assert_close(m, e, rtol=1e-7, atol=1e-8)


def test_the_right_one_passes():
    check()


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_wrong_black_box_is_caught(mistake, monkeypatch):
    method, wrong = MUTANTS[mistake]
    monkeypatch.setattr(Pass, method, wrong)
    with pytest.raises(AssertionError):
        check()


def _narrow(self, z, seeds):
    return tuple(t.to(z[0]) for t in _evaluate(self, z, seeds))


def _forgets_its_state(self, who, saved):
    _restore(self, who, {**saved, "state": None})


_evaluate, _restore = Pass._evaluate, Asker.restore


@pytest.mark.parametrize("options", [{"scope": "cost"}, {"smooth": True}], ids=["cost", "local"])
def test_costs_that_are_narrowed_before_they_are_differenced_are_caught(options, monkeypatch):
    monkeypatch.setattr(Pass, "_evaluate", _narrow)
    with pytest.raises(AssertionError):
        test_precision.test_costs_are_differenced_as_wide_as_the_function_returns_them(options, torch.float32)


@pytest.mark.parametrize("kind", ["critic", "moving baseline"])
def test_a_loaded_black_box_that_forgot_what_it_learned_is_caught(kind, monkeypatch):
    monkeypatch.setattr(Asker, "restore", _forgets_its_state)
    with pytest.raises(AssertionError):
        test_saved.test_a_loaded_model_goes_on_bit_for_bit_with_its_ledger(kind)

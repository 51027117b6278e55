"""Black boxes that would be wrong without a word: modules that would not learn, workers that repeat each other."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import rllab
from rllab import estimators as est
from rllab.blackbox import BlackBox


def test_parameters_that_would_wait_for_a_gradient_in_vain_are_refused():
    net = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    cure = r"freeze them, function\.requires_grad_\(False\), or put what learns before the block or into downstream="
    with pytest.raises(ValueError, match=f"BlackBox 'Sequential': function must be a module without .*{cure}"):
        BlackBox(net, scope="cost", key=0)
    box = BlackBox(net.requires_grad_(False), scope="cost", key=0)
    x = torch.ones(4, 3, requires_grad=True)
    box(x).mean().backward()
    assert x.grad is not None
    nn.Sequential(nn.Linear(3, 3), box).requires_grad_(True)  # of the whole model
    with pytest.raises(ValueError, match="function must be a module without parameters to learn"):
        box(x)


def test_a_distribution_that_would_not_learn_is_refused_and_a_downstream_that_learns_is_not():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return rllab.Gaussian(x, self.scale.abs())

    with pytest.raises(ValueError, match="distribution must be a module without parameters to learn"):
        BlackBox(lambda z: z.sum(1), scope="cost", distribution=Noisy(), key=0)
    head = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    box = BlackBox(torch.floor, downstream=head, key=0)
    box(torch.ones(4, 3, requires_grad=True)).mean().backward()
    assert all(p.grad is not None for p in head.parameters())


class Simulated(Dataset):
    def __init__(self):
        self.box = BlackBox(lambda z: z.sum(1), scope="cost", key=0)

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return self.box(torch.full((1, 2), float(i)))


def test_workers_of_a_data_loader_may_not_repeat_each_others_passes():
    assert [float(y) for y in DataLoader(Simulated(), batch_size=None)] == [0, 2]
    with pytest.raises(RuntimeError, match=r"a worker of a DataLoader is refused, .* or use num_workers=0"):
        list(DataLoader(Simulated(), batch_size=None, num_workers=1))


DRAWN = {"distribution": rllab.Bernoulli, "relaxed": True}
KEPT_BY_ROW = {
    "relax": {"gradient": est.Relax(hidden=2), **DRAWN},
    "rebar": {"gradient": est.Rebar(learn_eta=True), **DRAWN},
    "lax": {"gradient": est.Lax(hidden=2), "distribution": lambda z: rllab.Gaussian(z, 1.0)},
    "moving baseline": {"gradient": est.ScoreFunction(baseline="moving"), **DRAWN},
    "SNES": {"gradient": est.SNES()},
    "xNES": {"gradient": est.xNES()},
    "PGPE": {"gradient": est.PGPE()},
}


def backward(box, rows):
    box(torch.ones(rows, 2, requires_grad=True)).mean().backward()


@pytest.mark.parametrize("kind", KEPT_BY_ROW)
def test_a_last_batch_that_is_smaller_is_refused_with_what_to_do_where_rows_keep_a_state(kind):
    box = BlackBox(lambda z: z.sum(1), evaluations=10, scope="cost", name="f", key=0, **KEPT_BY_ROW[kind])
    backward(box, 4)
    backward(box, 4)
    before = box.calls
    cure = r"keep to batches of 4 \(drop_last=True in a DataLoader\), or take an estimator without a state"
    with pytest.raises(ValueError, match=f"BlackBox 'f': .* state must .* got .*\\(4,.*: each row .* its own; {cure}"):
        backward(box, 3)
    assert box.calls == before + 3  # the rows of the forward pass
    box.gradient = est.GaussianSmoothing() if box.distribution is None else est.ScoreFunction()
    backward(box, 3)
    backward(box, 4)

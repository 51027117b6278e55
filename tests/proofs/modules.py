"""Every module of the library with states, and weights, to try it at."""

import torch

from rllab import backprop as bp

N = 3


def states(*shape, seed=0):
    return torch.randn(N, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


TORCH_NET = torch.nn.Sequential(
    torch.nn.utils.skip_init(torch.nn.Linear, 4, 3), torch.nn.GELU(), torch.nn.utils.skip_init(torch.nn.Linear, 3, 2)
).double()
with torch.no_grad():  # numbers of our own: torch's initial ones come from its global generator
    for i, parameter in enumerate(TORCH_NET.parameters()):
        parameter.copy_(torch.sin(torch.arange(parameter.numel()) * 1.7 + i).view(parameter.shape))


class TwoByTwo(torch.nn.Module):
    """Two states in, two out, mixed by one weight."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([0.3, -1.2, 0.8, 0.5], dtype=torch.float64))

    def forward(self, a, b):
        return torch.sin(self.w * a) * b[:, :4], (a * self.w).sum(1, keepdim=True) - b


def positive(z):
    return (z.sum(1) > 0).long()


LABELS = torch.tensor([2, 0, 3])
THREE = tuple(states(4, seed=k) for k in range(3))
CASES = [
    (bp.Linear(4, 3), states(4)),
    (bp.Linear(4, 3, bias=False), states(4)),
    (bp.Identity(), states(4)),
    (bp.ReLU(), states(4)),
    (bp.ReLU(slope_at_zero=0.25), states(4)),
    (bp.Tanh(), states(2, 3)),
    (bp.Sigmoid(), states(4)),
    (bp.Softplus(), states(4)),
    (bp.Add(), (states(4), states(4, seed=1))),
    (bp.Copy(), states(4)),
    (bp.Multiply(), (states(4), states(4, seed=1))),
    (bp.Max(), (states(4), states(4, seed=1))),
    (bp.Add(3), THREE),
    (bp.Copy(3), states(4)),
    (bp.Multiply(3), THREE),
    (bp.Max(3), THREE),
    (bp.Concatenate(), (states(4), states(2, seed=1))),
    (bp.Concatenate(3), (states(4), states(2, seed=1), states(3, seed=2))),
    (bp.Switch(positive, (bp.Linear(4, 3), bp.Linear(4, 3, bias=False))), states(4)),
    (bp.Repeat(lambda z: (z > 0.5).sum(1), bp.Linear(4, 4)), states(4)),
    (bp.LogSoftmax(), states(4)),
    (bp.Flatten(), states(2, 3)),
    (bp.Wrapped(TORCH_NET), states(4)),
    (bp.Wrapped(TwoByTwo(), inputs=2, outputs=2), (states(4), states(4, seed=1))),
    (bp.SquaredDistance(), (states(4), states(4, seed=1))),
    (bp.InnerProduct(), (states(4), states(4, seed=1))),
    (bp.CrossEntropy(), (states(4), LABELS)),
]
NO_GRADIENT = [(bp.NearestRow(5, 4), states(4)), (bp.ZeroOne(), (LABELS, LABELS))]


def weights(module):
    return module.initial(3) if module.size else None

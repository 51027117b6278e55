"""Adam: step by step what torch's optimiser does, and what the paper's algorithm does."""

import numpy as np
import torch

from rllab.agents.adam import Adam
from tests.proofs.numpy_adam import NumpyAdam


def gradients(n):
    g = torch.Generator().manual_seed(3)
    return [torch.randn(2, 5, generator=g, dtype=torch.float64) * 10.0 ** (k % 4 - 2) for k in range(n)]


def test_its_steps_are_those_of_torch_and_of_the_paper():
    w = torch.linspace(-1, 1, 10, dtype=torch.float64).view(2, 5)
    theirs, by_hand, paper = w.clone(), w.numpy().copy(), NumpyAdam(0.03)
    ours, torchs = Adam(w, 0.03), torch.optim.Adam([theirs], lr=0.03)
    for g in gradients(12):
        kept = g.clone()
        ours.step(g)
        theirs.grad = g.clone()
        torchs.step()
        by_hand = paper.step(by_hand, kept.numpy())
        assert torch.equal(g, kept)
        torch.testing.assert_close(w, theirs, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(w.numpy(), by_hand, rtol=1e-10)


def test_it_goes_on_from_its_state():
    w = torch.ones(2, 5, dtype=torch.float64)
    first = Adam(w, 0.1)
    for g in gradients(3):
        first.step(g)
    again = w.clone()
    second = Adam(again, 0.1)
    second.load_state_dict(first.state_dict())
    for g in gradients(2):
        first.step(g)
        second.step(g)
    assert torch.equal(w, again)


def test_where_nothing_was_learned_momentum_does_not_walk_on():
    w = torch.ones(2, 5)
    adam = Adam(w, 0.1)
    first, *_, last = (g.float() for g in gradients(3))
    adam.step(first)
    kept = w.clone(), {name: part.clone() for name, part in adam.state_dict().items()}
    adam.step(torch.zeros(2, 5))
    assert torch.equal(w, kept[0]) and all(torch.equal(part, kept[1][n]) for n, part in adam.state_dict().items())
    alone = torch.ones(2, 5)
    other = Adam(alone, 0.1)
    for g in (first, last):
        other.step(g)
    adam.step(last)
    assert torch.equal(w, alone)  # as if the zero had not been
    tiny = torch.zeros(2, 5)
    tiny[1, 2] = 1e-30
    adam.step(tiny)
    assert not torch.equal(w, alone)  # any other gradient moves

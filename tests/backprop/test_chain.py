"""Chains: their gradients are those of the same modules in a graph, and of autograd."""

import pytest
import torch

from rllab import backprop as bp


def chain_and_weights():
    modules = [bp.Linear(3, 5), bp.Tanh(), bp.Linear(5, 4, bias=False), bp.ReLU(), bp.Linear(4, 2), bp.Sigmoid()]
    flat = [f.initial(k) if f.size else None for k, f in enumerate(modules)]
    return bp.Chain(modules), [f.views(w) for f, w in zip(modules, flat, strict=True)]


def states(n, width, seed):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def empty_like(w):
    return [[torch.full_like(part, torch.nan) for part in views] for views in w]


def by_autograd(chain, x, w, v):
    leaves = [x.clone().requires_grad_(), *(part.clone().requires_grad_() for views in w for part in views)]
    rest, z = iter(leaves[1:]), leaves[0]
    for f, views in zip(chain.modules, w, strict=True):
        z = f._forward(z, [next(rest) for _ in views])
    return z.detach(), torch.autograd.grad(z, leaves, v)


def test_a_chain_has_the_gradients_of_autograd_whatever_was_in_its_buffers():
    chain, w = chain_and_weights()
    for n, seed in ((4, 0), (4, 1), (7, 2), (1, 3), (4, 4)):
        x, v, into = states(n, 3, seed), states(n, 2, seed + 9), empty_like(w)
        y, (g_x, *g_w) = by_autograd(chain, x, w, v)
        torch.testing.assert_close(chain.forward(x, w), y, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(chain.backward(v, into), g_x, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close([part for views in into for part in views], g_w, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(chain.backward(v), g_x, rtol=1e-12, atol=1e-13)  # the weights' left out
        again = empty_like(w)
        assert chain.backward(v, again, to_input=False) is None
        torch.testing.assert_close(again, into, rtol=0, atol=0)


def test_a_chain_gives_what_a_graph_of_its_modules_gives():
    graph = bp.mlp((3, 5, 4), activation="tanh", loss="squared_distance", dtype=torch.float64)
    modules = [block.module for block in graph.blocks[:-1]]
    x, y = states(6, 3, 0), states(6, 4, 1)
    chain, gradient = bp.Chain(modules), torch.zeros_like(graph.weights)
    w, into = ([graph.split(t)[b.name] for b in graph.blocks[:-1]] for t in (graph.weights, gradient))
    expected = graph.backward(x, y, variables="x")
    g = chain.backward(2 / 6 * (chain.forward(x, w) - y), into)
    torch.testing.assert_close(g, expected.by_variable["x"], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(gradient, expected.weights, rtol=1e-12, atol=1e-14)


def test_one_pointwise_function_after_another_keeps_what_the_first_needs_on_the_way_back():
    chain = bp.Chain([bp.Linear(3, 2), bp.Tanh(), bp.Sigmoid(), bp.ReLU()])
    w = [f.views(f.initial(7) if f.size else None) for f in chain.modules]
    x, v, into = states(4, 3, 0), states(4, 2, 1), empty_like(w)
    y, (g_x, *g_w) = by_autograd(chain, x, w, v)
    torch.testing.assert_close(chain.forward(x, w), y, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(chain.backward(v, into), g_x, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close([part for views in into for part in views], g_w, rtol=1e-12, atol=1e-13)


def test_arguments_of_a_chain_stay_as_they_were():
    chain, w = chain_and_weights()
    x, v = states(4, 3, 0), states(4, 2, 1)
    before = [x.clone(), v.clone(), *(part.clone() for views in w for part in views)]
    chain.forward(x, w)
    chain.backward(v, empty_like(w))
    torch.testing.assert_close([x, v, *(part for views in w for part in views)], before, rtol=0, atol=0)


@pytest.mark.parametrize("module", [bp.Add(), bp.Copy(), bp.NearestRow(2, 2), bp.CrossEntropy()], ids=str)
def test_modules_that_make_no_chain_are_named(module):
    with pytest.raises(ValueError, match=f"Chain: modules must be differentiable, .*{type(module).__name__}"):
        bp.Chain([bp.Tanh(), module])

"""MLP: a pure function of one vector of weights, equal to the network torch builds from modules."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from rllab import Key
from rllab import backprop as bp
from rllab.backprop.network import MLP, MLPChain
from tests.proofs.checks import fresh_state

SHAPES = pytest.mark.parametrize("sizes", ((3, 2), (3, 5, 2), (4, 6, 5, 1)), ids=str)
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}
activations = pytest.mark.parametrize("activation", ACTIVATIONS)
orders = pytest.mark.parametrize("inputs_first", (True, False))


def sequential(sizes, activation, w, inputs_first):
    """The same network of torch's modules, its weights read off w by hand."""
    parts, at = [], 0
    for i, o in itertools.pairwise(sizes):
        linear = nn.Linear(i, o, dtype=w.dtype)
        with torch.no_grad():
            linear.weight.copy_(w[at : at + i * o].view(i, o).T if inputs_first else w[at : at + i * o].view(o, i))
            linear.bias.copy_(w[at + i * o : at + i * o + o])
        at += i * o + o
        parts += [linear, ACTIVATIONS[activation]()]
    assert at == len(w)
    return nn.Sequential(*parts[:-1])


def random(*shape, key):
    return torch.randn(shape, dtype=torch.float64, generator=Key(key).generator())


@SHAPES
@activations
@orders
def test_it_is_the_network_of_torchs_modules(sizes, activation, inputs_first):
    mlp = MLP(sizes, activation, inputs_first)
    w, x = random(mlp.size, key=1).requires_grad_(), random(7, sizes[0], key=2)
    twin = sequential(sizes, activation, w.detach(), inputs_first)
    torch.testing.assert_close(mlp(w, x), twin(x), rtol=1e-13, atol=1e-13)
    (g,) = torch.autograd.grad(mlp(w, x).square().sum(), w)
    twin(x).square().sum().backward()
    by_layer = [(p.grad.T if p.ndim == 2 and inputs_first else p.grad).flatten() for p in twin.parameters()]
    torch.testing.assert_close(g, torch.cat(by_layer), rtol=1e-12, atol=1e-12)


@SHAPES
@activations
@orders
def test_many_networks_at_once_are_the_networks_one_by_one(sizes, activation, inputs_first):
    mlp = MLP(sizes, activation, inputs_first)
    w, x = random(5, mlp.size, key=3), random(5, 4, sizes[0], key=4)
    one_by_one = torch.stack([mlp(w[b], x[b]) for b in range(5)])
    torch.testing.assert_close(mlp(w, x), one_by_one, rtol=1e-13, atol=1e-13)


@SHAPES
@activations
@orders
def test_as_a_chain_of_modules_it_has_the_same_numbers_and_autograds_gradients(sizes, activation, inputs_first):
    mlp = MLP(sizes, activation, inputs_first)
    w, x, v = random(mlp.size, key=1), random(7, sizes[0], key=2), random(7, sizes[-1], key=3)
    chain, out = MLPChain(mlp), torch.full_like(w, torch.nan)
    torch.testing.assert_close(chain.forward(w, x), mlp(w, x), rtol=1e-13, atol=1e-13)
    g = chain.backward(v, out)  # writes through views, in the order of w
    leaves = w.clone().requires_grad_(), x.clone().requires_grad_()
    expected = torch.autograd.grad(mlp(*leaves), leaves, v)
    torch.testing.assert_close((out, g), expected, rtol=1e-12, atol=1e-13)


@SHAPES
@activations
def test_the_form_for_one_observation_in_numpy_gives_torchs_numbers(sizes, activation):
    mlp = MLP(sizes, activation)
    w, x = random(mlp.size, key=5), random(3, sizes[0], key=6)
    layers = mlp.on_arrays(w)
    for row in x:
        expected = mlp(w, row[None])[0].numpy()
        np.testing.assert_allclose(mlp.forward_array(layers, row.numpy()), expected, rtol=1e-12, atol=1e-13)


def test_its_arrays_follow_the_weights_they_came_from():
    mlp = MLP((2, 3, 1))
    w, x = mlp.initial_without_biases(0), np.array([0.3, -0.8], np.float32)
    layers = mlp.on_arrays(w.requires_grad_())
    before = mlp.forward_array(layers, x)
    with torch.no_grad():
        w.mul_(1.5)
    after = mlp.forward_array(layers, x)
    assert before != after
    np.testing.assert_allclose(after, mlp(w, torch.from_numpy(x)[None]).detach()[0], rtol=1e-6)


def test_without_biases_weights_begin_uniform_by_fan_in_and_biases_at_zero():
    mlp = MLP((50, 40, 30), inputs_first=True)
    w = mlp.initial_without_biases(Key(3), last=0.1)
    assert w.shape == (mlp.size,) and w.dtype == torch.float32
    (first, b1), (second, b2) = mlp.layers(w)
    assert first.shape == (50, 40) and second.shape == (40, 30) and not b1.any() and not b2.any()
    for weight, bound in ((first, 1 / math.sqrt(50)), (second, 0.1 / math.sqrt(40))):
        # max of n uniforms is below 0.95 of the bound with probability 0.95ⁿ <= 0.95¹²⁰⁰ < 1e-26
        assert 0.95 * bound < weight.abs().max() <= bound
        sd, n = bound / math.sqrt(3), weight.numel()
        assert abs(weight.mean()) < 6.2 * sd / math.sqrt(n)  # two-sided false-alarm rate 6e-10


def test_the_same_key_draws_the_same_weights_and_leaves_the_global_generators_alone():
    mlp, before = MLP((3, 4, 2)), fresh_state()
    for initial in (mlp.initial, mlp.initial_without_biases):
        w = initial(7)
        assert torch.equal(w, initial(Key(7))) and not torch.equal(w, initial(8))
    copies = mlp.initial_without_biases(7, copies=2)
    assert copies.shape == (2, mlp.size) and not torch.equal(copies[0], copies[1])
    assert fresh_state() == before


def test_it_begins_as_the_graph_of_the_same_network_and_key():
    graph, mlp = bp.mlp((3, 5, 2), activation="tanh", key=4), MLP((3, 5, 2), "tanh")
    assert torch.equal(mlp.initial(4), graph.weights)
    x = torch.randn(6, 3, generator=Key(1).generator())
    torch.testing.assert_close(mlp(graph.weights, x), graph.predict(x), rtol=1e-5, atol=1e-6)  # tanh in float32


@pytest.mark.parametrize("sizes", ((3,), (), (3, 0, 2), (-1, 2)), ids=str)
def test_impossible_sizes_are_named(sizes):
    with pytest.raises(ValueError, match="MLP: sizes must be two or more numbers >= 1, got"):
        MLP(sizes)


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match=r"MLP: activation must be one of .*'tanh', 'relu'.* got 'gelu'"):
        MLP((2, 1), "gelu")

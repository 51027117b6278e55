"""Passes made again: the same numbers as a pass from new, in the same tensors, nothing made on the way."""

import itertools

from experiments.common.random_graphs import random_graph

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rllab import backprop as bp
from tests.proofs.modules import CASES
from tests.proofs.small_graphs import X2, Y2


def test_what_is_reused_is_written_over_and_what_is_not_stays():
    graph = bp.mlp((2, 4, 3))
    batches = [(X2, Y2), (X2 + 1, Y2.flip(0)), (X2[:2], Y2[:2]), (X2.double(), Y2)]
    kept, reused = [], None
    for k, (x, y) in enumerate(batches):
        w = graph.weights.to(x.dtype) + k // 2
        kept.append(graph.backward(x, y, weights=w))
        before = reused
        reused = graph.backward(x, y, weights=w, reuse=reused)
        assert (reused is before) == (k == 1)  # only the second batch has the shapes of the one before
        for name, g in kept[-1].by_variable.items():
            assert torch.equal(reused.by_variable[name], g)
        assert torch.equal(reused.weights, kept[-1].weights) and torch.equal(reused.loss, kept[-1].loss)
    fresh = [graph.backward(x, y, weights=graph.weights.to(x.dtype) + k // 2) for k, (x, y) in enumerate(batches)]
    assert all(torch.equal(a.weights, b.weights) for a, b in zip(kept, fresh, strict=True))


@pytest.mark.parametrize("seed", range(30))
def test_reuse_changes_no_number_of_any_graph(seed):
    graph, observed = random_graph(seed)
    for weights_only in (False, True):
        reused = None
        for k in range(4):  # the third and fourth pass are replayed where modules keep to their buffers
            inputs = [t + 0.1 * k for t in observed]
            w = graph.weights if k < 3 else graph.weights + 0.1
            reused = graph.backward(*inputs, weights=w, weights_only=weights_only, reuse=reused)
            expected = graph.backward(*inputs, weights=w, weights_only=weights_only)
            assert torch.equal(reused.weights, expected.weights) and torch.equal(reused.loss, expected.loss)
            assert reused.by_variable.keys() == expected.by_variable.keys()
            assert all(torch.equal(reused.by_variable[name], g) for name, g in expected.by_variable.items())


def test_one_tensor_may_be_given_for_two_inputs_and_others_later():
    graph = bp.linear(3, 3)
    x, y = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    reused = graph.backward(x, x)
    for inputs in ((x, x), (y, x), (x, y), (y, y)):
        reused = graph.backward(*inputs, reuse=reused)
        assert torch.equal(reused.weights, graph.backward(*inputs).weights)


class NewTensors(TorchDispatchMode):
    """Counts operations, and those whose result is none of the tensors they were given."""

    def __init__(self):
        super().__init__()
        self.operations = self.new = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        self.new += not any(result is t for t in (*args, *(kwargs or {}).values()))
        return result


@pytest.mark.parametrize("n", (1, 3))
@pytest.mark.parametrize("activation", ("relu", "tanh"))
@pytest.mark.parametrize("fresh", (False, True))
@pytest.mark.parametrize("new_weights", (False, True))
def test_a_steady_pass_makes_no_tensor_and_no_view(n, activation, fresh, new_weights):
    graph = bp.mlp((2, 4, 3), activation=activation)
    reused, counts = None, []
    x, y = X2[:n], Y2[:n]
    for k in range(6):
        if fresh:
            x, y = X2[:n] + k, Y2[:n].clone()
        if new_weights:
            graph.weights = graph.weights - 0.1 * k
        with NewTensors() as made:
            reused = graph.backward(x, y, weights_only=True, reuse=reused)
        counts.append((made.operations, made.new))
        assert torch.equal(reused.weights, graph.backward(x, y, weights_only=True).weights)
    assert counts[0][1] > 10  # it can fail: the first pass makes all of them
    assert [new for _, new in counts[3:]] == [0, 0, 0]
    assert counts[3][0] < counts[0][0]


NEW_TENSORS = (
    bp.Wrapped,  # torch's own rules, and views of weights as parameters
    bp.Switch,  # as many rows as take a branch
    bp.Repeat,
    bp.LogSoftmax,  # one number a sample on the way back, Σ_j v_j
)


def judged(module, z):
    """A graph of the module, its outputs each weighed by an input of their shape unless it is a cost itself."""
    zs = z if isinstance(z, tuple) else (z,)
    y = module.forward(z, module.initial(3) if module.size else None)
    ys = y if isinstance(y, tuple) else (y,)
    names, observed = [f"z{k}" for k in range(len(zs))], list(zs)
    blocks = [bp.Block("module", module, tuple(names), tuple(f"y{k}" for k in range(len(ys))))]
    costs = [f"y{k}" for k in range(len(ys))]
    if ys[0].ndim > 1:
        costs = [f"C{k}" for k in range(len(ys))]
        for k, t in enumerate(ys):
            blocks.append(bp.Block(f"flat{k}", bp.Flatten(), (f"y{k}",), (f"f{k}",)))
            blocks.append(bp.Block(f"cost{k}", bp.InnerProduct(), (f"f{k}", f"v{k}"), (f"C{k}",)))
            names.append(f"v{k}")
            observed.append(t.flatten(1).sin())
    inputs = {name: not t.is_floating_point() for name, t in zip(names, observed, strict=True)}
    return bp.Graph(blocks, inputs, output="y0", cost=costs, key=3, dtype=torch.float64), observed


@pytest.mark.parametrize("module, z", CASES, ids=lambda c: type(c).__name__)
def test_a_steady_pass_of_any_module_makes_no_tensor_save_for_those_named(module, z):
    graph, observed = judged(module, z)
    reused, counts = None, []
    for k in range(6):
        inputs = [t + 0.01 * k if t.is_floating_point() else t for t in observed]
        with NewTensors() as made:
            reused = graph.backward(*inputs, reuse=reused)
        counts.append(made.new)
        expected = graph.backward(*inputs)
        assert torch.equal(reused.weights, expected.weights)
        assert all(torch.equal(reused.by_variable[name], g) for name, g in expected.by_variable.items())
    assert counts[0] > 0
    steady = counts[3:]
    assert all(steady) if isinstance(module, NEW_TENSORS) else steady == [0, 0, 0]


class Reserved(NewTensors):
    """Counts tensors whose memory is none of that of the tensors they were made of: views are not among them."""

    reserved = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = super().__torch_dispatch__(func, types, args, kwargs)
        memory = {t.untyped_storage().data_ptr() for t in (*args, *(kwargs or {}).values()) if torch.is_tensor(t)}
        self.reserved += torch.is_tensor(result) and result.untyped_storage().data_ptr() not in memory
        return result


@pytest.mark.parametrize(
    "order, batch", [("independent", 1), ("independent", 4), ("sequential", 4), ("sequential", 5), ("sequential", None)]
)
def test_a_steady_step_of_a_fit_reserves_no_memory(order, batch):
    graph, x = bp.mlp((2, 4, 3)), X2.repeat(4, 1).sin()
    y, an_epoch = torch.arange(12) % 3, -(-12 // (batch or 12))  # steps; with 5, the last is made of 2 samples

    def reserved(epochs):
        with Reserved() as by_fit:
            bp.fit(graph, x, y, sample_gradients=12 * epochs, key=0, batch=batch, order=order, eta=0.1, look=10**9)
        with Reserved() as by_order:
            for _ in itertools.islice(bp.minibatches(12, batch or 12, order=order, key=0), an_epoch * epochs):
                pass
        return by_fit.reserved - (by_order.reserved if batch else 0)

    assert reserved(8) == reserved(4) > 10


def test_a_module_that_keeps_no_buffer_is_called_again_in_every_pass():
    blocks = [
        bp.Block("own", bp.Linear(2, 3), ("x",), ("s",)),
        bp.Block("half", bp.Switch(lambda z: (z[:, 0] > 0).long(), (bp.Tanh(), bp.ReLU())), ("s",), ("z",)),
        bp.Block("cost", bp.CrossEntropy(), ("z", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": True}, output="z", cost="C", key=0)
    reused = None
    for k in range(6):
        reused = graph.backward(X2 + k, Y2, weights_only=True, reuse=reused)
        assert torch.equal(reused.weights, graph.backward(X2 + k, Y2, weights_only=True).weights)


def test_weights_changed_in_place_are_seen_by_a_pass_that_is_made_again():
    graph = bp.mlp((2, 4, 3))
    reused = graph.backward(X2, Y2, weights_only=True)
    for _ in range(3):
        graph.weights -= 0.1 * reused.weights
        reused = graph.backward(X2, Y2, weights_only=True, reuse=reused)
        assert torch.equal(reused.weights, graph.backward(X2, Y2, weights_only=True).weights)


def test_new_weights_are_copied_and_what_was_given_stays_as_it_was():
    graph = bp.mlp((2, 4, 3))
    given = [graph.weights + 0.1 * k for k in range(3)]
    kept, reused = [w.clone() for w in given], None
    for k in (0, 1, 2, 0, 1, 1, 2):
        reused = graph.backward(X2, Y2, weights=given[k], reuse=reused)
        assert torch.equal(reused.weights, graph.backward(X2, Y2, weights=given[k]).weights)
        given[k] -= 0.5  # in place, after and before a call with it
        kept[k] -= 0.5
        reused = graph.backward(X2, Y2, weights=given[k], reuse=reused)
        assert torch.equal(reused.weights, graph.backward(X2, Y2, weights=given[k]).weights)
    assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))


def test_a_pass_that_failed_can_be_made_again():
    graph = bp.mlp((2, 4, 3))
    reused = graph.backward(X2, Y2)
    for wrong in (Y2 + 1, Y2 + 1):
        with pytest.raises(ValueError, match=r"block 'cross_entropy' .* cannot compute"):
            graph.backward(X2, wrong, reuse=reused)
        for _ in range(2):
            reused = graph.backward(X2, Y2, reuse=reused)
            assert torch.equal(reused.weights, graph.backward(X2, Y2).weights)

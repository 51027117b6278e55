"""Passes made again: the same numbers as a pass from new, nothing made on the way, and no memory shared by results."""

import copy
import itertools
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from experiments.common.random_graphs import random_graph

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rllab import backprop as bp
from rllab.backprop.replay import Recorded, Tape
from tests.proofs.modules import CASES
from tests.proofs.small_graphs import X2, Y2

ROOT = Path(__file__).parents[2]


def anew(graph, *observed, **how):
    """What a graph returns that has never made a pass: nothing was recorded."""
    return copy.deepcopy(graph).backward(*observed, **how)


def assert_same(g, expected):
    assert torch.equal(g.loss, expected.loss) and torch.equal(g.weights, expected.weights)
    assert g.by_variable.keys() == expected.by_variable.keys()
    assert all(torch.equal(g.by_variable[name], t) for name, t in expected.by_variable.items())


def memory(*gradients):
    """The addresses of the memory that each holds."""
    return [{t.untyped_storage().data_ptr() for t in (g.loss, *g.by_variable.values())} for g in gradients]


def test_results_of_default_calls_share_no_memory_and_stay_as_they_were():
    graph = bp.mlp((2, 4, 3))
    written = graph.backward(X2, Y2, variables=graph.continuous)
    results, copies = [], []
    for k in range(12):
        x = X2 if k % 3 else X2 + 0.1 * k
        asked = graph.continuous if k % 4 else ()
        results.append(graph.backward(x, Y2, variables=asked))
        copies.append({name: g.clone() for name, g in results[-1].by_variable.items()})
        graph.backward(X2 - k, Y2, variables=graph.continuous, out=written)
        graph.weights -= 0.1 * results[-1].weights
    addresses = memory(*results, written, graph.backward(X2, Y2))
    assert not any(a & b for a, b in itertools.combinations(addresses, 2))
    arguments = {t.untyped_storage().data_ptr() for t in (X2, Y2, graph.weights)}
    assert not any(a & arguments for a in addresses)
    for g, kept in zip(results, copies, strict=True):
        assert all(torch.equal(g.by_variable[name], t) for name, t in kept.items())


def test_out_is_written_over_in_its_own_tensors_and_returned():
    graph = bp.mlp((2, 4, 3))
    for asked in ((), "x", graph.continuous):
        out = graph.backward(X2, Y2, variables=asked)
        tensors = [out.loss, out.weights, *out.by_variable.values()]
        for k in range(5):
            w = graph.weights + 0.1 * k
            assert graph.backward(X2 + k, Y2, weights=w, variables=asked, out=out) is out
            assert_same(out, anew(graph, X2 + k, Y2, weights=w, variables=asked))
        assert all(a is b for a, b in zip(tensors, [out.loss, out.weights, *out.by_variable.values()], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_a_pass_made_again_changes_no_number_of_any_graph(seed):
    graph, observed = random_graph(seed)
    for asked in ((), graph.continuous):
        out = graph.backward(*observed, variables=asked)
        for k in range(6):  # the last are replayed where modules keep to their buffers
            inputs = [t + 0.1 * k for t in observed]
            w = graph.weights if k < 5 else graph.weights + 0.1
            expected = anew(graph, *inputs, weights=w, variables=asked)
            assert_same(graph.backward(*inputs, weights=w, variables=asked), expected)
            assert_same(graph.backward(*inputs, weights=w, variables=asked, out=out), expected)


@pytest.mark.parametrize("seed", range(10))
def test_without_the_recorder_every_bit_is_the_same(seed, monkeypatch):
    graph, observed = random_graph(seed)

    def results():
        mine = copy.deepcopy(graph)
        found = [mine.backward(*observed, variables=mine.continuous) for _ in range(5)]
        out = mine.backward(*observed)
        return [*found, *(copy.deepcopy(mine.backward(*observed, out=out)) for _ in range(5))]

    recorded, begin, begun = results(), Tape.begin, []
    monkeypatch.setattr(Tape, "begin", lambda self, *, record: begun.append(record) or begin(self, record=False))
    monkeypatch.setattr(Tape, "replay", lambda self: pytest.fail("nothing is recorded"))
    for g, expected in zip(results(), recorded, strict=True):
        assert_same(g, expected)
    assert any(begun)  # it would have been recorded


def test_the_recorder_is_reached_through_its_face_and_by_few():
    importers = set()
    for path in ROOT.glob("rllab/**/*.py"):
        text = path.read_text()
        if path.parent.name != "replay" and "backprop.replay" in text:
            assert "backprop.replay." not in text, f"{path} reaches into the recorder"
            importers.add(path.relative_to(ROOT / "rllab").parts[0])
    assert importers <= {"backprop", "agents"}


def test_a_recorded_function_writes_what_it_writes_when_it_is_called():
    def descend(w, g):
        torch.mul(g, 0.5, out=g)
        w.sub_(g)

    w, g = torch.ones(3), torch.arange(3.0)
    plain, recorded = (w.clone(), g.clone()), (w.clone(), g.clone())
    step = Recorded(descend)
    for _ in range(5):
        descend(*plain)
        step(*recorded)
        assert all(torch.equal(a, b) for a, b in zip(plain, recorded, strict=True))


def test_one_call_keeps_nothing_and_copies_of_a_graph_keep_nothing():
    graph = bp.mlp((2, 4, 3))
    for n in (1, 2, 3):
        graph.backward(X2[:n], Y2[:n])
    assert set(graph._kept._by_kind.values()) == {None}
    for _ in range(4):
        g = graph.backward(X2, Y2)
    assert any(graph._kept._by_kind.values())
    for other in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert not other._kept._by_kind
        assert_same(other.backward(X2, Y2), g)


@pytest.fixture
def threads_that_take_turns_often():
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("threads_that_take_turns_often")
def test_threads_get_results_of_their_own():
    graph = bp.mlp((2, 40, 3))
    inputs = [X2 + 0.01 * k for k in range(200)]
    expected = [anew(graph, x, Y2).weights for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: graph.backward(x, Y2).weights, inputs))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_pass_of_inference_mode_is_not_made_again_outside_of_it():
    graph = bp.mlp((2, 4, 3))
    for k in range(10):
        with torch.inference_mode(k % 2 == 0):
            assert_same(graph.backward(X2 + k // 5, Y2), anew(graph, X2 + k // 5, Y2))


def test_a_tensor_whose_memory_was_exchanged_is_read_where_it_is_now():
    graph, w = bp.linear(2, 2), torch.nn.Parameter(torch.arange(4.0))
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    for k in range(12):
        assert_same(graph.backward(x, x + 1, weights=w), anew(graph, x, x + 1, weights=w.detach().clone()))
        if k % 4 == 3:
            w.data = torch.arange(4.0) + k
            x.t_()  # the same memory, read another way


def test_one_tensor_may_be_given_for_two_inputs_and_others_later():
    graph = bp.linear(3, 3)
    x, y = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    out = graph.backward(x, x)
    for inputs in ((x, x), (x, x), (x, x), (y, x), (x, y), (y, y)):
        expected = anew(graph, *inputs)
        assert_same(graph.backward(*inputs), expected)
        assert_same(graph.backward(*inputs, out=out), expected)


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
    x, y = X2[:n], Y2[:n]
    out, counts = graph.backward(x, y), []
    for k in range(6):
        if fresh:
            x, y = X2[:n] + k, Y2[:n].clone()
        if new_weights:
            graph.weights = graph.weights - 0.1 * k
        with NewTensors() as made:
            graph.backward(x, y, out=out)
        counts.append((made.operations, made.new))
        assert_same(out, anew(graph, x, y))
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
    out, counts = graph.backward(*observed, variables=graph.continuous), []
    for k in range(6):
        inputs = [t + 0.01 * k if t.is_floating_point() else t for t in observed]
        with NewTensors() as made:
            graph.backward(*inputs, variables=graph.continuous, out=out)
        counts.append(made.new)
        assert_same(out, anew(graph, *inputs, variables=graph.continuous))
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
    x = X2.repeat(4, 1).sin()
    y, an_epoch = torch.arange(12) % 3, -(-12 // (batch or 12))  # steps; with 5, the last is made of 2 samples

    def reserved(epochs):
        graph = bp.mlp((2, 4, 3))
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
    for k in range(8):
        assert_same(graph.backward(X2 + k, Y2), anew(graph, X2 + k, Y2))


def test_weights_changed_in_place_are_seen_by_a_pass_that_is_made_again():
    graph = bp.mlp((2, 4, 3))
    for _ in range(6):
        g = graph.backward(X2, Y2)
        assert_same(g, anew(graph, X2, Y2))
        graph.weights -= 0.1 * g.weights


def test_new_weights_are_copied_and_what_was_given_stays_as_it_was():
    graph = bp.mlp((2, 4, 3))
    given = [graph.weights + 0.1 * k for k in range(3)]
    kept, out = [w.clone() for w in given], graph.backward(X2, Y2)
    for k in (0, 0, 1, 2, 0, 1, 1, 2):
        for _ in range(2):
            expected = anew(graph, X2, Y2, weights=given[k])
            assert_same(graph.backward(X2, Y2, weights=given[k]), expected)
            assert_same(graph.backward(X2, Y2, weights=given[k], out=out), expected)
            given[k] -= 0.5  # in place, between and after calls with it
            kept[k] -= 0.5
    assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))


def test_a_pass_that_failed_can_be_made_again():
    graph = bp.mlp((2, 4, 3))
    out = graph.backward(X2, Y2)
    for how in ({}, {"out": out}):
        for _ in range(2):
            with pytest.raises(ValueError, match=r"block 'cross_entropy' .* cannot compute"):
                graph.backward(X2, Y2 + 1, **how)
            for _ in range(4):
                assert_same(graph.backward(X2, Y2, **how), anew(graph, X2, Y2))

"""What a graph refuses, in every engine: the error names block and variable."""

from typing import ClassVar

import pytest
import torch

from rllab import backprop as bp
from tests.proofs.small_graphs import ENGINES, X2, Y2, beside, cost_of


def test_inputs_say_whether_they_are_discrete():
    with pytest.raises(TypeError, match=r"inputs must say of each name whether it is discrete, .* got \('x', 'y'\)"):
        bp.Graph(beside()[0], ("x", "y"), output="k", cost="C", key=3)  # type: ignore[arg-type]


def test_what_has_no_gradient_says_why():
    blocks, inputs = beside()
    graph = bp.Graph(blocks, inputs, output="k", cost="C", key=3)
    g, of_weights = graph.backward(X2, Y2, variables=graph.continuous), graph.backward(X2, Y2)
    for answer in (g, of_weights, graph.backward(X2, Y2, engine="autograd")):
        with pytest.raises(ValueError, match="input 'y' is discrete, and has no gradient"):
            answer.row_grad("y")
        with pytest.raises(ValueError, match="variable 'k' of block 'nearest' is discrete, and has no gradient"):
            answer.row_grad("k")
        with pytest.raises(KeyError, match="there is no variable and no block 'nothing'"):
            answer.row_grad("nothing")
        with pytest.raises(KeyError, match="block 'cross_entropy' has no weights of its own"):
            answer.row_grad("cross_entropy")
    with pytest.raises(KeyError, match="variable 's' of block 'linear' is left out: ask for it"):
        of_weights.row_grad("s")
    assert torch.equal(of_weights.row_grad("linear"), g.row_grad("linear"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("y", "got input 'y', which is discrete"),
        (("s", "k"), "got variable 'k' of block 'nearest', which is discrete"),
        (("nothing",), "got 'nothing'"),
        ("linear", "got 'linear'"),
    ],
)
def test_what_has_no_gradient_cannot_be_asked_for(engine, asked, says):
    blocks, inputs = beside()
    graph = bp.Graph(blocks, inputs, output="k", cost="C", key=3)
    with pytest.raises(ValueError, match=f"variables must be continuous variables of the graph, {says}"):
        graph.backward(X2, Y2, variables=asked, engine=engine)


def test_a_wrong_out_is_named():
    graph, other = bp.mlp((2, 4, 3)), bp.mlp((2, 4, 3))
    mine = graph.backward(X2, Y2)
    kept = mine.weights.clone()
    for out in (
        "mine",
        mine.weights,
        other.backward(X2, Y2),
        graph.backward(X2[:2], Y2[:2]),
        graph.backward(X2, Y2, variables="x"),
        graph.backward(X2.double(), Y2, weights=graph.weights.double()),
        graph.backward(X2, Y2, engine="autograd"),
    ):
        with pytest.raises(
            ValueError, match=r"Graph\.backward: out must be what this graph's explicit engine returned"
        ):
            graph.backward(X2, Y2, out=out)
    for engine in ENGINES[1:]:
        with pytest.raises(
            ValueError, match=rf"Graph\.backward: out must be None for engine '{engine}', got Gradients"
        ):
            graph.backward(X2 + 1, Y2, engine=engine, out=mine)
    assert torch.equal(mine.weights, kept)


@pytest.mark.parametrize("engine", ENGINES)
def test_another_dtype_is_named_by_block_and_variable_whatever_the_engine(engine):
    graph, x = bp.mlp((2, 4, 3), "squared_distance"), X2
    message = r"block 'squared_distance' .* from 's2' \(3, 3\) torch.float32, 'y' \(3, 3\) torch.float64.* one dtype"
    with pytest.raises(ValueError, match=message):
        graph.backward(x, torch.ones(3, 3).double(), engine=engine)
    message = r"block 'linear1' .* 'x' \(3, 2\) torch.float64: .* weights of torch.float32"
    with pytest.raises(ValueError, match=message):
        graph.backward(x.double(), torch.ones(3, 3), engine=engine)
    for join in (bp.Add(), bp.Multiply(), bp.Max(), bp.Concatenate(), bp.InnerProduct()):
        with pytest.raises(ValueError, match=r"block 'f' .* must have one dtype"):
            cost_of(join).backward(x, x.double(), engine=engine)
    with pytest.raises(ValueError, match=r"block 'squared_distance' .* one dtype"):
        bp.fit(graph, x, torch.ones(3, 3).double(), sample_gradients=3, key=0, eta=0.1)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_torch_would_stretch_is_refused_whatever_the_engine(engine):
    graph = bp.mlp((3, 4, 2), "squared_distance")
    with pytest.raises(ValueError, match=r"block 'squared_distance' .* 'y' \(5, 1\) .* must have one shape"):
        graph.backward(torch.ones(5, 3), torch.ones(5, 1), engine=engine)


class Halved(bp.Module):
    """Takes float32 alone on the way back."""

    def _forward(self, z, w, out=None):
        return z / 2

    def _vjp_state(self, v, z, w, y, out=None):
        return torch.mm(v, torch.eye(3, dtype=torch.float32)) / 2


def test_a_block_that_fails_on_the_way_back_is_named():
    blocks = [
        bp.Block("half", Halved(), ("x",), ("z",)),
        bp.Block("cost", bp.SquaredDistance(), ("z", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": False}, output="z", cost="C", key=0)
    x = torch.ones(2, 3).double()
    message = r"block 'half' \(Halved\) cannot pass the gradient of 'z' \(2, 3\) torch.float64 back to 'x' \(2, 3\)"
    with pytest.raises(ValueError, match=message):
        graph.backward(x, x, variables="x")


class Affine(bp.Module):
    """f(z) = w z + 1; right, unless one of the methods below stands in for its own."""

    shapes: ClassVar = {"w": ()}

    def _forward(self, z, w, out=None):
        return w[0] * z + 1

    def _vjp_state(self, v, z, w, y, out=None):
        return w[0] * v

    def _vjp_weights(self, v, z, w, y, out):
        out[0].copy_((v * z).sum())


def by_numpy(self, z, w, out=None):
    z.numpy()[:] *= 2  # which torch does not count
    return w[0] * z + 1


WRITES = {
    "z in _forward": lambda self, z, w, out=None: z.mul_(w[0]).add_(1),
    "z in _forward ": by_numpy,
    "w in _forward": lambda self, z, w, out=None: w[0].abs_() * z + 1,
    "v in _vjp_state": lambda self, v, z, w, y, out=None: v.mul_(w[0]),
    "y in _vjp_state": lambda self, v, z, w, y, out=None: y.copy_(w[0] * v),
    "z in _vjp_weights": lambda self, v, z, w, y, out: out[0].copy_(z.mul_(v).sum()) and None,
}


@pytest.mark.parametrize("where", WRITES)
def test_a_check_names_the_block_that_writes_into_its_arguments(where, monkeypatch):
    blocks = [
        bp.Block("affine", Affine(), ("x",), ("a",)),
        bp.Block("again", bp.Tanh(), ("x",), ("b",)),
        bp.Block("cost", bp.SquaredDistance(), ("a", "b"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False}, output="a", cost="C", key=0)
    x = torch.tensor([[0.5, -1.0], [2.0, 0.0]], dtype=torch.float64)
    kept = x.clone()
    assert bp.check_graph(graph, x).passed
    monkeypatch.setattr(Affine, where.split()[-1], WRITES[where])
    with pytest.raises(ValueError, match=rf"block 'affine' \(Affine\) writes into its argument {where.strip()}"):
        bp.check_graph(graph, x)
    assert torch.equal(x, kept)


HANDS_ON = [
    bp.Identity(),
    bp.Flatten(),
    bp.ReLU(),
    bp.Copy(),
    bp.Add(),
    bp.Multiply(),
    bp.Max(),
    bp.Concatenate(),
    bp.Switch(lambda z: (z.sum(1) > 0).long(), (bp.Identity(), bp.ReLU())),
    bp.Repeat(lambda z: (z.sum(1) > 0).long(), bp.ReLU()),
]


@pytest.mark.parametrize("module", HANDS_ON, ids=lambda m: type(m).__name__)
def test_what_is_made_of_a_discrete_variable_is_discrete(module):
    computes = ("k", "other")[: module.outputs]
    blocks = [
        bp.Block("hand_on", module, ("y",) * module.inputs, computes),
        bp.Block("again", bp.Identity(), ("k",), ("k2",)),
        bp.Block("continuous", module, ("x",) * module.inputs, tuple(f"x_{name}" for name in computes)),
        bp.Block("cost", bp.SquaredDistance(), ("x_k", "x_k"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": True}, output="k", cost="C", key=0, dtype=torch.float64)
    discrete = {name for name, v in graph.variables.items() if v.discrete}
    assert discrete == {"y", "k2", *computes}
    labels = torch.tensor([[1, 0], [2, 3], [0, 4]])
    assert not graph.predict(X2.double(), labels).is_floating_point()
    for engine in ENGINES:
        by_variable = graph.backward(X2.double(), labels, variables=graph.continuous, engine=engine).by_variable
        assert by_variable.keys() == {name for name in graph.variables if name not in discrete}
    with pytest.raises(ValueError, match="variable 'k2' of block 'again' is discrete"):
        graph.backward(X2.double(), labels).row_grad("k2")


def test_labels_that_were_handed_on_are_labels():
    net = bp.mlp((2, 4, 3), key=1)
    copied = [bp.Block("copy", bp.Copy(), ("y",), ("a", "b")), *net.blocks[:-1]]
    copied.append(bp.Block("cost", bp.CrossEntropy(), ("s2", "b"), ("C",)))
    graph = bp.Graph(copied, net.inputs, output="s2", cost="C", key=1)
    for engine in ENGINES[:2]:
        assert torch.equal(graph.backward(X2, Y2, engine=engine).weights, net.backward(X2, Y2, engine=engine).weights)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: circle("a", "b"), "in a circle: 'a' <- 'b' <- 'a'"),
        (lambda: circle("a", "a"), "in a circle: 'a' <- 'a'"),
        (lambda: bp.Graph([bp.Block("f", bp.Tanh(), ("z",), ("s",))], {"x": False}, output="s", cost="s", key=0),
         r"block 'f' reads \['z'\], which nobody computes"),
        (lambda: cost_of(bp.SquaredDistance(), "D"), "block 'f' reads 2 and computes 2 variables, its module 2 and 1"),
        (lambda: cost_of(bp.Copy(), "C"), r"block 'f' takes names that are in use: \['C'\]"),
        (lambda: cost_of(bp.Copy(), "x"), r"block 'f' takes names that are in use: \['x'\]"),
        (lambda: cost_of(bp.Copy(), "f"), r"block 'f' takes names that are in use: \['f'\]"),
        (lambda: bp.Graph([], {"x": False}, output="x", cost="C", key=0), "output and cost must be variables"),
        (lambda: sharing(bp.Linear(3, 2), "g"), r"shares of block 'f' must be a block of an equal module, .* got 'g'"),
        (lambda: sharing(bp.Linear(3, 3), "h"), r"'f' must be a block that has .* its own, one of \['g'\], got 'h'"),
        (lambda: cost_of(bp.Add()).backward(torch.ones(2, 3), torch.ones(2, 1)),
         r"block 'f' \(Add\) cannot compute \['C'\] from 'x' \(2, 3\) .* 'y' \(2, 1\) .*must have one shape"),
        (lambda: cost_of(bp.Linear(3, 1)).backward(torch.ones(2, 3), torch.ones(2)),
         r"cost, variable 'C' of block 'f', must be \(2,\), one number a sample, got \(2, 1\)"),
        (lambda: cost_of(bp.SquaredDistance()).backward(torch.ones(0, 3), torch.ones(0, 3)),
         "input 'x' must hold at least one sample, got none"),
        (lambda: bp.mlp((2, 3)).predict(X2, Y2, X2), r"Graph.predict: inputs are \('x', 'y'\), got 3 tensors"),
        (lambda: bp.Graph([bp.Block("f", bp.Wrapped(torch.nn.Identity()), ("y",), ("z",)),
                           bp.Block("g", bp.Linear(2, 1), ("x",), ("C",))],
                          {"x": False, "y": True}, output="z", cost="C", key=0).backward(X2, Y2, variables="z"),
         "variable 'z' of block 'f' is continuous, yet .* returned torch.int64"),
        (lambda: cost_of(bp.Linear(3, 1)).predict(torch.ones(2, 3, dtype=torch.float64)),
         r"block 'f' \(Linear\) cannot compute \['C'\] from 'x' \(2, 3\) torch.float64"),
        (lambda: cost_of(bp.Linear(3, 1)).predict(torch.ones(2, 3, dtype=torch.int64)),
         "input 'x' must be a tensor of floating point, sample first, got"),
        (lambda: bp.mlp((2, 3)).backward(X2, Y2.float()), "input 'y' must be a tensor of integers"),
        (lambda: bp.mlp((2, 3)).backward(X2), r"inputs must be \('x', 'y'\), got 1 tensors"),
        (lambda: bp.mlp((2, 3)).backward(X2, Y2 + 1), r"block 'cross_entropy' .* from 's1' .* 'y' \(3,\)"),
        (lambda: bp.mlp((2, 3)).backward(X2, Y2, weights=torch.zeros(3)), r"weights must be \(9,\), got \(3,\)"),
        (lambda: bp.mlp((2, 3)).backward(X2, Y2, engine="magic"), "engine must be one of .*, got 'magic'"),
        (lambda: bp.mlp((2, 3)).weights_of("nothing"), "block must be one of .* got 'nothing'"),
        (lambda: bp.mlp((2,)), r"MLP: sizes must be two or more numbers >= 1, got \(2,\)"),
    ],
)  # fmt: skip
def test_errors_name_the_block_and_the_variable(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class Scale(bp.Module):
    """One weight, which `_forward` takes in one of two ways; whoever inherits says `shapes`, or forgets it."""

    unpacks = False
    begins = torch.ones(1)

    def initial(self, key):
        return self.begins

    def _forward(self, z, w, out=None):
        if self.unpacks:
            (a,) = w
            return a * z
        return w[0] * z

    def _vjp_state(self, v, z, w, y, out=None):
        return w[0] * v


@pytest.mark.parametrize(
    ("begins", "got"),
    [(torch.tensor(1.0), r"a tensor \(\)"), (torch.ones(2), r"a tensor \(2,\)"), ({"a": 1.0}, r"\{'a': 1.0\}")],
)
def test_initial_weights_of_another_shape_are_said_to_be_of_initial(begins, got):
    module = type("Shaped", (Scale,), {"shapes": {"a": ()}, "begins": begins})()
    says = rf"block 'f' \(Shaped\): initial must return its weights as one flat tensor \(1,\), got {got}"
    with pytest.raises(ValueError, match=says):
        cost_of(module)


@pytest.mark.parametrize("unpacks", [False, True])
def test_a_module_that_forgets_its_shapes_is_told_that_it_has_no_weights(unpacks):
    module = type("Shapeless", (Scale,), {"unpacks": unpacks, "begins": torch.ones(0)})()
    with pytest.raises(
        ValueError, match=r"block 'f' \(Shapeless\) cannot .*; it has no weights, as it says no `shapes`"
    ):
        cost_of(module).predict(torch.ones(2, 3))


def circle(first, second):
    reads = {"a": "b_out", "b": "a_out"} if first != second else {"a": "a_out"}
    blocks = [bp.Block(name, bp.Tanh(), (read,), (f"{name}_out",)) for name, read in reads.items()]
    return bp.Graph(blocks, {"x": False}, output="a_out", cost="a_out", key=0)


def sharing(module, name):
    blocks = [
        bp.Block("g", bp.Linear(3, 3), ("x",), ("s",)),
        bp.Block("h", bp.Linear(3, 3), ("x",), ("r",), shares="g"),
        bp.Block("f", module, ("s",), ("C",), shares=name),
    ]
    return bp.Graph(blocks, {"x": False}, output="s", cost="C", key=0)

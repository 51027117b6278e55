"""Graphs: explicit gradients against autograd and differences, on 100 random DAGs and on networks."""

import itertools

from experiments.common.random_graphs import random_graph, values_of

import pytest
import torch

from rllab import backprop as bp
from rllab.backprop.engines import central_difference
from tests.proofs.small_graphs import ENGINES, X2, Y2, beside


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 100, 20))  # 40 are enough to catch every mistake of tests/mutants
def test_all_engines_agree_for_every_variable_of_random_dags(start):
    for seed in range(start, start + 20):
        graph, observed = random_graph(seed)
        check = bp.check_graph(graph, *observed)
        assert check.passed, f"graph {seed}\n{check}"


def test_an_mlp_has_the_gradients_of_autograd_and_of_differences():
    graph = bp.mlp(sizes=(6, 5, 4), loss="cross_entropy")
    x, y = torch.randn(3, 6, generator=torch.Generator().manual_seed(1)), torch.tensor([1, 3, 0])
    check = bp.check_graph(graph, x, y)
    assert check.passed and set(check.errors) == {"x", "s1", "z1", "s2", "C", "linear1", "linear2"}
    assert graph.backward(x, y).weights.dtype == torch.float32
    assert torch.equal(graph.predict(x), graph.predict(x, y))


def test_a_gradient_through_a_discrete_choice_is_refused_by_name():
    blocks = [
        bp.Block("nearest", bp.NearestRow(3, 2), ("x",), ("k",)),
        bp.Block("zero_one", bp.ZeroOne(), ("k", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": True}, output="k", cost="C", key=0)
    for asked, below in (("x", "'x'"), ((), "its weights")):
        with pytest.raises(ValueError, match=f"no gradient passes block 'nearest' to {below}"):
            graph.backward(torch.zeros(1, 2), torch.tensor([1]), variables=asked)


def test_a_metric_without_a_gradient_beside_the_cost_is_no_obstacle():
    blocks, inputs = beside()
    graph = bp.Graph(blocks, inputs, output="k", cost="C", key=3)
    alone = bp.Graph(blocks[:2], inputs, output="s", cost="C", key=3)
    for engine in ("explicit", "autograd", "differences"):
        got = graph.backward(X2, Y2, variables=graph.continuous, engine=engine)
        expected = alone.backward(X2, Y2, engine=engine)
        torch.testing.assert_close(got.by_variable["linear"], expected.by_variable["linear"], rtol=1e-3, atol=1e-3)
        assert not got.by_variable["error"].any() and not got.by_variable["nearest"].any()
        assert "k" not in got.by_variable
    assert torch.equal(graph.backward(X2, Y2).weights[:9], alone.backward(X2, Y2).weights)


def test_labels_that_a_discrete_choice_of_the_net_made_are_refused():
    blocks, inputs = beside("k")
    blocks[1] = bp.Block("cross_entropy", bp.CrossEntropy(), ("s", "k"), ("C",))
    graph = bp.Graph(blocks, inputs, output="k", cost="C", key=3)
    for asked in ((), "x", graph.continuous):
        with pytest.raises(ValueError, match="no gradient passes block 'nearest' to 's'"):
            graph.backward(X2, Y2, variables=asked)


def test_a_choice_that_no_weight_lies_below_may_feed_the_cost_when_weights_alone_are_asked_for():
    rows = bp.Block("nearest", bp.NearestRow(3, 2), ("x",), ("k",))
    net = [bp.Block("linear", bp.Linear(2, 3), ("x",), ("s",)), bp.Block("c", bp.CrossEntropy(), ("s", "k"), ("C",))]
    graph = bp.Graph([rows, *net], {"x": False}, output="s", cost="C", key=0)
    with pytest.raises(ValueError, match="no gradient passes block 'nearest' to its weights"):
        graph.backward(X2)
    fixed = bp.Graph([bp.Block("sign", Sign(), ("x",), ("k",)), *net], {"x": False}, output="s", cost="C", key=0)
    assert fixed.backward(X2).weights.any()
    with pytest.raises(ValueError, match="no gradient passes block 'sign' to 'x'"):
        fixed.backward(X2, variables="x")


class Sign(bp.Module):
    differentiable = False
    discrete = True

    def _forward(self, z, w, out=None):
        return (z[:, 0] > 0).long()

    def _vjp_state(self, v, z, w, y, out=None):
        raise AssertionError


def test_the_order_in_which_blocks_are_given_changes_nothing():
    net = bp.mlp((2, 4, 3), activation="tanh", key=1)
    weights = {name: net.weights_of(name) for name in ("linear1", "linear2")}
    expected = net.backward(X2, Y2, variables=net.continuous).by_variable
    for blocks in itertools.permutations(net.blocks):
        graph = bp.Graph(blocks, net.inputs, output="s2", cost="C", key=1)
        assert [block.name for block in graph.blocks] == ["linear1", "tanh1", "linear2", "cross_entropy"]
        got = graph.backward(X2, Y2, variables=graph.continuous).by_variable
        assert all(torch.equal(got[name], g) for name, g in expected.items())
        assert all(torch.equal(graph.weights_of(n)["weight"], w["weight"]) for n, w in weights.items())


def tied(shares):
    middle = bp.Linear(3, 3)
    blocks = [
        bp.Block("first", middle, ("x",), ("s1",)),
        bp.Block("tanh", bp.Tanh(), ("s1",), ("z1",)),
        bp.Block("second", middle, ("z1",), ("s2",), shares="first" if shares else None),
        bp.Block("third", middle, ("s2",), ("s3",), shares="first" if shares else None),
        bp.Block("cost", bp.SquaredDistance(), ("s3", "y"), ("C",)),
    ]
    return bp.Graph(blocks, {"x": False, "y": False}, output="s3", cost="C", key=0, dtype=torch.float64)


def test_gradients_of_shared_weights_are_added():
    x, y = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shared, apart = tied(True), tied(False)
    assert shared.weights.numel() == 12 and apart.weights.numel() == 36
    parts = apart.backward(x, y, weights=shared.weights.repeat(3)).weights.view(3, 12)
    torch.testing.assert_close(shared.backward(x, y).weights, parts.sum(0), rtol=1e-12, atol=1e-12)
    of_outputs = shared.backward(x, y, variables=shared.continuous).by_variable
    values = values_of(shared, (x, y))
    middle, reads = bp.Linear(3, 3), {"s1": "x", "s2": "z1", "s3": "s2"}
    own = [middle.vjp_weights(of_outputs[s], values[z], shared.weights) for s, z in reads.items()]
    torch.testing.assert_close(torch.stack(own), parts, rtol=1e-12, atol=1e-12)
    assert bp.check_graph(shared, x, y).passed
    assert shared.weights_of("third")["weight"].data_ptr() == shared.weights.data_ptr()


def test_several_costs_are_added_and_several_outputs_returned():
    x, y = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    blocks = [
        bp.Block("body", bp.Linear(3, 3), ("x",), ("z",)),
        bp.Block("near", bp.SquaredDistance(), ("z", "y"), ("C",)),
        bp.Block("small", bp.SquaredDistance(), ("z", "zero"), ("D",)),
    ]
    inputs = dict.fromkeys(("x", "y", "zero"), False)
    both, c, d = (
        bp.Graph(blocks, inputs, output=("z", "D"), cost=cost, key=0, dtype=torch.float64)
        for cost in (("C", "D"), "C", "D")
    )
    zero = torch.zeros_like(x)
    g, parts = both.backward(x, y, zero), [one.backward(x, y, zero) for one in (c, d)]
    torch.testing.assert_close(g.loss, parts[0].loss + parts[1].loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(g.weights, parts[0].weights + parts[1].weights, rtol=1e-12, atol=1e-12)
    losses = [one.loss_per_sample(x, y, zero) for one in (both, c, d)]
    torch.testing.assert_close(losses[0], losses[1] + losses[2], rtol=1e-14, atol=0)
    z, judged = both.predict(x, y, zero)
    torch.testing.assert_close(judged, z.square().sum(1))
    with pytest.raises(ValueError, match=r"output \('z', 'D'\) needs input 'zero', which is missing"):
        both.predict(x, y)
    assert both.output == "z" and both.cost == "C"


@pytest.mark.parametrize("seed", range(12))
def test_the_gradient_of_the_mean_is_the_mean_of_the_samples_gradients(seed):
    graph, observed = random_graph(seed)
    whole, samples = graph.backward(*observed), range(len(observed[0]))
    alone = [graph.backward(*(t[p : p + 1] for t in observed)).weights.clone() for p in samples]
    torch.testing.assert_close(torch.stack(alone).mean(0), whole.weights, rtol=1e-10, atol=1e-12)


def test_a_samples_loss_does_not_depend_on_other_samples_inputs():
    graph, (x, u, y) = random_graph(4)
    j = torch.func.jacrev(lambda x: graph.loss_per_sample(x, u, y))(x)
    n = len(x)
    assert all((j[p, q] == 0).all() for p in range(n) for q in range(n) if p != q)


def test_one_function_can_be_isolated_and_the_rest_left_to_differences():
    graph = bp.mlp((2, 4, 3), activation="tanh", key=1, dtype=torch.float64)
    x = X2.double()
    g = graph.backward(x, Y2, variables=("x", "s1"))
    z = torch.tanh(x @ graph.weights_of("linear1")["weight"].T + graph.weights_of("linear1")["bias"])
    above = central_difference(graph.rest("z1", x, Y2), z)  # dC/dz, the rest a black box
    torch.testing.assert_close(above * (1 - z * z), g.by_variable["s1"], rtol=1e-6, atol=1e-9)
    assert float(graph.rest("z1", x, Y2)(z)) == pytest.approx(float(g.loss))
    torch.testing.assert_close(central_difference(graph.rest("x", x, Y2), x), g.by_variable["x"], rtol=1e-6, atol=1e-9)
    for name in ("y", "nothing"):
        with pytest.raises(ValueError, match=f"needs a continuous variable, got '{name}'"):
            graph.rest(name, x, Y2)


def test_a_gradient_as_a_row_vector_has_one_row():
    g = bp.mlp((2, 4, 3)).backward(X2, Y2, variables="s1")
    assert g.row_grad("s1").shape == (1, 12) and g.row_grad("linear1").shape == (1, 12)
    assert torch.equal(g.row_grad("s1").view(3, 4), g.by_variable["s1"])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_has_the_gradients_of_autograd_to_its_own_rounding(dtype):
    eps = torch.finfo(dtype).eps
    for loss, y in (("cross_entropy", Y2), ("squared_distance", X2 @ torch.ones(2, 3))):
        graph = bp.mlp((2, 4, 3), loss, activation="tanh", key=1, dtype=dtype)
        observed = [t.to(dtype) if t.is_floating_point() else t for t in (X2, y)]
        asked = graph.continuous
        explicit, autograd = (graph.backward(*observed, variables=asked, engine=engine) for engine in ENGINES[:2])
        exact = graph.backward(*(t.double() if t.is_floating_point() else t for t in observed),
                               weights=graph.weights.double(), variables=asked)  # fmt: skip
        for name, g in explicit.by_variable.items():
            assert g.dtype == dtype
            scale = exact.by_variable[name].abs().max()
            # a few roundings of numbers of this size, as in autograd's own
            assert (g.double() - exact.by_variable[name]).abs().max() < 16 * eps * scale
            assert (g.double() - autograd.by_variable[name].double()).abs().max() < 16 * eps * scale


def test_shapes_alone_can_be_had_on_the_meta_device():
    graph = bp.mlp((2, 4, 3))
    x, y, w = (t.to("meta") for t in (X2, Y2, graph.weights))
    real = graph.backward(X2, Y2, variables=graph.continuous)
    for _ in range(5):
        g = graph.backward(x, y, weights=w, variables=graph.continuous)
        assert {n: t.shape for n, t in g.by_variable.items()} == {n: t.shape for n, t in real.by_variable.items()}
        assert g.weights.device == g.loss.device == x.device


def test_the_linear_model_has_the_gradient_of_least_squares():
    graph = bp.linear(3, dtype=torch.float64)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.randn(5, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    # −2 (y − ȳ) x, averaged
    expected = (-2 * (y - graph.predict(x)) * x).mean(0)
    torch.testing.assert_close(graph.backward(x, y).weights, expected, rtol=1e-10, atol=1e-12)
    assert torch.equal(graph.predict(x), x @ graph.weights[:, None])


def test_the_nearest_neighbour_model_answers_the_row_and_has_no_gradient():
    graph = bp.nearest_neighbour(4, 2, key=1)
    rows = graph.weights_of("nearest")["rows"]
    assert graph.predict(rows.flip(0)).tolist() == [3, 2, 1, 0]
    assert graph.loss_per_sample(rows, torch.tensor([0, 1, 0, 3])).tolist() == [0, 0, 1, 0]
    with pytest.raises(ValueError, match="no gradient passes block 'nearest' to 'x'"):
        graph.backward(rows, torch.arange(4), variables="x")


def test_a_module_of_torch_with_several_states_is_a_block_like_any_other():
    blocks = [
        bp.Block("own", bp.Linear(3, 3), ("x",), ("s",)),
        bp.Block("torch", bp.Wrapped(torch.nn.Bilinear(3, 3, 2).double(), inputs=2), ("s", "u"), ("z",)),
        bp.Block("cost", bp.SquaredDistance(), ("z", "y"), ("C",)),
    ]
    inputs = dict.fromkeys(("x", "u", "y"), False)
    graph = bp.Graph(blocks, inputs, output="z", cost="C", key=0, dtype=torch.float64)
    with torch.no_grad():  # torch's initial numbers come from its global generator
        graph.weights.copy_(torch.sin(torch.arange(len(graph.weights)) * 1.7))
    x, u = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert bp.check_graph(graph, x, u, x[:, :2]).passed


def test_the_lectures_net_takes_a_batch_of_images_and_has_38910_weights():
    graph = bp.lecture_net()
    x, y = torch.randn(4, 3, 10, 20, generator=torch.Generator().manual_seed(2)), torch.tensor([9, 0, 4, 4])
    assert graph.predict(x).shape == (4, 10) and graph.weights.numel() == 38_910
    explicit, autograd = (graph.backward(x, y, variables=graph.continuous, engine=e) for e in ENGINES[:2])
    for name, g in explicit.by_variable.items():
        torch.testing.assert_close(g, autograd.by_variable[name], rtol=1e-4, atol=1e-7)  # float32
    assert explicit.by_variable["x"].shape == x.shape


@pytest.mark.parametrize("engine", ["explicit", "autograd"])
def test_what_is_asked_for_changes_no_number(engine):
    for seed in range(40):
        graph, observed = random_graph(seed)
        every = graph.backward(*observed, variables=graph.continuous, engine=engine)
        alone = graph.backward(*observed, engine=engine)
        assert alone.by_variable.keys() == every.by_variable.keys() - set(graph.continuous)
        for asked in ("x", ("out", "u"), graph.continuous[-2:]):
            some = graph.backward(*observed, variables=asked, engine=engine)
            assert some.by_variable.keys() == alone.by_variable.keys() | ({asked} if asked == "x" else set(asked))
            assert torch.equal(some.weights, every.weights) and torch.equal(some.weights, alone.weights)
            assert all(torch.equal(g, every.by_variable[name]) for name, g in some.by_variable.items())


def test_gradients_are_detached_whatever_the_arguments_require():
    graph = bp.mlp(sizes=(3, 2), loss="squared_distance")
    x, y = torch.ones(2, 3, requires_grad=True), torch.zeros(2, 2)
    g = graph.backward(x, y, weights=graph.weights.clone().requires_grad_(), variables=graph.continuous)
    assert not any(t.requires_grad for t in (g.loss, g.weights, *g.by_variable.values()))
    assert torch.equal(g.weights, graph.backward(x.detach(), y).weights)


@pytest.mark.parametrize("mistake", ["forgotten v", "wrong weights", None])
def test_a_failed_check_names_the_blocks_to_blame(mistake):
    class Cube(bp.Module):
        def _forward(self, z, w, out=None):
            return z**3

        def _vjp_state(self, v, z, w, y, out=None):
            return 3 * z**2 * (1 if mistake == "forgotten v" else v)

    class Scale(bp.Module):
        shapes = property(lambda self: {"a": ()})

        def _forward(self, z, w, out=None):
            return w[0] * z

        def _vjp_state(self, v, z, w, y, out=None):
            return w[0] * v

        def _vjp_weights(self, v, z, w, y, out):
            out[0].copy_((v * z).sum() * (2 if mistake == "wrong weights" else 1))

    blocks = [
        bp.Block("linear", bp.Linear(3, 2), ("x",), ("s",)),
        bp.Block("cube", Cube(), ("s",), ("z",)),
        bp.Block("scale", Scale(), ("z",), ("ȳ",)),
        bp.Block("cost", bp.SquaredDistance(), ("ȳ", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": False}, output="ȳ", cost="C", key=0)
    graph.weights = torch.linspace(0.5, 1.5, len(graph.weights))
    check = bp.check_graph(graph, torch.ones(4, 3), torch.zeros(4, 2))
    wrong = {"forgotten v": ("cube",), "wrong weights": ("scale",), None: ()}[mistake]
    assert check.passed is not bool(wrong) and check.blocks == wrong
    assert str(check).endswith(f"wrong products of block {wrong[0]}" if wrong else "passed")


def test_a_fault_of_no_block_is_said_to_be_none():
    from rllab.backprop.explicit import Pass

    graph = bp.Graph(
        [
            bp.Block("square", bp.Multiply(2), ("x", "x"), ("z",)),
            bp.Block("cost", bp.SquaredDistance(), ("z", "x"), ("C",)),
        ],
        {"x": False},
        output="z",
        cost="C",
        key=0,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pass, "_accumulate", lambda self, name, product: self.gradients.update({name: product}))
        check = bp.check_graph(graph, torch.full((2, 2), 3.0))
    assert not check.passed and check.blocks == ()
    assert str(check).endswith("FAILED\neach block's own products are autograd's")

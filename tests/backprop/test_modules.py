"""Every module's two Jacobians and vector–Jacobian products, against torch's own on the same forward."""

from typing import ClassVar

import pytest
import torch

from rllab import backprop as bp
from rllab.backprop import joins, pointwise
from rllab.backprop.engines import central_difference
from tests.proofs.modules import CASES, LABELS, NO_GRADIENT, TORCH_NET, N, positive, states, weights


def joined(y):
    """Outputs of a batch as one row a sample."""
    return torch.cat([t.reshape(len(t), -1) for t in (y if isinstance(y, tuple) else (y,))], 1)


def jacobian_by(rule, module, z, w, k):
    """∂f/∂z_k of each sample, (n, m, size of z_k), by a rule for whole batches; rows must not depend on others."""
    zs = z if isinstance(z, tuple) else (z,)

    def f(t):
        new = (*zs[:k], t, *zs[k + 1 :])
        return joined(module.forward(new if len(zs) > 1 else t, w))

    full = rule(f, zs[k]).flatten(3)  # (n, m, n, k)
    for p in range(N):
        assert all((full[p, :, q] == 0).all() for q in range(N) if q != p)
    return torch.stack([full[p, :, p] for p in range(N)])


def by_torch(f, z):
    return torch.func.jacrev(f)(z)


def by_differences(f, z):
    """Column by column."""
    y = f(z)
    rows = [central_difference(lambda t, i=i: f(t).flatten()[i], z) for i in range(y.numel())]
    return torch.stack(rows).view(*y.shape, *z.shape)


def test_every_module_is_among_the_cases():
    abstract = {bp.Module, pointwise.Pointwise, joins._Join}
    modules, found = set(), [bp.Module]
    while found:
        kind = found.pop()
        found += kind.__subclasses__()
        modules |= {kind} if kind.__module__.startswith("rllab.") else set()
    assert modules - abstract == {type(module) for module, _ in CASES + NO_GRADIENT}
    assert all(getattr(bp, kind.__name__) is kind for kind in modules - {joins._Join})


@pytest.mark.parametrize("module, z", CASES, ids=lambda c: type(c).__name__)
def test_both_jacobians_and_both_products_are_those_of_torch(module, z):
    w, zs = weights(module), z if isinstance(z, tuple) else (z,)
    y = module.forward(z, w)
    v = joined(y).new_tensor(range(1, 1 + joined(y).numel())).view(N, -1).sin()  # asymmetric
    parts = v.split([t[0].numel() for t in (y if isinstance(y, tuple) else (y,))], 1)
    shaped = [p.reshape(t.shape) for p, t in zip(parts, y if isinstance(y, tuple) else (y,), strict=True)]
    argument = tuple(shaped) if isinstance(y, tuple) else shaped[0]
    ours, products = module.jacobian_state(z, w), module.vjp_state(argument, z, w)
    for k, t in enumerate(zs):
        if not t.is_floating_point():
            assert ours[k] is None and products[k] is None
            continue
        truth = jacobian_by(by_torch, module, z, w, k)
        differences = jacobian_by(by_differences, module, z, w, k)
        torch.testing.assert_close(ours[k] if len(zs) > 1 else ours, differences, rtol=1e-6, atol=1e-8)
        product = products[k] if len(zs) > 1 else products
        torch.testing.assert_close(ours[k] if len(zs) > 1 else ours, truth, rtol=1e-10, atol=1e-12)
        assert product.shape == t.shape
        torch.testing.assert_close(product.flatten(1), torch.einsum("pm,pmk->pk", v, truth), rtol=1e-10, atol=1e-12)
    jacobian = module.jacobian_weights(z, w)
    assert jacobian.shape == (N, v.shape[1], module.size)
    if w is not None:
        truth = torch.func.jacrev(lambda u: joined(module.forward(z, u)))(w)
        differences = by_differences(lambda u: joined(module.forward(z, u)), w)
        torch.testing.assert_close(jacobian, differences, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(jacobian, truth, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(bp.Module.jacobian_weights(module, z, w), truth, rtol=1e-10, atol=1e-12)
        product = torch.einsum("pm,pmd->d", v, truth)
        torch.testing.assert_close(module.vjp_weights(argument, z, w), product, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("module, z", CASES, ids=lambda c: type(c).__name__)
def test_weights_gradient_is_the_sum_of_those_of_the_samples(module, z):
    if module.size:
        w = weights(module)
        y = module._forward(z, module.views(w))
        v = tuple(t.cos() for t in y[: module.outputs]) if module.outputs > 1 else y.cos()
        of_samples = torch.einsum("pm,pmd->pd", joined(v), module.jacobian_weights(z, w))
        torch.testing.assert_close(module.vjp_weights(v, z, w), of_samples.sum(0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("module, z", CASES, ids=lambda c: type(c).__name__)
def test_buffers_change_no_number_and_arguments_stay_as_they_were(module, z):
    views = module.views(weights(module))
    copies = tuple(t.clone() for t in z) if isinstance(z, tuple) else z.clone()
    y = module._forward(z, views)
    again = module._forward(z, views, module._forward(copies, views))
    torch.testing.assert_close(again, y, rtol=0, atol=0)
    kept_y = [t.clone() for t in (y if isinstance(y, tuple) else (y,))]
    shown = y[: module.outputs] if isinstance(y, tuple) else (y,)
    v = tuple(t.cos() for t in shown) if module.outputs > 1 else shown[0].cos()
    kept = tuple(t.clone() for t in v) if isinstance(v, tuple) else v.clone()
    g = module._vjp_state(v, z, views, y)
    expected = [None if t is None else t.clone() for t in (g if isinstance(g, tuple) else (g,))]
    reused = module._vjp_state(v, z, views, y, g)
    for a, b in zip(reused if isinstance(reused, tuple) else (reused,), expected, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)
    torch.testing.assert_close(
        (z, v, y if isinstance(y, tuple) else (y,)), (copies, kept, tuple(kept_y)), rtol=0, atol=0
    )


@pytest.mark.parametrize("module, z", NO_GRADIENT, ids=lambda c: type(c).__name__)
def test_a_module_without_a_gradient_says_so(module, z):
    with pytest.raises(ValueError, match=f"{type(module).__name__}: has no gradient"):
        module.vjp_state(torch.ones(N), z, weights(module))


def test_nearest_row_takes_the_lowest_of_equals():
    w = torch.tensor([3.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    assert bp.NearestRow(3, 2).forward(torch.tensor([[1.2, 0.3], [2.0, 0.0]]), w).tolist() == [1, 0]


def test_log_softmax_and_cross_entropy_are_finite_at_scores_of_a_thousand():
    z, y = torch.tensor([[1e3, -1e3, 0.0]], dtype=torch.float64), torch.tensor([1])
    assert bp.LogSoftmax().forward(z).tolist() == [[0.0, -2000.0, -1000.0]]
    assert bp.CrossEntropy().forward((z, y)).tolist() == [2000.0]
    g, _ = bp.CrossEntropy().vjp_state(torch.ones(1, dtype=torch.float64), (z, y))
    assert g.tolist() == [[1.0, -1.0, 0.0]]


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
def test_the_slope_of_relu_at_zero_is_the_one_chosen(slope):
    z = torch.tensor([[-1.0, 0.0, -0.0, 2.0]])
    assert bp.ReLU(slope_at_zero=slope).vjp_state(torch.full((1, 4), 2.0), z).tolist() == [[0, 2 * slope, 2 * slope, 2]]


def test_of_equals_the_first_takes_the_gradient_of_max_and_the_losers_get_exactly_none():
    z = (torch.tensor([[1.0, 2.0, 5.0]]), torch.tensor([[1.0, 3.0, 4.0]]), torch.tensor([[1.0, 3.0, 6.0]]))
    g = bp.Max(3).vjp_state(torch.tensor([[7.0, 8.0, 9.0]]), z)
    assert [t.tolist() for t in g] == [[[7, 0, 0]], [[0, 8, 0]], [[0, 0, 9]]]


def test_a_switch_takes_each_sample_down_its_own_branch_and_a_loop_stops_by_sample():
    z = torch.tensor([[1.0, 2.0], [-3.0, 1.0], [0.5, 0.0]])
    half = torch.tensor([0.5, 0.0, 0.0, 0.5])
    switch = bp.Switch(positive, (bp.Identity(), bp.Linear(2, 2, bias=False)))
    assert switch.forward(z, half).tolist() == [[0.5, 1.0], [-3.0, 1.0], [0.25, 0.0]]
    repeat = bp.Repeat(lambda z: torch.tensor([0, 3, 1]), bp.Linear(2, 2, bias=False))
    assert repeat.forward(z, half).tolist() == [[1.0, 2.0], [-0.375, 0.125], [0.25, 0.0]]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: bp.Add(1), "Add: inputs must be an integer >= 2, got 1"),
        (lambda: bp.Copy(1), "Copy: outputs must be an integer >= 2, got 1"),
        (lambda: bp.ReLU(1.5), r"ReLU: slope_at_zero must be in \[0, 1\], got 1.5"),
        (lambda: bp.Linear(0, 1), "Linear: fan_in must be an integer >= 1, got 0"),
        (lambda: bp.Wrapped(TORCH_NET, inputs=0), "Wrapped: inputs must be an integer >= 1, got 0"),
        (lambda: bp.Switch(positive, ()), "Switch: needs a module"),
        (lambda: bp.Switch(positive, (bp.Add(),)), "Switch: modules must be differentiable, one state in"),
        (lambda: bp.Repeat(positive, bp.NearestRow(2, 2)), "Repeat: modules must be differentiable"),
        (lambda: bp.Add().forward((states(4), states(3))), r"Add: states must have one shape, got \(3, 4\), \(3, 3\)"),
        (lambda: bp.Add().forward((states(4), states(1))), "Add: states must have one shape"),
        (lambda: bp.Multiply().forward((states(4), states(1))), "Multiply: states must have one shape"),
        (lambda: bp.Max().forward((states(4), states(1))), "Max: states must have one shape"),
        (lambda: bp.SquaredDistance().forward((states(4), states(1))), "SquaredDistance: states must have one shape"),
        (lambda: bp.SquaredDistance().forward((LABELS, LABELS)), "SquaredDistance: states must be floating point"),
        (
            lambda: bp.SquaredDistance().forward((states(4), states(4).float())),
            "SquaredDistance: states must have one dt",
        ),
        (
            lambda: bp.Linear(4, 3).forward(states(4), torch.zeros(15)),
            "Linear: .*float64 and weights of torch.float32",
        ),
        (
            lambda: bp.Add().forward((LABELS, LABELS.int())),
            "Add: states must have one dtype, got torch.int64, torch.int",
        ),
        (
            lambda: bp.Concatenate().forward((states(4), states())),
            r"Concatenate: states must be \(n, k, …\), alike but",
        ),
        (lambda: bp.Concatenate().forward((states(4), states(4, 2))), "Concatenate: .* alike but for k"),
        (lambda: bp.LogSoftmax().forward(states()), r"LogSoftmax: states must be \(n, k\), got \(3,\)"),
        (lambda: bp.CrossEntropy().forward((states(4), states(1))), "CrossEntropy: scores must be"),
        (
            lambda: bp.Linear(4, 3).forward(states(5), torch.zeros(15).double()),
            r"Linear: states must be \(n, 4\), got \(3, 5\)",
        ),
        (
            lambda: bp.NearestRow(4, 3).forward(states(1), torch.zeros(12).double()),
            r"NearestRow: states must be \(n, 3\)",
        ),
        (lambda: bp.Switch(lambda z: z[:, 0], (bp.Tanh(),)).forward(states(4)), "Switch: choose must return"),
        (lambda: bp.Switch(lambda z: -positive(z) - 1, (bp.Tanh(),)).forward(states(4)), "Switch: choose must return"),
        (lambda: bp.Repeat(lambda z: z[:, 0], bp.Tanh()).forward(states(4)), "Repeat: count must return"),
    ],
)
def test_errors_name_the_module_and_what_came(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_pointwise_function_with_weights_is_refused_when_it_is_defined():
    with pytest.raises(TypeError, match=r"Step: a Pointwise has no weights.*got `shapes`.*is a Module"):
        type("Step", (bp.Pointwise,), {"shapes": {"slope": ()}})


@pytest.mark.parametrize(
    "module, v, z, message",
    [
        (bp.Linear(4, 3), torch.ones(4, 3), states(4), r"Linear: v must be shaped as the output, \(3, 3\) of torch.f"),
        (bp.Tanh(), torch.ones(1, 4).double(), states(4), r"Tanh: v must be shaped .* \(3, 4\) .*, got \(1, 4\)"),
        (bp.Tanh(), torch.ones(3, 4), states(4), "Tanh: v must be shaped .* of torch.float64, got .* of torch.float32"),
        (bp.Copy(), torch.ones(3, 4).double(), states(4), "Copy: v must be shaped as the output"),
        (bp.SquaredDistance(), torch.ones(3, 4).double(), (states(4), states(4)), r"SquaredDistance: v .* \(3,\) of"),
    ],
)
def test_a_v_that_is_not_shaped_as_the_output_is_refused(module, v, z, message):
    for product in (module.vjp_state, module.vjp_weights):
        with pytest.raises(ValueError, match=message):
            product(v, z, weights(module))


def test_weights_of_a_wrong_size_meet_a_clear_error():
    with pytest.raises(ValueError, match=r"Linear: w must be a tensor \(15,\), got \(14,\)"):
        bp.Linear(4, 3).forward(states(4), torch.zeros(14))


ACTING_IN_TRAINING = [
    lambda: torch.nn.Dropout(),
    lambda: torch.nn.AlphaDropout(),
    lambda: torch.nn.BatchNorm1d(4),
    lambda: torch.nn.RReLU(),
    lambda: torch.nn.InstanceNorm1d(4, track_running_stats=True),
    lambda: skip(torch.nn.MultiheadAttention, 4, 2, dropout=0.5),
    lambda: skip(torch.nn.LSTM, 4, 4, 2, dropout=0.5),
    lambda: skip(torch.nn.TransformerEncoderLayer, 4, 2),
]


def skip(kind, *arguments, **more):
    """A torch module whose initial numbers were not drawn from the global generator."""
    with torch.device("meta"):
        return kind(*arguments, **more)


@pytest.mark.parametrize("make", ACTING_IN_TRAINING)
def test_a_torch_module_that_draws_or_mixes_rows_is_refused(make):
    module = make()
    for whole in (module, torch.nn.Sequential(module)):
        with pytest.raises(ValueError, match=r"Wrapped: \w+ must be in evaluation mode; call .eval\(\) on the module"):
            bp.Wrapped(whole)
    wrapped = bp.Wrapped(torch.nn.Sequential(module.eval()))
    module.train()
    with pytest.raises(ValueError, match="must be in evaluation mode"):
        wrapped.forward(states(4), torch.zeros(wrapped.size).double() if wrapped.size else None)
    with pytest.raises(ValueError, match="FractionalMaxPool2d draws"):
        bp.Wrapped(torch.nn.FractionalMaxPool2d(2, output_size=2).eval())


def test_a_wrapped_module_put_into_training_mode_is_refused_in_a_pass_made_again():
    dropout = torch.nn.Dropout().eval()
    blocks = [
        bp.Block("linear", bp.Linear(4, 4), ("x",), ("s",)),
        bp.Block("torch", bp.Wrapped(dropout), ("s",), ("z",)),
        bp.Block("cost", bp.SquaredDistance(), ("z", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": False}, output="z", cost="C", key=0, dtype=torch.float64)
    x = states(4)
    for _ in range(5):
        graph.backward(x, x)
    dropout.train()
    with pytest.raises(
        ValueError, match=r"block 'torch' \(Wrapped\) cannot compute .*Dropout must be in evaluation mode"
    ):
        graph.backward(x, x)


def wrapped_graph(module):
    blocks = [
        bp.Block("torch", bp.Wrapped(module), ("x",), ("z",)),
        bp.Block("cost", bp.SquaredDistance(), ("z", "y"), ("C",)),
    ]
    return bp.Graph(blocks, {"x": False, "y": False}, output="z", cost="C", key=0)


def test_buffers_of_a_wrapped_module_take_the_dtype_of_its_states():
    norm = torch.nn.BatchNorm1d(4).eval()
    norm.running_mean.copy_(torch.tensor([0.1, -0.4, 0.2, 0.9]))
    norm.running_var.copy_(torch.tensor([0.5, 1.4, 2.2, 0.9]))
    x, y = states(4), states(4, seed=1)
    assert bp.check_graph(wrapped_graph(norm), x, y).passed
    expected = torch.nn.functional.batch_norm(x, norm.running_mean.double(), norm.running_var.double())
    torch.testing.assert_close(bp.Wrapped(norm).forward(x, bp.Wrapped(norm).initial(0)), expected)
    assert norm.running_mean.dtype == torch.float32 and norm.num_batches_tracked == 0


@pytest.mark.parametrize("module", [torch.nn.ReLU(inplace=True), torch.nn.Sequential(torch.nn.ELU(inplace=True))])
def test_a_wrapped_module_that_works_in_place_leaves_its_state_alone(module):
    x, y = states(4), states(4, seed=1)
    kept = x.clone()
    assert bp.check_graph(wrapped_graph(module), x, y).passed
    assert torch.equal(bp.Wrapped(module).forward(x), module(x.clone()))
    assert torch.equal(x, kept)


def test_a_wrapped_module_of_integers_has_no_gradient_for_them():
    table = torch.nn.Embedding.from_pretrained(states(2)[:, :2], freeze=False)
    wrapped = bp.Wrapped(table)
    assert wrapped.vjp_state(torch.ones(2, 2).double(), torch.tensor([2, 0]), wrapped.initial(0)) is None
    g = wrapped.vjp_weights(torch.ones(2, 2).double(), torch.tensor([2, 0]), wrapped.initial(0))
    assert g.tolist() == [1, 1, 0, 0, 1, 1]


def test_a_product_by_the_weights_that_is_returned_instead_of_written_is_refused():
    class Returns(bp.Module):
        shapes: ClassVar = {"a": ()}

        def _forward(self, z, w, out=None):
            return w[0] * z

        def _vjp_state(self, v, z, w, y, out=None):
            return w[0] * v

        def _vjp_weights(self, v, z, w, y, out):
            return [(v * z).sum()]

    class Writes(Returns):
        def _vjp_weights(self, v, z, w, y, out):
            out[0].copy_((v * z).sum())

    z, w = torch.tensor([[1.0, 2.0]]), torch.ones(1)
    assert Writes().vjp_weights(torch.ones(1, 2), z, w).tolist() == [3.0]
    message = "Returns: _vjp_weights must write into out and return None"
    with pytest.raises(TypeError, match=message):
        Returns().vjp_weights(torch.ones(1, 2), z, w)
    for call in (lambda graph: graph.backward(z, z), lambda graph: bp.check_graph(graph, z, z)):
        with pytest.raises(ValueError, match=rf"block 'f' \(Returns\) .*{message}"):
            call(of_one(Returns()))
        call(of_one(Writes()))


def of_one(module):
    """A graph of one module and the squared distance."""
    blocks = [bp.Block("f", module, ("x",), ("ȳ",)), bp.Block("cost", bp.SquaredDistance(), ("ȳ", "y"), ("C",))]
    return bp.Graph(blocks, {"x": False, "y": False}, output="ȳ", cost="C", key=0)


def test_a_product_by_the_weights_that_is_written_in_another_shape_is_refused():
    class Turned(bp.Linear):
        def _vjp_weights(self, v, z, w, y, out):
            torch.mm(z.t(), v, out=out[0])  # torch warns, and gives `out` another shape

    x, y = torch.ones(4, 3), torch.ones(4, 2)
    with pytest.warns(UserWarning, match="was resized"):
        with pytest.raises(ValueError, match=r"block 'f' .*must write tensors \[\(2, 3\)\], wrote \[\(3, 2\)\]"):
            of_one(Turned(3, 2, bias=False)).backward(x, y)


def test_a_check_is_made_where_no_weight_is_0_or_1():
    class Over(bp.Module):
        shapes: ClassVar = {"a": ()}

        def initial(self, key):
            return torch.ones(1, dtype=torch.float64)

        def _forward(self, z, w, out=None):
            return z / w[0]

        def _vjp_state(self, v, z, w, y, out=None):
            return v / w[0]

        def _vjp_weights(self, v, z, w, y, out):
            out[0].copy_(-(v * y).sum())  # /a is forgotten

    graph, z = of_one(Over()), torch.tensor([[1.0, 2.0]])
    found = bp.check_graph(graph, z, 0 * z)
    assert not found.passed and found.blocks == ("f",) and graph.weights.tolist() == [1.0]
    assert bp.check_graph(graph, z, 0 * z, weights=graph.weights).passed  # there it is right

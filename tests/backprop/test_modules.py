"""Every module's two Jacobians and vector–Jacobian products, against torch's own on the same forward."""

import pytest
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
LABELS = torch.tensor([2, 0, 3])
CASES = [
    (bp.Linear(4, 3), states(4)),
    (bp.ReLU(), states(4)),
    (bp.Tanh(), states(2, 3)),
    (bp.Sigmoid(), states(4)),
    (bp.Softplus(), states(4)),
    (bp.Add(), (states(4), states(4, seed=1))),
    (bp.Copy(), states(4)),
    (bp.Multiply(), (states(4), states(4, seed=1))),
    (bp.Max(), (states(4), states(4, seed=1))),
    (bp.LogSoftmax(), states(4)),
    (bp.Flatten(), states(2, 3)),
    (bp.Wrapped(TORCH_NET), states(4)),
    (bp.SquaredDistance(), (states(4), states(4, seed=1))),
    (bp.CrossEntropy(), (states(4), LABELS)),
]
NO_GRADIENT = [(bp.NearestRow(5, 4), states(4)), (bp.ZeroOne(), (LABELS, LABELS))]


def weights(module):
    return module.initial(3) if module.size else None


def joined(y):
    """Outputs of a batch as one row a sample."""
    return torch.cat([t.reshape(len(t), -1) for t in (y if isinstance(y, tuple) else (y,))], 1)


def torch_jacobian(module, z, w, k):
    """∂f/∂z_k of each sample by torch, (n, m, size of z_k); rows must not depend on other samples."""
    zs = z if isinstance(z, tuple) else (z,)

    def f(t):
        new = (*zs[:k], t, *zs[k + 1 :])
        return joined(module.forward(new if len(zs) > 1 else t, w))

    full = torch.autograd.functional.jacobian(f, zs[k]).flatten(3)  # (n, m, n, k)
    for p in range(N):
        assert all((full[p, :, q] == 0).all() for q in range(N) if q != p)
    return torch.stack([full[p, :, p] for p in range(N)])


def test_every_module_is_among_the_cases():
    public = [getattr(bp, name) for name in dir(bp)]
    modules = {c for c in public if isinstance(c, type) and issubclass(c, bp.Module)} - {bp.Module, bp.Pointwise}
    assert modules == {type(module) for module, _ in CASES + NO_GRADIENT}


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
        truth = torch_jacobian(module, z, w, k)
        product = products[k] if len(zs) > 1 else products
        torch.testing.assert_close(ours[k] if len(zs) > 1 else ours, truth, rtol=1e-10, atol=1e-12)
        assert product.shape == t.shape
        torch.testing.assert_close(product.flatten(1), torch.einsum("pm,pmk->pk", v, truth), rtol=1e-10, atol=1e-12)
    jacobian = module.jacobian_weights(z, w)
    assert jacobian.shape == (N, v.shape[1], module.size)
    if w is not None:
        truth = torch.autograd.functional.jacobian(lambda u: joined(module.forward(z, u)), w)
        torch.testing.assert_close(jacobian, truth, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(bp.Module.jacobian_weights(module, z, w), truth, rtol=1e-10, atol=1e-12)
        product = torch.einsum("pm,pmd->d", v, truth)
        torch.testing.assert_close(module.vjp_weights(argument, z, w), product, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("module, z", CASES, ids=lambda c: type(c).__name__)
def test_buffers_change_no_number_and_arguments_stay_as_they_were(module, z):
    views = module.views(weights(module))
    copies = tuple(t.clone() for t in z) if isinstance(z, tuple) else z.clone()
    y = module._forward(z, views)
    again = module._forward(z, views, module._forward(copies, views))
    torch.testing.assert_close(again, y, rtol=0, atol=0)
    v = tuple(t.cos() for t in y) if isinstance(y, tuple) else y.cos()
    kept = tuple(t.clone() for t in v) if isinstance(v, tuple) else v.clone()
    g = module._vjp_state(v, z, views, y)
    expected = [None if t is None else t.clone() for t in (g if isinstance(g, tuple) else (g,))]
    reused = module._vjp_state(v, z, views, y, g)
    for a, b in zip(reused if isinstance(reused, tuple) else (reused,), expected, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)
    torch.testing.assert_close((z, v), (copies, kept), rtol=0, atol=0)


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


def test_weights_of_a_wrong_size_meet_a_clear_error():
    with pytest.raises(ValueError, match=r"Linear: w must be a tensor \(15,\), got \(14,\)"):
        bp.Linear(4, 3).forward(states(4), torch.zeros(14))


def test_a_torch_module_that_draws_or_mixes_rows_is_refused():
    with pytest.raises(ValueError, match="Dropout must be in evaluation mode"):
        bp.Wrapped(torch.nn.Dropout())
    bp.Wrapped(torch.nn.Dropout().eval())

"""BlackBox: gradients through it are those of the chosen estimator, exactly; what would be wrong is refused."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import rllab
from rllab import estimators as est
from rllab.blackbox import BlackBox

N = 5


def inputs(*widths: int, seed: int = 0) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(N, w, generator=g, dtype=torch.float64).requires_grad_() for w in widths]


def smooth(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.sin(a) * b.sum(1, keepdim=True), (a * a).sum(1) + b[:, 0]


def gradients(loss: torch.Tensor, *at: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(loss, at)


def test_differences_through_several_inputs_and_outputs_are_the_gradient_of_autograd():
    def loss(block):
        y, s = block(a, b)
        return (torch.tanh(y).sum(1) * s).mean()

    a, b = inputs(3, 2)
    box = BlackBox(smooth, est.CentralDifference(), 10, smooth=True, key=0)
    for mine, torchs in zip(gradients(loss(box), a, b), gradients(loss(smooth), a, b), strict=True):
        torch.testing.assert_close(mine, torchs, rtol=1e-8, atol=1e-9)
    assert box.last_estimate.evaluations == 10 and box.calls == N + 1 + N * 10  # one row for the check of rows


def test_an_input_that_needs_no_gradient_costs_no_evaluation():
    a, b = inputs(3, 2)
    box = BlackBox(smooth, est.CentralDifference(), 100, smooth=True, key=0)
    (box(a, b.detach())[1]).sum().backward()
    assert b.grad is None and box.last_estimate.gradient.shape == (N, 3) and box.last_estimate.evaluations == 6
    torch.testing.assert_close(a.grad, 2 * a.detach(), rtol=1e-8, atol=1e-9)


def test_nothing_but_the_output_is_evaluated_under_no_grad_and_in_evaluation_mode():
    a, b = inputs(3, 2)
    box = BlackBox(smooth, smooth=True, check_rows=False, key=0)
    with torch.no_grad():
        box(a, b)
    y, _ = box.eval()(a, b)
    assert not y.requires_grad and box.calls == 2 * N


def test_the_network_before_it_gets_its_exact_jacobian_times_the_very_estimate():
    net, x = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double(), torch.randn(N, 4).double()
    box = BlackBox(lambda y: torch.floor(4 * y).sum(1), est.GaussianSmoothing(0.3), 6, scope="cost", key=1)
    box(net(x)).mean().backward()
    g = box.last_estimate.gradient
    expected = gradients((net(x) * g).sum() / N, *net.parameters())
    for p, e in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, e, rtol=1e-12, atol=1e-14)


def test_blocks_in_series_and_in_parallel_multiply_and_add():
    (a,) = inputs(3)
    square = BlackBox(torch.square, est.CentralDifference(), 6, smooth=True, key=0)
    sine = BlackBox(torch.sin, est.CentralDifference(), 6, smooth=True, key=1)
    (g,) = gradients((sine(square(a)) + square(sine(a))).sum(), a)
    (truth,) = gradients((torch.sin(a * a) + torch.sin(a) ** 2).sum(), a)
    torch.testing.assert_close(g, truth, rtol=1e-7, atol=1e-8)


def test_any_shape_of_input_and_integer_inputs_and_numpy_and_single_rows():
    g = torch.Generator().manual_seed(2)
    image, label = torch.randn(N, 2, 3, generator=g).requires_grad_(), torch.arange(N)
    in_numpy = BlackBox(
        lambda z, k: z.numpy().sum((1, 2)) * k.numpy(), est.CentralDifference(), 12, scope="cost", key=0
    )
    in_numpy(image, label).sum().backward()
    expected = label.float()[:, None, None].expand(N, 2, 3)
    torch.testing.assert_close(image.grad, expected, rtol=1e-3, atol=1e-3)
    image.grad = None
    g = lambda z, k: float(z.sum()) * int(k)  # noqa: E731
    by_row = BlackBox(g, est.CentralDifference(), 12, scope="cost", batched=False, key=0)
    by_row(image, label).sum().backward()
    torch.testing.assert_close(image.grad, expected, rtol=1e-3, atol=1e-3)


def step(x: torch.Tensor) -> torch.Tensor:
    return (x > 0).double()


@pytest.mark.parametrize(("x", "t"), [(-0.1, 1.0), (0.1, 1.0), (-0.1, 0.3)])
def test_a_jump_before_a_curved_cost_is_right_to_the_cost_and_wrong_locally(x, t):
    # E (1[x + σu > 0] − t)² has the slope (1 − 2t) φ(x/σ)/σ
    sigma, rows = 0.5, 40_000
    truth = (1 - 2 * t) * math.exp(-(x**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    at = torch.full((rows, 1), x, dtype=torch.float64, requires_grad=True)
    whole = BlackBox(step, est.GaussianSmoothing(sigma), 2, downstream=lambda y: (y[:, 0] - t) ** 2, key=3)
    (g,) = gradients(whole(at).sum(), at)
    assert abs(g.mean() - truth) < 6.5 * g.std() / math.sqrt(rows)  # false alarm 1e-10
    local = BlackBox(step, est.GaussianSmoothing(sigma), 2, smooth=True, key=3)  # which it is not
    (wrong,) = gradients(((local(at) - t) ** 2).sum(), at)
    assert abs(wrong.mean() - truth) > 0.4 and (t != 0.3 or wrong.mean() * truth < 0)


def test_what_cannot_be_right_is_refused_at_construction():
    with pytest.raises(ValueError, match=r"BlackBox 'step': a block of a torch graph cannot see .* pass downstream="):
        BlackBox(step, key=0)
    with pytest.raises(ValueError, match="declare the block smooth=True"):
        BlackBox(step, scope="local", key=0)
    with pytest.raises(ValueError, match="downstream belongs to scope 'to_cost'"):
        BlackBox(step, scope="cost", downstream=step, key=0)
    with pytest.raises(ValueError, match=r"scope must be one of .*, got 'global'"):
        BlackBox(step, scope="global", key=0)
    with pytest.raises(TypeError, match=r"offers \['value'\], but Backprop needs \['gradient'\]; differentiable=True"):
        BlackBox(step, est.Backprop(), scope="cost", key=0)
    with pytest.raises(TypeError, match="function must be callable, got 3"):
        BlackBox(3, key=0)


@pytest.mark.parametrize(
    "loss",
    [lambda c: (c**2).mean(), lambda c: (torch.arange(N) * c).sum(), lambda c: c[0], lambda c: c.max()],
    ids=["squared", "weighted", "one row", "largest"],
)
def test_a_cost_that_is_not_just_averaged_is_refused_and_downstream_named(loss):
    (a,) = inputs(2)
    box = BlackBox(lambda z: z.square().sum(1), scope="cost", key=0)
    with pytest.raises(ValueError, match=r"not the same for every row; put what follows, .* into downstream="):
        loss(box(a)).backward()


def test_a_scaled_average_is_right_where_all_rows_cost_the_same_and_a_curve_is_refused_once_they_differ():
    (a,) = inputs(2)
    for rows in (a, a[:1]):
        box = BlackBox(lambda z: torch.floor(z.abs() / 20).sum(1), est.GaussianSmoothing(20), 8, scope="cost", key=0)
        whole = BlackBox(box.function, box.gradient, 8, scope="cost", key=0)
        (g,), (quarter,) = gradients(whole(rows).mean(), a), gradients(box(rows).mean() / 4, a)
        assert torch.equal(quarter, g / 4) and g.abs().max() > 0
    ((box(a) - 0.3) ** 2).mean().backward()  # cannot be told from an average, and is believed
    with pytest.raises(ValueError, match="not the same for every row"):
        ((box(30 * a) - 0.3) ** 2).mean().backward()


def test_costs_may_be_averaged_summed_and_scaled():
    (a,) = inputs(2)
    for scale in (1.0, 0.1, -3.0):
        box = BlackBox(lambda z: z.square().sum(1), est.CentralDifference(), 4, scope="cost", key=0)
        (g,) = gradients(scale * box(a).mean(), a)
        torch.testing.assert_close(g, scale * 2 * a.detach() / N, rtol=1e-8, atol=1e-9)


def test_downstream_learns_by_backprop_while_the_block_is_estimated_and_context_reaches_it():
    (a,) = inputs(3)
    head, label = nn.Linear(3, 4).double(), torch.tensor([0, 3, 1, 1, 2])

    def loss(y, k):
        return nn.functional.cross_entropy(head(y), k, reduction="none")

    box = BlackBox(torch.sin, est.CentralDifference(), 6, downstream=loss, key=0)
    mine = gradients(box(a, context=(label,)).mean(), a, *head.parameters())
    exact = gradients(loss(torch.sin(a), label).mean(), a, *head.parameters())
    for g, t in zip(mine, exact, strict=True):
        torch.testing.assert_close(g, t, rtol=1e-7, atol=1e-9)


def test_backprop_through_a_block_that_torch_can_differentiate_is_exact():
    a, b = inputs(3, 2)
    box = BlackBox(smooth, est.Backprop(), 1, differentiable=True, key=0)
    y, s = box(a, b)
    z, t = smooth(a, b)
    for g, e in zip(gradients((y.sum(1) * s).mean(), a, b), gradients((z.sum(1) * t).mean(), a, b), strict=True):
        torch.testing.assert_close(g, e, rtol=1e-12, atol=1e-14)


def test_a_score_function_at_the_output_of_a_network_estimates_the_expected_cost():
    rows = 4000
    logits = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64).repeat(rows, 1).requires_grad_()
    cost = lambda bits: bits @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + 7 * bits[:, 0] * bits[:, 2]  # noqa: E731
    box = BlackBox(cost, est.ScoreFunction(), 8, scope="cost", distribution=rllab.Bernoulli, key=5)
    (g,) = gradients(box(logits).sum(), logits)
    truth = est.Enumeration()(rllab.Cost(cost), rllab.Bernoulli(logits=logits[0].detach()), evaluations=8, key=0)
    z = (g.mean(0) - truth.gradient["logits"]) / (g.std(0) / math.sqrt(rows))
    assert z.abs().max() < 6.5  # false alarm 1e-10 each


def test_draws_stand_beside_other_inputs_which_need_no_gradient():
    rows, k = 4000, 3
    label = (torch.arange(rows) % k).double()[:, None]
    logits = torch.tensor([0.4, -0.3, 0.8], dtype=torch.float64).repeat(rows, 1).requires_grad_()
    wrong = lambda x, y: 1.0 - x.gather(1, y.long())[:, 0]  # noqa: E731 - of a one-hot choice
    one_choice = lambda z: rllab.Categorical(z[:, None, :])  # noqa: E731
    box = BlackBox(wrong, est.ScoreFunction(), 4, scope="cost", distribution=one_choice, key=5)
    (g,) = gradients(box(logits, label).sum(), logits)
    p = torch.softmax(logits.detach()[0], 0)
    truth = p * p.unsqueeze(1) - torch.diag(p)  # −∂p_y/∂l, for each label y
    for y in range(k):
        mine = g[y::k]
        z = (mine.mean(0) - truth[y]) / (mine.std(0) / math.sqrt(len(mine)))
        assert z.abs().max() < 6.5  # false alarm 1e-10 each
    with pytest.raises(ValueError, match="only the first input may require a gradient"):
        box(logits, label.requires_grad_())


def test_a_seeded_block_gives_the_points_of_a_pair_the_same_noise():
    def noisy(z, seeds):
        noise = torch.tensor([np.random.default_rng(int(s)).normal() for s in seeds], dtype=z.dtype)
        return z.square().sum(1) + 100 * noise

    (a,) = inputs(2)
    box = BlackBox(noisy, est.GaussianSmoothing(0.1), 4, scope="cost", seeded=True, key=4)
    quiet = BlackBox(lambda z: z.square().sum(1), est.GaussianSmoothing(0.1), 4, scope="cost", key=4)
    (g,), (h,) = gradients(box(a).mean(), a), gradients(quiet(a).mean(), a)
    torch.testing.assert_close(g, h, rtol=1e-8, atol=1e-8)
    assert box(a)[0] != box(a)[0]  # another call, other noise


def linear() -> nn.Linear:
    net = nn.utils.skip_init(nn.Linear, 3, 2, dtype=torch.float64)  # the usual start draws from the global generator
    for i, weights in enumerate(net.parameters()):
        nn.init.uniform_(weights, -0.6, 0.6, generator=rllab.Key(0).child(i).generator())
    return net


def curve(key: int, steps: int = 4, restart: int | None = None) -> list[float]:
    net, x = linear(), torch.linspace(-1, 1, 3 * N, dtype=torch.float64).view(N, 3)
    box = BlackBox(lambda y: torch.floor(3 * y.abs()).sum(1), est.GaussianSmoothing(0.4), 4, scope="cost", key=key)
    model, losses = nn.Sequential(net, box), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for i in range(steps):
        if i == restart:
            state = model.state_dict()
            net, box = linear(), BlackBox(box.function, box.gradient, 4, scope="cost", key=key)
            model = nn.Sequential(net, box)
            model.load_state_dict(state)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        optimizer.zero_grad()
        loss = model(x).mean()
        loss.backward()
        optimizer.step()
        losses.append(float(net.weight.detach().sum()))
    return losses


def test_the_same_key_gives_the_same_curve_and_a_loaded_model_goes_on():
    assert curve(7) == curve(7) == curve(7, restart=2) != curve(8)


def test_blocks_may_share_one_budget_and_every_row_is_counted():
    (a,) = inputs(2)
    ledger = rllab.Cost(torch.square, budget=1000)
    boxes = [
        BlackBox(lambda z: z.square().sum(1), evaluations=4, scope="cost", budget=ledger, key=k, check_rows=False)
        for k in range(2)
    ]
    for box in boxes:
        box(a).mean().backward()
    assert [box.calls for box in boxes] == [N + 4 * N] * 2 and ledger.evaluations == 2 * (N + 4 * N)


def test_no_budget_left_in_a_backward_leaves_weights_and_optimizer_as_they_were():
    net, x = nn.Linear(3, 2), torch.randn(N, 3, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(net.parameters())
    box = BlackBox(lambda y: y.square().sum(1), scope="cost", budget=N + 1 + 8 * N + N + 3, name="simulator", key=0)
    weights = []
    with pytest.raises(rllab.BudgetExceeded, match=r"BlackBox 'simulator': Cost: 40 more value evaluations do not fit"):
        for _ in range(2):
            optimizer.zero_grad()
            box(net(x)).mean().backward()
            optimizer.step()
            weights.append([p.detach().clone() for p in net.parameters()])
    assert len(weights) == 1 and all(torch.equal(p, q) for p, q in zip(net.parameters(), weights[0], strict=True))
    assert all(int(s["step"]) == 1 for s in optimizer.state.values())
    assert box.ledger.evaluations == N + 1 + 8 * N + N  # nothing of what did not fit


def test_bad_functions_are_named_with_what_they_did():
    (a,) = inputs(2)

    def raises(z):
        raise KeyError("no such road")

    with pytest.raises(ValueError, match=r"BlackBox 'short': function must return 5 rows for 5 rows, got shape \(4,\)"):
        BlackBox(lambda z: z[1:, 0], scope="cost", name="short", key=0)(a)
    with pytest.raises(ValueError, match=r"BlackBox 'mixed': a row must give the same alone and among others"):
        BlackBox(lambda z: (z - z.mean(0)).sum(1), scope="cost", name="mixed", key=0)(a)
    with pytest.raises(FloatingPointError, match=r"BlackBox 'hole': row 0 of an output is not finite: nan"):
        BlackBox(lambda z: z[:, 0] * math.nan, scope="cost", name="hole", key=0)(a)
    with pytest.raises(FloatingPointError, match=r"row 0 of an output .*: nan; nor is what it was given: \[nan, nan\]"):
        BlackBox(lambda z: z[:, 0], scope="cost", name="hole", key=0)(a[:, :2] * math.nan)
    with pytest.raises(ValueError, match=r"must return one cost a row, got \[\(5, 2\)\]"):
        BlackBox(torch.sin, scope="cost", key=0)(a)
    with pytest.raises(ValueError, match=r"downstream must return one cost a row, \(5,\), got \(\)"):
        BlackBox(torch.sin, downstream=torch.mean, key=0)(a)
    with pytest.raises(KeyError) as caught:
        BlackBox(raises, scope="cost", key=0)(a)
    assert caught.value.__notes__ == ["BlackBox 'raises': this came up while evaluating it"]


def test_a_nan_in_a_backward_pass_names_the_block_and_the_point():
    (a,) = inputs(2)
    box = BlackBox(
        lambda z: torch.where((z == a.detach()[:1]).all(1), 1.0, torch.nan), scope="cost", name="cliff", key=0
    )
    one = a[:1].detach().requires_grad_()
    with pytest.raises(FloatingPointError, match=r"BlackBox 'cliff': Cost: evaluation .* at point \["):
        box(one).mean().backward()


def test_bad_inputs_are_named():
    a, b = inputs(2, 2)
    box = BlackBox(torch.sin, smooth=True, key=0)
    with pytest.raises(TypeError, match="inputs and context must be tensors, sample first, got"):
        box(3.0)
    with pytest.raises(ValueError, match=r"equally many rows, got \[5, 4\]"):
        box(a, b[:4])
    with pytest.raises(ValueError, match="context is for downstream"):
        box(a, context=(b,))


def test_an_estimator_may_be_exchanged_between_steps_and_is_checked():
    (a,) = inputs(2)
    box = BlackBox(torch.sin, smooth=True, key=0)
    box(a).sum().backward()
    box.gradient, box.evaluations = est.CentralDifference(), 4
    (g,) = gradients(box(a).sum(), a)
    torch.testing.assert_close(g, torch.cos(a.detach()), rtol=1e-8, atol=1e-9)
    box.evaluations = 8.0
    assert box.evaluations == 8
    with pytest.raises(ValueError, match=r"BlackBox 'sin': evaluations must be an integer >= 0, got 8\.5"):
        box.evaluations = 8.5
    with pytest.raises(ValueError, match="BlackBox: evaluations must be an integer >= 0, got -1"):
        BlackBox(torch.sin, evaluations=-1, smooth=True, key=0)
    with pytest.raises(TypeError, match="gradient must be an estimator, got 'spsa'"):
        box.gradient = "spsa"


def test_second_derivatives_and_transforms_are_refused_in_a_sentence():
    (a,) = inputs(2)
    box = BlackBox(torch.sin, smooth=True, key=0)
    with pytest.raises(RuntimeError, match="create_graph=True is refused"):
        torch.autograd.grad(box(a).sum(), a, create_graph=True)
    with pytest.raises(RuntimeError, match=r"torch\.func transforms, .* are refused: rows are samples already"):
        torch.func.vmap(lambda z: box(z[None])[0])(a.detach())
    with pytest.raises(RuntimeError, match=r"torch\.func transforms, .* are refused"):
        torch.func.grad(lambda z: box(z).sum())(a.detach())


def test_a_compiled_model_with_a_block_inside_gives_the_same_gradient():
    net, (x,) = nn.Linear(2, 2).double(), inputs(2)
    made = []
    for wrap in (lambda m: m, lambda m: torch.compile(m, backend="eager")):
        box = BlackBox(torch.sin, smooth=True, key=0)
        model = wrap(nn.Sequential(net, box))
        made.append(gradients(model(x.detach()).sum(), *net.parameters()))
    for eager, compiled in zip(*made, strict=True):
        assert torch.equal(eager, compiled)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch itself reads it of whatever enters a second graph
def test_what_surrounds_a_block_is_compiled_and_the_block_itself_is_not():
    compiling, graphs = [], []

    def f(x: torch.Tensor) -> torch.Tensor:
        compiling.append(torch.compiler.is_compiling())
        return torch.sin(x)

    def backend(module: torch.fx.GraphModule, _: list[torch.Tensor]):
        graphs.append(len(graphs))
        return module.forward

    box, (x,) = BlackBox(f, smooth=True, key=0), inputs(2)
    model = torch.compile(lambda x: torch.cos(box(torch.tanh(x))).sum(), backend=backend)
    for _ in range(9):  # more often than a frame is compiled anew before torch gives up
        gradients(model(x), x)
    assert not any(compiling) and len(graphs) == 2


def test_an_input_written_over_before_backward_is_noticed():
    (a,) = inputs(2)
    z = a * 1
    y = BlackBox(torch.sin, smooth=True, key=0)(z)
    z.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_arguments_and_global_random_state_stay_as_they_are():
    (a,) = inputs(2)
    before = a.detach().clone(), torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    BlackBox(torch.sin, smooth=True, key=0)(a).sum().backward()
    assert torch.equal(a.detach(), before[0]) and torch.equal(torch.get_rng_state(), before[1])
    assert (np.random.get_state()[1] == before[2]).all()  # noqa: NPY002

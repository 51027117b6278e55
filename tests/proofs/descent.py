"""What descent claims, computed again by other means; tests/mutants hand the same proofs wrong versions."""

import torch
from scipy.stats import chisquare, norm

from rllab import backprop as bp

DTYPE = torch.float64
SAMPLES = 7  # not a multiple of the batches used
ETA = 0.07


def problem() -> tuple[bp.Graph, torch.Tensor, torch.Tensor]:
    """Three classes, seven samples, a network with a bend: 21 weights, all gradients different."""
    g = torch.Generator().manual_seed(3)
    x = torch.randn(SAMPLES, 2, generator=g, dtype=DTYPE)
    y = torch.tensor([0, 1, 2, 2, 1, 0, 2])
    return bp.mlp((2, 3, 3), activation="tanh", key=5, dtype=DTYPE), x, y


def prove_it_steps_as_torch_does(batch, order) -> None:
    """Fifty steps on the batches that `minibatches` names, against torch.optim.SGD on autograd's gradient."""
    graph, x, y = problem()
    leaf = graph.weights.clone().requires_grad_()
    optimizer = torch.optim.SGD([leaf], lr=ETA)
    batches = None if batch is None else bp.minibatches(SAMPLES, batch, order=order, key=11)
    spent = 0
    for _ in range(50):
        picked = torch.arange(SAMPLES) if batches is None else next(batches)
        optimizer.zero_grad()
        graph.loss_per_sample(x[picked], y[picked], weights=leaf).mean().backward()
        optimizer.step()
        spent += len(picked)
    trace = bp.fit(graph, x, y, batch=batch, order=order, eta=ETA, sample_gradients=spent, key=11)
    assert trace.steps == 50
    torch.testing.assert_close(trace.weights, leaf.detach(), rtol=0, atol=1e-12)


def prove_momentum_is_torchs() -> None:
    graph, x, y = problem()

    def momentum(parameters):
        return torch.optim.SGD(parameters, lr=ETA, momentum=0.9, nesterov=True)

    leaf = graph.weights.clone().requires_grad_()
    optimizer, batches = momentum([leaf]), bp.minibatches(SAMPLES, 2, key=1)
    for _ in range(20):
        picked = next(batches)
        optimizer.zero_grad()
        graph.loss_per_sample(x[picked], y[picked], weights=leaf).mean().backward()
        optimizer.step()
    trace = bp.fit(graph, x, y, batch=2, optimizer=momentum, sample_gradients=40, key=1)
    torch.testing.assert_close(trace.weights, leaf.detach(), rtol=0, atol=1e-12)


def prove_the_mean_stochastic_step_is_the_batch_step() -> None:
    """Σ_p (w_p − w)/P = w_batch − w over the P samples each taken alone: one step is linear in the gradient."""
    graph, x, y = problem()
    alone = [
        bp.fit(graph, x[p : p + 1], y[p : p + 1], batch=1, order="sequential", eta=ETA, sample_gradients=1, key=0)
        for p in range(SAMPLES)
    ]
    together = bp.fit(graph, x, y, batch=None, eta=ETA, sample_gradients=SAMPLES, key=0)
    mean = torch.stack([trace.weights for trace in alone]).mean(0)
    assert (together.weights - graph.weights).norm() > 0.01  # it moved
    torch.testing.assert_close(mean, together.weights, rtol=0, atol=1e-10)


def prove_picks_are_uniform_and_independent(samples=20, picks=100_000, false_alarm=1e-10) -> None:
    """Chi-square of single picks and of pairs (p_t, p_t+1); the key is fixed, so a pass is a pass for ever.

    Power: a sample picked 1.3 times as often as another gives a chi-square of about 400 on 19 degrees of freedom.
    """
    batches = bp.minibatches(samples, 8, key=2)
    p = torch.cat([next(batches) for _ in range(picks // 8)])
    assert chisquare(torch.bincount(p, minlength=samples)).pvalue > false_alarm
    pairs = p[:-1:2] * samples + p[1::2]
    assert chisquare(torch.bincount(pairs, minlength=samples**2)).pvalue > false_alarm


def prove_an_epoch_is_a_new_permutation(epochs=200, false_alarm=1e-10) -> None:
    batches, first = bp.minibatches(SAMPLES, 3, order="shuffled", key=4), []
    orders = set()
    for _ in range(epochs):
        epoch = [next(batches) for _ in range(3)]
        assert [len(part) for part in epoch] == [3, 3, 1]
        order = torch.cat(epoch)
        assert sorted(order.tolist()) == list(range(SAMPLES))
        orders.add(tuple(order.tolist()))
        first.append(int(order[0]))
    assert len(orders) > epochs - 20  # 5,040 orders: about four meet twice
    assert chisquare(torch.bincount(torch.tensor(first), minlength=SAMPLES)).pvalue > false_alarm


def prove_every_sample_gradient_is_counted() -> None:
    """A graph that counts what it is asked for, against the ledger: gradients and looks apart."""
    for batch, order, optimizer in (
        (1, "independent", None),
        (3, "shuffled", None),
        (None, "independent", None),
        (2, "sequential", lambda w: torch.optim.LBFGS(w, lr=0.1, max_iter=4)),
    ):
        graph, x, y = problem()
        asked = {"gradients": 0, "losses": 0}
        backward, losses = graph.backward, graph.loss_per_sample

        def counted_backward(x, y, backward=backward, asked=asked, **more):
            asked["gradients"] += len(x)
            return backward(x, y, **more)

        def counted_losses(x, y, losses=losses, asked=asked, **more):
            asked["losses"] += len(x)
            return losses(x, y, **more)

        graph.backward, graph.loss_per_sample = counted_backward, counted_losses
        how = {"eta": ETA} if optimizer is None else {"optimizer": optimizer}
        trace = bp.fit(graph, x, y, batch=batch, order=order, sample_gradients=53, look=14, key=9, **how)
        assert trace.sample_gradients == asked["gradients"] and 53 - SAMPLES < trace.sample_gradients <= 53
        assert trace.sample_losses == asked["losses"] == SAMPLES * len(trace.losses)
        assert trace.counts[0] == 0 and trace.counts[-1] == trace.sample_gradients
        assert all(b - a >= 14 for a, b in zip(trace.counts[:-2], trace.counts[1:-1], strict=True))
        assert trace.losses[0] == float(losses(x, y).mean())
        assert trace.losses[-1] == float(losses(x, y, weights=trace.weights).mean()) < trace.losses[0]


def prove_a_fit_changes_nothing_but_its_answer() -> None:
    graph, x, y = problem()
    before = graph.weights.clone(), x.clone(), y.clone()
    for how in ({"eta": ETA}, {"optimizer": lambda w: torch.optim.Adam(w, lr=ETA)}):
        state = torch.get_rng_state()
        trace = bp.fit(graph, x, y, sample_gradients=30, key=0, **how)
        assert all(torch.equal(a, b) for a, b in zip(before, (graph.weights, x, y), strict=True))
        assert torch.equal(state, torch.get_rng_state())
        assert not trace.weights.requires_grad and not graph.weights.requires_grad


def prove_the_step_is_minus_eta_times_g() -> None:
    """Every form of η against the matrix written out, at a g that no permutation or sign keeps."""
    w, g = torch.tensor([0.3, -1.1, 2.5], dtype=DTYPE), torch.tensor([1.7, -0.2, 0.9], dtype=DTYPE)
    m = torch.tensor([[2.0, 0.5, -1.0], [0.0, 0.3, 0.7], [1.5, -0.4, 0.1]], dtype=DTYPE)
    v = torch.tensor([0.5, 3.0, 0.1], dtype=DTYPE)
    by_hand = torch.tensor([w[i] - sum(m[i, j] * g[j] for j in range(3)) for i in range(3)], dtype=DTYPE)
    torch.testing.assert_close(bp.step(w, g, m), by_hand, rtol=0, atol=1e-14)
    torch.testing.assert_close(bp.step(w, g, lambda g: m @ g), by_hand, rtol=0, atol=1e-14)
    torch.testing.assert_close(bp.step(w, g, v), w - torch.diag(v) @ g, rtol=0, atol=1e-14)
    for eta in (0.1, 1 / 3, 7.0):
        scalar = bp.step(w, g, eta)
        assert torch.equal(bp.step(w, g, eta * torch.eye(3, dtype=DTYPE)), scalar)
        assert torch.equal(bp.step(w, g, torch.full((3,), eta, dtype=DTYPE)), scalar)
        assert torch.equal(bp.step(w, g, torch.tensor(eta, dtype=DTYPE)), scalar)
        torch.testing.assert_close(w - scalar, eta * g, rtol=0, atol=1e-14)


def prove_extragradient_follows_its_linear_map() -> None:
    """F = Aw: the step is I − ηA(I − ηA), which for a rotation shrinks the radius by √(1 − η² + η⁴)."""
    a = torch.tensor([[0.4, 1.0], [-1.3, 0.2]], dtype=DTYPE)
    w, eta, eye = torch.tensor([0.7, -0.2], dtype=DTYPE), 0.3, torch.eye(2, dtype=DTYPE)
    new = bp.extragradient(w, lambda w: a @ w, eta)
    torch.testing.assert_close(new, (eye - eta * a @ (eye - eta * a)) @ w, rtol=0, atol=1e-14)
    turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=DTYPE)
    ratio = bp.extragradient(w, lambda w: turn @ w, eta).norm() / w.norm()
    torch.testing.assert_close(ratio**2, torch.tensor(1 - eta**2 + eta**4, dtype=DTYPE), rtol=0, atol=1e-14)


def prove_batches_of_the_stream_scatter_as_means_do(samples=7, batch=3, draws=20_000, false_alarm=1e-10) -> None:
    """Variance of the mean of a batch: s²/B when picks are independent, times (P − B)/(P − 1) in a permutation."""
    values = torch.tensor([0.0, 1.0, 4.0, 9.0, 16.0, 25.0, 37.0], dtype=DTYPE)
    expected = values.var(correction=0) / batch
    for order, factor in (("independent", 1.0), ("shuffled", (samples - batch) / (samples - 1))):
        batches = bp.minibatches(samples, batch, order=order, key=6)
        means, epochs = [], 1 if order == "independent" else 3  # of a permutation, only its first batch: independent
        for i in range(draws * epochs):
            picked = next(batches)
            if i % epochs == 0:
                means.append(values[picked].mean())
        means = torch.stack(means)
        squares = (means - values.mean()).square()
        z = (squares.mean() - expected * factor) / (squares.std() / draws**0.5)
        assert abs(float(z)) < -norm.ppf(false_alarm / 2)

"""Descent: one step rule, batches that are picked as said, and a ledger that is exact."""

from functools import partial

import pytest
import torch

from rllab import Key
from rllab import backprop as bp
from tests.proofs import descent as proofs
from tests.proofs.descent import ETA, SAMPLES, problem


@pytest.mark.parametrize(
    ("batch", "order"),
    [(None, "independent"), (1, "independent"), (3, "independent"), (3, "shuffled"), (2, "sequential")],
)
def test_fifty_steps_are_those_of_torch(batch, order):
    proofs.prove_it_steps_as_torch_does(batch, order)


def test_momentum_is_that_of_torch():
    proofs.prove_momentum_is_torchs()


def test_the_mean_of_all_stochastic_steps_is_the_batch_step():
    proofs.prove_the_mean_stochastic_step_is_the_batch_step()


def test_independent_picks_are_uniform_one_by_one_and_in_pairs():
    proofs.prove_picks_are_uniform_and_independent()


def test_every_epoch_is_a_permutation_of_its_own():
    proofs.prove_an_epoch_is_a_new_permutation()


def test_batch_means_scatter_as_with_and_without_replacement():
    proofs.prove_batches_of_the_stream_scatter_as_means_do()


def test_every_sample_gradient_is_counted_and_looks_apart():
    proofs.prove_every_sample_gradient_is_counted()


def test_a_fit_leaves_graph_data_and_random_state_alone():
    proofs.prove_a_fit_changes_nothing_but_its_answer()


def test_eta_may_be_a_number_a_vector_a_matrix_or_a_function():
    proofs.prove_the_step_is_minus_eta_times_g()


def test_extragradient_is_its_closed_form_on_linear_fields():
    proofs.prove_extragradient_follows_its_linear_map()


@pytest.mark.parametrize("batch", [1, 2, 5, 40])
def test_samples_come_in_one_order_whatever_the_size_of_the_batch(batch):
    def stream(batch, n=2000):
        batches = bp.minibatches(30, batch, key=Key(8))
        return torch.cat([next(batches) for _ in range(n // batch + 1)])[:n]

    assert torch.equal(stream(batch), stream(3))
    assert not torch.equal(stream(batch), torch.cat([next(bp.minibatches(30, 2000, key=9))]))


def test_a_sequential_epoch_is_the_samples_as_they_stand():
    batches = bp.minibatches(5, 2, order="sequential", key=0)
    assert [next(batches).tolist() for _ in range(4)] == [[0, 1], [2, 3], [4], [0, 1]]


def test_a_fit_is_the_same_again_under_its_key_and_another_under_another():
    graph, x, y = problem()
    weights = [bp.fit(graph, x, y, eta=ETA, sample_gradients=20, key=key).weights for key in (1, Key(1), 2)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_batch_of_everything_in_order_is_the_batch_step():
    graph, x, y = problem()
    how = {"eta": ETA, "sample_gradients": 5 * SAMPLES, "key": 0}
    whole = bp.fit(graph, x, y, batch=None, **how)
    assert torch.equal(whole.weights, bp.fit(graph, x, y, batch=SAMPLES, order="sequential", **how).weights)


def test_lbfgs_stops_inside_a_step_that_would_exceed_the_budget():
    graph, x, y = problem()
    lbfgs = partial(torch.optim.LBFGS, max_iter=10, line_search_fn="strong_wolfe")
    trace = bp.fit(graph, x, y, batch=None, optimizer=lbfgs, sample_gradients=13 * SAMPLES, key=0)
    assert trace.sample_gradients == 13 * SAMPLES and trace.steps == 1  # the second step was abandoned
    assert trace.losses[-1] < trace.losses[0] / 2


def test_a_fit_ends_at_the_loss_that_was_asked_for_and_says_when():
    graph, x, y = problem()
    full = bp.fit(graph, x, y, batch=None, eta=0.5, sample_gradients=100 * SAMPLES, key=0)
    wanted = full.losses[40]
    trace = bp.fit(graph, x, y, batch=None, eta=0.5, sample_gradients=100 * SAMPLES, key=0, stop=wanted)
    assert trace.sample_gradients == trace.reached(wanted) == full.reached(wanted) == 40 * SAMPLES
    assert full.reached(-1.0) is None


@pytest.mark.parametrize("look", [None, 10_000])  # with the latter there is a look at the end alone
def test_a_fit_that_diverges_warns_and_shows_it(look):
    _, x, y = problem()
    scores = bp.mlp((2, 3), loss="squared_distance", key=5, dtype=torch.float64)
    how = {"batch": None, "eta": 1e3, "sample_gradients": 7000, "key": 0, "look": look}
    says = r"fit: the loss is (inf|nan) after \d+ sample-gradients: it diverged"
    with pytest.warns(RuntimeWarning, match=says) as said:
        trace = bp.fit(scores, x, torch.eye(3, dtype=torch.float64)[y], **how)
    assert len(said) == 1 and said[0].filename == __file__
    assert not torch.isfinite(torch.tensor(trace.losses[-1]))
    assert (trace.sample_gradients == 7000) is (look is not None)


def test_a_loss_that_is_infinite_before_any_step_is_refused():
    graph, x, y = problem()
    with pytest.raises(FloatingPointError, match=r"fit: the loss .* must be finite at the graph's weights, got nan"):
        bp.fit(graph, x.fill_(torch.nan), y, eta=ETA, sample_gradients=9, key=0)


def test_the_path_is_kept_if_asked_and_other_samples_can_be_looked_at():
    graph, x, y = problem()
    trace = bp.fit(graph, x, y, eta=ETA, sample_gradients=9, look=1, on=(x[:2], y[:2]), key=0, keep_path=True)
    assert trace.path.shape == (10, graph.weights.numel())
    assert torch.equal(trace.path[0], graph.weights) and torch.equal(trace.path[-1], trace.weights)
    assert trace.losses[3] == float(graph.loss_per_sample(x[:2], y[:2], weights=trace.path[3]).mean())
    assert trace.sample_losses == 20 and trace.counts == list(range(10))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"batch": 0}, "fit: batch must be an integer >= 1, got 0"),
        ({"batch": 2.0}, "fit: batch must be an integer >= 1, got 2.0"),
        ({"batch": 8, "order": "shuffled"}, "minibatches: batch must be at most 7, the samples, got 8"),
        ({"order": "random"}, "minibatches: order must be one of"),
        ({"sample_gradients": 3, "batch": 4}, "fit: sample_gradients must pay for one step of 4, got 3"),
        ({"look": 0}, "fit: look must be"),
        ({"eta": None}, "fit: needs eta or an optimizer, and not both"),
        ({"optimizer": torch.optim.SGD}, "fit: needs eta or an optimizer, and not both"),
        ({"eta": float("nan")}, "step: eta must be a finite number, a tensor or a function, got nan"),
        ({"eta": torch.ones(2)}, r"step: eta must be a number, \(21,\) or a square matrix, got a tensor \(2,\)"),
        ({"eta": torch.ones(21, 2)}, r"got a tensor \(21, 2\)"),
        ({"eta": lambda g: g[:2]}, r"step: eta\(g\) must be a tensor \(21,\), got a tensor \(2,\)"),
        ({"y": torch.zeros(6, dtype=torch.int64)}, "fit: x and y must hold as many samples, at least one, got 7 and 6"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(changes, says):
    graph, x, y = problem()
    arguments = {"x": x, "y": y, "eta": ETA, "sample_gradients": 9, "key": 0} | changes
    with pytest.raises((TypeError, ValueError), match=says):
        bp.fit(graph, **arguments)


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"step: g must be shaped as w, \(2,\), got \(1,\)"):
        bp.step(torch.zeros(2), torch.zeros(1), 0.1)
    with pytest.raises(ValueError, match="minibatches: samples must be an integer >= 1, got 0"):
        bp.minibatches(0, 1, key=0)

"""Descent with one mistake each; the proofs of the right one must fail every one of them."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from rllab import backprop as bp
from rllab.backprop import batches, descent
from tests.proofs import descent as proofs

RIGHT_BACKWARD, RIGHT_LOOK, RIGHT_FIT = bp.Graph.backward, descent._look, bp.fit
RIGHT_INDEPENDENT, RIGHT_EPOCHS = batches._independent, batches._epochs


def sum_for_mean(self, x, y, *, out=None, **more):
    answer = RIGHT_BACKWARD(self, x, y, **more)
    return replace(answer, weights=len(x) * answer.weights)


def stale(self, x, y, *, out=None, **more):
    answer = RIGHT_BACKWARD(self, x, y, **more)
    late = getattr(self, "late", answer.weights)
    self.late = answer.weights.clone()
    return replace(answer, weights=late)


def at_the_start(self, x, y, *, weights, **more):
    return RIGHT_BACKWARD(self, x, y, weights=self.weights, **more)


def first_sample_alone(self, x, y, *, out=None, **more):
    return RIGHT_BACKWARD(self, x[:1], y[:1], **more)


def moves_the_graph(graph, x, y, **more):
    trace = RIGHT_FIT(graph, x, y, **more)
    graph.weights.copy_(trace.weights)
    return trace


def counts_steps(graph, x, y, **more):
    trace = RIGHT_FIT(graph, x, y, **more)
    return replace(trace, sample_gradients=trace.steps)


def looks_are_free(trace, path, graph, shown, w):
    before = trace.sample_losses
    RIGHT_LOOK(trace, path, graph, shown, w)
    trace.sample_losses = before


def looks_cost_gradients(trace, path, graph, shown, w):
    RIGHT_LOOK(trace, path, graph, shown, w)
    trace.sample_gradients += len(shown[0])


def never_the_last(samples, batch, order, key):
    return RIGHT_INDEPENDENT(samples - 1, batch, order, key)


def first_more_often(samples, batch, order, key):
    for picked in RIGHT_INDEPENDENT(samples + 1, batch, order, key):
        yield picked % samples


def each_pick_twice(samples, batch, order, key):
    for picked in RIGHT_INDEPENDENT(samples, batch, order, key):
        yield picked.view(-1, 2)[:, :1].expand(-1, 2).reshape(-1)


def one_permutation_for_ever(samples, batch, order, key):
    while True:
        yield from torch.randperm(samples, generator=key.generator()).split(batch)


def drops_the_rest(samples, batch, order, key):
    return (picked for picked in RIGHT_EPOCHS(samples, batch, order, key) if len(picked) == batch)


def replaces_in_an_epoch(samples, batch, order, key):
    generator = key.generator()
    while True:
        yield torch.randint(samples, (batch,), generator=generator)


def right_step(w, g, eta):
    return w - (eta @ g if isinstance(eta, torch.Tensor) and eta.ndim == 2 else eta(g) if callable(eta) else eta * g)


def uphill(w, g, eta):
    return 2 * w - right_step(w, g, eta)


def transposed(w, g, eta):
    return right_step(w, g, eta.T if isinstance(eta, torch.Tensor) and eta.ndim == 2 else eta)


def diagonal_only(w, g, eta):
    return right_step(w, g, eta.diagonal() if isinstance(eta, torch.Tensor) and eta.ndim == 2 else eta)


def plain_descent(w, field, eta):
    return bp.step(w, field(w), eta)


def two_plain_steps(w, field, eta):
    half = bp.step(w, field(w), eta)
    return bp.step(half, field(half), eta)


def as_torch():
    proofs.prove_it_steps_as_torch_does(3, "independent")


MUTANTS = {
    "sum for mean": ("Graph.backward", sum_for_mean, as_torch),
    "gradient of the step before": ("Graph.backward", stale, as_torch),
    "gradient at the start": ("Graph.backward", at_the_start, as_torch),
    "first sample of the batch": (
        "Graph.backward",
        first_sample_alone,
        proofs.prove_the_mean_stochastic_step_is_the_batch_step,
    ),
    "the graph's weights move": ("fit", moves_the_graph, proofs.prove_a_fit_changes_nothing_but_its_answer),
    "steps are counted": ("fit", counts_steps, proofs.prove_every_sample_gradient_is_counted),
    "looks are free": ("_look", looks_are_free, proofs.prove_every_sample_gradient_is_counted),
    "looks cost gradients": ("_look", looks_cost_gradients, proofs.prove_every_sample_gradient_is_counted),
    "the last is never picked": ("_independent", never_the_last, proofs.prove_picks_are_uniform_and_independent),
    "the first is picked twice as often": (
        "_independent",
        first_more_often,
        proofs.prove_picks_are_uniform_and_independent,
    ),
    "pairs are twins": ("_independent", each_pick_twice, proofs.prove_picks_are_uniform_and_independent),
    "one permutation for ever": ("_epochs", one_permutation_for_ever, proofs.prove_an_epoch_is_a_new_permutation),
    "the rest of an epoch is dropped": ("_epochs", drops_the_rest, proofs.prove_an_epoch_is_a_new_permutation),
    "an epoch with replacement": (
        "_epochs",
        replaces_in_an_epoch,
        proofs.prove_batches_of_the_stream_scatter_as_means_do,
    ),
    "uphill": ("step", uphill, proofs.prove_the_step_is_minus_eta_times_g),
    "transposed matrix": ("step", transposed, proofs.prove_the_step_is_minus_eta_times_g),
    "diagonal of the matrix": ("step", diagonal_only, proofs.prove_the_step_is_minus_eta_times_g),
    "extragradient without the look ahead": (
        "extragradient",
        plain_descent,
        proofs.prove_extragradient_follows_its_linear_map,
    ),
    "extragradient from the half-way point": (
        "extragradient",
        two_plain_steps,
        proofs.prove_extragradient_follows_its_linear_map,
    ),
}


@cache
def let_the_right_one_pass(proof):
    """Prove it of the right one, once for all mutants that it is to catch."""
    proof()


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MUTANTS)
def test_wrong_descent_fails_its_proof(mistake, monkeypatch):
    name, wrong, proof = MUTANTS[mistake]
    let_the_right_one_pass(proof)
    if name == "Graph.backward":
        monkeypatch.setattr(bp.Graph, "backward", wrong)
    else:
        monkeypatch.setattr(batches if name in ("_independent", "_epochs") else descent, name, wrong)
        if hasattr(bp, name):
            monkeypatch.setattr(bp, name, wrong)
    with pytest.raises(AssertionError):
        proof()

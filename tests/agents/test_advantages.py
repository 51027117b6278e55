"""Generalised advantages: the sum they stand for, true values of chains, and the masks that have been shipped wrong."""

import pytest
import torch

from rllab.agents.advantages import generalized_advantages
from tests.proofs.rollouts import (
    prove_a_chain_has_no_advantage_at_its_true_values,
    prove_advantages_are_their_sums,
    random_rollout,
)


@pytest.mark.parametrize("gamma", (1.0, 0.9, 0.5))
@pytest.mark.parametrize("gae_lambda", (0.0, 0.7, 1.0))
def test_advantages_are_their_sums(gamma, gae_lambda):
    prove_advantages_are_their_sums(generalized_advantages, gamma, gae_lambda)


@pytest.mark.parametrize("cut", (True, False), ids=("truncated", "terminated"))
def test_a_chain_has_no_advantage_at_its_true_values(cut):
    prove_a_chain_has_no_advantage_at_its_true_values(generalized_advantages, cut)


def test_no_argument_is_written_over():
    given = random_rollout()
    kept = [tensor.clone() for tensor in given]
    generalized_advantages(*given, gamma=0.9, gae_lambda=0.9)
    assert all(torch.equal(one, other) for one, other in zip(given, kept, strict=True))


# ---- wrong masks


def one_mask_for_both(costs, values, following, terminated, truncated, **options):
    """No bootstrap after a time limit."""
    return generalized_advantages(costs, values, following, terminated | truncated, truncated, **options)


def truncation_is_forgotten(costs, values, following, terminated, truncated, **options):
    """The recursion runs from one episode into the next."""
    return generalized_advantages(costs, values, following, terminated, truncated & False, **options)


def first_of_the_next_episode(costs, values, following, terminated, truncated, **options):
    """Bootstraps from the next row, which is of another episode, in place of the last observation."""
    return generalized_advantages(costs, values, values.roll(-1, 0), terminated, truncated, **options)


def never_terminated(costs, values, following, terminated, truncated, **options):
    return generalized_advantages(costs, values, following, terminated & False, terminated | truncated, **options)


def gamma_alone(costs, values, following, terminated, truncated, *, gamma, gae_lambda):
    return generalized_advantages(costs, values, following, terminated, truncated, gamma=gamma, gae_lambda=1.0)


def rewards(costs, values, following, terminated, truncated, **options):
    return generalized_advantages(-costs, values, following, terminated, truncated, **options)


WRONG = (
    one_mask_for_both,
    truncation_is_forgotten,
    first_of_the_next_episode,
    never_terminated,
    gamma_alone,
    rewards,
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda f: f.__name__)
def test_wrong_masks_and_powers_are_caught(wrong):
    with pytest.raises(AssertionError):
        prove_advantages_are_their_sums(wrong)


@pytest.mark.parametrize(("wrong", "cut"), ((one_mask_for_both, True), (never_terminated, False)))
def test_a_chain_tells_a_time_limit_from_an_end(wrong, cut):
    with pytest.raises(AssertionError):
        prove_a_chain_has_no_advantage_at_its_true_values(wrong, cut)

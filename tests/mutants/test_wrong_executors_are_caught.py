"""Dispatchers and costs with one mistake each; the tests of executors must fail every one of them."""

import pytest
import torch

from rllab.cost import Cost
from rllab.executors.dispatch import Dispatcher
from rllab.executors.errors import EvaluationLost
from rllab.executors.jobs import Job
from tests.executors import test_dispatch as tests
from tests.proofs.executors import Backwards

LOST, KEEP, SUBMIT = Dispatcher._lost, Dispatcher._keep, Dispatcher._may_submit


def _as_they_came(self):
    return tuple(torch.cat(column) for column in zip(*(parts for _, parts in self.parts.values()), strict=True))


def _retried(self, chunk, answer):
    if answer.error is not None:
        LOST(self, chunk, EvaluationLost("error"), sure=True)
    else:
        KEEP(self, chunk, answer)


MUTANTS = {
    "joined as they came": (
        Job,
        "joined",
        _as_they_came,
        lambda: tests.test_costs_come_in_the_order_of_their_points_whoever_answers_first(Backwards(), 3),
    ),
    "one point at a time": (
        Dispatcher,
        "_rows",
        lambda self, chunk: 1,
        lambda: tests.test_a_chunk_of_a_fixed_size_is_what_the_function_is_given_everywhere(Backwards),
    ),
    "attempts not counted": (
        Cost,
        "_charge_again",
        lambda self, what, n: None,
        lambda: tests.test_what_is_lost_is_made_again_and_counted_again(1),
    ),
    "budget not asked again": (
        Cost,
        "reserve",
        lambda self, what, n: None,
        tests.test_a_loss_beyond_the_budget_is_refused_before_it_is_made_again,
    ),
    "the function's errors retried": (
        Dispatcher,
        "_keep",
        _retried,
        tests.test_the_functions_own_error_is_raised_at_once_with_evaluation_and_point,
    ),
    "whoever is lost with a pool is the cause": (
        Dispatcher,
        "_lost",
        lambda self, chunk, error, sure: LOST(self, chunk, error, True),
        tests.test_of_those_lost_with_a_pool_only_the_cause_is_given_up,
    ),
    "suspects among others": (
        Dispatcher,
        "_suspect",
        lambda self, chunk: False,
        tests.test_of_those_lost_with_a_pool_only_the_cause_is_given_up,
    ),
    "nobody asked for": (
        Dispatcher,
        "_ask_for_a_worker",
        lambda self: None,
        tests.test_an_executor_all_of_whose_workers_hang_is_named_and_nothing_is_scored,
    ),
    "pending not cancelled": (
        Dispatcher,
        "abandon",
        lambda self, kill=False: None,
        tests.test_an_interrupt_cancels_what_is_pending,
    ),
}


class _Endless(Exception):
    """A mutant goes on for ever."""


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_wrong_executor_is_caught(mistake, monkeypatch):
    home, name, wrong, proof = MUTANTS[mistake]
    proof()
    monkeypatch.setattr(home, name, wrong)
    submit, count = Dispatcher._submit, [0]

    def counted(self, chunk):
        count[0] += 1
        if count[0] > 100:
            raise _Endless
        submit(self, chunk)

    monkeypatch.setattr(Dispatcher, "_submit", counted)
    with pytest.raises((AssertionError, Exception, pytest.fail.Exception)):
        proof()

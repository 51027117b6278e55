"""Episodes of a population that an executor plays, each alone; what comes back is what lockstep here would give."""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from torch import Tensor

from rllab.agents.making import Maker
from rllab.agents.normalize import RunningMoments
from rllab.agents.player import Player, Sent
from rllab.agents.policy import Policy
from rllab.agents.population import Seen
from rllab.agents.rollouts import Rollout
from rllab.agents.spent import Spent
from rllab.agents.vectorization import Vectorization
from rllab.estimators import Query
from rllab.executors.calls import Call
from rllab.executors.dispatch import Dispatcher
from rllab.executors.jobs import Executor, Job

AHEAD = 32  # blocks of a query under way at a time, which bounds the memory that their points take


class Spreading:
    """Where the members of a population play, if not here.

    Args:
        make, policy: the environment, and the architecture of who plays there.
        executor, timeout, retries: as `Cost` has them; an evaluation is an episode.
    """

    def __init__(self, make: Maker, policy: Policy, executor: Executor, timeout: float | None, retries: int):
        self.dispatcher = Dispatcher(executor, timeout=timeout, retries=retries, who=make.who)
        self.sent, self.inputs = Sent(make, policy), len(policy.scale)


def spreading(
    make: Maker,
    policy: Policy,
    vectorization: Vectorization,
    executor: Executor | None,
    timeout: float | None,
    retries: int,
) -> Spreading | None:
    """Return where members play; None for here.

    Raises:
        TypeError, ValueError: an argument is not what `Cost` says, or `vectorization` also says where; in the name of
            `make.who`.
        NotSendable: environment or policy cannot be pickled.
    """
    if executor is None:
        Dispatcher(None, timeout=timeout, retries=retries, who=make.who)  # which checks the others
        return None
    if vectorization != "auto":
        raise ValueError(f'{make.who}: vectorization must be "auto" with an executor, got {vectorization!r}')
    return Spreading(make, policy, executor, timeout, retries)


class SpreadEpisodes:
    """Play an episode for each point of a query elsewhere, for some steps at a time, as `Episodes` does here.

    Rounds are those of lockstep: a step in every episode that goes on. What a limit of steps pays for is found from the
    lengths of episodes: all are played for as many rounds as it surely pays for, and those that go on once more, from
    their beginning, for as many as it pays for then. What is repeated was paid for, and is not counted again.

    Args:
        spreading: where they are played.
        query: whose points are the weights.
        normalizer: of scaled observations, which is left as it is; None leaves them as they are.
        spent: where steps of attempts are counted that were lost.

    Attributes:
        rounds: of steps so far.
        taken: environment steps so far; of episodes under way when an error came up none.
        lengths: of the episodes so far, (n,).
    """

    def __init__(self, spreading: Spreading, query: Query, normalizer: RunningMoments | None, spent: Spent):
        self._spreading, self._query, self._normalizer, self._spent = spreading, query, normalizer, spent
        n, self._o = query.evaluations, spreading.inputs
        self._returns, self.lengths, self._live = np.zeros(n), np.zeros(n, np.int64), np.arange(n)
        self._rows = [np.zeros((0, self._o), np.float32)] * n
        self.rounds = self.taken = 0

    def play(self, *, limit: int | None = None, longest: int | None = None) -> Rollout:
        """Play on, see `Episodes.play`."""
        begun = self.taken
        while self._live.size:
            rounds = longest
            if limit is not None:
                paid = self.rounds + (limit - self.taken + begun) // self._live.size
                rounds = paid if longest is None else min(paid, longest)
            if rounds == self.rounds:
                break
            self._play_until(rounds)
        return Rollout(self._returns.copy(), self.lengths.copy(), int(self.lengths.sum()), not self._live.size)

    @property
    def seen(self) -> RunningMoments:
        """Moments of the scaled observations so far, if there is a normaliser: the bits of lockstep."""
        seen = Seen(self._o)
        if self._normalizer is not None:
            rounds = np.concatenate([np.arange(length) for length in self.lengths])
            order = np.lexsort((np.repeat(np.arange(len(self.lengths)), self.lengths), rounds))
            for rows in np.split(np.concatenate(self._rows)[order], np.cumsum(np.bincount(rounds))[:-1]):
                seen.keep(rows)
        return seen.moments

    def _play_until(self, rounds: int | None) -> None:
        """Play those that go on, from their beginning, for so many steps or to their end."""
        query, player = self._query, Player(self._spreading.sent, self._normalizer, rounds)
        recipe = query.estimator.recipe(query, seeded=True)
        remade = None if recipe is None else Call(player, True, recipe)
        call, over = Call(player, True), np.ones(len(self.lengths), bool)
        begun: deque[tuple[Job, np.ndarray]] = deque()
        try:
            for i in range(len(query) + AHEAD):
                if i < len(query) and (job := self._job(i, call, remade)) is not None:
                    begun.append(job)
                    self._spreading.dispatcher.begin(job[0])
                if begun and i >= AHEAD - 1:
                    job, members = begun[0]
                    returns, lengths, ended, *rows = self._spreading.dispatcher.wait(job)
                    begun.popleft()
                    self._take(members, returns.numpy(), lengths.numpy(), rows)
                    over[members] = ended.numpy()
                    self._spent.lost_steps += sum(int(lengths[row]) * times for row, times in job.again.items())
        finally:
            for job, members in begun:  # an error came up: what was answered is paid for
                for start, (n, (_, lengths, *_)) in job.parts.items():
                    self.taken += int((lengths.numpy() - self.lengths[members[start : start + n]]).sum())
            if begun:
                self._spreading.dispatcher.abandon()
        self._live = np.flatnonzero(~over)
        self.rounds = rounds if self._live.size and rounds is not None else int(self.lengths.max())

    def _job(self, i: int, call: Call, remade: Call | None) -> tuple[Job, np.ndarray] | None:
        """Return the job of a block and the episodes it is of; None if all of them are over."""
        block = self._query[i]
        first, n, seeds = block.rows.start, len(block.points), self._query.seeds(block)
        members = self._live[(self._live >= first) & (self._live < first + n)]
        if not len(members):
            return None
        points, some = block.points, torch.from_numpy(members - first)
        if len(members) < n:
            points, seeds, remade = points[some], seeds[some], None
        job = Job(
            call,
            (points, None, seeds),
            name=lambda row: f"episode {members[row]} of a generation, under seed {seeds[row]}",
            charge=_free,
            remade=None if remade is None else (remade, i),
            ragged=True,
        )
        return job, members

    def _take(self, members: np.ndarray, returns: np.ndarray, lengths: np.ndarray, rows: list[Tensor]) -> None:
        """Take over what was answered for some episodes, from their beginning."""
        self.taken += int((lengths - self.lengths[members]).sum())
        self._returns[members], self.lengths[members] = returns, lengths
        for seen in rows:
            for member, part in zip(members, np.split(seen.numpy(), np.cumsum(lengths)[:-1]), strict=True):
                self._rows[member] = part


def _free(n: int) -> None:
    """Reserve nothing: steps of attempts that are lost are counted when it is known how long an episode is."""

"""OffPolicy: what TD3, SAC and CrossQ share: steps into a replay, updates out of it, and the critic's gradient."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from rllab.agents.adam import Adam
from rllab.agents.base import Agent
from rllab.agents.buffers import Buffers
from rllab.agents.draws import Draws
from rllab.agents.n_step import NStep
from rllab.agents.normalized_critics import NormalizedCritics
from rllab.agents.replay import Batch, Replay
from rllab.agents.saved import check_names, check_tensor, check_whole
from rllab.agents.schedules import Linear, check_scheduled, now
from rllab.agents.twin_critics import TwinCritics
from rllab.agents.user_network import ModuleNetwork, twin_networks
from rllab.agents.vector_collector import VectorCollector
from rllab.agents.vectorization import replay_collector
from rllab.backprop.replay import Recorded
from rllab.checks import as_count, as_widths, check_fraction, check_positive
from rllab.estimate import Estimate, Target
from rllab.keys import Key, as_key

BLOCK = 1000  # steps whose random numbers are drawn at once; fewer where updates are many
CHUNK = 1024  # observations that a gradient is computed at in one pass

Critics = TypeVar("Critics", TwinCritics, NormalizedCritics)


@dataclass(eq=False)
class OffPolicy(Agent, Generic[Critics]):
    """Learn critics from a replay of past steps, and an actor by backpropagating through them. Subclasses are final.

        after every `train_freq` steps past `learning_starts`:     `gradient_steps` updates, each of a fresh minibatch
        an update:     critics ← y;     every `policy_delay`-th time:  actor ← ∂Ĉ/∂a ∂a/∂w,  and what follows it slowly

    Critics learn 1 − γ times the discounted cost to go, which has the size of one step's cost whatever γ is. They begin
    at the mean cost of a step. A row comes at every 1,000 steps; at fewer where `gradient_steps` is larger than
    `train_freq`. How steps are divided into calls changes nothing that is learned.

    Args:
        num_envs: environments side by side, which take a step each at a time; steps are counted all together.
        critic_hidden: widths of the critics' hidden layers.
        critic: two networks of your own in the place of the critics', of one architecture, differentiated by autograd:
            each takes observations in the form of their space, and actions (n, k) in [−1, 1], and returns (n,) or
            (n, 1). A learned constant is added to each.
        lr: learning rate of Adam, for all that is learned; a number or `Linear`, which moves in stairs, at every 1,000
            steps.
        buffer_size: transitions kept.
        learning_starts: steps of uniformly random actions before learning begins; they count like any other.
        batch_size: transitions a minibatch.
        gamma: γ in (0, 1), the discount.
        train_freq, gradient_steps: how many steps for how many updates of the critics.
        policy_delay: critic steps for one of the actor.
        n_steps: costs of so many steps stand in a target before the critic does; see `NStep`.
        max_grad_norm: greatest length of the gradient of the actor, and of that of both critics; None is no limit. Both
            have the factor 1 − γ of what critics learn, so the 0.5 or 1 of other agents may never clip: choose it by
            `actor_norm` and `critic_norm` of a row. On Pendulum at γ = 0.99 these are 0.0004 to 0.02 in TD3 and SAC,
            and 0.02 to 1.2 in CrossQ, whose critics are normalised.

    Attributes:
        critics: Q_1 and Q_2.
        critic_updates: updates so far.
        replay: the transitions, a `Replay`; `replay.transitions()` gives them in order.

    Raises:
        TypeError, ValueError: an argument is out of its range, or actions are no Box.

    Example:
        from rllab.agents import TD3, OffPolicy

        agent = TD3("Pendulum-v1", seed=0, learning_starts=100, n_steps=3, train_freq=4, gradient_steps=4)
        rows = agent.learn(steps=200)
        print(isinstance(agent, OffPolicy), agent.critic_updates, rows[-1]["critic_loss"])
    """

    takes_choices: ClassVar[bool] = False
    normalizes: ClassVar[bool] = False
    fixed: ClassVar[tuple[str, ...]] = (
        *Agent.fixed,
        *"num_envs critic_hidden critic buffer_size gamma n_steps max_grad_norm".split(),
    )
    update_takes: ClassVar[str] = "more than {learning_starts} steps (learning_starts)"
    columns: ClassVar[tuple[str, ...]] = ("critic_loss", "mean_q", "critic_norm", "actor_norm", "lr")
    noises: ClassVar[int] = 1  # normal numbers of an update for each transition and component of an action
    parts: ClassVar[tuple[str, ...]] = ("learned_actor", "critics")  # attributes with a state that is learned

    _: KW_ONLY
    num_envs: int = 1
    critic_hidden: tuple[int, ...] = (64, 64)
    critic: tuple[nn.Module, nn.Module] | None = None
    lr: float | Linear = 1e-3
    buffer_size: int = 200_000
    learning_starts: int = 1000
    batch_size: int = 128
    gamma: float = 0.99
    train_freq: int = 1
    gradient_steps: int = 1
    policy_delay: int = 1
    n_steps: int = 1
    max_grad_norm: float | None = None

    def _check_arguments(self) -> None:
        who = self._name
        self.critic_hidden = as_widths(who, "critic_hidden", self.critic_hidden)
        counts = "num_envs buffer_size learning_starts batch_size train_freq gradient_steps policy_delay n_steps"
        for name in counts.split():
            setattr(self, name, as_count(who, name, getattr(self, name)))
        check_scheduled(who, lr=self.lr)
        check_fraction(who, below=True, gamma=self.gamma)
        if self.max_grad_norm is not None:
            check_positive(who, max_grad_norm=self.max_grad_norm)
        self._critics: tuple[ModuleNetwork, ModuleNetwork] | None = None
        if self.critic is not None:
            self._check_takes("critic")
            self._critics = twin_networks(who, self.critic, self._encoder.space, self._widths()[1])
        else:
            self._encoder.check_flat("give a network of your own, critic=…")
        self._check_own()

    def _modules(self) -> dict[str, ModuleNetwork]:
        return super()._modules() | dict(zip(("critic_1", "critic_2"), self._critics or (), strict=False))

    def _learned(self) -> dict[str, Tensor]:
        return super()._learned() | dict(zip(("critic_1", "critic_2"), self.critics.weights, strict=True))

    def _widths(self) -> tuple[int, int]:
        """Return the numbers in an observation and in an action."""
        return len(self.policy.scale), self.policy.actions.size

    def _start(self) -> None:
        self._buffers, self.diagnostics = Buffers(), {}
        # of the block of steps that was last used: its number, its steps, its updates and their transitions
        self._draws: tuple[tuple[int, int, int, int], Draws] | None = None
        self.critics: Critics = self._make_networks()
        self.critic_updates, self._begun = 0, False  # whether critics are at the mean cost of a step
        self.replay = Replay(self.buffer_size, *self._widths(), discounted=self.n_steps > 1)
        self.multistep = NStep(self.replay, self.n_steps, self.gamma)
        store = self.multistep if self.n_steps > 1 else self.replay
        self.collector = replay_collector(
            self.maker, self.num_envs, self.vectorization, self.policy, store, self.spent, self.key.child("episode")
        )
        steps = self._descend_critics, self._descend_actor
        # autograd allocates: there is nothing to record
        self._step_critics, self._step_actor = steps if self._modules() else map(Recorded, steps)

    @abstractmethod
    def _check_own(self) -> None:
        """Check the hyperparameters of the subclass alone."""

    @abstractmethod
    def _make_networks(self) -> Critics:
        """Make the actor and what else learns; return the critics."""

    @abstractmethod
    def _optimizers(self) -> tuple[Adam, ...]:
        """Return all that learn."""

    @abstractmethod
    def _reads(self) -> tuple[object, ...]:
        """Return all that a step reads beside its minibatch, so that none is made again as it was recorded."""

    @abstractmethod
    def behave(self, observation: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Return the action in [−1, 1]^k to explore with at a scaled observation (…, o), by noise N(0, 1), (…, k)."""

    @abstractmethod
    def _descend_critics(self, batch: Batch, noise: Tensor, *read: Any) -> None:
        """Make one step of the critics, of operations that write into buffers alone."""

    @abstractmethod
    def _descend_actor(self, batch: Batch, noise: Tensor, *read: Any) -> None:
        """Make one step of the actor, likewise."""

    @abstractmethod
    def _follow(self) -> None:
        """Let what follows networks slowly follow; called with every step of the actor."""

    @abstractmethod
    def descent(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the actor minimises, (), and its gradient in the policy's weights, (d,); written over.

        Args:
            observations: scaled, (n, o).
            noise: N(0, 1), (n, k), of the actions; a deterministic policy takes none.
        """

    @abstractmethod
    def _diagnose(self) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Return Q_i − y, (2, n), and the critics' gradient of their last update, and of the actor's last the gradient
        and what other columns report."""

    @abstractmethod
    def _critic_size(self) -> int:
        """Return the number of weights of one critic; nothing is allocated yet."""

    @abstractmethod
    def _stands_in(self) -> str:
        """Say in words what cost the actor's gradient is of."""

    @property
    def iteration_steps(self) -> int:
        """Environment steps between rows, which are at its multiples and where a call ends."""
        most = max(self.num_envs, BLOCK * self.train_freq // max(self.train_freq, self.gradient_steps))
        return most // self.num_envs * self.num_envs

    def _drawn(self, block: int) -> Draws:
        """Return the random numbers of a block of so many steps, whatever calls its steps are taken in."""
        steps, width = self.iteration_steps, self._widths()[1]
        updates = -(-steps // self.train_freq) * self.gradient_steps
        what = block, steps, updates, self.batch_size  # any but the block's number may be set within the block
        if self._draws is None or self._draws[0] != what:
            draws = Draws(
                self.key.child("block", block),
                steps=steps,
                updates=updates,
                actions=width,
                batch_size=self.batch_size,
                noises=width * self.noises,
            )
            self._draws = what, draws
        return self._draws[1]

    def _iterate(self, limit: int) -> list[float]:
        return self._go_on(limit, self.update)

    def _go_on(self, limit: int, update: Callable[[Batch, Tensor], None]) -> list[float]:
        """Take at most `limit` steps, to the end of a block at most, and make the updates they pay for; return the
        returns of episodes that ended."""
        n, every, updates = self.num_envs, self.train_freq, self.gradient_steps
        block, start = divmod(self.spent.steps, self.iteration_steps)
        draws, end = self._drawn(block), min(self.iteration_steps, start + limit)
        returns: list[float] = []
        together = isinstance(self.collector, VectorCollector)
        critics, actors, rates = self.critic_updates, self.spent.updates, []
        for i in range(start, end - n + 1, n):
            past = self.spent.steps - self.learning_starts  # steps since learning has started; before, below 0
            drawn = slice(i, i + n) if together else i
            if past < 0:
                action = draws.uniform[drawn]
            else:
                action = self.behave(self.collector.observe(), draws.normal[drawn])
            returns += self.collector.step(action)
            if not len(self.replay):
                continue
            if not self._begun and past + n >= 0:
                # the cost to go, times 1 − γ, of an episode without end; from 0 it would take some 1/(τ (1 − γ)) steps
                self.critics.start_at(self.replay.costs().mean())
                self._begun = True
            for k in range(n):
                if past + k >= 0 and (past + k + 1) % every == 0:
                    first = (i + k) // every * updates
                    rates.append(self._follow_schedule())
                    for j in range(first, first + updates):
                        update(self.replay.batch(draws.picks[j]), draws.noise[j])
        if self.critic_updates > critics:
            self._report(rates[0], actor=self.spent.updates > actors)
        return returns

    def _follow_schedule(self) -> float:
        """Set and return the learning rate, a line's at the last multiple of BLOCK steps: each records a step anew."""
        lr = self.lr
        if isinstance(lr, Linear):
            lr = now(lr, replace(self.spent, steps=self.spent.steps // BLOCK * BLOCK))
        for optimizer in self._optimizers():
            if optimizer.lr != lr:
                optimizer.lr = lr
        return lr

    def _report(self, lr: float, *, actor: bool) -> None:
        """Tell rows the learning rate, and of the last update of the critics, and, if there was one, of the actor."""
        errors, of_critics, of_actor, own = self._diagnose()
        q = self._buffers("y", errors.shape[1]) + errors
        reported = {"critic_loss": errors.square().mean(1).sum(), "mean_q": q.mean(), "critic_norm": of_critics.norm()}
        if actor:
            reported |= {"actor_norm": of_actor.norm(), **own}
        self.diagnostics |= {name: value.item() for name, value in reported.items()} | {"lr": lr}

    def update(self, batch: Batch, noise: Tensor, *, learn_actor: bool = True) -> None:
        """Make one step of the critics, and of actor and targets every `policy_delay`-th.

        Args:
            batch: n transitions.
            noise: N(0, 1), (n, m k), m being `noises`.
            learn_actor: whether the actor moves; it stays as it is if not.
        """
        noise = self._buffers("noise", *noise.shape).copy_(noise)
        read = (batch, noise, *self._reads())
        self._step_critics(*read)
        self.critic_updates += 1
        if self.critic_updates % self.policy_delay == 0:
            if learn_actor:
                self._step_actor(*read)
                self.spent.updates += 1
            self._follow()

    @torch.inference_mode(False)  # buffers made here must be ordinary tensors
    def gradient(self, steps: int = 0, *, key: Key | int, observations: Any = None) -> Estimate:
        """Return the gradient that the actor would follow, its weights frozen, from so many fresh environment steps.

        With `steps` = 0 it is backpropagated through the critics as they stand. Else critics first go on learning for
        so many steps while the policy stays: a copy of the agent takes them in an environment of its own, exploring as
        in training from where `learning_starts` ends, adds them to its replay, and makes the updates of the critics
        that they pay for. The agent itself, its critics, replay and environment included, stays as it was.

        Args:
            steps: environment steps, >= 0; they are the estimate's price, and not in `spent`.
            key: of the episodes, minibatches and actions drawn.
            observations: those that the gradient is averaged over, n as `act` takes them. None takes those of the fresh
                steps, or, without any, all in the replay, which an actor's minibatches are drawn from.

        Returns:
            Estimate of target SURROGATE, (d,): ∂/∂w of the learned cost, of the size of one step's cost. It is biased
            by the critics' error, which they cannot know, and the spread over observations does not show: there is
            no standard error. Repeat it with other keys to see the part that the fresh steps cause.

        Raises:
            TypeError, ValueError: `steps` is no whole number >= 0 of rounds of `num_envs` steps, they are no
                observations of the environment or no finite numbers, or there are none.
        """
        steps, key = as_count(self._name, "steps", steps, 0), as_key(key)
        if steps % self.num_envs:
            raise ValueError(f"{self._name}: steps must be a multiple of num_envs, {self.num_envs}, got {steps}")
        learner = self if steps == 0 else self._fine_tuned(steps, key)
        inputs = learner.replay.newest(steps or len(self.replay))
        if observations is not None:
            inputs = self.policy.inputs(np.atleast_2d(self._encoder.rows(observations)))
        if not len(inputs):
            raise ValueError(f"{self._name}: steps or observations must be given before anything was learned, got none")
        noise = torch.empty(len(inputs), self._widths()[1], dtype=torch.float32)
        noise.normal_(generator=key.child("actions").generator())
        cost, gradient = torch.zeros((), dtype=torch.float32), torch.zeros_like(self.weights)
        for part, xi in zip(inputs.split(CHUNK), noise.split(CHUNK), strict=True):
            c, g = learner.descent(part, xi)
            cost.add_(c, alpha=len(part) / len(inputs))
            gradient.add_(g, alpha=len(part) / len(inputs))
        return Estimate(gradient, cost, steps, Target.surrogate(self._stands_in()))

    def _fine_tuned(self, steps: int, key: Key) -> Self:
        """Return a copy of this agent whose critics have learned from so many more steps."""
        # workers of its own would cost more than they spare
        copy = self._alike(seed=key.integer(), vectorization="auto")
        copy._init()
        for name, network in self._modules().items():
            copy._modules()[name].load_constants(network.state_dict(self._learned()[name]))
        copy.weights.copy_(self.weights)
        at_start = {"episode": copy.collector.state_dict(), "several": copy.multistep.state_dict()}
        copy._restore(self._state() | at_start)
        copy.spent.steps = max(self.spent.steps, -(-self.learning_starts // self.num_envs) * self.num_envs)
        copy.spent.first_call = self.spent.first_call  # where schedules end
        last = copy.spent.steps + steps
        try:
            while copy.spent.steps < last:
                copy._go_on(last - copy.spent.steps, partial(copy.update, learn_actor=False))
        finally:
            copy.collector.close()
        copy.multistep.store_all()
        return copy

    def _state(self) -> dict[str, Any]:
        parts = {name: getattr(self, name).state_dict() for name in self.parts}
        return parts | {
            "critic_updates": self.critic_updates,
            "replay": self.replay.state_dict(),
            "several": self.multistep.state_dict(),
            "episode": self.collector.state_dict(),
        }

    def _check_sizes(self, state: dict[str, Any]) -> None:
        check_names("state", state, {*self.parts, "critic_updates", "replay", "several", "episode"})
        critics = state["critics"]
        weights = critics.get("weights") if isinstance(critics, dict) else critics
        check_tensor("the critics' weights", weights, (2, self._critic_size()))
        if self.num_envs > 1:
            episodes = state["episode"].get("episodes") if isinstance(state["episode"], dict) else None
            check_tensor("the episodes' numbers", episodes, (self.num_envs,), torch.int64)

    def _restore(self, state: dict[str, Any]) -> None:
        for name in self.parts:
            getattr(self, name).load_state_dict(state[name])
        self.critic_updates = check_whole("critic_updates", state["critic_updates"])
        self.collector.load_state_dict(state["episode"])
        self.multistep.load_state_dict(state["several"])
        self.replay.load_state_dict(state["replay"])
        past = self.spent.steps >= self.learning_starts and len(self.replay) > 0
        self._begun = past or self.critic_updates > 0

"""TD3: the gradient is backpropagated through a learned, differentiable cost (two critics) into the actor.

    y = c + γ (1 − terminated) max_i Q̄_i(o', ā'),     ā' = clip(π̄(o') + clip(ε, ±b)),  ε ~ N(0, σ²)
    critics: minimise Σ_i (Q_i(o, a) − y)²             actor: minimise Q_1(o, π_w(o)), every second step
    target networks: w̄ ← w̄ + τ (w − w̄)

Critics learn discounted cost to go, so pessimism is the *larger* of two. An episode that ends in a fall costs nothing
more; one that is cut off by a time limit goes on in Q̄ (`terminated`, never "done", is in y).

Source: Fujimoto, van Hoof & Meger (2018), "Addressing function approximation error in actor-critic methods",
algorithm 1. Differences: costs for rewards; both critics are one batched network; c is scaled by 1 − γ so that Q keeps
the size of one step's cost whatever γ is, and critics begin at the mean cost of a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.agents.adam import Adam
from rllab.agents.base import Agent, episode_seeds, require_positive
from rllab.agents.mlp import MLP, check_widths
from rllab.agents.replay import Batch, Replay
from rllab.agents.rollouts import make_environment
from rllab.backprop import Chain, Tanh
from rllab.backprop.module import Weights
from rllab.backprop.replay import Recorded
from rllab.estimate import Estimate, Target
from rllab.keys import Key

BLOCK = 1000  # steps whose random numbers are drawn at once, and steps an iteration


@dataclass(eq=False)
class TD3(Agent):
    """Learn a deterministic policy by backpropagation through a critic.

    Args:
        critic_hidden: widths of the critics' hidden layers.
        lr: learning rate of Adam, for actor and critics.
        batch: transitions a minibatch.
        discount: γ in (0, 1).
        tau: τ, how fast target networks follow.
        warmup: steps of uniformly random actions before learning begins; they count like any other.
        exploration: standard deviation of the noise on actions, in units of half the action box.
        target_noise, target_clip: σ and b, in the same units.
        delay: critic steps for one of the actor.
        capacity: transitions kept.
    """

    _: KW_ONLY
    critic_hidden: tuple[int, ...] = (64, 64)
    lr: float = 1e-3
    batch: int = 128
    discount: float = 0.99
    tau: float = 0.005
    warmup: int = 1000
    exploration: float = 0.1
    target_noise: float = 0.2
    target_clip: float = 0.5
    delay: int = 2
    capacity: int = 200_000

    def _start(self) -> None:
        require_positive(self._name, lr=self.lr, tau=self.tau, discount=self.discount)
        require_positive(self._name, batch=self.batch, delay=self.delay, capacity=self.capacity, warmup=self.warmup)
        if self.discount >= 1 or self.tau > 1:
            raise ValueError(
                f"{self._name}: discount must be in (0, 1) and tau in (0, 1], got {self.discount} and {self.tau}"
            )
        for name in ("exploration", "target_noise", "target_clip"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{self._name}: {name} must be >= 0 and finite, got {getattr(self, name)}")
        if self.policy.low is None:
            raise ValueError(f"{self._name}: actions must be a Box, got {self.policy.choices} discrete ones")
        self.critic_hidden = tuple(self.critic_hidden)
        check_widths(self._name, "critic_hidden", self.critic_hidden)
        o, k = len(self.policy.scale), len(self.policy.low)
        self.critic = MLP((o + k, *self.critic_hidden, 1), "relu")
        self.critics = self.critic.initial(self.key.child("critics"), copies=2)
        self.targets = self.weights.clone(), self.critics.clone()
        self._passes = _Passes(self)
        self._step_critics, self._step_actor = Recorded(self._descend_critics), Recorded(self._descend_actor)
        self._slopes = torch.zeros_like(self.weights), torch.zeros_like(self.critics)
        self.actor_optimizer, self.critic_optimizer = Adam(self.weights, self.lr), Adam(self.critics, self.lr)
        self.replay = Replay(self.capacity, o, k)
        self.env = make_environment(self._name, self.environment, self.environment_arguments)
        self.critic_updates = 0
        self._layers = self.policy.network.on_arrays(self.weights)  # shares memory: always the current weights
        self._begin()

    def _begin(self) -> None:
        self._seen: np.ndarray | None = None  # the scaled observation to act on; None: start an episode
        self._return = 0.0

    def _iterate(self, limit: int) -> list[float]:
        returns: list[float] = []
        draws = _Draws(self, self.key.child("block", self.iterations))
        for i in range(min(BLOCK, limit)):
            if self._seen is None:
                (seed,) = episode_seeds(self.key.child("episode"), self.episodes, 1)
                self._seen, self._return = self.policy.scaled(self.env.reset(seed=seed)[0]), 0.0
                self.episodes += 1
            o = self._seen
            a = draws.uniform[i] if self.steps < self.warmup else self._explore(o, draws.normal[i])
            following, reward, terminated, truncated, _ = self.env.step(self.policy.to_environment(a))
            following = self.policy.scaled(following)
            self.replay.add(o, a, -float(reward), following, terminated)
            self.steps += 1
            self._seen, self._return = following, self._return + float(reward)
            if terminated or truncated:
                returns.append(self._return)
                self._seen = None
            if self.steps == self.warmup:
                self._start_from_warmup()
            if self.steps > self.warmup:
                self.update(self.replay.batch(draws.picks[i]), draws.smoothing[i])
        return returns

    def _start_from_warmup(self) -> None:
        """Let the critics begin at the mean cost of a step: the cost to go, times 1 − γ, of an episode without end.

        From 0 they would need some 1/(τ (1 − γ)) steps of their targets to get there.
        """
        mean = self.replay.costs().mean()
        for critics in (self.critics, self.targets[1]):
            *_, (_, bias) = self.critic.layers(critics)
            bias.fill_(mean)

    def _explore(self, o: np.ndarray, noise: np.ndarray) -> np.ndarray:
        a = np.tanh(self.policy.network.forward_array(self._layers, o))
        return np.clip(a + self.exploration * noise, -1.0, 1.0)

    def update(self, batch: Batch, smoothing: Tensor) -> None:
        """Make one step of the critics, and of actor and targets every `delay`-th; smoothing is N(0, 1), (n, k)."""
        smoothing = self._passes.held(len(smoothing)).smoothing.copy_(smoothing)
        # all that may be replaced, lest an older step be made again
        actor, critics = self.actor_optimizer, self.critic_optimizer
        of = batch, smoothing, self.weights, self.critics, *self.targets
        self._step_critics(*of, critics, critics.lr, self.discount, self.target_noise, self.target_clip)
        self.critic_updates += 1
        if self.critic_updates % self.delay == 0:
            self._step_actor(*of, actor, actor.lr, self.tau)
            self.updates += 1

    def _descend_critics(self, batch: Batch, smoothing: Tensor, *watched: Any) -> None:
        y, slopes = self.target(batch, smoothing, self._passes.held(len(smoothing)).y), self._slopes[1]
        self._passes.regress(self.critics, batch.observations, batch.actions, y, slopes)
        self.critic_optimizer.step(slopes)

    def _descend_actor(self, batch: Batch, *watched: Any) -> None:
        _, slope = self.descent(batch.observations)
        self.actor_optimizer.step(slope)
        for target, current in zip(self.targets, (self.weights, self.critics), strict=True):
            target.lerp_(current, self.tau)

    def target(self, batch: Batch, smoothing: Tensor, out: Tensor | None = None) -> Tensor:
        """Return y, (n,), in `out` if that is given."""
        actor, critics = self.targets
        noise = self._passes.held(len(smoothing)).noise
        # ā' = clip(π̄(o') + clip(σ ε, ±b))
        torch.mul(smoothing, self.target_noise, out=noise).clamp_(-self.target_clip, self.target_clip)
        a = noise.add_(self._passes.act(actor, batch.following)).clamp_(-1.0, 1.0)
        y = self._passes.larger(critics, batch.following, a, torch.empty(len(a)) if out is None else out)
        # y = (1 − γ) c + γ (1 − terminated) max_i Q̄_i
        torch.addcmul(y, y, batch.terminated, value=-1.0, out=y)
        return y.mul_(self.discount).add_(batch.costs, alpha=1 - self.discount)

    def descent(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of Q_1(o, π_w(o)) over scaled observations (n, o), and its gradient (d,); written over."""
        slope = self._slopes[0]
        return self._passes.descent(self.weights, self.critics, observations, slope), slope

    def actor_gradient(self, observations: np.ndarray) -> Estimate:
        """Return the gradient the actor would follow, backpropagated through critic 1.

        Args:
            observations: (n, o), as the environment gives them.
        Returns:
            Estimate of target SURROGATE: ∂/∂w of (1 − γ) times the learned cost to go, no evaluation made. How far it
            is from the true gradient is the critic's bias, which it cannot know: there is no standard error.
        """
        observations = np.atleast_2d(observations)
        if observations.shape[1:] != (len(self.policy.scale),):
            raise ValueError(
                f"{self._name}: observations must be (n, {len(self.policy.scale)}), got {observations.shape}"
            )
        cost, gradient = self.descent(self.policy.inputs(observations))
        return Estimate(gradient.clone(), cost.clone(), 0, Target.surrogate("critic 1 of TD3, cost to go times 1 − γ"))

    def _state(self) -> dict[str, Any]:
        stored = len(self.replay)
        return {
            "critics": self.critics,
            "targets": list(self.targets),
            "actor_optimizer": self.actor_optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "critic_updates": self.critic_updates,
            "replay": self.replay.table[:stored].clone(),
            "added": self.replay.added,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.critics.copy_(state["critics"])
        for target, stored in zip(self.targets, state["targets"], strict=True):
            target.copy_(stored)
        self.actor_optimizer.load_state_dict(state["actor_optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.critic_updates = state["critic_updates"]
        self.replay.table[: len(state["replay"])] = state["replay"]
        self.replay.added = state["added"]


class _Held:
    """What an update of n transitions writes into."""

    def __init__(self, n: int, o: int, k: int):
        self.smoothing, self.noise, self.pairs = torch.empty(n, k), torch.empty(n, k), torch.empty(n, o + k)
        self.y, self.v, self.average = torch.empty(n), torch.empty(n, 1), torch.full((n, 1), 1 / n)
        self.cost = torch.empty(())


class _Passes:
    """The networks as chains of modules, whose buffers serve current and target weights in turn."""

    def __init__(self, agent: TD3):
        network, self._critic = agent.policy.network, agent.critic
        self._network = network
        self._actor = Chain([*network.modules(), Tanh()])
        self._q = Chain(agent.critic.modules())  # both critics take turns: buffers that are warm
        self._views: dict[int, tuple[Tensor, list[list[Weights]]]] = {}
        self._widths = network.sizes[0], network.sizes[-1]
        self._held = _Held(agent.batch, *self._widths)

    def held(self, n: int) -> _Held:
        """Return what an update of n transitions writes into."""
        if len(self._held.y) != n:
            self._held = _Held(n, *self._widths)
        return self._held

    def act(self, w: Tensor, observations: Tensor) -> Tensor:
        """Return actions (n, k), to be used before the next call."""
        return self._actor.forward(observations, self._of_actor(w))

    def larger(self, critics: Tensor, observations: Tensor, actions: Tensor, out: Tensor) -> Tensor:
        """Return max_i Q_i(o, a) in `out`, (n,)."""
        first, second = self._of_critics(critics)
        pairs = self._paired(observations, actions)
        out.copy_(self._q.forward(pairs, first)[:, 0])
        return torch.maximum(out, self._q.forward(pairs, second)[:, 0], out=out)

    def regress(self, critics: Tensor, observations: Tensor, actions: Tensor, y: Tensor, into: Tensor) -> None:
        """Write the gradient of Σ_i mean (Q_i(o, a) − y)² with respect to both critics into `into`, (2, d)."""
        pairs, v = self._paired(observations, actions), self.held(len(y)).v
        for w, g in zip(self._of_critics(critics), self._of_critics(into), strict=True):
            # ∂/∂Q_i = 2 (Q_i − y)/n
            torch.sub(self._q.forward(pairs, w), y.unsqueeze(1), out=v).mul_(2 / len(y))
            self._q.backward(v, g, to_input=False)

    def descent(self, w: Tensor, critics: Tensor, observations: Tensor, into: Tensor) -> Tensor:
        """Return the mean of Q_1(o, π_w(o)) and write its gradient with respect to w into `into`."""
        held = self.held(len(observations))
        pairs = self._paired(observations, self.act(w, observations))
        q = self._q.forward(pairs, self._of_critics(critics)[0])
        # ∂Ĉ/∂w = ∂Ĉ/∂a ∂π/∂w
        slope = self._q.backward(held.average)
        assert slope is not None
        self._actor.backward(slope[:, observations.shape[1] :], self._of_actor(into), to_input=False)
        return torch.dot(q[:, 0], held.average[:, 0], out=held.cost)

    def _paired(self, observations: Tensor, actions: Tensor) -> Tensor:
        return torch.cat((observations, actions), 1, out=self.held(len(observations)).pairs)

    def _of_actor(self, w: Tensor) -> list[Weights]:
        return self._cached(w, lambda: [[*self._network.for_modules(w), ()]])[0]

    def _of_critics(self, w: Tensor) -> list[list[Weights]]:
        return self._cached(w, lambda: [self._critic.for_modules(w[i]) for i in (0, 1)])

    def _cached(self, w: Tensor, make: Callable[[], list[list[Weights]]]) -> list[list[Weights]]:
        """Views of w, made once; of the few tensors that an agent keeps."""
        known = self._views.get(id(w))
        if known is None or known[0] is not w:
            if len(self._views) > 16:
                self._views.clear()
            known = self._views[id(w)] = w, make()
        return known[1]


class _Draws:
    """All random numbers of a block of steps, each stream from a key of its own."""

    def __init__(self, agent: TD3, key: Key):
        k, n = len(agent.policy.low or ()), agent.batch

        def draw(stream: str, *shape: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, torch.Generator]:
            return torch.empty(shape, dtype=dtype), key.child(stream).generator()

        empty, generator = draw("warmup", BLOCK, k)
        self.uniform = empty.uniform_(-1.0, 1.0, generator=generator).numpy()
        empty, generator = draw("exploration", BLOCK, k)
        self.normal = empty.normal_(generator=generator).numpy()
        empty, generator = draw("minibatch", BLOCK, n, dtype=torch.float64)
        self.picks = empty.uniform_(generator=generator)
        empty, generator = draw("smoothing", BLOCK, n, k)
        self.smoothing = empty.normal_(generator=generator)

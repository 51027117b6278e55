"""CrossQ: a soft actor-critic without target networks, whose critics normalise what was and what followed together."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rllab.agents.adam import Adam
from rllab.agents.larger_cost import LargerCost
from rllab.agents.normalized_critics import NormalizedCritics
from rllab.agents.normalized_mlp import NormalizedMLP
from rllab.agents.off_policy import OffPolicy
from rllab.agents.replay import Batch
from rllab.agents.schedules import now
from rllab.agents.squashed import SquashedGaussian
from rllab.agents.stochastic_actor import StochasticActor
from rllab.agents.temperature import Temperature, as_target_entropy
from rllab.backprop.network import MLP
from rllab.checks import as_count

BETA_1 = 0.5  # of Adam, for actor and critics: as CrossQ's authors


@dataclass(eq=False)
class CrossQ(OffPolicy[NormalizedCritics]):
    """Learn a squashed Gaussian policy through critics with batch normalisation and no target networks.

        (Q_i(o, a); Q_i(o', a')) = Q_i((o; o'), (a; a')),  normalised over both as one batch,     a' ~ π_w(o')
        y = (1 − γ) c + γ (1 − terminated) [max_i Q_i(o', a') + (1 − γ) α log π(a'|o')],  a constant
        critics: minimise Σ_i (Q_i(o, a) − y)²
        actor, every `policy_delay`-th step: minimise (1 − γ) α log π_w(a|o) + max_i Q_i(o, a),     a drawn from π_w(o)
        temperature: as in SAC

    Where normalisation takes the statistics of the batch, and where running ones: the critics those of the batch in
    their own step alone, so that no gradient ∂Q/∂a mixes samples in the actor's; the actor those of the batch in its
    own step alone, running ones where it acts or draws a'. With running statistics a network is a plain MLP, and
    `weights` are that of the mean, which is evaluated.

    Args:
        critic_hidden: widths of the critics' hidden layers; the paper has (2048, 2048).
        policy_delay: critic steps for one of the actor and of α.
        ent_coef: α: a number; "auto" to learn it from 1 on; "auto_0.1" from 0.1.
        target_entropy: in nats, for "auto"; "auto" is −k, k being the components of an action.
        renorm_warmup: steps of a network with plain batch normalisation, before batch renormalisation begins.

    All other arguments are those of `OffPolicy` and `Agent`; a `Linear` for `lr` moves in stairs of 1,000 steps. The
    attribute `replay` holds the transitions, a `Replay`.

    Raises:
        TypeError, ValueError: an argument is out of its range, or actions are discrete.

    Source: Bhatt et al. (2024), "CrossQ: batch normalization in deep reinforcement learning for greater sample
    efficiency and simplicity", section 4 and its code. Differences: costs for rewards; all is scaled by 1 − γ so that Q
    keeps the size of one step's cost whatever γ is; critics begin at the mean cost of a step; 256 units for 2,048.

    Example:
        from rllab.agents import CrossQ

        agent = CrossQ("Pendulum-v1", seed=0, learning_starts=100, critic_hidden=(64, 64))
        rows = agent.learn(steps=200)
    """

    fixed: ClassVar[tuple[str, ...]] = (*OffPolicy.fixed, "ent_coef", "target_entropy")
    columns: ClassVar[tuple[str, ...]] = (*OffPolicy.columns, "ent_coef", "entropy")
    noises: ClassVar[int] = 2
    takes_networks: ClassVar[bool] = False
    parts: ClassVar[tuple[str, ...]] = (
        "learned_actor",
        "normalized_actor",
        "actor_optimizer",
        "critics",
        "temperature",
    )

    _: KW_ONLY
    critic_hidden: tuple[int, ...] = (256, 256)
    policy_delay: int = 3
    ent_coef: float | str = "auto"
    target_entropy: float | str = "auto"
    renorm_warmup: int = 100_000

    def _check_own(self) -> None:
        self.renorm_warmup = as_count(self._name, "renorm_warmup", self.renorm_warmup, 0)
        Temperature.read(self._name, self.ent_coef)
        as_target_entropy(self._name, self.target_entropy, 1)

    def _critic_size(self) -> int:
        return NormalizedMLP.size(NormalizedCritics.shape(*self._widths(), self.critic_hidden))

    def _make_networks(self) -> NormalizedCritics:
        lr = now(self.lr, self.spent)
        (o, k), longest, key = self._widths(), self.max_grad_norm, self.key.child("critics")
        self.learned_actor = StochasticActor(self.policy, self.weights, key=self.key.child("log_std"))
        assert isinstance(self.learned_actor.network, MLP)  # a module is refused
        # the actor that learns; `learned_actor` is what it is when evaluated
        weights, running = NormalizedMLP.around(self.learned_actor.network, self.learned_actor.weights)
        self.normalized_actor = NormalizedMLP(self.learned_actor.network, weights, running)
        self.actor_optimizer, self._gradient = Adam(weights, lr, BETA_1, longest), torch.zeros_like(weights)
        self._gaussian = SquashedGaussian(k)
        self._evaluate_actor()
        entropy = as_target_entropy(self._name, self.target_entropy, k)
        self.temperature = Temperature(self.ent_coef, entropy, lr)
        critics = NormalizedCritics(o, k, self.critic_hidden, key=key, lr=lr, beta1=BETA_1, max_grad_norm=longest)
        self.larger = LargerCost(critics.network, o)
        return critics

    def _optimizers(self) -> tuple[Adam, ...]:
        return self.actor_optimizer, self.critics.optimizer, self.temperature.optimizer

    def _evaluate_actor(self) -> None:
        """Bring what acts and is evaluated up to date."""
        self.normalized_actor.fold(self.learned_actor.weights)
        self.learned_actor.show()

    def _reads(self) -> tuple[object, ...]:
        optimizer = self.actor_optimizer, self.actor_optimizer.lr
        numbers = self.gamma, self._renormalizes(self.critic_updates), self._renormalizes(self.spent.updates)
        return (*self.learned_actor.reads, *optimizer, *self.critics.reads, *self.temperature.reads, *numbers)

    def _renormalizes(self, steps: int) -> bool:
        """Whether a network that made so many steps is past its warm-up; both counts are in a checkpoint."""
        return steps >= self.renorm_warmup

    def behave(self, observation: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Return a ~ π(o) at a scaled observation (…, o), drawn by N(0, 1), (…, k)."""
        return self.learned_actor.act(observation, normal)

    def _price(self) -> Tensor:
        """Return (1 − γ) α, ()."""
        return torch.mul(self.temperature.alpha, 1 - self.gamma, out=self._buffers("price"))

    def _descend_critics(self, batch: Batch, noise: Tensor, *read: Any) -> None:
        (o, k), n = self._widths(), len(noise)
        # a' by running statistics
        a, log_pi = self.learned_actor.sample(batch.next_observations, noise[:, :k])
        observations = (batch.observations, batch.next_observations)
        observations = torch.cat(observations, 0, out=self._buffers("observations", 2 * n, o))
        actions = torch.cat((batch.actions, a), 0, out=self._buffers("actions", 2 * n, k))
        renormalize = self._renormalizes(self.critic_updates)
        _, following = self.critics.joint(observations, actions, renormalize=renormalize)
        # y = (1 − γ) c + γ (1 − terminated) [max_i Q_i(o', a') + (1 − γ) α log π(a'|o')]
        y = torch.maximum(following[0], following[1], out=self._buffers("y", n))
        self.critics.descend(batch.target(y.addcmul_(log_pi, self._price()), self.gamma))

    def _descend_actor(self, batch: Batch, noise: Tensor, *read: Any) -> None:
        o, n = batch.observations, len(noise)
        # a by the statistics of this batch, Q by running ones
        outputs = self.normalized_actor.forward(o, renormalize=self._renormalizes(self.spent.updates))
        a, log_pi = self._gaussian.forward(outputs, noise[:, self._widths()[1] :])
        self.critics.fold()
        _, slope = self.larger.through(self.critics.evaluated, o, a)
        weight = torch.mul(self._price(), 1 / n, out=self._buffers("weight"))
        self.normalized_actor.backward(self._gaussian.backward(slope, weight), self._gradient)
        self.actor_optimizer.step(self._gradient)
        self._evaluate_actor()
        self.temperature.step(torch.mean(log_pi, 0, out=self._buffers("log_pi")))

    def _follow(self) -> None:
        pass  # there are no target networks

    def descent(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of (1 − γ) α log π + max_i Q_i over scaled observations (n, o), and its gradient (d,).

        All by running statistics, in the weights of m, which the evaluated policy consists of. In its own step the
        actor follows the same cost in the weights of its normalised network, by the statistics of the minibatch.
        """
        self.critics.fold()
        cost, _, gradient = self.learned_actor.descent(
            self.larger, self.critics.evaluated, observations, noise, self._price()
        )
        return cost, self.learned_actor.of_mean(gradient, torch.empty_like(self.weights))

    def _diagnose(self) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        own = {"ent_coef": self.temperature.alpha, "entropy": -self._buffers("log_pi")}
        return self.critics.errors, self.critics.gradient, self._gradient, own

    def _stands_in(self) -> str:
        return "the larger critic of CrossQ with the price of entropy, soft cost to go times 1 − γ"

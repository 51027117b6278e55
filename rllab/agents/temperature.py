"""Temperature: what a unit of entropy is worth, fixed, or learned so that the entropy comes to a target."""

from __future__ import annotations

import math
from contextlib import suppress
from numbers import Real

import torch
from torch import Tensor

from rllab.agents.adam import Adam, Learned
from rllab.agents.buffers import Buffers
from rllab.checks import check_finite


class Temperature(Learned):
    """Weigh entropy against cost by α.

        log α ← Adam(∂/∂log α E[−log α (log π + H̄)]),     ∂/∂log α = −(mean log π + H̄)

    so α grows while the entropy −log π is below its target H̄. It is log α that moves: α stays positive.

    Args:
        ent_coef: α, as stable-baselines3 writes it: a number > 0; "auto" to learn it from 1 on; "auto_0.1" from 0.1.
        target_entropy: H̄, in nats.
        lr: learning rate of Adam.

    Attributes:
        alpha: α, ().
        learned: whether it moves.

    Raises:
        ValueError: `ent_coef` is something else.

    Source: Haarnoja et al. (2018), "Soft actor-critic algorithms and applications", equation 18. Difference: log α in
    place of α, as in the authors' code.
    """

    def __init__(self, ent_coef: float | str, target_entropy: float, lr: float):
        first, self.learned = self.read("Temperature", ent_coef)
        self.target_entropy = target_entropy
        self.log_alpha = torch.tensor(math.log(first), dtype=torch.float32)
        self.alpha = self.log_alpha.exp()
        self.optimizer = Adam(self.log_alpha, lr)
        self._buffers = Buffers()

    @staticmethod
    def read(who: str, ent_coef: float | str) -> tuple[float, bool]:
        """Return the first α, and whether it is learned."""
        first, learned = math.nan, isinstance(ent_coef, str)
        if ent_coef == "auto":
            first = 1.0
        elif isinstance(ent_coef, str) and ent_coef.startswith("auto_"):
            with suppress(ValueError):
                first = float(ent_coef.removeprefix("auto_"))
        elif isinstance(ent_coef, Real):
            first = float(ent_coef)
        if not 0 < first < math.inf or isinstance(ent_coef, bool):
            raise ValueError(f'{who}: ent_coef must be a number > 0, "auto", or "auto_0.1" and such, got {ent_coef!r}')
        return first, learned

    @property
    def reads(self) -> tuple[object, ...]:
        """All that a step reads and somebody may replace: when one is another object, a record no longer holds."""
        return self.log_alpha, self.alpha, self.optimizer, self.optimizer.lr, self.target_entropy

    def step(self, log_pi: Tensor) -> None:
        """Make one step along the gradient, given the mean of log π over actions drawn now, (); none if α is fixed."""
        if self.learned:
            # ∂/∂log α = −(mean log π + H̄)
            gradient = torch.add(log_pi, self.target_entropy, out=self._buffers("gradient")).neg_()
            self.optimizer.step(gradient)
            torch.exp(self.log_alpha, out=self.alpha)

    def _kept(self) -> tuple[str, dict[str, Tensor]]:
        return "the temperature's", {"log_alpha": self.log_alpha}

    def _loaded(self) -> None:
        torch.exp(self.log_alpha, out=self.alpha)


def as_target_entropy(who: str, target_entropy: float | str, actions: int) -> float:
    """Return H̄ in nats: a number itself, "auto" as −k for k components of an action.

    Raises:
        TypeError, ValueError: it is neither; in the name of `who`.
    """
    if target_entropy == "auto":
        return -float(actions)
    check_finite(who, target_entropy=target_entropy)
    return float(target_entropy)

"""Adam on one flat vector of weights: the kernel under `torch.optim.Adam(fused=True)`, without its bookkeeping."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from rllab.agents.saved import check_names, take


class Adam:
    """Step along gradients; on some thousand weights `torch.optim.Adam` takes three times as long to say what to do.

        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   w ← w − lr m̂ / (√v̂ + ε),   m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ)
        with max_grad_norm:      g ← g min(1, max_grad_norm/‖g‖)      first

    A gradient that is exactly zero moves nothing and is not counted: momentum does not walk on.

    Args:
        weights: changed in place, (d,) or any shape.
        lr: learning rate > 0.
        beta1: β₁ in [0, 1).
        max_grad_norm: the greatest length of a gradient; a longer one is shortened to it. None leaves all as they are.

    Source: Kingma & Ba (2015), "Adam: a method for stochastic optimization", algorithm 1; β₂ = 0.999, ε = 1e-8.
    Shortening: Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural networks",
    algorithm 1.
    """

    def __init__(self, weights: Tensor, lr: float, beta1: float = 0.9, max_grad_norm: float | None = None):
        self.weights, self.lr, self.beta1, self.max_grad_norm = weights, lr, beta1, max_grad_norm
        self.m, self.v = torch.zeros_like(weights), torch.zeros_like(weights)
        self.t = torch.zeros((), dtype=torch.float32, device=weights.device)
        self._largest = torch.zeros((), dtype=weights.dtype, device=weights.device)
        self._still, self._moves = torch.zeros_like(self.t), torch.zeros_like(self.t)
        if max_grad_norm is not None:
            self._norm, self._factor = torch.zeros_like(self.t), torch.zeros_like(self.t)
            self._shortened = torch.zeros_like(weights)

    def step(self, gradient: Tensor) -> None:
        """Make one step along a gradient of the weights' shape."""
        if self.max_grad_norm is not None:
            # g min(1, max_grad_norm/‖g‖); where g = 0 the factor is 1
            torch.linalg.vector_norm(gradient, out=self._norm)
            torch.reciprocal(self._norm, out=self._factor).mul_(self.max_grad_norm).clamp_(max=1.0)
            gradient = torch.mul(gradient, self._factor, out=self._shortened)
        torch.linalg.vector_norm(gradient, math.inf, out=self._largest)
        torch.eq(self._largest, 0.0, out=self._still)
        self.t.add_(torch.ne(self._largest, 0.0, out=self._moves))
        torch._fused_adam_(  # pyright: ignore[reportPrivateImportUsage] - tests hold it to torch.optim.Adam
            [self.weights],
            [gradient],
            [self.m],
            [self.v],
            [],
            [self.t],
            lr=self.lr,
            beta1=self.beta1,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
            found_inf=self._still,  # where it is 1, the kernel does nothing; no branch, so that a step can be recorded
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return the moments and the number of steps, for a checkpoint."""
        return {"m": self.m, "v": self.v, "t": self.t}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        take("the optimizer's", self.state_dict(), state)


class Learned(ABC):
    """What Adam moves, as a checkpoint holds it: tensors by their names, and the optimizer's state."""

    optimizer: Adam

    @abstractmethod
    def _kept(self) -> tuple[str, dict[str, Tensor]]:
        """Return whose they are, for errors, and the tensors."""

    def _loaded(self) -> None:  # noqa: B027 - most have nothing that follows
        """Bring what follows from the tensors up to date, where something does."""

    def state_dict(self) -> dict[str, Any]:
        """Return the tensors and the optimizer's state, for a checkpoint."""
        return {**self._kept()[1], "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: object) -> None:
        """Take over what `state_dict` gave."""
        whose, tensors = self._kept()
        given = check_names(f"{whose} state", state, {*tensors, "optimizer"})
        take(whose, tensors, {name: given[name] for name in tensors})
        self.optimizer.load_state_dict(given["optimizer"])
        self._loaded()

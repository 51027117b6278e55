"""Adam on one flat vector of weights: the kernel under `torch.optim.Adam(fused=True)`, without its bookkeeping."""

from __future__ import annotations

import torch
from torch import Tensor

from rllab.agents.saved import take


class Adam:
    """Step along gradients; on some thousand weights `torch.optim.Adam` takes three times as long to say what to do.

        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   w ← w − lr m̂ / (√v̂ + ε),   m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ)

    Args:
        weights: changed in place, (d,) or any shape.
        lr: learning rate > 0.

    Source: Kingma & Ba (2015), "Adam: a method for stochastic optimization", algorithm 1; β₁ = 0.9, β₂ = 0.999,
    ε = 1e-8.

    Example:
        import torch
        from rllab.agents.adam import Adam

        weights = torch.ones(5)
        Adam(weights, lr=0.1).step(gradient=2 * weights)
    """

    def __init__(self, weights: Tensor, lr: float):
        self.weights, self.lr = weights, lr
        self.m, self.v = torch.zeros_like(weights), torch.zeros_like(weights)
        self.t = torch.zeros((), dtype=torch.float32, device=weights.device)

    def step(self, gradient: Tensor) -> None:
        """Make one step along a gradient of the weights' shape."""
        self.t += 1
        torch._fused_adam_(  # pyright: ignore[reportPrivateImportUsage] - tests hold it to torch.optim.Adam
            [self.weights],
            [gradient],
            [self.m],
            [self.v],
            [],
            [self.t],
            lr=self.lr,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return the moments and the number of steps, for a checkpoint."""
        return {"m": self.m, "v": self.v, "t": self.t}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        take("the optimizer's", self.state_dict(), state)

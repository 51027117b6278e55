"""ScalarNetwork: one number of each input, N(z, w), with the two gradients that a critic needs of it."""

from __future__ import annotations

import torch
from torch import Tensor

from rllab.backprop.network import MLP, MLPChain
from rllab.keys import Key


class ScalarNetwork:
    """Compute N (n,) of inputs z (n, d) by tanh layers, and backpropagate to the inputs or to the weights.

    ∂N_p/∂z_p is what an actor follows; Σ_p v_p ∂N_p/∂w at v = 2(N − y) is what fits N to y.

    Args:
        d: width of an input.
        hidden: widths of the layers; () makes N linear.
        dtype: of weights and inputs.
    """

    def __init__(self, d: int, hidden: tuple[int, ...], dtype: torch.dtype):
        self._network, self._dtype = MLP((d, *hidden, 1), "tanh"), dtype
        self._chain = MLPChain(self._network)

    def initial(self, key: Key) -> Tensor:
        """Draw weights (size,)."""
        return self._network.initial(key, self._dtype)

    def value(self, w: Tensor, z: Tensor) -> Tensor:
        """Return N (n,); torch can differentiate it."""
        for module, views in zip(self._network.modules(), self._network.views(w), strict=True):
            z = module._forward(z, views)
        return z[:, 0]

    def slope(self, w: Tensor, z: Tensor) -> Tensor:
        """Return ∂N/∂z of each input, (n, d)."""
        self._chain.forward(w, z)
        slope = self._chain.backward(z.new_full((len(z), 1), 1 / len(z)) * len(z))
        assert slope is not None
        return slope.clone()

    def forward(self, w: Tensor, z: Tensor) -> Tensor:
        """Return N (n,), to be used before the next call; `backward` goes back from here."""
        return self._chain.forward(w, z)[:, 0]

    def backward(self, v: Tensor, out: Tensor) -> None:
        """Write (1/n) Σ_p v_p ∂N_p/∂w into `out`, (size,), after `forward`."""
        self._chain.backward(v[:, None] * (1 / len(v)), out, to_input=False)

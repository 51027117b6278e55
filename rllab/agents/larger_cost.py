"""LargerCost: the larger of two learned costs and its slope in the actions, which a soft actor follows."""

from __future__ import annotations

import torch
from torch import Tensor

from rllab.agents.buffers import Buffers
from rllab.agents.user_network import ModuleNetwork, chain_through
from rllab.backprop.network import MLP


class LargerCost:
    """Differentiate mean_p max_i Q_i(o_p, a_p) with respect to a, for two networks of one shape.

        ∂/∂a_p = 1/n ∂Q_j/∂a_p,     j = argmax_i Q_i(o_p, a_p), the first of equals

    Args:
        network: shape of both.
        observations: width o of the observations, which are the first inputs.

    Source: Fujimoto, van Hoof & Meger (2018), "Addressing function approximation error in actor-critic methods",
    section 4.2: of returns, the smaller.
    """

    def __init__(self, network: MLP | ModuleNetwork, observations: int):
        # two, since what both found on their way is needed on the way back
        self._chains = chain_through(network), chain_through(network)
        self._width, self._o, self._buffers = network.sizes[0], observations, Buffers()

    def through(self, weights: Tensor, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean max_i Q_i(o, a), (), and its gradient in a, (n, k), at weights (2, d); written over next time."""
        n, buffers = len(observations), self._buffers
        pairs = torch.cat((observations, actions), 1, out=buffers("pairs", n, self._width))
        first, second = (chain.forward(w, pairs) for chain, w in zip(self._chains, weights, strict=True))
        cost = torch.mean(torch.maximum(first, second, out=buffers("larger", n, 1)), (0, 1), out=buffers("cost"))
        # 1/n where Q_1 is the larger, and 1/n where Q_2 is
        v_1 = torch.ge(first, second, out=buffers("v_1", n, 1)).mul_(1 / n)
        v_2 = torch.lt(first, second, out=buffers("v_2", n, 1)).mul_(1 / n)
        slopes = [chain.backward(v) for chain, v in zip(self._chains, (v_1, v_2), strict=True)]
        assert slopes[0] is not None and slopes[1] is not None
        slope = torch.add(slopes[0], slopes[1], out=buffers("slope", n, self._width))
        return cost, slope[:, self._o :]

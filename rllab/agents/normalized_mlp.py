"""NormalizedMLP: an MLP with batch normalisation before every linear layer, and the plain MLP it is when evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rllab.agents.batch_norm import EPSILON, BatchRenorm
from rllab.agents.buffers import Buffers
from rllab.agents.saved import take
from rllab.backprop.network import MLP
from rllab.keys import Key


class NormalizedMLP:
    """Normalise the input of every linear layer of an MLP over the batch.

        z_0 = x,     z_k = h(W_k BN_k(z_k−1) + b_k),     ȳ = W_K BN_K(z_K−1) + b_K

    In training BN_k takes the statistics of the batch, so that all samples of a batch depend on one another. When
    evaluated it takes running ones and is linear in z: it melts into the next layer, and the network is a plain MLP:

        W̃_k = W_k diag(g_k),     b̃_k = b_k + W_k (t_k − g_k μ_k),     g_k = s_k/σ_k

    Args:
        network: the shape of the MLP, `inputs_first`.
        weights: (P,), the MLP's, then all s, then all t; see `initial`. Read where it is.
        running: running means and variances of the inputs of all layers, (2, H); changed by `forward`.

    Source: Bhatt et al. (2024), "CrossQ: batch normalization in deep reinforcement learning for greater sample
    efficiency and simplicity", section 4.
    """

    def __init__(self, network: MLP, weights: Tensor, running: Tensor):
        self.network, self._buffers = network, Buffers()
        self._own = {"weights": weights, "running": running}
        self._layers = _layers(network, weights)
        self._running = [(both[0], both[1]) for both in running.split(network.sizes[:-1], 1)]
        self._norms = [BatchRenorm() for _ in self._layers]
        modules = network.modules()
        self._linears, self._activations = modules[::2], modules[1::2]
        self._kept: list[tuple[Tensor, Tensor]] = []  # the input and the output of each linear layer

    @staticmethod
    def size(network: MLP) -> int:
        """Return P."""
        return network.size + 2 * sum(network.sizes[:-1])

    @classmethod
    def initial(cls, network: MLP, key: Key | int, *, copies: int) -> tuple[Tensor, Tensor]:
        """Draw the weights of MLPs; return `around` of them."""
        return cls.around(network, network.initial_without_biases(key, copies=copies))

    @classmethod
    def around(cls, network: MLP, plain: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights (…, P) around an MLP's, (…, d), with s = 1 and t = 0, and statistics (…, 2, H), 0 and 1."""
        ones = plain.new_ones(*plain.shape[:-1], sum(network.sizes[:-1]))
        zeros = torch.zeros_like(ones)
        return torch.cat((plain, ones, zeros), -1), torch.stack((zeros, ones), -2)

    def forward(self, x: Tensor, *, renormalize: bool) -> Tensor:
        """Return ȳ (n, out) of a batch (n, in) in training; running statistics follow, the result is written over."""
        n, layers = len(x), self._layers
        self._kept = []
        for k, (layer, norm, linear) in enumerate(zip(layers, self._norms, self._linears, strict=True)):
            normed = norm.forward(x, layer.s, layer.t, self._running[k], renormalize=renormalize)
            x = linear._forward(normed, layer.linear, self._buffers(f"y{k}", n, layer.fan_out))
            if k < len(self._activations):
                x = self._activations[k]._forward(x, (), x)
            self._kept.append((normed, x))
        return x

    def backward(self, v: Tensor, out: Tensor) -> None:
        """Write v · ∂ȳ/∂w, (P,), into `out`, after `forward`, for v (n, out)."""
        for k, (layer, to) in reversed(list(enumerate(zip(self._layers, _layers(self.network, out), strict=True)))):
            normed, y = self._kept[k]
            if k < len(self._activations):
                v = self._activations[k]._vjp_state(v, y, (), y, self._buffers(f"to_s{k}", *y.shape))
            self._linears[k]._vjp_weights(v, normed, layer.linear, y, to.linear)
            v = self._linears[k]._vjp_state(v, normed, layer.linear, y, self._buffers(f"to_normed{k}", *normed.shape))
            v = self._norms[k].backward(v, layer.s, (to.s, to.t))

    def fold(self, out: Tensor) -> Tensor:
        """Return the weights of the plain MLP that this is when evaluated, in `out`, (d,)."""
        for k, (layer, (w, b)) in enumerate(zip(self._layers, self.network.layers(out), strict=True)):
            mean, variance = self._running[k]
            # g = s/σ,  b̃ = b + W (t − g μ),  W̃ = W diag(g)
            g = torch.add(variance, EPSILON, out=self._buffers(f"g{k}", len(mean))).rsqrt_().mul_(layer.s)
            at_zero = torch.addcmul(layer.t, g, mean, value=-1.0, out=self._buffers(f"at_zero{k}", len(mean)))
            matrix, bias = layer.linear
            torch.addmv(bias, matrix, at_zero, out=b[0])
            torch.mul(matrix.t(), g.unsqueeze(1), out=w)
        return out

    def state_dict(self) -> dict[str, Tensor]:
        """Return weights and statistics, for a checkpoint."""
        return self._own

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        take("the normalised network's", self._own, state)


@dataclass(frozen=True)
class _Layer:
    """A linear layer and the normalisation before it, as views of the flat weights or of a gradient."""

    linear: tuple[Tensor, Tensor]  # matrix (out, in) and bias (out,)
    s: Tensor
    t: Tensor

    @property
    def fan_out(self) -> int:
        return len(self.linear[1])


def _layers(network: MLP, w: Tensor) -> list[_Layer]:
    widths = network.sizes[:-1]
    s, t = w[network.size :].view(2, -1)
    linears = [(matrix.t(), bias[0]) for matrix, bias in network.layers(w[: network.size])]
    return [_Layer(*parts) for parts in zip(linears, s.split(widths), t.split(widths), strict=True)]

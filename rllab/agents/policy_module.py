"""PolicyModule: a learned policy as a torch module of its own, from raw observations to the environment's actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rllab.agents.normalize import CLIP, RunningMoments
from rllab.agents.observations import Observations
from rllab.agents.policy import Policy
from rllab.array_policy import ArrayPolicy, Part
from rllab.backprop.network import MLP


class PolicyModule(nn.Module):
    """Act as an agent does when it is evaluated: flattening, scaling, normalisation, network and action in one module.

        x = flatten(o)/scale,    x̂ = clip((x − mean)/deviation, ±10)
        a = stretch(tanh(net(x̂))),  or argmax net(x̂) of choices

    It holds copies: learning on changes nothing in it, nor does what is done to it change the agent.
    `torch.onnx.export` and `torch.export` take it. Its actions are the agent's up to rounding in single precision. In
    an ONNX file its input is called "observations", of a Dict "observations_KEY" each; its output is what
    `output_names=["actions"]` says, else a name of torch's making.

    Args:
        encoder: of the environment's observations.
        policy: of the agent; `weights`, (d,), are what it has learned.
        normalizer: of scaled observations; None where they are not normalised.

    Attributes:
        network: the policy's own network, from rows x̂ (n, o) to what tanh squashes, or to logits.

    Example:
        import torch
        from rllab.agents import Evolution

        module = Evolution("Pendulum-v1", seed=0).module()
        actions = module(torch.zeros(5, 3))  # (5, 1), in [−2, 2]
        program = torch.export.export(module, (torch.zeros(5, 3),))
    """

    shrink: Tensor
    mean: Tensor
    factor: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, encoder: Observations, policy: Policy, weights: Tensor, normalizer: RunningMoments | None):
        super().__init__()
        self._parts, self._to = encoder.layout(), policy.actions.layout()
        network = policy.network
        self.network = _sequential(network, weights) if isinstance(network, MLP) else network.as_module(weights)
        self.register_buffer("shrink", torch.from_numpy(policy.shrink.copy()).double())
        self._normalizes = normalizer is not None and bool(normalizer.count)
        if normalizer is not None and normalizer.count:
            mean, factor = (torch.from_numpy(part.copy()) for part in normalizer.arrays())
            self.register_buffer("mean", mean)
            self.register_buffer("factor", factor)
        if self._to.low is not None:
            self.register_buffer("low", torch.tensor(self._to.low, dtype=torch.float64))
            self.register_buffer("high", torch.tensor(self._to.high, dtype=torch.float64))

    def forward(self, observations: Any) -> Tensor:
        """Return actions (n, …) of n observations.

        Args:
            observations: n side by side: a tensor (n, …), or a dict or tuple of such for such a space; of one, o[None].

        Raises:
            ValueError: they are of another shape.
        """
        rows = torch.cat([_numbers(_at(observations, part.path), part) for part in self._parts], 1)
        # in double precision, whose product is rounded once
        x = (rows * self.shrink).float()
        if self._normalizes:
            x = ((x - self.mean) * self.factor).clamp(-CLIP, CLIP)
        return self._acted(self.network(x))

    def _acted(self, outputs: Tensor) -> Tensor:
        to, dtype = self._to, getattr(torch, self._to.dtype)
        if to.low is None:
            chosen = [z.argmax(1) + start for z, start in zip(outputs.split(to.counts, 1), to.starts, strict=True)]
            return torch.stack(chosen, 1).to(dtype).reshape(-1, *to.shape)
        # a = (low + high)/2 + (high − low)/2 tanh y
        a = 0.5 * (self.low + self.high) + 0.5 * (self.high - self.low) * torch.tanh(outputs[:, : len(to.low)]).double()
        if np.dtype(to.dtype).kind in "iub":
            a = a.round()
        return torch.minimum(torch.maximum(a, self.low), self.high).to(dtype).reshape(-1, *to.shape)


def array_policy(
    who: str, encoder: Observations, policy: Policy, weights: Tensor, normalizer: RunningMoments | None
) -> ArrayPolicy:
    """Return what `PolicyModule` computes, in numpy; arguments as there.

    Raises:
        TypeError: the network is a user's module; in the name of `who`.
    """
    if not isinstance(policy.network, MLP):
        raise TypeError(f"{who}: actor must be the agent's own network to be arrays, got a module; export module()")
    layers = tuple((w.copy(), b.copy()) for w, b in policy.network.on_arrays(weights))
    normalizes = normalizer is not None and bool(normalizer.count)
    moments = np.stack(normalizer.arrays()) if normalizer is not None and normalizes else None
    return ArrayPolicy(encoder.layout(), policy.shrink.copy(), moments, CLIP, layers, policy.actions.layout())


def _sequential(network: MLP, w: Tensor) -> nn.Module:
    """Return an MLP of tanh as torch's own modules."""
    modules: list[nn.Module] = []
    for weight, bias in network.layers(w.detach().clone()):
        linear = nn.utils.skip_init(nn.Linear, *weight.shape)
        linear.weight, linear.bias = nn.Parameter(weight.t()), nn.Parameter(bias[0])
        modules += [linear, nn.Tanh()]
    return nn.Sequential(*modules[:-1])


def _at(observations: Any, path: tuple[str | int, ...]) -> Tensor:
    for name in path:
        observations = observations[name]
    return observations


def _numbers(values: Tensor, part: Part) -> Tensor:
    """Return a part of n observations as numbers (n, width), float64."""
    if values.ndim != 1 + len(part.shape) or values.shape[1:] != part.shape:
        of = f" of {part.path}" if part.path else ""
        wanted, got = ", ".join(map(str, ("n", *part.shape))), tuple(values.shape)
        raise ValueError(f"PolicyModule: observations{of} must be ({wanted}), n side by side, got {got}")
    values = values.reshape(len(values), -1)
    if part.counts is None:
        return values.double()
    one_hot = [
        values[:, j : j + 1] - start == torch.arange(n)
        for j, (n, start) in enumerate(zip(part.counts, part.starts, strict=True))
    ]
    return torch.cat(one_hot, 1).double()

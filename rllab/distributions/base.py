"""Distribution: what outputs are drawn from, with the score taken by hand instead of through log p and autograd.

    s(x) = ∇_φ log p_φ(x)         E s = 0,  and  ∇_φ E f = E[f(x) s(x)]

Estimators rarely need the (K, d) scores themselves but sums of them weighted by costs, and their squares: `score_sums`
gives those, for several weightings at a time, without holding K × d numbers beside the samples: where a distribution
has no way to do without scores, it makes them of PIECE numbers at a time.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from rllab.arrays import as_array, as_tensor, weighted_sum
from rllab.keys import Key
from rllab.noise import FEW, scratch_generator

Sums = dict[str, np.ndarray]  # by parameter
PIECE = 1 << 18  # numbers that the scores of some samples may have together; more samples are taken piece by piece


class Distribution(ABC):
    """A parametrised distribution over vectors. Subclasses are frozen dataclasses of their parameters, and final.

    Samples and what is made of them: x (k, *shape); weights w are (k,), or (k, B) for B distributions at once, and may
    have more dimensions in front, one weighting each, which then also stand in front of the sums.

    Example:
        import torch
        from rllab import Gaussian, Key

        p = Gaussian(torch.zeros(3), 0.5)
        x, noise = p.draw(10, Key(0))
        p.log_prob(x), p.scores(x, noise)["mean"]  # (10,) and (10, 3)
    """

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """The parameters by name; gradients come back as a dict of the same names and shapes."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: (d,), or (B, d) for B distributions at once."""

    @property
    def measure(self) -> tuple[str, ...]:
        """What the density of each coordinate is by: "length"; "counting"; or "simplex", of all shares of a whole."""
        return ("length",) * self.shape[-1]

    @property
    def support_size(self) -> int | None:
        """How many different samples there are; None if not finitely many."""
        return None

    def replace(self, **parameters: Tensor) -> Self:
        """Return the same distribution with other parameters.

        Raises:
            ValueError: if it has none of such a name.
        """
        own = self.parameters
        if unknown := set(parameters) - set(own):
            name, one = type(self).__name__, len(own) == 1
            known = ("the parameter is " if one else "parameters are ") + ", ".join(own)
            raise ValueError(f"{name}.replace: {known}, got {min(unknown)!r}")
        return self._with(own | parameters)

    def _with(self, parameters: dict[str, Tensor]) -> Self:
        """Make the same distribution of a full set of parameters, which are fields unless this is overridden."""
        return dataclasses.replace(self, **parameters)  # type: ignore[type-var] - subclasses are dataclasses

    def detach(self) -> Self:
        """Return the same distribution, cut off from autograd."""
        own = self.parameters
        if not any(value.requires_grad for value in own.values()):
            return self
        return self._with({name: value.detach() for name, value in own.items()})

    def double(self) -> Self:
        """Return the same distribution with parameters in double precision."""
        own = self.parameters
        if all(value.dtype is torch.float64 for value in own.values()):
            return self
        return self._with({name: value.double() for name, value in own.items()})

    def repeated(self, n: int) -> Self:
        """Return a batch of n, (n, d), all of them this distribution of (d,); its parameters are expanded, not copied.

        Raises:
            ValueError: if it is a batch already.
        """
        if len(self.shape) != 1:
            raise ValueError(f"{type(self).__name__}.repeated: must be of shape (d,), no batch, got shape {self.shape}")
        return self._repeated(n)

    def _repeated(self, n: int) -> Self:
        """Put n in front of every parameter, which makes a batch of n unless this is overridden."""
        return self._with({name: value.expand(n, *value.shape) for name, value in self.parameters.items()})

    @abstractmethod
    def draw(self, k: int, key: Key) -> tuple[Tensor, Any]:
        """Draw k samples, and whatever noise the score is easiest computed from: see `noise_part`."""

    def noise_of(self, x: Tensor) -> Any:
        """Return the noise of samples that were not drawn here; None where scores are computed from x alone."""
        return None

    def noise_from(self, other: Distribution, x: Tensor, noise: Any) -> Any:
        """Return the noise of samples drawn from another distribution, with what that knows of them.

        A hook: noise that does not depend on parameters is the same in all of a family, and may have digits of x that x
        itself has not.
        """
        return noise if other is self else self.noise_of(x)

    def noise_part(self, noise: Any, part: slice) -> Any:
        """Return the noise of some samples. A hook, for noise that is no tensor (k, …), tuple of those, or None."""
        if isinstance(noise, tuple):
            return tuple(self.noise_part(one, part) for one in noise)
        return None if noise is None else noise[part]

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x), (k,) or (k, B), float64: of samples (k, *shape), drawn from whatever.

        It is a sum of terms that may be large and cancel, and what is wanted are differences of it: the terms are taken
        in double precision whatever the parameters have.
        """

    def log_density(self, x: Tensor, noise: Any) -> Tensor:
        """Return log p(x) of samples with their noise: finite where x has run into the edge of its precision.

        A hook, for noise that still knows the logarithm of an x that underflowed.
        """
        return self.log_prob(x)

    def support(self, start: int = 0, stop: int | None = None) -> tuple[Tensor, Tensor]:
        """Return samples `start` to `stop` of all there are, in a fixed order, (N, *shape), and their log p as above.

        The gradient of log p is the score.

        Raises:
            TypeError: if there are not finitely many.
        """
        raise TypeError(f"{type(self).__name__}.support: not a distribution over finitely many samples")

    def score_sums(self, once: np.ndarray | None, twice: np.ndarray | None, x: Tensor, noise: Any) -> tuple[Sums, Sums]:
        """Return Σ_k once_k s(x_k) and Σ_k twice_k s(x_k)² in numpy, each empty for weights None.

        A hook: many distributions have these without making the scores, of which there are k for each parameter.
        """
        first, second = Sums(), Sums()
        for part in self.pieces(len(x)):
            of_samples = (..., part, *[slice(None)] * (x.ndim - 2))  # of weights (…, k) or (…, k, B)
            for name, score in self.scores(x[part], self.noise_part(noise, part)).items():
                s = as_array(score)
                for total, w in ((first, once), (second, twice)):
                    if w is not None:
                        rows = (s if total is first else s * s).reshape(*x[part].shape[:-1], -1)
                        term = weighted_sum(w[of_samples], rows)
                        add_into(total, {name: term.reshape((*w.shape[: w.ndim - x.ndim + 1], *s.shape[1:]))})
        return first, second

    def pieces(self, k: int, together: int = 1) -> Iterator[slice]:
        """Return slices of k samples whose scores have at most PIECE numbers, but for as many as must stay together."""
        numbers = together * sum(value.numel() for value in self.parameters.values())
        step = together * max(1, PIECE // numbers)
        return (slice(a, min(a + step, k)) for a in range(0, k, step))

    def as_tensors(self, found: Sums) -> dict[str, Tensor]:
        """Return what was computed of each parameter with the parameters' dtype and on their device."""
        like = self.parameters
        return {name: as_tensor(value, like[name]) for name, value in found.items()}

    @abstractmethod
    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        """Return the scores themselves, (k, *shape of the parameter)."""


def add_into(total: dict[str, Any], term: dict[str, Any]) -> None:
    """Add sums by parameter to those already there."""
    for name, value in term.items():
        total[name] = total[name] + value if name in total else value


def uniform(shape: tuple[int, ...], key: Key, like: Tensor) -> Tensor:
    """Draw uniform numbers in [0, 1), float64 on the device of `like`.

    They are compared with probabilities: at float32's spacing of 2⁻²⁴ rare outcomes would have wrong frequencies, and
    the same key would give other outcomes in either precision. As with normals, few come from torch's generator and
    more from numpy's SFC64, which makes one in 1.8 ns where torch takes 4.2.
    """
    if (given := key.given("uniform", shape)) is not None:
        return given.to(like.device)
    if math.prod(shape) <= FEW:
        u = torch.rand(shape, generator=scratch_generator(key), dtype=torch.float64)
    else:
        u = torch.from_numpy(np.random.Generator(np.random.SFC64(key)).random(shape))  # type: ignore[arg-type] - see Key
    return u if like.is_cpu else u.to(like.device)


def each_problem(draw: Callable[[np.random.Generator, np.ndarray], np.ndarray], parameter: Tensor, key: Key) -> Tensor:
    """Draw samples by a method that uses up as many random numbers as the parameter makes it, as rejection does.

    Each of a batch of B then has a stream of its own, or the draws of one would depend on the parameters of another.

    Args:
        draw: makes samples (k, d) for parameters (d,) in double precision.
        parameter: (d,) or (B, d).
    Returns:
        (k, d) or (k, B, d), float64 on the device of the parameter.
    """
    of_all = parameter.detach().to("cpu", torch.float64).numpy()
    if of_all.ndim == 1:
        x = draw(np.random.default_rng(key), of_all)  # type: ignore[arg-type] - a Key is a seed sequence
    else:
        streams = (np.random.default_rng(key.child(b)) for b in range(len(of_all)))  # type: ignore[arg-type]
        x = np.stack([draw(rng, one) for rng, one in zip(streams, of_all, strict=True)], 1)
    return torch.from_numpy(x.astype(np.float64, copy=False)).to(parameter.device)

"""SeedReplay: a step of smoothed descent in place, whose direction is drawn again instead of kept."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from rllab.checks import check_positive
from rllab.cost import BudgetExceeded
from rllab.estimators.base import BLOCK
from rllab.keys import Key, as_key
from rllab.noise import standard_normal

Loss = Callable[..., Tensor | float]


class ReplayStep(NamedTuple):
    """What has to be remembered of a step: s_t, and the learning rate it was made with."""

    slope: float
    lr: float


class SeedReplay:
    """Minimise a loss in place by two evaluations a step and next to no memory. Also known as MeZO.

        s_t = (L(θ + σz_t) − L(θ − σz_t)) / 2σ      θ ← θ − η s_t z_t      z_t ~ N(0, I),   2 evaluations a step

    A step is stochastic gradient descent on `GaussianSmoothing` with one pair; but z_t is never held. It is drawn from
    its key, piece by piece, each of the three times it is needed, and the parameters are moved in place, so a step
    takes no memory beyond what the loss takes. As z_t follows from the key, a whole run follows from the key and the
    numbers s_t.

    One direction of d makes an angle with the gradient whose cosine is about 1/√d: progress is that of gradient descent
    at 1/d of its learning rate, whatever d counts that matters to the loss.

    Moving θ by +σz, −2σz and σz comes back to θ up to rounding. In units of θ's last place, σz = k + φ with |φ| <= ½,
    the moves add k, −2k − round(2φ) and k, so that half of the time θ ends one unit off. Over n steps that adds up to
    √(n/2) units; in half precision it can exceed σ within a hundred. `restore="copy"` keeps a copy of the parameters
    instead.

    Args:
        parameters: a module, a tensor, or several tensors; contiguous, and changed in place. An `nn.Parameter` that
            requires no gradient is frozen, and left out.
        lr: learning rate η > 0; may be assigned between steps.
        sigma: σ > 0, how far each parameter is moved at random, in its units.
        key: source of all directions.
        restore: "replay" takes the perturbation off again, with the drift above; "copy" keeps one copy of the
            parameters and comes back to every bit of them.
        seeded: whether the loss takes a seed, an int, that fixes its own randomness; the two evaluations of a step
            share theirs. Any other randomness in the loss, a minibatch say, should be the same for both of them.
        budget: the largest number of evaluations; None for no limit.

    Attributes:
        record: of every step so far, enough to replay it.
        evaluations: how many times a loss was called.

    Raises:
        TypeError, ValueError: `lr` or `sigma` is no positive number.
        ValueError: `restore` is neither of the two, the budget is below one step, or there is nothing to move.

    Source: Malladi, Gao, Nichani, Damian, Lee, Chen & Arora (2023), "Fine-tuning language models with just forward
    passes", algorithm 1. It restores and updates in two moves; here they are one, with one rounding.

    Example:
        import torch
        from rllab import SeedReplay

        net, x = torch.nn.Linear(3, 1), torch.ones(8, 3)
        optimizer = SeedReplay(net, lr=1e-3, key=0)
        value = optimizer.step(lambda: net(x).square().mean())
    """

    def __init__(
        self,
        parameters: torch.nn.Module | Tensor | Iterable[Tensor],
        *,
        lr: float,
        sigma: float = 1e-3,
        key: Key | int,
        restore: Literal["replay", "copy"] = "replay",
        seeded: bool = False,
        budget: int | None = None,
    ):
        check_positive("SeedReplay", lr=lr, sigma=sigma)
        if restore not in ("replay", "copy"):
            raise ValueError(f'SeedReplay: restore must be "replay" or "copy", got {restore!r}')
        if budget is not None and budget < 2:
            raise ValueError(f"SeedReplay: budget must be >= 2 or None, got {budget}")
        self._flat = [_flat(p) for p in _tensors(parameters)]
        if not self._flat:
            raise ValueError("SeedReplay: there are no parameters to move")
        self.lr, self.sigma, self.restore, self.seeded, self.budget = lr, sigma, restore, seeded, budget
        self.record: list[ReplayStep] = []
        self.evaluations = 0
        self._key = as_key(key)

    @torch.no_grad()
    def step(self, loss: Loss) -> float:
        """Make one step on `loss()`, or `loss(seed)` if seeded; return the mean of its two values.

        Raises:
            BudgetExceeded: before anything is evaluated.
            FloatingPointError: if a value is not finite.
            ValueError: if the learning rate assigned is not positive.
            Exception: whatever the loss raises. The parameters are then back at where they were before the step, as
                exactly as `restore` has them.
        """
        check_positive("SeedReplay", lr=self.lr, sigma=self.sigma)
        if self.budget is not None and self.evaluations + 2 > self.budget:
            spent = f"{self.evaluations} of the budget of {self.budget} are spent"
            raise BudgetExceeded(f"SeedReplay: 2 more evaluations do not fit: {spent}")
        t, sigma = len(self.record), self.sigma
        seed = (self._key.child("noise", t).integer(),) if self.seeded else ()
        origin = [flat.clone() for flat in self._flat] if self.restore == "copy" else None
        values = []
        for start, end in ((0.0, sigma), (sigma, -sigma)):
            self._move(t, origin, start, end)
            try:
                values.append(self._evaluate(loss, seed))
            except BaseException:
                self._move(t, origin, end, 0.0)
                raise
        plus, minus = values
        slope = (plus - minus) / (2 * sigma)
        self._move(t, origin, -sigma, -self.lr * slope)
        self.record.append(ReplayStep(slope, self.lr))
        return (plus + minus) / 2

    @torch.no_grad()
    def replay(self, record: Iterable[ReplayStep]) -> None:
        """Make recorded steps without evaluating anything, from where the record began.

        With the key, `sigma` and `restore` of the run that was recorded, the parameters end at the same bits.
        """
        # with restore="replay", by the same moves, for the same roundings
        stops = (0.0, self.sigma, -self.sigma) if self.restore == "replay" else (0.0,)
        for slope, lr in record:
            t = len(self.record)
            for start, end in itertools.pairwise((*stops, -lr * slope)):
                self._move(t, None, start, end)
            self.record.append(ReplayStep(slope, lr))

    def _evaluate(self, loss: Loss, seed: tuple[int, ...]) -> float:
        self.evaluations += 1
        value = float(loss(*seed))
        if not math.isfinite(value):
            raise FloatingPointError(f"SeedReplay: evaluation {self.evaluations - 1} is {value}")
        return value

    def _move(self, t: int, origin: list[Tensor] | None, start: float, end: float) -> None:
        """Move the parameters from θ + start·z_t to θ + end·z_t; from a copy of θ if there is one."""
        if origin is not None:
            start = 0.0
            for flat, copy in zip(self._flat, origin, strict=True):
                flat.copy_(copy)
        if end != start:
            for piece, key in self._pieces(t):
                piece.add_(standard_normal(tuple(piece.shape), key, piece), alpha=end - start)

    def _pieces(self, t: int) -> Iterator[tuple[Tensor, Key]]:
        key = self._key.child("step", t)
        pieces = (piece for flat in self._flat for piece in flat.split(BLOCK))
        return ((piece, key.child("direction", i)) for i, piece in enumerate(pieces))


def _tensors(parameters: torch.nn.Module | Tensor | Iterable[Tensor]) -> list[Tensor]:
    given = parameters.parameters() if isinstance(parameters, torch.nn.Module) else parameters
    given = [given] if isinstance(given, Tensor) else given
    return [p for p in given if not isinstance(p, torch.nn.Parameter) or p.requires_grad]


def _flat(parameter: Tensor) -> Tensor:
    if not isinstance(parameter, Tensor) or not parameter.is_floating_point():
        got = parameter.dtype if isinstance(parameter, Tensor) else type(parameter).__name__
        raise TypeError(f"SeedReplay: parameters must be floating-point tensors, got {got}")
    if not parameter.is_contiguous():
        raise ValueError(f"SeedReplay: parameters must be contiguous, got strides {parameter.stride()}")
    return parameter.detach().view(-1)

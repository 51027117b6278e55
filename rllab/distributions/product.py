"""Product: independent blocks of outputs, each from a distribution of its own, end to end in one vector."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllab.distributions.base import Distribution, Sums
from rllab.keys import Key


@dataclass(frozen=True, eq=False, init=False)
class Product(Distribution):
    """`Product(speed=Gaussian(...), gear=Categorical(...))`: outputs (d,) = (d_speed + d_gear,), or (B, d).

        p(x) = Π_i p_i(x_i)            the score of one block's parameters is that block's own

    Parameters are called after their block: "speed.mean", "gear.logits".

    Args:
        blocks: one or more distributions by name, all of the same dtype and device and batch size.

    Raises:
        ValueError: there is no block, a name has a dot, or blocks differ in dtype, device or batch size.

    Example:
        import torch
        from rllab import Categorical, Gaussian, Key, Product

        both = Product(speed=Gaussian(torch.zeros(1)), gear=Categorical(torch.zeros(4)))
        x, _ = both.draw(5, Key(0))  # (5, 1 + 4)
    """

    blocks: dict[str, Distribution]

    def __init__(self, **blocks: Distribution):
        if not blocks or not all(isinstance(block, Distribution) for block in blocks.values()):
            got = {name: type(block).__name__ for name, block in blocks.items()}
            raise ValueError(f"Product: blocks must be one or more distributions by name, got {got}")
        if wrong := [name for name in blocks if "." in name]:
            raise ValueError(
                f"Product: names of blocks must have no dot, which parts them from parameters, got {wrong}"
            )
        kinds = {(v.dtype, v.device) for block in blocks.values() for v in block.parameters.values()}
        if len(kinds) > 1:
            raise ValueError(f"Product: blocks must have one dtype and device, got {sorted(map(str, kinds))}")
        if len({block.shape[:-1] for block in blocks.values()}) > 1:
            shapes = {name: block.shape for name, block in blocks.items()}
            raise ValueError(f"Product: blocks must have one batch shape, got shapes {shapes}")
        object.__setattr__(self, "blocks", blocks)

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {f"{name}.{p}": value for name, block in self.blocks.items() for p, value in block.parameters.items()}

    @property
    def shape(self) -> tuple[int, ...]:
        first, *_ = shapes = [block.shape for block in self.blocks.values()]
        return (*first[:-1], sum(shape[-1] for shape in shapes))

    @property
    def measure(self) -> tuple[str, ...]:
        return tuple(itertools.chain.from_iterable(block.measure for block in self.blocks.values()))

    @property
    def support_size(self) -> int | None:
        sizes = [block.support_size for block in self.blocks.values()]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def _with(self, parameters: dict[str, Tensor]) -> Product:
        own: dict[str, dict[str, Tensor]] = {name: {} for name in self.blocks}
        for name, value in parameters.items():
            block, _, parameter = name.partition(".")
            own[block][parameter] = value
        return Product(**{name: block.replace(**own[name]) for name, block in self.blocks.items()})

    def _repeated(self, n: int) -> Product:
        return Product(**{name: block.repeated(n) for name, block in self.blocks.items()})

    def draw(self, k: int, key: Key) -> tuple[Tensor, dict[str, Any]]:
        drawn = {name: block.draw(k, key.child(name)) for name, block in self.blocks.items()}
        return torch.cat([x for x, _ in drawn.values()], -1), {name: noise for name, (_, noise) in drawn.items()}

    def noise_of(self, x: Tensor) -> dict[str, Any]:
        return {name: block.noise_of(part) for name, block, part in self._parts(x)}

    def noise_part(self, noise: Any, part: slice) -> Any:
        return noise and {name: block.noise_part(noise[name], part) for name, block in self.blocks.items()}

    def noise_from(self, other: Distribution, x: Tensor, noise: Any) -> dict[str, Any]:
        theirs = other.blocks.items() if isinstance(other, Product) else ()
        if [block.shape for _, block in theirs] != [block.shape for block in self.blocks.values()]:
            return self.noise_of(x)
        return {
            name: block.noise_from(its, part, noise[their_name])
            for (name, block, part), (their_name, its) in zip(self._parts(x), theirs, strict=True)
        }

    def log_prob(self, x: Tensor) -> Tensor:
        return sum(block.log_prob(part) for _, block, part in self._parts(x))  # type: ignore[return-value] - not empty

    def log_density(self, x: Tensor, noise: dict[str, Any]) -> Tensor:
        return sum(block.log_density(part, noise[name]) for name, block, part in self._parts(x))  # type: ignore[return-value]

    def support(self, start: int = 0, stop: int | None = None) -> tuple[Tensor, Tensor]:
        size = self.support_size
        if size is None:
            return super().support()
        index = torch.arange(size)[start:stop]
        x, log_p = [], torch.zeros((), dtype=torch.float64)
        for block in self.blocks.values():  # sample k has the digits of k to the bases of the blocks' sizes
            everything, each = block.support()
            size //= len(everything)
            digit = (index // size % len(everything)).to(each.device)
            x.append(everything[digit])
            log_p = log_p + each[digit]
        return torch.cat(x, -1), log_p

    def score_sums(self, once: np.ndarray | None, twice: np.ndarray | None, x: Tensor, noise: Any) -> tuple[Sums, Sums]:
        first, second = Sums(), Sums()
        for name, block, part in self._parts(x):
            both = block.score_sums(once, twice, part, noise and noise[name])
            for total, own in zip((first, second), both, strict=True):
                total |= {f"{name}.{p}": value for p, value in own.items()}
        return first, second

    def scores(self, x: Tensor, noise: Any) -> dict[str, Tensor]:
        return {
            f"{name}.{p}": value
            for name, block, part in self._parts(x)
            for p, value in block.scores(part, noise and noise[name]).items()
        }

    def _parts(self, x: Tensor) -> Iterator[tuple[str, Distribution, Tensor]]:
        ends = [0, *itertools.accumulate(block.shape[-1] for block in self.blocks.values())]
        for (name, block), (a, b) in zip(self.blocks.items(), itertools.pairwise(ends), strict=True):
            yield name, block, x[..., a:b]

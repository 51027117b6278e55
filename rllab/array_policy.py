"""ArrayPolicy: a learned policy in plain numpy, for where there is no torch: observations in, actions out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Part:
    """Say where a part of an observation lies, and how it becomes numbers.

    Args:
        path: the keys of dicts and numbers in tuples that lead to it; () for an observation without parts.
        shape: of it.
        counts: of each choice in it, which becomes one-hot; None for numbers, which stay as they are.
        starts: what the first of each choice is called; as many.
    """

    path: tuple[str | int, ...]
    shape: tuple[int, ...]
    counts: tuple[int, ...] | None = None
    starts: tuple[int, ...] = ()


@dataclass(frozen=True)
class ActionLayout:
    """Say how the outputs of a network become actions.

    Args:
        dtype, shape: of one action.
        low, high: bounds of a box, (k,) each, over which outputs in [−1, 1] are stretched; None for choices.
        counts, starts: of choices, of whose outputs the largest is taken, and what the first of each is called.
    """

    dtype: str
    shape: tuple[int, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    counts: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class ArrayPolicy:
    """Act as an agent does when it is evaluated, with numpy alone; importing this module loads no torch.

        x = flatten(o)/scale,    x̂ = clip((x − mean)/deviation, ±clip)
        a = stretch(tanh(MLP(x̂))),  or argmax MLP(x̂) of choices

    It pickles, and `save` and `load` keep it as a file of arrays. Sums are made in numpy's order: an action of a box is
    the agent's up to rounding in single precision.

    Args:
        parts: of an observation, in the order in which a row holds them.
        shrink: what a row is multiplied by, float32 (o,).
        moments: mean and inverse deviation of what that gives, float32 (2, o); None where it is not normalised.
        clip: largest size of a normalised number.
        layers: matrix (in, out) and bias (out,) of each, with tanh between them.
        actions: what the outputs become.

    Example:
        import tempfile
        import numpy as np
        from rllab.agents import Evolution
        from rllab.array_policy import ArrayPolicy

        agent = Evolution("CartPole-v1", seed=0)
        with tempfile.TemporaryDirectory() as folder:
            agent.array_policy().save(f"{folder}/policy.npz")
            policy = ArrayPolicy.load(f"{folder}/policy.npz")  # wherever numpy is
        assert policy(np.zeros(4)) == agent.act(np.zeros(4))
    """

    parts: tuple[Part, ...]
    shrink: np.ndarray
    moments: np.ndarray | None
    clip: float
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    actions: ActionLayout

    def __call__(self, observations: Any) -> np.ndarray:
        """Return the action for one observation, or those for n of them, (n, …).

        Args:
            observations: one as the environment gives it, or n in the form of `gymnasium.vector.utils.batch_space`.

        Raises:
            ValueError: they are of another shape, or choices that there are not.
        """
        first = self.parts[0]
        lead = np.shape(_at(observations, first.path))
        lead = lead[: max(0, len(lead) - len(first.shape))]
        rows = np.concatenate([_encoded(part, _at(observations, part.path), lead) for part in self.parts], -1)
        x = np.asarray(rows * self.shrink, np.float32)
        if self.moments is not None:
            x = ((x - self.moments[0]) * self.moments[1]).clip(-self.clip, self.clip)
        for depth, (weight, bias) in enumerate(self.layers):
            x = (np.tanh(x) if depth else x) @ weight + bias
        return self._acted(x)[()]  # a scalar is one of numpy's, as agents give it

    def _acted(self, outputs: np.ndarray) -> np.ndarray:
        to, lead = self.actions, outputs.shape[:-1]
        if to.low is None or to.high is None:
            parts = np.split(outputs, np.cumsum(to.counts)[:-1], -1)
            chosen = np.stack([z.argmax(-1) for z in parts], -1) + np.array(to.starts)
            return chosen.astype(to.dtype).reshape((*lead, *to.shape))
        low, high = np.array(to.low), np.array(to.high)
        # a = (low + high)/2 + (high − low)/2 tanh y
        a = 0.5 * (low + high) + 0.5 * (high - low) * np.tanh(outputs)
        if np.dtype(to.dtype).kind in "iub":
            a = np.rint(a)
        return np.minimum(np.maximum(a, low), high).astype(to.dtype).reshape((*lead, *to.shape))

    def save(self, path: str | Path) -> None:
        """Write it to one file of arrays, .npz.

        Raises:
            OSError: the file cannot be written.
        """
        layout = {"parts": [asdict(part) for part in self.parts], "actions": asdict(self.actions), "clip": self.clip}
        arrays: dict[str, Any] = {"layout": np.array(json.dumps(layout)), "shrink": self.shrink}
        if self.moments is not None:
            arrays["moments"] = self.moments
        for depth, (weight, bias) in enumerate(self.layers):
            arrays |= {f"weight{depth}": weight, f"bias{depth}": bias}
        with open(path, "wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> ArrayPolicy:
        """Read what `save` wrote; nothing in the file is run.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            layout, depth = json.loads(str(arrays["layout"])), sum(name.startswith("weight") for name in arrays)
            return cls(
                tuple(Part(**_tuples(part)) for part in layout["parts"]),
                arrays["shrink"],
                arrays.get("moments"),
                layout["clip"],
                tuple((arrays[f"weight{k}"], arrays[f"bias{k}"]) for k in range(depth)),
                ActionLayout(**_tuples(layout["actions"])),
            )
        except FileNotFoundError:
            raise
        except Exception as error:  # what is no such file can fail anywhere
            raise ValueError(f"ArrayPolicy: {path} must be a file that save wrote, got {error}") from error


def _tuples(layout: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in layout.items()}


def _at(answer: Any, path: tuple[str | int, ...]) -> Any:
    for name in path:
        if isinstance(answer, Mapping) and name not in answer:
            raise ValueError(f"ArrayPolicy: observations must have a part {name!r}, got {sorted(map(str, answer))}")
        answer = answer[name]
    return answer


def _encoded(part: Part, answer: Any, lead: tuple[int, ...]) -> np.ndarray:
    """Return a part as numbers (*lead, width)."""
    values = np.asarray(answer)
    if len(lead) > 1 or values.shape != (*lead, *part.shape):
        where = f" at {'/'.join(map(str, part.path))}" if part.path else ""
        raise ValueError(f"ArrayPolicy: observations{where} must be {part.shape}, one or n, got {values.shape}")
    if part.counts is None:
        values = values.reshape(*lead, -1)
        return values.astype(np.float32) if values.dtype.kind == "b" else values
    chosen = values.reshape(*lead, -1).astype(np.int64) - np.array(part.starts)
    if not ((chosen >= 0) & (chosen < np.array(part.counts))).all():
        raise ValueError(f"ArrayPolicy: choices must be of {part.counts}, from {part.starts} on, got {values}")
    return np.concatenate([np.eye(n, dtype=np.float32)[chosen[..., j]] for j, n in enumerate(part.counts)], -1)

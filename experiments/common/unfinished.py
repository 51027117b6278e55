"""Unfinished: a loop that an interrupted run goes on in from where it was, for experiments with loops of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from rllab import Cost
from rllab.checkpoint import as_plain, from_plain, read_checkpoint, write_checkpoint
from rllab.runs import Record
from rllab.runs.states import States

Thing = TypeVar("Thing")
Part = nn.Module | torch.optim.Optimizer | torch.Generator | Cost | Tensor | dict[str, Any] | list[Any]


def going_on(
    record: Record | None, things: Iterable[Thing], parts: Mapping[str, Part] | None = None
) -> Iterator[Thing]:
    """Yield things one after the other; in a run that was interrupted, those from where it was, bit for bit.

    Once a minute, between two of them, a state goes to disk: how many are done, and all that the loop changes. What
    else differs from one to the next must follow from the thing, or from the seed.

    Args:
        record: of the run, in which there is one such loop; None keeps nothing.
        things: the same ones whenever the run begins, and cheap: those that are done are made, and passed over.
        parts: what the loop changes, by name, brought back in place: modules, optimisers, generators, costs (what they
            have spent), tensors, and dicts and lists of plain values, tensors and states of estimators.

    Example:
        net = torch.nn.Linear(1, 1)
        for batch in going_on(record, range(10_000), {"net": net}):
            step(net, batch)
    """
    if record is None:
        yield from things
        return
    parts, states, done = dict(parts or {}), States(record), 0

    def load(path: Path) -> dict[str, Any]:
        saved = read_checkpoint(path)["parts"]
        if set(saved) != set(parts):
            raise ValueError(f"going_on: {path} must hold {sorted(parts)}, got {sorted(saved)}")
        return saved

    def save(path: Path) -> None:
        held = {name: as_plain(_held(name, part)) for name, part in parts.items()}
        write_checkpoint("going_on", path, {"arguments": sorted(parts), "parts": held})

    if (found := states.go_on(load)) is not None:
        for name, part in parts.items():
            _bring_back(part, from_plain(found[0][name]))
        done = found[1]["done"]

    def counted() -> Iterator[Thing]:
        nonlocal done
        for thing in islice(things, done, None):
            done += 1
            yield thing

    yield from states.between(counted(), save, lambda: {"done": done})


def _held(name: str, part: Part) -> Any:
    """Return what there is to be kept of a part."""
    if isinstance(part, nn.Module | torch.optim.Optimizer):
        return part.state_dict()
    if isinstance(part, torch.Generator):
        return part.get_state()
    if isinstance(part, Cost):
        return dict(part.spent)
    if isinstance(part, Tensor | dict | list):
        return part
    raise TypeError(f"going_on: {name} must be one of {Part}, got {type(part).__name__}")


def _bring_back(part: Part, held: Any) -> None:
    """Make a part as it was."""
    if isinstance(part, nn.Module | torch.optim.Optimizer):
        part.load_state_dict(held)
    elif isinstance(part, torch.Generator):
        part.set_state(held)
    elif isinstance(part, Tensor):
        with torch.no_grad():
            part.copy_(held)
    elif isinstance(part, list):
        part[:] = held
    else:
        values = part.spent if isinstance(part, Cost) else part
        values.clear()
        values.update(held)

"""Divergence: learning whose weights are no numbers any more is stopped by name, before an environment is blamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor


@contextmanager
def weights_stay_finite(who: str, weights: Tensor) -> Iterator[None]:
    """Raise a FloatingPointError where a block of learning leaves weights that are not finite.

    It takes the place of an error within the block: an environment that was given no numbers answers with none, and
    logits that are no numbers choose the first action without a word.

    Args:
        who: the agent, for the error.
        weights: (d,), changed in place by the block.

    Raises:
        FloatingPointError: a weight is infinite or no number.
    """
    try:
        yield
    except Exception as error:
        _check(who, weights, error)
        raise
    _check(who, weights, None)


def _check(who: str, weights: Tensor, cause: Exception | None) -> None:
    finite = weights.isfinite()
    if not finite.all():
        bad = weights.detach()[~finite][0].item()
        raise FloatingPointError(
            f"{who}: weights must stay finite, but learning has made some {bad}: it diverged; take a smaller lr, or "
            "rewards of a smaller size"
        ) from cause

"""Saves an estimate that frees a few MiB up to two thirds of its time: glibc keeps the memory instead of returning it.

glibc returns memory to the system above twice the largest piece ever freed to it; such an estimate would fault its
blocks in again on every call, at up to three times its own cost.
"""

from __future__ import annotations

import torch

_LARGEST = 1 << 24  # bytes; several blocks of noise with their points


def keep_freed_memory() -> None:
    """Allocate a large piece, which is never touched, and free it: from then on smaller ones are kept."""
    torch.empty(_LARGEST, dtype=torch.uint8)

"""Small blocks: estimators draw a few thousand numbers at once, so that few points make many blocks."""

import sys

from rllab.estimators import base

SMALL = 1 << 12


def make_blocks_small(patch):
    """Let every estimator take blocks of `SMALL` numbers as long as the monkeypatch lasts: other draws, same rules."""
    whole = base.BLOCK
    for name, module in list(sys.modules.items()):
        if name.startswith("rllab.estimators") and getattr(module, "BLOCK", None) == whole:
            patch.setattr(module, "BLOCK", SMALL)

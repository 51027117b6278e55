"""Small blocks: estimators draw a few thousand numbers at once, so that few points make many blocks."""

import sys
from functools import cache

from rllab.estimators import base

SMALL, WHOLE = 1 << 12, base.BLOCK


def make_blocks_small(patch):
    """Let every estimator take blocks of `SMALL` numbers as long as the monkeypatch lasts: other draws, same rules."""
    for module in with_blocks(len(sys.modules)):
        if module.BLOCK == WHOLE:
            patch.setattr(module, "BLOCK", SMALL)


@cache
def with_blocks(loaded):
    """Return the modules of estimators that know the length of a block, sought again when more modules are loaded."""
    named = [module for name, module in list(sys.modules.items()) if name.startswith("rllab.estimators")]
    return [module for module in named if hasattr(module, "BLOCK")]

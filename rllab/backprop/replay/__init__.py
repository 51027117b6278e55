"""Passes replayed as the bare list of torch's operations: 3 to 4 times as fast on small nets; only rllab may import it.

Nothing but speed depends on it: a pass that is never recorded gives the same bits. Who needs it imports from here.
"""

from rllab.backprop.replay.buffers import InputBuffers as InputBuffers
from rllab.backprop.replay.kept import Kept as Kept
from rllab.backprop.replay.operations import Recorded as Recorded
from rllab.backprop.replay.tape import Tape as Tape

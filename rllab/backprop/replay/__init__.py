"""Recorded passes, for backprop's graph and explicit pass and for agents alone: a step in 1/4 to 1/3 of the time.

Of a 4-64-64-2 net at batch 32, in multiples of autograd's: 1.2 without, 0.25 with `out`, 0.3 with results of their own
(experiments/benchmarks/backprop.md). Nothing but speed depends on it: a pass never recorded gives the same bits.
"""

from rllab.backprop.replay.buffers import InputBuffers as InputBuffers
from rllab.backprop.replay.kept import Kept as Kept
from rllab.backprop.replay.operations import Recorded as Recorded
from rllab.backprop.replay.tape import Tape as Tape

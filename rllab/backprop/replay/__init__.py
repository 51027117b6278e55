"""Recorded passes: the torch operations of a pass, replayed without making a tensor; see tape."""

from rllab.backprop.replay.operations import Recorded as Recorded

"""Costs with a known gradient: what estimates are held to."""

from rllab.problems.base import NoClosedForm as NoClosedForm
from rllab.problems.base import Problem as Problem
from rllab.problems.jump_curves import Staircase as Staircase
from rllab.problems.jump_curves import Steps as Steps
from rllab.problems.kinked_curves import Absolute as Absolute
from rllab.problems.kinked_curves import Clip as Clip
from rllab.problems.kinked_curves import Plateau as Plateau
from rllab.problems.kinked_curves import Relu as Relu
from rllab.problems.separable import Separable as Separable
from rllab.problems.smooth_curves import Bell as Bell
from rllab.problems.smooth_curves import Cosine as Cosine
from rllab.problems.smooth_curves import Exponential as Exponential
from rllab.problems.smooth_curves import Square as Square

PROBLEMS: list[Problem] = [
    Square(0.3),
    Exponential(-1.3, dimension=2),
    Bell(1.7),
    Cosine(2.1, dimension=3),
    Relu(0.2),
    Absolute(dimension=2),
    Clip(-0.7, 0.4),
    Plateau(0.6, dimension=2),
    Steps((-0.4, 0.9), (1.5, -0.6)),
    Staircase(1),
    Staircase(dimension=20),
]

"""Costs with a known gradient: what estimates are held to.

    problem = Staircase(dimension=20)                      frozen, all defaulted
    problem.value(x), problem.gradient(x)                  the cost and its own gradient: 0 on every stair
    problem.smoothed_gradient(at, sigma=0.1)               the gradient of the smoothed cost
    problem.expected_gradient(Gaussian(at, 0.1))           by parameter name
    problem.truth(estimate.target, at)                     whichever of them an estimate is of
    problem.cost(budget=1000)                              the black box to estimate it from

Curves of one variable, summed over coordinates in more: Square, Exponential, Bell, Cosine; Relu, Absolute, Clip,
Plateau; Steps, Staircase; Pivot, BallWithWall. Of several variables: Flat, Linear, Quadratic; Ridge, Cliff; BoxHole,
Orthant; BallHole, RadialStaircase, Norm. Discrete: BooleanQuadratic, CategoricalPayoffs. Simulated, with exact means:
LQR, RandomWalk, FallChain, LinearSurvival. Simulators with no more than their gradient: PushingCarts, FrictionCarts.

A new problem is one new file and one line in PROBLEMS, which tests and experiments go through.
"""

from rllab.problems.base import NoClosedForm as NoClosedForm
from rllab.problems.base import Problem as Problem
from rllab.problems.boxes import BoxHole as BoxHole
from rllab.problems.boxes import Orthant as Orthant
from rllab.problems.carts import FrictionCarts as FrictionCarts
from rllab.problems.carts import PushingCarts as PushingCarts
from rllab.problems.contacts import BallWithWall as BallWithWall
from rllab.problems.contacts import Pivot as Pivot
from rllab.problems.discrete import BooleanQuadratic as BooleanQuadratic
from rllab.problems.discrete import CategoricalPayoffs as CategoricalPayoffs
from rllab.problems.jump_curves import Staircase as Staircase
from rllab.problems.jump_curves import Steps as Steps
from rllab.problems.kinked_curves import Absolute as Absolute
from rllab.problems.kinked_curves import Clip as Clip
from rllab.problems.kinked_curves import Plateau as Plateau
from rllab.problems.kinked_curves import Relu as Relu
from rllab.problems.lqr import LQR as LQR
from rllab.problems.polynomials import Flat as Flat
from rllab.problems.polynomials import Linear as Linear
from rllab.problems.polynomials import Quadratic as Quadratic
from rllab.problems.radial import BallHole as BallHole
from rllab.problems.radial import Norm as Norm
from rllab.problems.radial import RadialStaircase as RadialStaircase
from rllab.problems.ridges import Cliff as Cliff
from rllab.problems.ridges import Ridge as Ridge
from rllab.problems.separable import Separable as Separable
from rllab.problems.smooth_curves import Bell as Bell
from rllab.problems.smooth_curves import Cosine as Cosine
from rllab.problems.smooth_curves import Exponential as Exponential
from rllab.problems.smooth_curves import Square as Square
from rllab.problems.stochastic import Stochastic as Stochastic
from rllab.problems.survival import FallChain as FallChain
from rllab.problems.survival import LinearSurvival as LinearSurvival
from rllab.problems.survival import RandomWalk as RandomWalk

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
    Flat(offset=1.7),
    Linear((1.9, -0.4), offset=3.1),
    Quadratic(((2.0, 0.6), (0.6, -0.5)), (0.7, -1.3), offset=3.1),
    Quadratic((1.0, 3.0, 0.2), 0.4, dimension=3),
    Ridge(Cosine(2.1), direction=(0.6, -1.1)),
    Ridge(Plateau(0.6), direction=(0.6, -1.1, 0.2), dimension=3),
    Cliff(0.3, 2.0, direction=(0.6, -1.1)),
    BoxHole(1.4, (0.1, -0.5), (0.8, 0.6)),
    BallHole(1.4, 0.9, centre=(0.1, -0.5, 0.3), dimension=3),
    RadialStaircase(centre=(0.1, -0.5)),
    Norm(centre=(0.1, -0.5, 0.3), dimension=3),
    Orthant((0.1, -0.5)),
    Orthant((0.1, -0.5), "or"),
    Pivot(),
    BallWithWall(),
    BooleanQuadratic(),
    BooleanQuadratic((0.6, 0.51, 0.48), 0.3, dimension=3),
    CategoricalPayoffs(),
    CategoricalPayoffs(((0.3, -1.2, 0.9), (2.0, 0.1, 0.4))),
    LQR(),
    LQR(horizon=3, stationary=False),
    RandomWalk(),
    FallChain(),
    LinearSurvival(),
    PushingCarts(horizon=5),
    FrictionCarts(horizon=5),
]

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

A new problem is one new file and one line here; the contract's tests then find it, with its defaults.
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
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)

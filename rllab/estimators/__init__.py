"""Gradient estimators, one per file; one contract for all (see `base`), whatever they ask of the cost."""

from rllab.estimators.arm import ARM as ARM
from rllab.estimators.backprop import Backprop as Backprop
from rllab.estimators.base import Estimator as Estimator
from rllab.estimators.central_difference import CentralDifference as CentralDifference
from rllab.estimators.complex_step import ComplexStep as ComplexStep
from rllab.estimators.disarm import DisARM as DisARM
from rllab.estimators.enumeration import Enumeration as Enumeration
from rllab.estimators.exact import exact_moments as exact_moments
from rllab.estimators.forward_difference import ForwardDifference as ForwardDifference
from rllab.estimators.forward_gradient import ForwardGradient as ForwardGradient
from rllab.estimators.gaussian_smoothing import GaussianSmoothing as GaussianSmoothing
from rllab.estimators.guided_smoothing import GuidedSmoothing as GuidedSmoothing
from rllab.estimators.gumbel_rao import GumbelRao as GumbelRao
from rllab.estimators.gumbel_softmax import GumbelSoftmax as GumbelSoftmax
from rllab.estimators.linear_interpolation import LinearInterpolation as LinearInterpolation
from rllab.estimators.measure_valued import MeasureValued as MeasureValued
from rllab.estimators.orthogonal_smoothing import OrthogonalSmoothing as OrthogonalSmoothing
from rllab.estimators.pathwise import Pathwise as Pathwise
from rllab.estimators.quadrature import Quadrature as Quadrature
from rllab.estimators.score_function import ScoreFunction as ScoreFunction
from rllab.estimators.seed_replay import SeedReplay as SeedReplay
from rllab.estimators.sobol_smoothing import SobolSmoothing as SobolSmoothing
from rllab.estimators.sphere_smoothing import SphereSmoothing as SphereSmoothing
from rllab.estimators.spsa import SPSA as SPSA
from rllab.estimators.straight_through import StraightThrough as StraightThrough

"""Gradient estimators, one per file; one contract for all (see `base`), whatever they ask of the cost."""

from rllab.checks import check_parameters as check_parameters
from rllab.estimators import heap
from rllab.estimators.base import Estimator as Estimator
from rllab.estimators.control_variates.lax import Lax as Lax
from rllab.estimators.control_variates.muprop import MuProp as MuProp
from rllab.estimators.control_variates.rebar import Rebar as Rebar
from rllab.estimators.control_variates.relax import Relax as Relax
from rllab.estimators.control_variates.state import ControlVariateState as ControlVariateState
from rllab.estimators.differences.central_difference import CentralDifference as CentralDifference
from rllab.estimators.differences.complex_step import ComplexStep as ComplexStep
from rllab.estimators.differences.forward_difference import ForwardDifference as ForwardDifference
from rllab.estimators.differences.linear_interpolation import LinearInterpolation as LinearInterpolation
from rllab.estimators.exact.backprop import Backprop as Backprop
from rllab.estimators.exact.enumeration import Enumeration as Enumeration
from rllab.estimators.exact.integration import exact_moments as exact_moments
from rllab.estimators.exact.quadrature import Quadrature as Quadrature
from rllab.estimators.pathwise.implicit import ImplicitPathwise as ImplicitPathwise
from rllab.estimators.pathwise.pathwise import Pathwise as Pathwise
from rllab.estimators.query import Plan as Plan
from rllab.estimators.query import PointBlock as PointBlock
from rllab.estimators.query import Query as Query
from rllab.estimators.relaxed.gumbel_rao import GumbelRao as GumbelRao
from rllab.estimators.relaxed.gumbel_softmax import GumbelSoftmax as GumbelSoftmax
from rllab.estimators.relaxed.straight_through import StraightThrough as StraightThrough
from rllab.estimators.score.arm import ARM as ARM
from rllab.estimators.score.dice import dice_surrogate as dice_surrogate
from rllab.estimators.score.dice import magic_box as magic_box
from rllab.estimators.score.disarm import DisARM as DisARM
from rllab.estimators.score.importance_weighted import ImportanceWeighted as ImportanceWeighted
from rllab.estimators.score.measure_valued import MeasureValued as MeasureValued
from rllab.estimators.score.score_function import ScoreFunction as ScoreFunction
from rllab.estimators.score.sum_and_sample import SumAndSample as SumAndSample
from rllab.estimators.score.vimco import VIMCO as VIMCO
from rllab.estimators.search.pgpe import PGPE as PGPE
from rllab.estimators.search.shaped import Shaped as Shaped
from rllab.estimators.search.snes import SNES as SNES
from rllab.estimators.search.top_directions import TopDirections as TopDirections
from rllab.estimators.search.xnes import xNES as xNES
from rllab.estimators.smoothing.forward_gradient import ForwardGradient as ForwardGradient
from rllab.estimators.smoothing.gaussian import GaussianSmoothing as GaussianSmoothing
from rllab.estimators.smoothing.guided import GuidedSmoothing as GuidedSmoothing
from rllab.estimators.smoothing.orthogonal import OrthogonalSmoothing as OrthogonalSmoothing
from rllab.estimators.smoothing.sobol import SobolSmoothing as SobolSmoothing
from rllab.estimators.smoothing.sphere import SphereSmoothing as SphereSmoothing
from rllab.estimators.smoothing.spsa import SPSA as SPSA
from rllab.text import with_names as _with_names

heap.keep_freed_memory()

__doc__ = _with_names(__doc__, __file__)

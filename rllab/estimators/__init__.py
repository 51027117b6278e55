"""Gradient estimators for costs that can only be evaluated; one per file, one contract for all (see `base`)."""

from rllab.estimators.base import Estimator as Estimator
from rllab.estimators.gaussian_smoothing import GaussianSmoothing as GaussianSmoothing
from rllab.estimators.score_function import ScoreFunction as ScoreFunction

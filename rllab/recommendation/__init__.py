"""Recommendation: which estimator to take for a cost, from a counted look at it."""

from rllab.recommendation.recommender import recommend as recommend
from rllab.recommendation.result import Choice as Choice
from rllab.recommendation.result import Recommendation as Recommendation
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)

"""Testing: the contract that every estimator keeps, as rules anybody can ask of their own.

check_estimator(MyEstimator())                          all RULES, on costs and a problem of the lab
check_estimator(MyEstimator(), problem, key=3)          what it claims is measured on this problem
check_estimator(MyEstimator(), rules=["dtype"])         one of them
"""

from rllab.testing.check import RULES as RULES
from rllab.testing.check import check_estimator as check_estimator
from rllab.testing.check import exported_estimators as exported_estimators
from rllab.testing.order import Order as Order
from rllab.testing.power import NotTested as NotTested
from rllab.testing.power import Power as Power
from rllab.testing.seeds import SharedSeeds as SharedSeeds
from rllab.testing.spread import Spread as Spread
from rllab.testing.subject import Subject as Subject
from rllab.testing.subject import accepted_kinds as accepted_kinds
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)

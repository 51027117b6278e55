"""What moves parameters by estimates: `minimize`, the loop around any estimator, and `SeedReplay`, a step in place."""

from rllab.optimize.minimizing import Trace as Trace
from rllab.optimize.minimizing import minimize as minimize
from rllab.optimize.seed_replay import ReplayStep as ReplayStep
from rllab.optimize.seed_replay import SeedReplay as SeedReplay
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)

"""Where evaluations happen: own workers, a Ray cluster, and anything with the `submit` of concurrent.futures."""

from rllab.executors.errors import CannotStart as CannotStart
from rllab.executors.errors import EvaluationLost as EvaluationLost
from rllab.executors.errors import ExecutorError as ExecutorError
from rllab.executors.errors import NotSendable as NotSendable
from rllab.executors.errors import WorkerLost as WorkerLost
from rllab.executors.ray_executor import RayExecutor as RayExecutor
from rllab.executors.workers import Workers as Workers
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)

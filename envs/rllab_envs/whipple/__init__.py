"""The Whipple bicycle of Meijaard et al. (2007): linear dynamics, an environment, its vector form, its optimum."""

from .dynamics import critical_speeds as critical_speeds
from .dynamics import eigenvalues as eigenvalues
from .dynamics import matrices as matrices
from .dynamics import transition as transition
from .env import WhippleBicycleEnv as WhippleBicycleEnv
from .lqr import Optimum as Optimum
from .lqr import optimum as optimum
from .parameters import Parameters as Parameters
from .task import WhippleBicycle as WhippleBicycle
from .vector import WhippleBicycleVectorEnv as WhippleBicycleVectorEnv

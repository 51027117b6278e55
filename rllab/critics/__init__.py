"""Critics: learned, differentiable costs, backpropagated through in place of the one that only returns numbers."""

from rllab.critics.critic import Critic as Critic
from rllab.critics.residual import Residual as Residual
from rllab.critics.state import CriticState as CriticState
from rllab.critics.through import ThroughCritic as ThroughCritic
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)

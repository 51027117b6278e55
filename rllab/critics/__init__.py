"""Critics: learned, differentiable costs, backpropagated through in place of the one that only returns numbers."""

from rllab.critics.critic import Critic as Critic
from rllab.critics.fitted import Fitted as Fitted
from rllab.critics.residual import Residual as Residual
from rllab.critics.through import ThroughCritic as ThroughCritic

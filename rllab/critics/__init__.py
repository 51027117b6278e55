"""Critics: learned, differentiable costs, backpropagated through in place of the one that only returns numbers."""

from rllab.critics.critic import Critic as Critic
from rllab.critics.fitted import Fitted as Fitted
from rllab.critics.lax import Lax as Lax
from rllab.critics.learned import Learned as Learned
from rllab.critics.muprop import MuProp as MuProp
from rllab.critics.rebar import Rebar as Rebar
from rllab.critics.relax import Relax as Relax
from rllab.critics.residual import Residual as Residual
from rllab.critics.through import ThroughCritic as ThroughCritic

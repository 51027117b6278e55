"""What outputs are drawn from."""

from rllab.distributions.base import Distribution as Distribution
from rllab.distributions.bernoulli import Bernoulli as Bernoulli
from rllab.distributions.categorical import Categorical as Categorical
from rllab.distributions.gaussian import Gaussian as Gaussian

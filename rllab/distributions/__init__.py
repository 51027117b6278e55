"""What outputs are drawn from."""

from rllab.distributions.base import Distribution as Distribution
from rllab.distributions.gaussian import Gaussian as Gaussian

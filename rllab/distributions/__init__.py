"""What outputs are drawn from. A new distribution is one new file and one line here; `rllab` shows it too."""

from rllab.distributions.base import Distribution as Distribution
from rllab.distributions.bernoulli import Bernoulli as Bernoulli
from rllab.distributions.beta import Beta as Beta
from rllab.distributions.categorical import Categorical as Categorical
from rllab.distributions.dirichlet import Dirichlet as Dirichlet
from rllab.distributions.from_torch import FromTorch as FromTorch
from rllab.distributions.gamma import Gamma as Gamma
from rllab.distributions.gaussian import Gaussian as Gaussian
from rllab.distributions.gaussian_mixture import GaussianMixture as GaussianMixture
from rllab.distributions.poisson import Poisson as Poisson
from rllab.distributions.product import Product as Product
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)

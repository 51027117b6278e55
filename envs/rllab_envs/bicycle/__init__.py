"""The bicycle of Randløv & Alstrøm (ICML 1998): pure batched dynamics, a Gymnasium environment, its vector form."""

from .dynamics import start as start
from .dynamics import step as step
from .env import BicycleBalanceEnv as BicycleBalanceEnv
from .parameters import Parameters as Parameters
from .rollouts import Rides as Rides
from .rollouts import ride_population as ride_population
from .task import BicycleBalance as BicycleBalance
from .vector import BicycleBalanceVectorEnv as BicycleBalanceVectorEnv

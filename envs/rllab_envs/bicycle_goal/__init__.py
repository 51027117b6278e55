"""Riding to a goal on the bicycle of Randløv & Alstrøm (ICML 1998): a Gymnasium environment and its vector form."""

from .env import BicycleGoalEnv as BicycleGoalEnv
from .task import BicycleGoal as BicycleGoal
from .vector import BicycleGoalVectorEnv as BicycleGoalVectorEnv

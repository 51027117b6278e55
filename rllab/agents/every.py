"""Every name that `rllab.agents` shows: a new agent is one line here."""

from rllab.agents.ars import ARS as ARS
from rllab.agents.base import Agent as Agent
from rllab.agents.crossq import CrossQ as CrossQ
from rllab.agents.evolution import Evolution as Evolution
from rllab.agents.loading import load as load
from rllab.agents.off_policy import OffPolicy as OffPolicy
from rllab.agents.policy import Policy as Policy
from rllab.agents.ppo import PPO as PPO
from rllab.agents.ppo import a2c as a2c
from rllab.agents.reinforce import Reinforce as Reinforce
from rllab.agents.replay import Replay as Replay
from rllab.agents.rollouts import Rollout as Rollout
from rllab.agents.sac import SAC as SAC
from rllab.agents.schedules import Linear as Linear
from rllab.agents.td3 import TD3 as TD3
from rllab.agents.tuned_settings import tuned as tuned

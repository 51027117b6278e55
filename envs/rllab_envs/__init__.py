"""Environments of the lab for Gymnasium; importing this package registers their ids.

    gymnasium.make("rllab_envs:rllab/BicycleBalance-v0")
    gymnasium.make_vec("rllab_envs:rllab/BicycleBalance-v0", num_envs=64)

The part before the colon makes Gymnasium import this package first. Arguments of an environment are given by keyword
to either call: `make_vec(..., num_envs=64, cap=500)`. An environment's own code is loaded when it is made.
"""

from gymnasium.envs.registration import register, registry

# id: (entry point, vector entry point)
ENVIRONMENTS = {
    "rllab/BicycleBalance-v0": (
        "rllab_envs.bicycle.env:BicycleBalanceEnv",
        "rllab_envs.bicycle.vector:BicycleBalanceVectorEnv",
    ),
}

for _id, (_single, _vector) in ENVIRONMENTS.items():
    if _id not in registry:  # Gymnasium warns about a second registration
        register(_id, entry_point=_single, vector_entry_point=_vector)

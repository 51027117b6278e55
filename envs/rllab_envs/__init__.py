"""Environments of the lab for Gymnasium; importing this package registers their ids.

    gymnasium.make("rllab_envs:rllab/BicycleBalance-v0")
    gymnasium.make_vec("rllab_envs:rllab/BicycleBalance-v0", num_envs=64)

The part before the colon makes Gymnasium import this package first. Arguments of an environment are given by keyword
to either call: `make_vec(..., num_envs=64, cap=500)`. An environment's own code is loaded when it is made.

A new environment is one folder and one line in ENVIRONMENTS, which the contract test goes through. The folder holds a
`Task`, pure functions over a batch, and its two thin forms, `TaskEnv` and `TaskVectorEnv`.
"""

from gymnasium.envs.registration import register, registry

# id: where "...Env" and "...VectorEnv" are found
ENVIRONMENTS = {
    "rllab/BicycleBalance-v0": "rllab_envs.bicycle:BicycleBalance",
    "rllab/BicycleGoal-v0": "rllab_envs.bicycle_goal:BicycleGoal",
    "rllab/WhippleBicycle-v0": "rllab_envs.whipple:WhippleBicycle",
}

for _id, _found in ENVIRONMENTS.items():
    if _id not in registry:  # Gymnasium warns about a second registration
        register(_id, entry_point=f"{_found}Env", vector_entry_point=f"{_found}VectorEnv")

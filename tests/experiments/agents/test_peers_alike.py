"""The two sides of strength.py are alike: networks as large, and every number that has a name in both the same.

Needs the libraries, and is left out where they are not installed.
"""

import importlib.util
import itertools

from experiments.agents.peers import LIBRARIES, _model
from experiments.agents.strength_cells import CELLS

import numpy as np
import pytest

from rllab.agents.named import agent_called

missing = [name for name in ("stable_baselines3", "sb3_contrib") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not installed: {missing}")

OFF_POLICY = {
    name: name for name in ("gamma", "batch_size", "learning_starts", "gradient_steps", "n_steps", "policy_delay")
}
SAME = {  # ours: theirs
    "TD3": OFF_POLICY | {n: n for n in ("tau", "target_policy_noise", "target_noise_clip")},
    "SAC": {n: n for n in OFF_POLICY if n != "policy_delay"} | {"tau": "tau", "ent_coef": "ent_coef"},
    "CrossQ": OFF_POLICY | {"ent_coef": "ent_coef"},
    "PPO": {
        n: n
        for n in ("gamma", "gae_lambda", "batch_size", "n_steps", "n_epochs", "ent_coef", "vf_coef", "max_grad_norm")
    },
    "ARS": {n: n for n in ("n_delta", "n_top", "alive_bonus_offset", "zero_policy")},
}
FIRST = [next(cell for cell in CELLS if cell.method == method) for method in SAME]
TRIED = [*FIRST, *(cell for cell in CELLS if cell.name in ("InvertedPendulum-v5/PPO", "Swimmer-v5/ARS"))]


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("cell", TRIED, ids=[cell.name for cell in TRIED])
def test_both_sides_have_the_same_numbers_and_networks_as_large(cell):
    ours = agent_called(cell.method)(cell.task, 0, **cell.settings)
    library = next(name for name in LIBRARIES[cell.method] if importlib.util.find_spec(name))
    theirs, normalizer = _model(library, cell.method, cell.task, 0, cell.settings)
    for name, other in SAME[cell.method].items():
        assert getattr(ours, name) == getattr(theirs, other), name
    assert ours.normalize_observations == (normalizer is not None)
    weights = len(ours.weights)
    if cell.method == "ARS":
        b = cell.settings["n_top"]
        assert size(theirs.policy) == weights
        # lr/σ: the step is the same, for any returns that count
        returns = np.random.default_rng(0).normal(size=2 * b)
        np.testing.assert_allclose(theirs.lr_schedule(1) / returns.std(ddof=1), ours.lr / returns.std())
        assert theirs.delta_std_schedule(1) == ours.delta_std
    elif cell.method == "PPO":
        policy = theirs.policy
        assert theirs.lr_schedule(1) == ours.lr and theirs.clip_range(1) == ours.clip_range
        assert theirs.n_envs == ours.num_envs and normalizer.norm_reward == ours.normalize_costs
        assert size(policy.mlp_extractor.policy_net) + size(policy.action_net) == weights
        values = size(policy.mlp_extractor.value_net) + size(policy.value_net)
        assert values == len(ours.networks.value_weights)
        if not ours.policy.discrete:
            half = (theirs.action_space.high - theirs.action_space.low) / 2
            np.testing.assert_allclose(policy.log_std.exp().detach().numpy(), ours.std * half, rtol=1e-6)
    else:
        assert theirs.lr_schedule(1) == ours.lr and theirs.train_freq.frequency == ours.train_freq
        assert theirs.buffer_size >= cell.steps <= ours.buffer_size  # nothing is forgotten on either side
        if cell.method == "TD3":
            assert size(theirs.actor) == weights and theirs.action_noise._sigma[0] == ours.action_noise
        if cell.method != "CrossQ":  # which normalises on the way
            assert size(theirs.critic) == ours.critics.weights.numel()
        else:
            assert [p.shape[1] for n, p in theirs.critic.named_parameters() if p.ndim == 2][1] == 64
        if cell.method != "TD3":
            assert theirs.target_entropy == ours.temperature.target_entropy


def test_every_method_is_compared():
    assert set(SAME) == {cell.method for cell in CELLS} == set(LIBRARIES)
    assert len(list(itertools.chain(*LIBRARIES.values()))) >= len(SAME)

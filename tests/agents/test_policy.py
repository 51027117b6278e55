"""Policy: spaces decide its shape, observations are scaled by fixed numbers, actions fill the box."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rllab.agents.policy import LAST, Policy

BOX = spaces.Box(np.array([-3, -1], np.float32), np.array([1, 5], np.float32))
SEEN = spaces.Box(np.array([-4, -np.inf, 0], np.float32), np.array([2, np.inf, 0.5], np.float32))


def policy(observations=SEEN, actions=BOX, hidden=(6,), scale=None):
    return Policy.for_spaces("Somebody", observations, actions, hidden, scale)


def test_observations_are_divided_by_the_bounds_of_their_space_where_it_has_any():
    assert policy().scale == (4.0, 1.0, 0.5)
    o = np.array([[2.0, 3.0, 0.25], [-4.0, 0.0, 0.5]])
    np.testing.assert_array_equal(policy().inputs(o), [[0.5, 3.0, 0.5], [-1.0, 0.0, 1.0]])
    assert policy().inputs(o).dtype == torch.float32
    given = policy(scale=[1, 2, 4])
    assert given.scale == (1.0, 2.0, 4.0)
    np.testing.assert_array_equal(given.scaled(o[0]), np.array([2.0, 1.5, 0.0625], np.float32))


def test_actions_fill_the_box_whatever_its_middle():
    actions = policy().to_environment(np.array([[-1, -1], [0, 0], [1, 1], [0.5, -0.5]], np.float32))
    np.testing.assert_array_equal(actions, [[-3, -1], [-1, 2], [1, 5], [0, 0.5]])
    assert actions.dtype == np.float32 and all(BOX.contains(a) for a in actions)
    np.testing.assert_array_equal(policy().to_environment(np.array([1.0, 0.0])), [1, 2])


def test_of_discrete_actions_the_one_with_the_largest_logit_is_taken():
    choice = policy(actions=spaces.Discrete(3))
    assert choice.network.sizes == (3, 6, 3)
    assert choice.to_environment(np.array([[0.1, -2.0, 5.0], [7.0, 2.0, 3.0]])).tolist() == [2, 0]
    assert choice.to_environment(np.array([0.0, 1.0, -1.0])).shape == ()
    assert choice.to_environment(np.array([0.0, 1.0, -1.0])) == 1
    w, x = torch.randn(choice.size, generator=torch.Generator().manual_seed(0)), torch.tensor([[1.0, 2.0, -5.0]])
    torch.testing.assert_close(choice(w, x), choice.network(w, x))  # logits are not squashed


def test_the_output_for_a_box_is_the_tanh_of_the_network():
    p = policy()
    w = torch.randn(p.size, generator=torch.Generator().manual_seed(1))
    x = torch.tensor([[1.0, 2.0, -5.0], [0.3, 0.1, 0.0]])
    torch.testing.assert_close(p(w, x), torch.tanh(p.network(w, x)))


@pytest.mark.parametrize("hidden", ((), (6,), (5, 4)), ids=str)
def test_a_population_is_its_policies_each_at_its_own_observation(hidden):
    p, generator = policy(hidden=hidden), torch.Generator().manual_seed(2)
    w, x = torch.randn(9, p.size, generator=generator), torch.randn(9, 3, generator=generator)
    one_by_one = torch.cat([p(w[i], x[i : i + 1]) for i in range(9)])
    torch.testing.assert_close(p.population(w, x), one_by_one, rtol=1e-5, atol=1e-6)  # float32


def test_the_first_policy_acts_gently_and_by_its_key():
    p = policy(hidden=(64, 64))
    x = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (100, 3)).astype(np.float32))
    outputs = p(p.initial(4), x)
    # |W x| <= LAST Σ |h_i| / √64 <= LAST · 8 at the very most; in truth far below
    assert 0 < outputs.abs().max() < LAST
    assert torch.equal(p.initial(4), p.initial(4)) and not torch.equal(p.initial(4), p.initial(5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"observations": spaces.Text(4)}, "observations must be Box, Discrete, .* got Text"),
        ({"observations": spaces.Dict(a=SEEN, b=spaces.Sequence(SEEN))}, "observations must be Box, .* got Sequence"),
        (
            {"observations": spaces.Box(0, 255, (96, 96, 3), np.uint8)},
            r"images must be .* got \(96, 96, 3\): make",
        ),
        ({"observations": spaces.Discrete(10**6)}, "observations must be of 1 to 100,000 numbers, got 1,000,000 in"),
        ({"actions": spaces.Box(-np.inf, np.inf, (1,))}, "actions must be a bounded Box, .* got Box"),
        ({"actions": spaces.Dict(a=BOX)}, "actions must be a bounded Box, Discrete, .* got Dict"),
        ({"actions": spaces.Text(3)}, "actions must be a bounded Box, Discrete, .* got Text"),
        ({"scale": (1.0, 2.0)}, "observation_scale must be 3 positive numbers, got"),
        ({"scale": (1.0, 0.0, 1.0)}, "observation_scale must be 3 positive numbers, got"),
        ({"scale": (1.0, float("nan"), 1.0)}, "observation_scale must be 3 positive numbers, got"),
        ({"scale": (1.0, float("inf"), 1.0)}, "observation_scale must be 3 positive numbers, got"),
        ({"hidden": (4, 0)}, "hidden must be widths >= 1, got"),
    ],
)
def test_spaces_and_scales_it_cannot_serve_are_named_in_the_name_of_the_caller(arguments, message):
    with pytest.raises(ValueError, match=f"Somebody: .*{message}"):
        policy(**arguments)

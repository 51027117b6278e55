"""Actions: outputs become actions of the environment's space, and choices are drawn as they are scored."""

import itertools

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rllab import Key
from rllab.agents.actions import BoxActions, Choices, actions_of

SPACES = [
    spaces.Box(-1, 3, (2,)),
    spaces.Box(-1, 3, ()),
    spaces.Box(np.array([[0, -5], [2, 7]]), np.array([[1, 5], [9, 8]]), dtype=np.float64),
    spaces.Box(-3, 4, (2, 2), np.int32),
    spaces.Box(0, 255, (1, 2, 3), np.uint8),
    spaces.Discrete(4),
    spaces.Discrete(4, start=-2),
    spaces.MultiDiscrete([2, 3, 4]),
    spaces.MultiDiscrete([[2, 3], [4, 2]], start=[[1, 0], [-4, 2]]),
    spaces.MultiBinary(3),
    spaces.MultiBinary((2, 2)),
]
every = pytest.mark.parametrize("space", SPACES, ids=str)


@every
def test_whatever_the_outputs_actions_are_of_the_space(space):
    actions, rng = actions_of("Test", space), np.random.default_rng(0)
    seen = set()
    for scale in (0.1, 1.0, 30.0):
        outputs = rng.normal(0, scale, (50, actions.size)).astype(np.float32)
        outputs = actions.greedy(outputs) if isinstance(actions, Choices) else outputs
        many = actions.to_environment(outputs)
        assert many.shape == (50, *space.shape) and many.dtype == space.dtype
        for one, together in zip(outputs, many, strict=True):
            assert space.contains(np.asarray(together))
            np.testing.assert_array_equal(actions.to_environment(one), together)
            seen.add(together.tobytes())
    assert len(seen) >= 4


def test_each_component_of_a_box_is_stretched_by_its_own_bounds():
    box = actions_of("Test", SPACES[2])
    assert isinstance(box, BoxActions)
    np.testing.assert_array_equal(box.to_environment(np.array([0.0, 0.5, 1.0, -1.0])), [[0.5, 2.5], [9, 7]])


def test_the_largest_logit_of_each_component_is_taken_and_counted_from_its_start():
    choices = actions_of("Test", SPACES[8])
    assert isinstance(choices, Choices) and (choices.size, choices.components) == (11, 4)
    logits = np.array([0.0, 1.0, 5.0, 0.0, 0.0, -1.0, -2.0, -0.5, -3.0, 0.1, 0.0])
    #                  2 of them | 3             | 4                      | 2
    assert choices.greedy(logits).tolist() == [1, 0, 2, 0]
    assert choices.to_environment(choices.greedy(logits)).tolist() == [[2, 0], [-2, 2]]


LAW = Choices((2, 3), shape=(2,))
OUTCOMES = torch.tensor(list(itertools.product(range(2), range(3))))
LOGITS = torch.randn(5, generator=Key(1).generator(), dtype=torch.float64)


def prove_probabilities_are_products_of_those_of_torch(law):
    first, second = (torch.distributions.Categorical(logits=z) for z in LOGITS.split((2, 3)))
    log_p = law.log_probability(LOGITS.expand(6, -1), OUTCOMES)
    expected = first.log_prob(OUTCOMES[:, 0]) + second.log_prob(OUTCOMES[:, 1])
    torch.testing.assert_close(log_p, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(law.entropy(LOGITS), first.entropy() + second.entropy(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(-(log_p.exp() * log_p).sum(), law.entropy(LOGITS), rtol=1e-12, atol=1e-12)


def prove_draws_are_from_the_probabilities_that_are_scored(law, n=40_000):
    drawn = law.draw(LOGITS.float().expand(n, -1), Key(2).generator())
    assert drawn.shape == (n, 2) and drawn.dtype == torch.int64
    p = LAW.log_probability(LOGITS.expand(6, -1), OUTCOMES).exp()
    share = torch.bincount(3 * drawn[:, 0] + drawn[:, 1], minlength=6) / n
    assert ((share - p).abs() < 6.5 * (p * (1 - p) / n).sqrt()).all()  # six two-sided tests at 8e-11


def test_probabilities_are_products_of_those_of_torch():
    prove_probabilities_are_products_of_those_of_torch(LAW)


def test_draws_are_from_the_probabilities_that_are_scored():
    prove_draws_are_from_the_probabilities_that_are_scored(LAW)


class OneSoftmax(Choices):
    """All logits in one softmax."""

    def log_probability(self, logits, chosen):
        return logits.log_softmax(-1).gather(-1, chosen + torch.tensor([0, 2])).sum(-1)


class SameNoise(Choices):
    """Every component is drawn from the same numbers."""

    def draw(self, logits, generator):
        state = generator.get_state()
        parts = []
        for z in logits.split(self.counts, -1):
            generator.set_state(state)
            parts.append((torch.rand(len(z), 1, generator=generator) > z.softmax(-1).cumsum(-1)).sum(-1))
        return torch.stack(parts, -1)


class SumOfProbabilities(Choices):
    def entropy(self, logits):
        return -torch.cat([z.log_softmax(-1) for z in logits.split(self.counts, -1)], -1).sum(-1)


def test_wrong_laws_are_caught():
    for wrong in (OneSoftmax, SumOfProbabilities):
        with pytest.raises(AssertionError):
            prove_probabilities_are_products_of_those_of_torch(wrong(LAW.counts, shape=(2,)))
    with pytest.raises(AssertionError):
        prove_draws_are_from_the_probabilities_that_are_scored(SameNoise(LAW.counts, shape=(2,)))


def test_leading_dimensions_are_kept():
    logits = torch.randn(4, 3, 5, generator=Key(3).generator())
    chosen = LAW.draw(logits.reshape(12, 5), Key(4).generator()).view(4, 3, 2)
    together = LAW.log_probability(logits, chosen)
    assert together.shape == LAW.entropy(logits).shape == (4, 3)
    torch.testing.assert_close(together[2], LAW.log_probability(logits[2], chosen[2]))

"""Wrong seed replay: moves with one mistake each, which the step that a held direction would make must tell apart."""

import pytest

from rllab import Cost, Key
from rllab.estimators import GaussianSmoothing
from rllab.optimize import SeedReplay
from tests.proofs.probing import AT, RADIUS, assert_close, curved


def prove_seed_replay(cls):
    """A step is that of Gaussian smoothing with one pair, and costs two evaluations."""
    theta, key = AT.clone(), Key(4)
    optimizer = cls(theta, lr=0.05, sigma=RADIUS, key=key)
    for t in range(2):
        before = theta.clone()
        optimizer.step(lambda: curved(theta[None])[0])
        e = GaussianSmoothing(RADIUS)(Cost(curved), before, evaluations=2, key=key.child("step", t))
        assert_close(theta, before - 0.05 * e.gradient)
    assert optimizer.evaluations == 4


class AnotherDirectionEachTime(SeedReplay):
    def _pieces(self, t):
        self.calls = getattr(self, "calls", 0) + 1
        return super()._pieces(1000 * t + self.calls)


class TheSameDirectionEveryStep(SeedReplay):
    def _pieces(self, t):
        return super()._pieces(0)


class NotRestored(SeedReplay):
    """Updates from θ − σz, where the second evaluation left the parameters."""

    def _move(self, t, origin, start, end):
        super()._move(t, origin, 0.0 if start < 0 else start, end)


class MinusOnce(SeedReplay):
    """θ + σz and θ: the second move not doubled, the difference still over 2σ."""

    def _move(self, t, origin, start, end):
        super()._move(t, origin, max(start, 0.0), 0.0 if end == -self.sigma else end)


@pytest.mark.parametrize(
    "mutant",
    (AnotherDirectionEachTime, TheSameDirectionEveryStep, NotRestored, MinusOnce),
    ids=lambda mutant: mutant.__name__,
)
def test_the_wrong_replay_is_caught(mutant):
    with pytest.raises(AssertionError):
        prove_seed_replay(mutant)


def test_the_right_replay_passes_the_same_proof():
    prove_seed_replay(SeedReplay)

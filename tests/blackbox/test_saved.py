"""A black box that is saved and loaded goes on bit for bit; what cannot be loaded is refused before it is lost."""

from io import BytesIO
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import rllab
from rllab import estimators as est
from rllab.blackbox import BlackBox
from rllab.blackbox.saved import STATES, plain_state, restored_state
from rllab.critics import Critic, Residual, ThroughCritic

SMALL = Critic(hidden=(8,), sigma=0.3, gradient_steps=5, ensemble=2)
X = torch.randn(12, 16, 3, generator=torch.Generator().manual_seed(1))


def jumps(z: Tensor) -> Tensor:
    return torch.floor(4 * z.abs()).sum(1)


KINDS = {
    "critic": {"gradient": SMALL},
    "residual": {"gradient": Residual(SMALL, est.GaussianSmoothing(0.3))},
    "through": {"gradient": ThroughCritic(est.GaussianSmoothing(0.3), SMALL, critic_evaluations=4)},
    "moving baseline": {"gradient": est.ScoreFunction(baseline="moving"), "distribution": rllab.Bernoulli},
    "importance": {"gradient": est.ImportanceWeighted(), "distribution": rllab.Bernoulli},
    "stateless": {"gradient": est.GaussianSmoothing(0.3)},
}


def made(kind: str, **more) -> tuple[nn.Sequential, torch.optim.Optimizer]:
    net = nn.utils.skip_init(nn.Linear, 3, 2)
    for i, weights in enumerate(net.parameters()):
        nn.init.uniform_(weights, -0.6, 0.6, generator=rllab.Key(0).child(i).generator())
    box = BlackBox(jumps, evaluations=8, scope="cost", key=0, budget=10**5, **{**KINDS[kind], **more})
    model = nn.Sequential(net, box)
    return model, torch.optim.SGD(model.parameters(), lr=0.05)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, batches: Tensor) -> None:
    for x in batches:
        optimizer.zero_grad()
        model(x).mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_goes_on_bit_for_bit_with_its_ledger(kind):
    model, optimizer = made(kind)
    train(model, optimizer, X[:6])
    file = BytesIO()
    torch.save(model.state_dict(), file)
    train(model, optimizer, X[6:])
    again, optimizer = made(kind)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    train(again, optimizer, X[6:])
    (net, box), (loaded, other) = model, again
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), loaded.parameters(), strict=True))
    assert box.calls == other.calls and box.ledger.spent == other.ledger.spent and box.ledger.evaluations > 16 * 12
    with pytest.raises(rllab.BudgetExceeded, match="are spent"):  # what is left is left
        other.ledger.reserve("value", 10**5 - box.ledger.evaluations + 1)


def test_what_is_saved_stays_as_it_was_while_the_model_goes_on():
    model, optimizer = made("critic")
    train(model, optimizer, X[:3])
    saved = model[1].get_extra_state()
    before = saved["calls"], dict(saved["spent"]), saved["state"]["fields"]["weights"].clone()
    train(model, optimizer, X[3:6])
    assert (saved["calls"], saved["spent"]) == before[:2] and torch.equal(
        saved["state"]["fields"]["weights"], before[2]
    )


def test_every_state_of_an_estimator_comes_back_as_it_was():
    g = torch.Generator().manual_seed(0)
    guided = est.GuidedSmoothing()
    lax = est.Lax()(rllab.Cost(lambda x: x.square().sum(-1)), rllab.Gaussian(torch.ones(3)), evaluations=8, key=0).state
    for state in (guided.remember(None, torch.randn(3, generator=g)), lax, torch.ones(2), None, {"class": 3}):
        file = BytesIO()
        torch.save(plain_state("x", state), file)
        file.seek(0)
        back = restored_state("x", torch.load(file, weights_only=True))
        assert type(back) is type(state)
        assert str(plain_state("x", back)) == str(plain_state("x", state))
    assert type(lax).__name__ in STATES


def test_a_state_that_cannot_be_loaded_is_refused_when_it_is_saved():
    class Mine(NamedTuple):
        mean: Tensor

    model, _ = made("stateless")
    model[1]._asker.state = Mine(torch.ones(1))
    with pytest.raises(TypeError, match=r"BlackBox 'jumps': the state of an estimator must be tensors, .* got Mine"):
        model.state_dict()


def test_what_is_no_state_of_this_block_is_refused_and_named():
    model, optimizer = made("critic")
    train(model, optimizer, X[:1])
    saved, name = model.state_dict(), "1._extra_state"
    other, _ = made("residual")
    with pytest.raises(ValueError, match="gradient must be a Critic, whose state is loaded, got a Residual"):
        other.load_state_dict(saved)
    again, _ = made("critic")
    for wrong in ({"passes": 1, "calls": 2}, 3, {**saved[name], "spent": {}}, {**saved[name], "spent": 7}):
        with pytest.raises(ValueError, match=r"BlackBox 'jumps': a state to load must hold [\[w]"):
            again.load_state_dict({**saved, name: wrong})
    for state in ({"class": "os.system", "fields": {}}, {"class": "CriticState", "fields": {"hidden": (8,)}}, {}):
        with pytest.raises(ValueError, match="what its estimator learned must be one of"):
            again.load_state_dict({**saved, name: {**saved[name], "state": state}})
    assert again[1].calls == 0 and again[1].ledger.evaluations == 0

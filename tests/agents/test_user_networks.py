"""A user's torch modules as actor and critic: they learn as our own networks do, see images, are saved, or refused."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from rllab import Key
from rllab.agents import ARS, PPO, SAC, TD3, CrossQ, Evolution, Reinforce, load
from rllab.agents.user_network import ModuleNetwork
from rllab.backprop.network import MLP
from tests.agents.test_agents_contract import KINDS, SMALL
from tests.proofs.agents import timeless
from tests.proofs.toy_environments import CHOICE, DRIFT, Shown

TAKE = [kind for kind in KINDS if kind.takes_networks]
every = pytest.mark.parametrize("kind", TAKE, ids=lambda kind: kind.__name__)
IMAGE = spaces.Box(0, 255, (36, 30, 1), np.uint8)
ACTIONS = spaces.Box(np.array([-1, 0], np.float32), np.array([3, 5], np.float32))


class Net(nn.Module):
    """One of our networks again, with the same numbers in the same order."""

    def __init__(self, network: MLP, w, last_bias=True):
        super().__init__()
        parts = [part.detach().clone() for layer in network.layers(w) for part in layer]
        self.parts = nn.ParameterList(parts if last_bias else parts[:-1])
        self.h = {"tanh": torch.tanh, "relu": torch.relu}[network.activation]

    def forward(self, *inputs):
        x, parts = torch.cat(inputs, -1), list(self.parts)
        for depth in range(0, len(parts), 2):
            x = (self.h(x) if depth else x) @ parts[depth]
            x = x + parts[depth + 1] if depth + 1 < len(parts) else x
        return x


def settings(kind):
    small = {name: value for name, value in SMALL[kind.__name__].items() if name != "n_top"}
    return {"hidden": (6,), **small} | ({"lr": 0.01} if kind in (TD3, SAC, PPO) else {})


def with_modules(kind, environment, **arguments):
    """An agent with our networks, and one with modules that are the same."""
    ours = kind(environment, 0, **settings(kind), **arguments)
    if kind is SAC:
        actor = Net(ours.learned_actor.network, ours.learned_actor.weights)
    else:
        actor = Net(ours.policy.network, ours.weights)
    critic = {}
    if kind in (TD3, SAC):  # the constant that is added is our last bias
        critic["critic"] = tuple(Net(ours.critics.network, w, last_bias=False) for w in ours.critics.weights)
    if kind is PPO:
        critic["critic"] = Net(ours.networks.value_network, ours.networks.value_weights)
    return ours, kind(environment, 0, **settings(kind), **arguments, actor=actor, **critic)


def assert_same_learning(ours, theirs, steps):
    begun = theirs.weights.detach().clone()
    rows, again = (timeless(agent.learn(steps)) for agent in (ours, theirs))
    assert ours.spent.updates > 1
    assert [row["steps"] for row in rows] == [row["steps"] for row in again]
    learned = ours.learned_actor.weights if isinstance(ours, SAC) else ours.weights
    assert (learned.detach() - begun).abs().max() > 0.01
    torch.testing.assert_close(theirs.weights, learned, rtol=2e-3, atol=2e-4)  # products in another order, float32


@pytest.mark.slow
@every
def test_a_module_learns_as_our_own_network_does(kind):
    ours, theirs = with_modules(kind, DRIFT)
    assert_same_learning(ours, theirs, 150 if kind in (TD3, SAC) else 400)
    estimates = [agent.gradient(steps=120, key=3) for agent in (ours, theirs)]
    assert estimates[0].target == estimates[1].target and estimates[0].evaluations == estimates[1].evaluations
    if kind is not SAC:  # of whose module all weights are the policy's
        one, other = (e.gradient for e in estimates)
        assert (one - other).norm() < 0.02 * one.norm()


@pytest.mark.parametrize("kind", (ARS, Evolution, PPO, Reinforce), ids=lambda kind: kind.__name__)
def test_it_learns_choices_as_our_own_network_does(kind):
    assert_same_learning(*with_modules(kind, CHOICE), 120)


class Eye(nn.Module):
    """A convolution over one image, an action beside it where there is one; its first layer is frozen."""

    def __init__(self, outputs, actions=0):
        super().__init__()
        self.shrink = nn.Conv2d(1, 1, 2, 2)
        self.look = nn.Sequential(nn.Conv2d(1, 3, 4, 4), nn.ReLU(inplace=True), nn.Flatten())
        self.act = nn.Linear(3 * 4 * 3 + actions, outputs)
        self.register_buffer("centre", torch.tensor(0.4))
        generator = Key(outputs).generator()
        for p in self.parameters():
            p.data.normal_(0, 0.2, generator=generator)
        for p in self.shrink.parameters():
            p.requires_grad = False

    def forward(self, image, *action):
        assert image.shape[1:] == (36, 30, 1)
        return self.act(torch.cat((self.look(self.shrink(image.movedim(-1, 1) - self.centre)), *action), 1))


def eyes(kind):
    """Networks for images of an agent: its arguments."""
    given = {"actor": Eye(kind.outputs_each * 2)}
    if kind in (TD3, SAC):
        given["critic"] = (Eye(1, 2), Eye(1, 2))
    if kind is PPO:
        given["critic"] = Eye(1)
    return given


def see():
    return Shown(IMAGE, ACTIONS)


@pytest.mark.slow
@every
def test_images_are_learned_from_saved_and_shown_again(kind, tmp_path):
    given = eyes(kind)
    before = {name: p.clone() for name, p in given["actor"].state_dict().items()}
    state = torch.random.get_rng_state()
    quiet = {"normalize_observations": False} if kind.normalizes else {}
    agent = kind(see, 0, **settings(kind), **quiet, **given)
    begun = agent.weights.detach().clone()
    agent.learn(90 if kind in (TD3, SAC) else 150)  # of which these two learn from the 40th on, at every step
    assert agent.spent.updates > 0 and not torch.equal(agent.weights, begun)
    assert all(torch.equal(p, before[name]) for name, p in given["actor"].state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)
    IMAGE.seed(0)
    images = np.stack([IMAGE.sample() for _ in range(3)])
    acted = agent.act(images)
    module = agent.module()
    np.testing.assert_allclose(module(torch.from_numpy(images)).numpy(force=True), acted, rtol=1e-5, atol=1e-5)
    assert torch.equal(module.network.module.shrink.weight, before["shrink.weight"])
    with pytest.raises(TypeError, match=f"{kind.__name__}: actor must be the agent's own network to be arrays"):
        agent.array_policy()
    agent.save(tmp_path / "agent.pt")
    lacking = r"(?s)it does not hold environment .*, actor \(it was Eye\(" + (".*, critic" if "critic" in given else "")
    with pytest.raises(ValueError, match=lacking) as error:
        load(tmp_path / "agent.pt")
    assert "give load(path, environment=…, actor=…" in str(error.value)
    fresh = eyes(kind)
    fresh["actor"].centre.fill_(0.9)  # the file's is taken
    again = load(tmp_path / "agent.pt", environment=see, **fresh)
    np.testing.assert_array_equal(again.act(images), acted)
    assert timeless(again.learn(60)) == timeless(agent.learn(60))
    assert torch.equal(again.weights, agent.weights)
    with pytest.raises(ValueError, match="actor's state must be of"):
        load(
            tmp_path / "agent.pt",
            environment=see,
            **fresh | {"actor": nn.Sequential(nn.Flatten(), nn.Linear(36 * 30, kind.outputs_each * 2))},
        )


@every
def test_images_without_networks_of_ones_own_are_refused(kind):
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: images must be .*, actor=…$"):
        kind(see, 0)
    if kind is Reinforce:
        with pytest.raises(ValueError, match=r'^Reinforce: images must be .*, or take another baseline than "value"'):
            kind(see, 0, actor=Eye(2), baseline="value")
    if hasattr(kind, "critic"):
        with pytest.raises(ValueError, match=rf"^{kind.__name__}: images must be .*, critic=…$"):
            kind(see, 0, actor=Eye(2 * kind.outputs_each))


def test_parts_of_an_observation_come_as_they_are_named():
    space = spaces.Dict(card=spaces.Discrete(3), place=spaces.Tuple((spaces.Box(-1, 1, (2, 2)), spaces.MultiBinary(2))))

    class Player(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(()))

        def forward(self, seen):
            board, bits = seen["place"]
            assert board.shape[1:] == (2, 2) and seen["card"].shape[1:] == (3,)
            return self.w * torch.stack((seen["card"] @ torch.arange(3.0), board[:, 1, 0], bits[:, 1]), 1)

    network = ModuleNetwork("Test", "actor", Player(), space, outputs=3)
    row = torch.tensor([[0.0, 0, 1, 0.1, 0.2, 0.3, 0.4, 0, 1]])
    torch.testing.assert_close(network(torch.tensor([2.0]), row), torch.tensor([[4.0, 0.6, 2.0]]))
    of_two = network(torch.tensor([[2.0], [3.0]]), row.expand(2, 1, 9))
    torch.testing.assert_close(of_two[1], torch.tensor([[6.0, 0.9, 3.0]]))


def test_what_cannot_be_learned_is_refused_by_name():
    dropout, batch = nn.Sequential(nn.Linear(2, 1), nn.Dropout()), nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    pair, frozen = ((nn.Bilinear(2, 1, 1), nn.Bilinear(2, 1, 1)) for _ in range(2))
    for critic in frozen:
        critic.weight.requires_grad_(False)
    for kind, arguments, error, says in (
        (CrossQ, {"actor": nn.Linear(2, 1)}, ValueError, "actor must be None, since .* these agents take one: ARS, "),
        (CrossQ, {"critic": pair}, ValueError, "critic must be None, since"),
        (TD3, {"actor": torch.tanh}, TypeError, "actor must be a torch.nn.Module, got <built-in"),
        (TD3, {"actor": nn.Tanh()}, ValueError, "actor must have trainable parameters, all torch.float32, got none"),
        (
            TD3,
            {"actor": nn.Linear(2, 1).double()},
            ValueError,
            r"actor must have trainable parameters, all torch.float32, got \['torch.float64",
        ),
        (TD3, {"actor": dropout}, ValueError, "actor must treat each observation alone: .*Dropout"),
        (PPO, {"actor": batch}, ValueError, "actor must treat each observation alone: .*BatchNorm1d"),
        (SAC, {"actor": nn.Linear(2, 1)}, ValueError, r"actor must return \(n, 2\) for n observations, got \(2, 1\)"),
        (TD3, {"actor": nn.Linear(3, 1)}, ValueError, r"actor must take inputs of shape \(2, 2\) for two observations"),
        (TD3, {"critic": nn.Linear(3, 1)}, TypeError, "critic must be two modules"),
        (TD3, {"critic": (nn.Bilinear(2, 1, 1), nn.Bilinear(2, 1, 1, bias=False))}, ValueError, r"critic\[0\]'s state"),
        (
            TD3,
            {"critic": frozen},
            ValueError,
            "critic must be two modules whose constants are equal, .* different weight",
        ),
        (PPO, {"critic": nn.Linear(2, 2)}, ValueError, r"critic must return \(n, 1\) for n observations, got \(2, 2\)"),
    ):
        with pytest.raises(error, match=rf"^{kind.__name__}: {says}") as raised:
            kind(DRIFT, 0, **arguments)
        assert kind.__name__ in str(raised.value)
    dropout.eval()
    TD3(DRIFT, 0, actor=dropout, critic=pair)
    frozen[1].weight.data.copy_(frozen[0].weight)
    TD3(DRIFT, 0, critic=frozen)


def test_a_gradient_of_fresh_steps_keeps_the_constants_of_a_file(tmp_path):
    actors = [nn.Sequential(nn.Linear(2, 3).requires_grad_(False), nn.Linear(3, 1)) for _ in range(2)]
    agent = TD3(DRIFT, 0, actor=actors[0], learning_starts=20, critic_hidden=(4,))
    agent.learn(30)
    agent.save(tmp_path / "agent.pt")
    again = load(tmp_path / "agent.pt", actor=actors[1])
    assert torch.equal(again.gradient(20, key=1).gradient, agent.gradient(20, key=1).gradient)

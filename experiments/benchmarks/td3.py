"""What does one update of TD3 cost beside its matrix products and a library, and what is the rest of a step?

An update is one of the critics, and every second time one of the actor and the targets, with its minibatch and noise,
on Pendulum. `products` are the matrix products it cannot do without, into buffers, the floor under all. SB3, which is
Stable-Baselines3, makes the same update through autograd; it is skipped by name if it is not installed, and its policy
has ReLUs where ours has tanh. CPU time of one thread; all take turns, and a ratio is the median over rounds of two
times of one round, so that the machine's other work cancels. The last table times a whole step on the bicycle as it
is, then with an update that does nothing, then with an environment that does nothing either: what is left is the loop.

    python experiments/benchmarks/td3.py                       prints, and writes td3.md beside this file
"""

import importlib
import time
from functools import partial

from experiments.benchmarks.timing import Flags, Page, Step, goal, main, make, microseconds, ratio, take_turns

import gymnasium
import numpy as np
import torch

from rllab.agents import TD3

ID = "rllab_envs:rllab/BicycleBalance-v0"
STEPS, LEARNING_STARTS = 2_000, 1_000
SHAPES = [(256, 256), (64, 256), (64, 64)]  # width of both hidden layers, minibatch
LOOP = 100  # µs of loop a step, at most
GOALS = [("rllab", "products", (256, 256), 1.10, True), ("SB3", "rllab", (64, 256), 3.5, False)]


class Still(gymnasium.Env):
    """A bicycle that takes no time: it stands, and nobody falls."""

    seen = np.zeros(4, np.float32)

    def reset(self, *, seed=None, options=None):
        return self.seen, {}

    def step(self, action):
        return self.seen, 1.0, False, False, {}


def learner(steps: int, *, update: bool = True, environment: bool = True) -> TD3:
    """Return an agent that has started to learn, one or both of its parts made to do nothing."""
    agent = TD3(ID, hidden=(64, 64), critic_hidden=(64, 64), learning_starts=LEARNING_STARTS)
    agent.learn(LEARNING_STARTS + steps)
    if not update:
        agent.update = lambda batch, noise: None
    if not environment:
        agent.collector.environment.env = Still()
    return agent


def rllab(width: int, n: int) -> Step:
    agent = TD3(
        "Pendulum-v1",
        hidden=(width, width),
        critic_hidden=(width, width),
        batch_size=n,
        learning_starts=LEARNING_STARTS,
    )
    agent.learn(LEARNING_STARTS)
    picks, noise = torch.empty(n, dtype=torch.float64), torch.empty(n, 1)
    picked, normal = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)

    def step() -> None:
        agent.update(agent.replay.batch(picks.uniform_(generator=picked)), noise.normal_(generator=normal))

    return step


def products(width: int, n: int, o: int = 3, a: int = 1) -> Step:
    h = width

    def forward(inputs: int, copies: int) -> list[tuple[int, ...]]:
        return [(n, inputs, h), (n, h, h), (n, h, 1)] * copies

    # target actor; target critics and critics; the critics' weights, and their states but the input
    critics = forward(o, 1) + forward(o + a, 4)
    critics += [(h, n, 1), (n, 1, h), (h, n, h), (n, h, h), (o + a, n, h)] * 2
    # actor and one critic; back through the critic to the action, and to the actor's weights
    actor = forward(o, 1) + forward(o + a, 1) + [(n, 1, h), (n, h, h), (n, h, a)]
    actor += [(h, n, a), (n, a, h), (h, n, h), (n, h, h), (o, n, h)]
    g = torch.Generator().manual_seed(0)
    lists = [
        [(torch.randn(m, k, generator=g), torch.randn(k, c, generator=g), torch.empty(m, c)) for m, k, c in shapes]
        for shapes in (critics, actor)
    ]
    calls = [0]

    def step() -> None:
        calls[0] += 1
        for some in lists if calls[0] % 2 == 0 else lists[:1]:
            for left, right, out in some:
                torch.mm(left, right, out=out)

    return step


def stable_baselines3(width: int, n: int) -> Step:
    library = importlib.import_module("stable_baselines3")
    model = library.TD3(
        "MlpPolicy",
        gymnasium.make("Pendulum-v1"),
        policy_kwargs={"net_arch": [width, width]},
        buffer_size=10_000,
        learning_starts=LEARNING_STARTS,
        batch_size=n,
        seed=0,
    )
    model.learn(LEARNING_STARTS + 10)
    return lambda: model.train(gradient_steps=1, batch_size=n)


CANDIDATES = {"products": products, "rllab": rllab, "SB3": stable_baselines3}


def twice(name: str, width: int, n: int) -> Step:
    """Return two updates in a row, as every second one is of the actor too."""
    step = CANDIDATES[name](width, n)

    def both() -> None:
        step()
        step()

    return both


def measure(flags: Flags) -> Page:
    page, names = Page(packages=("stable-baselines3",)), flags.chosen(CANDIDATES)
    page.head("width, minibatch", "products", "rllab / products", "SB3 / products", "SB3 / rllab")
    for width, n in SHAPES[-1:] if flags.fast else SHAPES:
        steps, skipped = make({name: partial(twice, name, width, n) for name in names})
        where = f"{width} × {width}, {n}"
        page.skip(skipped, where)
        times = take_turns(steps, flags)
        pairs = (("rllab", "products"), ("SB3", "products"), ("SB3", "rllab"))
        cells = [f"{ratio(times, a, b):.2f}" if a in times and b in times else "" for a, b in pairs]
        page.row(where, f"{microseconds(times, 'products') / 2:,.0f} µs", *cells)
        for name, to, shape, limit, at_most in GOALS:
            if shape == (width, n) and name in times and to in times:
                got = ratio(times, name, to)
                met = got <= limit if at_most else got >= limit
                sign = "<=" if at_most else ">="
                page.goals.append(goal(f"{name} / {to}, {where}", f"{sign} {limit}", f"{got:.2f}", met))
    page.more = parts(min(flags.rounds, 7), 100 if flags.fast else STEPS)
    return page


def parts(rounds: int, steps: int) -> list[str]:
    """Return the rows of a step of the environment and one update, split."""
    agents = [learner(steps), learner(steps, update=False), learner(steps, update=False, environment=False)]

    def seconds(agent: TD3) -> float:
        start = time.process_time()
        agent.learn(steps)
        return time.process_time() - start

    columns = zip(*([seconds(agent) for agent in agents] for _ in range(rounds)), strict=True)
    whole, without_update, loop = (min(column) / steps * 1e6 for column in columns)
    rows = [
        f"A step on the bicycle, 64 × 64 wide, minibatches of {agents[0].batch_size}; CPU time, the least of {rounds}.",
        "",
        "| part | µs | share |",
        "| --- | --- | --- |",
    ]
    for name, µs in (
        ("whole step", whole),
        ("update", whole - without_update),
        ("environment", without_update - loop),
        (f"loop (at most {LOOP})", loop),
    ):
        rows.append(f"| {name} | {µs:.0f} | {µs / whole:.0%} |")
    return rows


if __name__ == "__main__":
    main(__file__, __doc__, "TD3: CPU time of an update, in multiples of its matrix products", measure, rounds=15)

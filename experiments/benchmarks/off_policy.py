"""What does one update of TD3, SAC or CrossQ cost beside its matrix products and a library, and the rest of a step?

An update is one of the critics, and every second time (TD3), every time (SAC), every third time (CrossQ) one of the
actor and what follows it, with its minibatch and noise, on Pendulum. `products` are the matrix products it cannot do
without, into buffers, the floor under all; for CrossQ with the passes over memory that batch statistics take, forward
and back. SB3, which is Stable-Baselines3, makes the same update through autograd, for CrossQ that of sb3-contrib; it is
skipped by name if it is not installed, and its policy has ReLUs where ours has tanh. CPU time of one thread; all take
turns, and a ratio is the median over rounds of two times of one round, so that the machine's other work cancels. The
second table is a product in bfloat16 beside one in float32. The last times a whole step of TD3 on the bicycle as it is,
then with an update that does nothing, then with an environment that does nothing either: what is left is the loop.

    python experiments/benchmarks/off_policy.py                prints, and writes off_policy.md beside this file
"""

import importlib
import time
from functools import partial

from experiments.benchmarks.timing import Flags, Page, Step, cell, goal, main, make, microseconds, ratio, take_turns

import gymnasium
import numpy as np
import torch

from rllab.agents import SAC, TD3, CrossQ
from rllab.agents.collectors import StepCollector

ID = "rllab_envs:rllab/BicycleBalance-v0"
STEPS, LEARNING_STARTS = 2_000, 1_000
SHAPES = [(256, 256), (64, 256), (64, 64)]  # width of both hidden layers, minibatch
LOOP = 100  # µs of loop a step, at most
KINDS = {"TD3": TD3, "SAC": SAC, "CrossQ": CrossQ}
CYCLE = {"TD3": 2, "SAC": 1, "CrossQ": 3}  # updates for one of the actor
GOALS = [
    ("TD3", "rllab", "products", (256, 256), 1.10, True),
    ("SAC", "rllab", "products", (256, 256), 1.08, True),
    ("CrossQ", "rllab", "products", (256, 256), 1.30, True),
    ("TD3", "SB3", "rllab", (64, 256), 3.5, False),
    ("SAC", "SB3", "rllab", (256, 256), 1.5, False),
]
Product = tuple[int, int, int]


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
        agent.update = lambda batch, noise, *, learn_actor=True: None
    if not environment:
        assert isinstance(agent.collector, StepCollector)
        agent.collector.environment.env = Still()
    return agent


def rllab(kind: str, width: int, n: int) -> Step:
    agent = KINDS[kind](
        "Pendulum-v1",
        hidden=(width, width),
        critic_hidden=(width, width),
        batch_size=n,
        learning_starts=LEARNING_STARTS,
    )
    agent.learn(LEARNING_STARTS)
    picks, noise = torch.empty(n, dtype=torch.float64), torch.empty(n, agent.noises)
    picked, normal = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)

    def step() -> None:
        for _ in range(CYCLE[kind]):
            agent.update(agent.replay.batch(picks.uniform_(generator=picked)), noise.normal_(generator=normal))

    return step


def forward(n: int, h: int, inputs: int, outputs: int = 1) -> list[Product]:
    return [(n, inputs, h), (n, h, h), (n, h, outputs)]


def to_weights(n: int, h: int, inputs: int, outputs: int = 1) -> list[Product]:
    """Back to all weights: a product for each of them, and one for the state between, but none to the input."""
    return [(h, n, outputs), (n, outputs, h), (h, n, h), (n, h, h), (inputs, n, h)]


def to_action(n: int, h: int, a: int) -> list[Product]:
    return [(n, 1, h), (n, h, h), (n, h, a)]


def shapes(kind: str, h: int, n: int, o: int = 3, a: int = 1) -> tuple[list[Product], list[Product]]:
    """Return the products of a step of the critics, and of one of the actor."""
    if kind == "TD3":  # target actor; target critics and critics; back through both. The actor follows one critic
        critics = forward(n, h, o, a) + forward(n, h, o + a) * 4 + to_weights(n, h, o + a) * 2
        return critics, forward(n, h, o, a) + forward(n, h, o + a) + to_action(n, h, a) + to_weights(n, h, o, a)
    followed = (forward(n, h, o + a) + to_action(n, h, a)) * 2
    actor = forward(n, h, o, 2 * a) + followed + to_weights(n, h, o, 2 * a)
    if kind == "SAC":
        return forward(n, h, o, 2 * a) + forward(n, h, o + a) * 4 + to_weights(n, h, o + a) * 2, actor
    # both halves of the batch, and back to what normalises the input
    m = 2 * n
    joint = forward(m, h, o + a) + to_weights(m, h, o + a) + [(m, h, o + a)]
    return forward(n, h, o, 2 * a) + joint * 2, actor


def statistics(n: int, h: int) -> Step:
    """Return the passes over a batch (n, h) that normalising it takes, forward and back."""
    x, v = torch.randn(n, h), torch.randn(n, h)
    normed, y, g, column, weight = x.clone(), x.clone(), x.clone(), torch.randn(h), torch.randn(h)

    def passes() -> None:
        torch.mean(x, 0, out=column)
        torch.sub(x, column, out=normed)
        torch.mean(torch.mul(normed, normed, out=y), 0, out=column)
        torch.addcmul(weight, normed.mul_(weight), weight, out=y)
        torch.sum(v, 0, out=column)
        torch.sum(torch.mul(v, normed, out=g), 0, out=column)
        torch.addcmul(v, normed, column, out=g).sub_(column).mul_(weight)

    return passes


def products(kind: str, width: int, n: int) -> Step:
    g = torch.Generator().manual_seed(0)
    critics, actor = (
        [(torch.randn(m, k, generator=g), torch.randn(k, c, generator=g), torch.empty(m, c)) for m, k, c in some]
        for some in shapes(kind, width, n)
    )
    of_critics, of_actor = [], []
    if kind == "CrossQ":
        of_critics = [statistics(2 * n, h) for h in (4, width, width)] * 2
        of_actor = [statistics(n, h) for h in (3, width, width)]

    def step() -> None:
        for left, right, out in critics * CYCLE[kind] + actor:
            torch.mm(left, right, out=out)
        for passes in of_critics * CYCLE[kind] + of_actor:
            passes()

    return step


def stable_baselines3(kind: str, width: int, n: int) -> Step:
    library = importlib.import_module("sb3_contrib" if kind == "CrossQ" else "stable_baselines3")
    model = getattr(library, kind)(
        "MlpPolicy",
        gymnasium.make("Pendulum-v1"),
        policy_kwargs={"net_arch": [width, width]},
        buffer_size=10_000,
        learning_starts=LEARNING_STARTS,
        batch_size=n,
        seed=0,
    )
    model.learn(LEARNING_STARTS + 10)
    return lambda: model.train(gradient_steps=CYCLE[kind], batch_size=n)


CANDIDATES = {"products": products, "rllab": rllab, "SB3": stable_baselines3}


def measure(flags: Flags) -> Page:
    page, names = Page(packages=("stable-baselines3",)), flags.chosen(CANDIDATES)
    page.head("agent; width, minibatch", "products", "rllab / products", "SB3 / products", "SB3 / rllab")
    for kind in KINDS:
        for width, n in SHAPES[-1:] if flags.fast else SHAPES:
            compare(page, flags, names, kind, width, n)
    page.more = [*halved(flags), "", *parts(min(flags.rounds, 7), 100 if flags.fast else STEPS)]
    return page


def compare(page: Page, flags: Flags, names: list[str], kind: str, width: int, n: int) -> None:
    """Add the row of an agent at a size, and the goals it is judged by."""
    steps, skipped = make({name: partial(CANDIDATES[name], kind, width, n) for name in names})
    where = f"{kind}; {width} × {width}, {n}"
    page.skip(skipped, where)
    times = take_turns(steps, flags)
    pairs = (("rllab", "products"), ("SB3", "products"), ("SB3", "rllab"))
    cells = [cell(times, a, b) for a, b in pairs]
    page.row(where, f"{microseconds(times, 'products') / CYCLE[kind]:,.0f} µs", *cells)
    for of, name, to, shape, limit, at_most in GOALS:
        if (of, shape) == (kind, (width, n)) and name in times and to in times:
            got = ratio(times, name, to)
            met = got <= limit if at_most else got >= limit
            sign = "<=" if at_most else ">="
            page.goals.append(goal(f"{name} / {to}, {where}", f"{sign} {limit}", f"{got:.2f}", met))


def halved(flags: Flags) -> list[str]:
    """Return the rows of a layer's product, minibatches of 256, in bfloat16 beside float32."""
    rows = [
        "A layer's product for a minibatch of 256, in bfloat16, its numbers converted before and its result after:",
        "",
        "| width | float32 | bfloat16 / float32 |",
        "| --- | --- | --- |",
    ]
    generator = torch.Generator().manual_seed(0)
    for width in (64,) if flags.fast else (64, 256):
        z, w = torch.randn(256, width, generator=generator), torch.randn(width, width, generator=generator)
        steps = {"float32": partial(torch.mm, z, w), "bfloat16": partial(in_bfloat16, z, w)}
        times = take_turns(steps, flags)
        rows.append(
            f"| {width} | {microseconds(times, 'float32'):,.0f} µs | {cell(times, 'bfloat16', 'float32', '.0f')} |"
        )
    return rows


def in_bfloat16(z: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return torch.mm(z.bfloat16(), w.bfloat16()).float()


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
    main(
        __file__,
        __doc__,
        "TD3, SAC and CrossQ: CPU time of an update, in multiples of its matrix products",
        measure,
        rounds=15,
    )

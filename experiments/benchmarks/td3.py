"""What does one update of TD3 cost beside its matrix products and a library, and what is the rest of a step?

An update is one of the critics, and every second time one of the actor and the targets, with its minibatch and noise,
on Pendulum. `products` are the matrix products it cannot do without, into buffers, the floor under all. SB3, which is
Stable-Baselines3, makes the same update through autograd; it is skipped by name if it is not installed, and its policy
has ReLUs where ours has tanh. CPU time of one thread; all take turns, and a ratio is the median over rounds of two
times of one round, so that the machine's other work cancels. The last table times a whole step on the bicycle as it
is, then with an update that does nothing, then with an environment that does nothing either: what is left is the loop.

    python experiments/benchmarks/td3.py                       prints, and writes td3.md beside this file
"""

import argparse
import importlib
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import experiments  # noqa: F401 - limits threads

import gymnasium
import numpy as np
import torch

from rllab.agents import TD3
from rllab.files import write_atomically
from rllab.runs.versions import machine

Step = Callable[[], object]
ID = "rllab_envs:rllab/BicycleBalance-v0"
STEPS, LEARNING_STARTS, SECONDS = 2_000, 1_000, 0.05
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


def learner(*, update: bool = True, environment: bool = True) -> TD3:
    """Return an agent that has started to learn, one or both of its parts made to do nothing."""
    agent = TD3(ID, hidden=(64, 64), critic_hidden=(64, 64), learning_starts=LEARNING_STARTS)
    agent.learn(LEARNING_STARTS + STEPS)
    if not update:
        agent.update = lambda batch, noise: None
    if not environment:
        agent.collector.env = Still()
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


def cpu_seconds(step: Step) -> float:
    start, calls = time.process_time(), 0
    while calls < 4 or time.process_time() - start < SECONDS:
        step()
        step()  # with and without the actor
        calls += 2
    return (time.process_time() - start) / calls


def measure(width: int, n: int, rounds: int) -> dict[str, list[float]]:
    steps = {}
    for name, make in CANDIDATES.items():
        try:
            steps[name] = make(width, n)
            cpu_seconds(steps[name])
        except ModuleNotFoundError as error:
            print(f"{name}: {error.name} is not installed")
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(cpu_seconds(step))
    return times


def ratio(times: dict[str, list[float]], name: str, to: str) -> float:
    return statistics.median(a / b for a, b in zip(times[name], times[to], strict=True))


def updates(rounds: int) -> list[str]:
    lines = ["| width, minibatch | products | rllab / products | SB3 / products | SB3 / rllab |", "|" + " --- |" * 5]
    goals = ["", "| goal | limit | got | |", "| --- | --- | --- | --- |"]
    for width, n in SHAPES:
        times = measure(width, n, rounds)
        cells = [f"{statistics.median(times['products']) * 1e6:,.0f} µs"]
        for name, to in (("rllab", "products"), ("SB3", "products"), ("SB3", "rllab")):
            cells.append(f"{ratio(times, name, to):.2f}" if name in times else "")
        lines.append(f"| {width} × {width}, {n} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
        for name, to, where, limit, at_most in GOALS:
            if where == (width, n) and name in times:
                got = ratio(times, name, to)
                met = got <= limit if at_most else got >= limit
                goals.append(
                    f"| {name} / {to}, {width} × {width}, {n} | {'<=' if at_most else '>='} {limit} | {got:.2f} "
                    f"| {'met' if met else '**missed**'} |"
                )
    return lines + goals


def parts(rounds: int) -> list[str]:
    """A step of the environment and one update, split."""
    agents = [learner(), learner(update=False), learner(update=False, environment=False)]

    def seconds(agent: TD3) -> float:
        start = time.process_time()
        agent.learn(STEPS)
        return time.process_time() - start

    columns = zip(*([seconds(agent) for agent in agents] for _ in range(rounds)), strict=True)
    whole, without_update, loop = (min(column) / STEPS * 1e6 for column in columns)
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


def versions() -> str:
    try:
        return f", stable-baselines3 {metadata.version('stable-baselines3')}"
    except metadata.PackageNotFoundError:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    print(machine())
    about = (__doc__ or "").split("\n\n")[1].replace("\n", " ")
    head = ["# TD3: CPU time of an update, in multiples of its matrix products", "", about, ""]
    written = [f"Written by `td3.py`: {machine()}{versions()}; {options.rounds} rounds.", ""]
    text = "\n".join([*head, *written, *updates(options.rounds), "", *parts(min(options.rounds, 7)), ""])
    write_atomically(options.out, text)
    print(text)


if __name__ == "__main__":
    main()

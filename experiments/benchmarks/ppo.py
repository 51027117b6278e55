"""What does a rollout of PPO and learning from it cost beside plain torch and a library?

On CartPole with 8 environments: rollouts of 256 steps in each, 10 epochs in minibatches of 64, networks of 64 × 64.
`plain torch` is PPO as textbooks write it: modules, autograd, `torch.optim.Adam`, Gymnasium's synchronous vector of
environments. SB3 is Stable-Baselines3, skipped by name if it is not installed. CPU time of one thread; all take turns,
and a ratio is the median over rounds of two times of one round, so that the machine's other work cancels.

    python experiments/benchmarks/ppo.py                       prints, and writes ppo.md beside this file
"""

import importlib
from functools import partial

from experiments.benchmarks.timing import Flags, Page, Step, cell, goal, main, make, microseconds, ratio, take_turns

import gymnasium
import numpy as np
import torch
from torch import nn

from rllab.agents import PPO
from rllab.agents.advantages import generalized_advantages

ID, N, BATCH, EPOCHS, WIDTH = "CartPole-v1", 8, 64, 10, 64
ROLLOUT, SHORT = 256, 16  # steps in each environment, and of those with --fast
GOALS = [("plain torch", 2.0), ("SB3", 2.0)]  # times of these, in multiples of ours, at least


def rllab(t: int, collects: bool) -> Step:
    """Return a step that collects a rollout and learns from it, or learns from the same one again."""
    agent = PPO(ID, num_envs=N, n_steps=t, batch_size=BATCH, n_epochs=EPOCHS, hidden=(WIDTH, WIDTH))
    if collects:
        return lambda: agent.learn(N * t)
    kept, learn_from = [], agent.learn_from
    agent.learn_from = lambda segment: (kept.append(segment), learn_from(segment))[1]
    agent.learn(N * t)
    return lambda: learn_from(kept[0])


def stable_baselines3(t: int, collects: bool) -> Step:
    library = importlib.import_module("stable_baselines3")
    env = importlib.import_module("stable_baselines3.common.env_util").make_vec_env(ID, n_envs=N, seed=0)
    model = library.PPO("MlpPolicy", env, n_steps=t, batch_size=BATCH, n_epochs=EPOCHS, seed=0)
    model.learn(N * t)
    return (lambda: model.learn(N * t, reset_num_timesteps=False)) if collects else model.train


class PlainTorch:
    """PPO with nothing of this lab in it but the recursion of advantages."""

    def __init__(self, t: int) -> None:
        self.t = t
        self.env = gymnasium.make_vec(ID, N, vectorization_mode="sync")

        def network(outputs: int) -> nn.Module:
            return nn.Sequential(
                nn.Linear(4, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, outputs)
            )

        self.actor, self.critic = network(2), network(1)
        self.parameters = [*self.actor.parameters(), *self.critic.parameters()]
        self.adam = torch.optim.Adam(self.parameters, lr=3e-4)
        self.seen, _ = self.env.reset(seed=0)

    def collect(self) -> dict[str, torch.Tensor]:
        rows: dict[str, list[np.ndarray]] = {name: [] for name in ("o", "a", "log_p", "v", "r", "end", "cut")}
        for _ in range(self.t):
            with torch.no_grad():
                o = torch.as_tensor(self.seen)
                law = torch.distributions.Categorical(logits=self.actor(o))
                a = law.sample()
                log_p, v = law.log_prob(a), self.critic(o)[:, 0]
            self.seen, reward, terminated, truncated, _ = self.env.step(a.numpy())
            answer = (o.numpy(), a.numpy(), log_p.numpy(), v.numpy(), reward, terminated, truncated)
            for row, part in zip(rows.values(), answer, strict=True):
                row.append(np.asarray(part))
        return {name: torch.from_numpy(np.stack(row)) for name, row in rows.items()}

    def learn(self, rows: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            last = self.critic(torch.as_tensor(self.seen))[:, 0]
        following = torch.cat((rows["v"][1:], last[None]))
        a = generalized_advantages(
            -rows["r"].float(), rows["v"], following, rows["end"], rows["cut"], gamma=0.99, gae_lambda=0.95
        )
        flat = [x.flatten(0, 1) for x in (rows["o"], rows["a"], rows["log_p"], a, a + rows["v"])]
        for _ in range(EPOCHS):
            for i in torch.randperm(N * self.t).split(BATCH):
                self.descend(*(x[i] for x in flat))

    def descend(
        self, o: torch.Tensor, taken: torch.Tensor, old: torch.Tensor, a: torch.Tensor, returns: torch.Tensor
    ) -> None:
        a = (a - a.mean()) / (a.std() + 1e-8)
        law = torch.distributions.Categorical(logits=self.actor(o))
        ratio = (law.log_prob(taken) - old).exp()
        surrogate = torch.maximum(ratio * a, ratio.clamp(0.8, 1.2) * a).mean()
        loss = surrogate + 0.5 * (self.critic(o)[:, 0] - returns).square().mean() - 0.0 * law.entropy().mean()
        self.adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 0.5)
        self.adam.step()


def plain_torch(t: int, collects: bool) -> Step:
    learner = PlainTorch(t)
    rows = learner.collect()
    return lambda: learner.learn(learner.collect() if collects else rows)


CANDIDATES = {"rllab": rllab, "plain torch": plain_torch, "SB3": stable_baselines3}


def measure(flags: Flags) -> Page:
    page, names = Page(packages=("stable-baselines3", "gymnasium")), flags.chosen(CANDIDATES)
    t = SHORT if flags.fast else ROLLOUT
    page.head("what", "rllab", *(f"{name} / rllab" for name in CANDIDATES if name != "rllab"))
    for what, collects in (("rollout and update", True), ("update", False)):
        steps, skipped = make({name: partial(CANDIDATES[name], t, collects) for name in names})
        page.skip(skipped, what)
        times = take_turns(steps, flags)
        cells = [cell(times, name, "rllab") for name in CANDIDATES if name != "rllab"]
        page.row(what, f"{microseconds(times, 'rllab') / (N * t):.0f} µs a step", *cells)
        for name, least in GOALS:
            if collects and name in times:
                got = ratio(times, name, "rllab")
                page.goals.append(goal(f"{name} / rllab, {what}", f">= {least}", f"{got:.2f}", got >= least))
    return page


if __name__ == "__main__":
    main(__file__, __doc__, "PPO: CPU time of a rollout and of learning from it", measure, rounds=5)

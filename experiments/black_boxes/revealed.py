"""What does a net pay to learn digits if its cost is revealed, only returned as a number, or only as right or wrong?

The same net, data, optimizer and batches; what differs is where ∂C/∂ȳ comes from. Every evaluation of the cost counts,
forward passes and those a critic is fitted to included: calls are rows of one image and one output each.

    revealed       backprop                              1 call an image
    a number       smoothing at the output               1 + 2: cross-entropy at ȳ and at ȳ ± σu
                   score at the output                   1 + 4: at ȳ + σu, leave-one-out
                   critic                                1 + 2: a net fitted to cross-entropy, backpropagated through
                   critic and residual                   1 + 2: corrected by smoothing of what it misses
                   smoothing at the weights              2: the mean over a batch at w ± σu
    right/wrong    smoothing at the output               1 + 2: does the largest output change?
                   score of a sampled class              1 + 4: a class from softmax(ȳ), leave-one-out

Written down before the run on seeds 1000 to 1019, to be found wrong, each by a sign test over seeds (p <= 0.001):

    1. critic and residual reaches the goal in fewer calls than smoothing at the output;
    2. than the score at the output;
    3. and than the critic alone.

    python experiments/black_boxes/revealed.py           about ten minutes on 2 cores
    python experiments/black_boxes/revealed.py --tune    the trials from which each method's settings come
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from typing import Any, ClassVar

from experiments.common.claims import judge_paired, note_prediction
from experiments.common.data import Data, digits
from experiments.common.estimates import only
from experiments.common.frame import Judge, column, main, select
from experiments.common.tuning import (
    TUNING_SEEDS,
    TunedFlags,
    best_tried,
    calls_to_goal,
    choose,
    known_median,
    settings_of,
)
from experiments.common.unfinished import Part, going_on

import numpy as np
import torch
from torch import Tensor, nn

import rllab
from rllab import BlackBox, Cost, Key, plots
from rllab import estimators as est
from rllab.critics import Critic, Residual
from rllab.distributions import Distribution
from rllab.runs import Job, Record
from rllab.runs.survival import steps_to_threshold

BATCH, TEST = 32, 597
GOAL = 0.9  # of the test images right
TUNED = Path(__file__).parent / "revealed_tuned.json"
RATES, RADII, RADII_OF_WEIGHTS = (0.003, 0.01, 0.03, 0.1), (0.3, 1.0, 3.0), (0.01, 0.03, 0.1)  # what --tune tries
TUNING_BUDGET = 60_000
PAIRED = ("backprop", "smoothing at the output", "score at the output", "critic", "critic and residual")  # all seeds
KNOWN: tuple[str, ...] = ("revealed", "a number", "right or wrong")
AT_WEIGHTS, WITHOUT_RADIUS = "smoothing at the weights", ("backprop", "right/wrong, score of a class")


@dataclass(frozen=True)
class Method:
    """Where ∂C/∂ȳ comes from: what the cost returns, the estimator at radius σ and what it may spend a row."""

    knows: str
    style: str
    estimator: Callable[[float], est.Estimator] | None = None
    evaluations: int = 2
    distribution: Callable[[Tensor, float], Distribution] | None = None


def critic(sigma: float) -> Critic:
    return Critic(hidden=(64,), sigma=sigma, gradient_steps=8, batch_size=128, buffer_size=4096)


def residual(sigma: float) -> Residual:
    return Residual(critic(sigma), est.GaussianSmoothing(sigma))


def scored(sigma: float) -> est.ScoreFunction:
    return est.ScoreFunction()


def noisy(outputs: Tensor, sigma: float) -> rllab.Gaussian:
    return rllab.Gaussian(outputs, torch.full_like(outputs, sigma))


def a_class(outputs: Tensor, sigma: float) -> rllab.Categorical:
    return rllab.Categorical(outputs[:, None, :])


METHODS = {
    "backprop": Method("revealed", "backprop"),
    "smoothing at the output": Method("a number", "gaussian", est.GaussianSmoothing),
    "score at the output": Method("a number", "score-function", scored, 4, noisy),
    "critic": Method("a number", "td3", critic),
    "critic and residual": Method("a number", "guided", residual),
    AT_WEIGHTS: Method("a number", "spsa"),
    "right/wrong, smoothing": Method("right or wrong", "sphere", est.GaussianSmoothing),
    "right/wrong, score of a class": Method("right or wrong", "reinforce", scored, 4, a_class),
}


@dataclass(frozen=True)
class Config(TunedFlags):
    budget: int = 36_000
    """Calls of the cost a run may make."""
    methods: tuple[str, ...] = tuple(METHODS)
    """Which to run."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 1, "budget": 3_000}


def jobs_of(config: Config) -> Iterator[Job]:
    for name in config.methods:
        if config.tune:
            radii = RADII_OF_WEIGHTS if name == AT_WEIGHTS else RADII
            for lr, (i, sigma) in product(RATES, enumerate(radii)):
                setting = {"lr": lr, "sigma": sigma}
                if name in WITHOUT_RADIUS:  # they get as many learning rates instead
                    setting = {"lr": lr * 2 ** (i - 1), "sigma": 1.0}
                label = f"{name.replace('/', '-')}-{setting['lr']:g}-{setting['sigma']:g}"
                for seed in TUNING_SEEDS:
                    yield Job(f"{label}-{seed}", {"method": name, **setting, "budget": TUNING_BUDGET}, seed)
        else:
            for seed in config.all_seeds[: None if name in PAIRED else 10]:
                settings = {"method": name, **settings_of(TUNED)[name], "budget": config.budget}
                yield Job(f"{name.replace('/', '-')}-{seed}", settings, seed)


def cross_entropy(outputs: Tensor, onehot: Tensor) -> Tensor:
    return -(torch.log_softmax(outputs, 1) * onehot).sum(1)


def wrong(outputs: Tensor, onehot: Tensor) -> Tensor:
    """Return 1 where the largest output, or the class that was drawn as a one-hot vector, is not the true one."""
    return 1.0 - onehot.gather(1, outputs.argmax(1, keepdim=True))[:, 0]


def network(sizes: tuple[int, int, int], key: Key, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Return a net of one tanh layer, its weights drawn as torch draws them, but from the key."""
    net = nn.Sequential(nn.Linear(sizes[0], sizes[1]), nn.Tanh(), nn.Linear(sizes[1], sizes[2])).to(dtype)
    generator = key.generator()
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.uniform_(-1, 1, generator=generator).div_(sizes[0 if name.startswith("0") else 1] ** 0.5)
    return net


def run(job: Job, record: Record) -> dict[str, Any]:
    """Train until 90 % are right, looked at after every step, or the budget is spent; return the calls that it took."""
    key, reached, share = Key(job.seed), None, 0.0
    train, test = split(key)
    sizes = (train.x.shape[1], 30, train.classes)
    for row in training(job.config["method"], train, test, sizes, job.config, key, between=1, record=record):
        record.append(row)
        share = row["accuracy"]
        if share >= GOAL:
            reached = row["evaluations"]
            break
    return {"reached": reached, "accuracy": share}


def training(
    name: str,
    train: Data,
    test: Data,
    sizes: tuple[int, int, int],
    config: Mapping[str, Any],
    key: Key,
    between: int = 300,
    record: Record | None = None,
) -> Iterator[dict[str, float]]:
    """Yield calls so far, share of test samples right, and the cosine of the last estimate; so many calls between.

    With a record, to which each row is appended, an interrupted run goes on from where it was.
    """
    net, picks = network(sizes, key.child("net")), key.child("minibatch").generator()
    adam = torch.optim.Adam(net.parameters(), lr=config["lr"])
    learner = Learner(name, net, config["sigma"], key.child("gradient"))
    every = max(1, between // learner.price)
    for step in going_on(record, count(), {"net": net, "picks": picks, "adam": adam, **learner.parts}):
        if step % every == 0:
            right = float((net(test.x).argmax(1) == test.y).double().mean())
            yield {"evaluations": learner.calls, "accuracy": right, "cosine": learner.memory["cosine"]}
        if learner.calls + learner.price > config["budget"]:
            return
        chosen = torch.randint(len(train), (BATCH,), generator=picks)
        adam.zero_grad()
        learner.backward(train.x[chosen], nn.functional.one_hot(train.y[chosen], sizes[2]).to(train.x.dtype))
        adam.step()


def split(key: Key) -> tuple[Data, Data]:
    train, test = digits().split(TEST, key.child("data"))
    return Data(train.x.float(), train.y), Data(test.x.float(), test.y)


class Learner:
    """Put a gradient into a net's weights, and count what it cost."""

    def __init__(self, name: str, net: nn.Sequential, sigma: float, key: Key):
        self.name, self.net, self.sigma, self.key = name, net, sigma, key
        self.ledger, self.method = Cost(cross_entropy), METHODS[name]
        self.memory: dict[str, Any] = {"steps": 0, "cosine": float("nan")}  # of the last estimate
        self.box = self._box() if self.method.estimator is not None else None

    def _box(self) -> BlackBox:
        method, draws = self.method, self.method.distribution
        assert method.estimator is not None
        return BlackBox(
            wrong if method.knows == "right or wrong" else cross_entropy,
            method.estimator(self.sigma),
            method.evaluations,
            scope="cost",
            distribution=None if draws is None else lambda z: draws(z, self.sigma),
            budget=self.ledger,
            check_rows=False,
            key=self.key,
        )

    @property
    def parts(self) -> dict[str, Part]:
        """What its steps change."""
        changed: dict[str, Part] = {"ledger": self.ledger, "memory": self.memory}
        return changed if self.box is None else {**changed, "box": self.box}

    @property
    def calls(self) -> int:
        return self.ledger.evaluations

    @property
    def price(self) -> int:
        """Calls of one step."""
        if self.box is not None:
            return BATCH * (1 + self.method.evaluations)
        return BATCH * (2 if self.name == AT_WEIGHTS else 1)

    def backward(self, x: Tensor, onehot: Tensor) -> None:
        """Write the gradient of the mean cost of a batch."""
        if self.box is not None:
            self.box(self.net(x), onehot).mean().backward()
            self.memory["cosine"] = self._cosine(x, onehot)
        elif self.name == "backprop":
            self.ledger.spent["value"] += len(x)
            cross_entropy(self.net(x), onehot).mean().backward()
            self.memory["cosine"] = 1.0
        else:
            e = est.GaussianSmoothing(self.sigma).backward(
                lambda net: cross_entropy(net(x), onehot).mean(),
                self.net,
                evaluations=2,
                key=self.key.child(self.memory["steps"]),
                errors=False,
                vectorize=True,
            )
            self.ledger.spent["value"] += e.evaluations * len(x)
        self.memory["steps"] += 1

    def _cosine(self, x: Tensor, onehot: Tensor) -> float:
        """Return the mean cosine over rows between the estimate and the ∂C/∂ȳ of cross-entropy, which is known here."""
        assert self.box is not None and self.box.last_estimate is not None
        g, truth = only(self.box.last_estimate.gradient), torch.softmax(self.net(x).detach(), 1) - onehot
        return float(nn.functional.cosine_similarity(g.reshape(truth.shape), truth).mean())


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    if config.tune:
        choose(records, TUNED, lambda runs: max(0.0, GOAL - float(np.mean(column(runs, "accuracy")))))
        judge(True, f"{len(records)} trials; settings written to {TUNED.name}")
        return
    calls = {name: calls_to_goal(select(records, method=name)) for name in config.methods}
    for name, each in calls.items():
        runs = select(records, method=name)
        accuracy = column(runs, "accuracy")
        known = known_median(*steps_to_threshold(runs, GOAL, x="evaluations", y="accuracy"))
        judge.note(
            f"{METHODS[name].knows}, {name}: median {np.median(each):,.0f} calls to {GOAL:.0%} "
            f"({np.isfinite(each).sum()} of {len(each)} seeds; {np.median(accuracy):.1%} right at the end); with "
            f"runs that the budget ended: {known}"
        )
    if not config.compares:
        judge(all(len(record.rows) > 2 for record in records), f"every method trains ({config.why_no_more})")
        return
    for name in config.methods:
        if name != "backprop":
            least = calls["backprop"][: len(calls[name])]
            judge_paired(judge, least, calls[name], f"backprop needs fewer calls than {name}")
    groups = {knows: [m for m in config.methods if METHODS[m].knows == knows] for knows in KNOWN}
    revealed, number, wrong_only = (best_tried(TUNED, group) for group in groups.values())
    middle = {name: float(np.median(calls[name])) for name in (revealed, number, wrong_only)}
    said = f"right or wrong alone ({wrong_only}, {middle[wrong_only]:,.0f} calls) is dearer than a number"
    few = calls[number][: len(calls[wrong_only])]
    judge_paired(judge, few, calls[wrong_only], f"{said} ({number}, {middle[number]:,.0f})")
    ratio = middle[number] / middle[revealed]
    judge(ratio >= 3, f"a number alone costs {ratio:.1f} times the calls of backprop (needs >= 3)")
    ratio = np.median(np.minimum(calls[AT_WEIGHTS], config.budget)) / middle[number]
    judge(
        ratio >= 3,
        f"perturbing the weights costs {ratio:.1f} times {number}, or more where the budget of "
        f"{config.budget:,} ended it (needs >= 3)",
    )
    residual = calls["critic and residual"]
    for i, other in enumerate(("smoothing at the output", "score at the output", "critic"), 1):
        note_prediction(judge, f"{i}. residual before {other}", (residual, calls[other]))


def figure(records: list[Record], config: Config) -> Path:
    """Draw each run's calls to the goal as a dot, a line a method, below what the cost tells."""
    if config.tune:
        return TUNED
    drawing, (ax,) = plots.panels(1, 1, width=8.0, height=4.6)
    names = [name for name in config.methods if select(records, method=name)]
    colours = dict(zip(KNOWN, (plots.BLACK, plots.BLUE, plots.VERMILLION), strict=True))
    with plots.style():
        for i, name in enumerate(names):
            each, colour = calls_to_goal(select(records, method=name)), colours[METHODS[name].knows]
            there = np.isfinite(each)
            spread = i + 0.25 * np.linspace(-1, 1, len(each))
            ax.plot(each[there], spread[there], ".", color=colour, alpha=0.6)
            ax.plot(np.full((~there).sum(), config.budget), spread[~there], ">", color=colour, alpha=0.6)
            middle = np.median(each)
            if np.isfinite(middle):
                ax.plot([middle, middle], [i - 0.4, i + 0.4], color=colour, linewidth=2)
            text = f"{middle:,.0f}" if np.isfinite(middle) else f"{there.sum()} of {len(each)} within the budget"
            ax.annotate(text, (1.4 * config.budget, i), va="center", color=colour, fontsize=9)
        ax.set(xscale="log", xlim=(10 * BATCH, 12 * config.budget), ylim=(len(names) - 0.4, -0.6))
        ax.set_yticks(range(len(names)), [f"{name}\n({METHODS[name].knows})" for name in names], fontsize=8)
        ax.set_xlabel(f"calls of the cost until {GOAL:.0%} of test images are right, all counted")
        for knows, label in zip(ax.get_yticklabels(), names, strict=True):
            knows.set_color(colours[METHODS[label].knows])
        ax.set_title(
            "The less the cost says, the more calls a net needs to learn digits\n"
            "(a dot a seed, triangles: not within the budget; bars and numbers: medians)"
        )
    return plots.save(drawing, config.out / "revealed.png")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)

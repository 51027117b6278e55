"""From the same fresh steps of an environment, which gradient of a policy is the best: perturbed, scored, or learned?

A linear system under quadratic cost (two double integrators, 20 steps), whose policy gradient is known exactly. At
K = 0 and after an exact descent, with the policy frozen, each method gets 1,000 or 20,000 fresh steps and nothing else:

    smoothing        antithetic pairs of gains, the two of a pair under the same noise
    score            Σ_t γᵗ ∇log π(u_t|x_t) (cost to go)
    score, baseline  less a quadratic baseline of x_t for each step, fitted to the other half of the episodes
    critic, right    Q_t(x, u) quadratic for each step, fitted to costs to go; ∂Q_t/∂u (−x_tᵀ), backpropagated
    critic, net      Q(x, u, t) a tanh net, fitted to the same, 20,000 only, until its held-out error falls no more
    exact critic     the true Q_t instead, which nobody has: what is left is the scatter of states and actions

The radius of smoothing and the net's learning rate and widths are tuned by the same trials, on seeds of their own.
Written down before the run on seeds 1000 to 1029, to be found wrong, each by a sign test over seeds (p <= 0.001):

    1. the score without a baseline is worse than smoothing at every number of steps;
    2. a baseline makes it better than smoothing at every number of steps;
    3. the critic of the right kind is better than smoothing from 1,000 steps already;
    4. the net, which must also learn that costs are quadratic, is worse than the right kind from 20,000;
    5. the net is better than the score without a baseline from 20,000: a critic of the wrong kind is better than none;
    6. near the optimum, where ∇J is small, the net's gradient from 20,000 still has a positive cosine;
    7. every other method's cosine is lower at the last policy than at the first, from 1,000 steps.

Beside the estimates of each seed, ten runs of many more at K = 0, half a minute each whatever --seeds says, judge
whether the score, the baseline and the exact critic are unbiased. Fewer --policies or --steps leave these runs and the
predictions out, which need the whole.

    python experiments/agents/contrast.py             about four minutes on 2 cores
    python experiments/agents/contrast.py --tune      the trials from which radius and net come
    python experiments/agents/contrast.py --policies 9 --steps 20000 --out results/near
                                                      near the optimum from many steps alone, two or three minutes
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from experiments.agents.policy_gradients import (
    NET_FROM,
    UNBIASED,
    Settings,
    costs_to_go,
    estimates,
    fitted_net,
    policies,
    simulated,
    smoothed,
    task,
)
from experiments.common.claims import judge_paired, note_prediction
from experiments.common.drawing import REFERENCE, label_end
from experiments.common.frame import Flags, Judge, Switch, half_width, main, plus_minus, select
from experiments.common.unfinished import going_on

import numpy as np
from scipy.special import stdtrit
from torch.nn.functional import cosine_similarity

from rllab import Key, plots
from rllab.files import write_atomically
from rllab.runs import Job, Record

STEPS = (1_000, 20_000)
SHOWN = {0: "at K = 0", 9: "near the optimum"}  # of the policies
STYLES = {
    "smoothing": plots.METHODS["gaussian"],
    "score": plots.METHODS["one-point"],
    "score, baseline": plots.METHODS["reinforce"],
    "critic, right": plots.METHODS["td3"],
    "critic, net": plots.METHODS["sac"],
    "exact critic": plots.METHODS["backprop"],
}
BLOCKS = {"score": 420, "score, baseline": 60, "exact critic": 60}  # of 20,000 steps, in each of ten runs
ANSWER = "From many steps a value of the right kind, as baseline or critic, makes the best gradient"
RIGHT = {"score, baseline", "critic, right"}  # what that says of the methods that anybody has
FEW = 5  # seeds: an interval of fewer says nothing
TUNED = Path(__file__).parent / "contrast_tuned.json"
TUNING_SEEDS, TUNING_STEPS = (100,), 20_000
SIGMAS = (0.03, 0.1, 0.3, 1.0)  # what --tune tries
NETS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (3e-3, (32, 32)),
    (1e-2, (32, 32)),
    (3e-3, (64, 64)),
    (1e-2, (64, 64)),
)


@dataclass(frozen=True)
class Config(Flags):
    first_seed: ClassVar[int] = 1000
    seeds: int = 30
    """Seeds, from the first on: an estimate of each method at each policy and number of steps. Ten runs named unbiased
    come with them however few they are, half a minute each, unless --policies or --steps leave something out."""
    policies: tuple[int, ...] = tuple(SHOWN)
    """Policies whose gradient is estimated: 0, which is K = 0, and 9, near the optimum."""
    steps: tuple[int, ...] = STEPS
    """Fresh steps from which: 1000, 20000. The net is fitted from 20000 alone, which --fast leaves out."""
    tune: Switch = False
    """Run the trials: four radii and four nets, on seeds of their own; write what came out."""
    quick: ClassVar[dict[str, Any]] = {"seeds": 2, "steps": STEPS[:1]}

    def check(self) -> None:
        super().check()
        for flag, known in (("policies", tuple(SHOWN)), ("steps", STEPS)):
            given = getattr(self, flag)
            if not given or not set(given) <= set(known):
                said = " ".join(map(str, given)) or "none"
                raise ValueError(f"--{flag} must be some of {', '.join(map(str, known))}, got {said}")
        if not self.whole and self.seeds < 2:
            raise ValueError(f"--seeds must be at least 2 with fewer --policies or --steps, got {self.seeds}")

    @property
    def whole(self) -> bool:
        """Whether nothing is left out, but for what --fast leaves out."""
        return set(self.policies) == set(SHOWN) and (self.fast or set(self.steps) == set(STEPS))


def settings() -> Settings:
    chosen = json.loads(TUNED.read_text("utf-8"))["settings"]
    return Settings(chosen["sigma"], chosen["lr"], tuple(chosen["hidden"]))


def jobs_of(config: Config) -> Iterator[Job]:
    if config.tune:
        for seed in TUNING_SEEDS:
            yield Job(f"trials-{seed}", {"part": "trials"}, seed)
        return
    chosen = settings()
    tuned = {"sigma": chosen.sigma, "lr": chosen.lr, "hidden": list(chosen.hidden)}
    cells = {"policies": sorted(set(config.policies)), "steps": sorted(set(config.steps))}
    for seed in config.all_seeds:
        yield Job(f"contrast-{seed}", {"part": "contrast", **tuned, **cells}, seed)
    if not config.whole:
        return
    for seed in range(config.first_seed, config.first_seed + (1 if config.fast else 10)):
        yield Job(f"unbiased-{seed}", {"part": "unbiased", "fast": config.fast}, seed)


def run(job: Job, record: Record) -> None:
    """Estimate the gradient of every policy by every method, and compare it with the exact one."""
    {"trials": trials, "contrast": compared, "unbiased": unbiased}[job.config["part"]](job, record)


def compared(job: Job, record: Record) -> None:
    problem, key = task(), Key(job.seed)
    chosen = Settings(job.config["sigma"], job.config["lr"], tuple(job.config["hidden"]))
    for p, steps in going_on(record, product(job.config["policies"], job.config["steps"])):
        gains = policies()[p]
        truth = problem.gradient(gains[None])[0]
        for method, g in estimates(problem, gains, steps, key.child(p, steps), chosen):
            error = float((g - truth).square().sum() / truth.square().sum())
            cosine, share = float(cosine_similarity(g, truth, 0)), float(g @ truth / truth.square().sum())
            made = {"cosine": cosine, "error": error, "share": share}
            record.append({"policy": p, "steps": steps, "method": method, **made})


def trials(job: Job, record: Record) -> None:
    """Try every radius and every net on the same policies and numbers of steps."""
    problem, key = task(), Key(job.seed)
    for p, tried in going_on(record, product(SHOWN, (*SIGMAS, *NETS))):
        gains = policies()[p]
        truth = problem.gradient(gains[None])[0]
        here, episodes = key.child(p), TUNING_STEPS // problem.horizon
        if not isinstance(tried, tuple):
            g = smoothed(problem, gains, episodes, here.child("smoothing"), tried)
            record.append({"sigma": tried, "cosine": float(cosine_similarity(g, truth, 0))})
            continue
        lr, hidden = tried
        runs = simulated(problem, gains, episodes, here.child("episodes"))
        made = fitted_net(problem, runs, costs_to_go(problem, runs), here.child("net"), Settings(0.1, lr, hidden))
        cosine = float(cosine_similarity(made.gradient, truth, 0))
        record.append({"lr": lr, "width": hidden[0], "cosine": cosine, "held_out": made.held_out})


def unbiased(job: Job, record: Record) -> None:
    """Append for every block of 20,000 steps at K = 0 what share of the exact gradient each estimate has along it."""
    problem, key, gains = task(), Key(job.seed), policies()[0]
    truth = problem.gradient(gains[None])[0]
    for block in going_on(record, range(5 if job.config["fast"] else max(BLOCKS.values()))):
        runs = simulated(problem, gains, STEPS[-1] // problem.horizon, key.child("unbiased", block))
        to_go = costs_to_go(problem, runs)
        for method, estimator in UNBIASED.items():
            if block < BLOCKS[method]:
                g = estimator(problem, gains, runs, to_go)
                share = float(g @ truth / truth.square().sum())
                across = ((g - share * truth) / truth.norm()).tolist()
                record.append({"method": method, "share": share, **{f"g{i}": x for i, x in enumerate(across)}})


def made_from(steps: int) -> list[str]:
    """Return the methods that are compared from so many steps."""
    return [method for method in STYLES if method != "critic, net" or steps >= NET_FROM]


def told(each: np.ndarray) -> str:
    """Return the mean over seeds, and its 95 % interval where there are seeds enough."""
    return plus_minus(each, 3) if len(each) >= FEW else f"{each.mean():.3f}"


def answer(records: list[Record], seeds: int) -> str:
    """Return what the data say is the best, if there are data enough to say so."""
    if seeds < FEW:
        return f"{seeds} seeds are too few to say which gradient is the best"
    steps = max(row["steps"] for row in records[0].rows)
    cosine = {m: table(records, "cosine", m, steps).mean() for m in made_from(steps) if m != "exact critic"}
    best = sorted(cosine, key=lambda method: -cosine[method])
    if steps >= NET_FROM and set(best[:2]) == RIGHT:
        return ANSWER
    return f"From {steps:,} steps the gradient by {best[0]} is the nearest to the exact one"


def shown_in(records: list[Record]) -> list[int]:
    """Return the policies that estimates were made of."""
    return sorted({row["policy"] for row in records[0].rows})


def table(records: list[Record], what: str, method: str, steps: int) -> np.ndarray:
    """Return a quantity by policy and seed, (policies, seeds)."""
    shown = shown_in(records)
    rows = [row for record in records for row in record.rows if row["method"] == method and row["steps"] == steps]
    return np.array([[row[what] for row in rows if row["policy"] == p] for p in shown])


def claims(records: list[Record], config: Config, judge: Judge) -> None:
    if config.tune:
        chosen = chosen_of(records)
        write_atomically(TUNED, (json.dumps(chosen, indent=1) + "\n").encode())
        judge(True, f"{len(records)} seeds of trials: {chosen['settings']}; written to {TUNED.name}")
        return
    if config.whole:
        judge_unbiased(select(records, part="unbiased"), config, judge)
    runs = select(records, part="contrast")
    places = [SHOWN[p] for p in shown_in(runs)]
    all_steps = sorted({row["steps"] for row in runs[0].rows})
    each = {(m, s): table(runs, "cosine", m, s) for s in all_steps for m in made_from(s)}
    cosine = {at: made.mean(0) for at, made in each.items()}  # mean over policies, (seeds,)
    for s in all_steps:
        judge.note(f"{s:,} steps: mean cosine " + ", ".join(f"{m} {cosine[m, s].mean():.3f}" for m in made_from(s)))
        last = ", ".join(f"{m} {told(each[m, s][-1])}" for m in made_from(s))
        judge.note(f"{s:,} steps, {places[-1]}, mean cosine: {last}")
        for p, where in enumerate(places):  # noise averages out over seeds, a bias does not
            shares = ", ".join(f"{m} {told(table(runs, 'share', m, s)[p])}" for m in made_from(s))
            judge.note(f"{s:,} steps, {where}, of the exact gradient along it (1 if unbiased): {shares}")
    if not config.whole:
        judge_exact(runs, judge)
    if config.fast or not config.whole:
        return
    low, high = all_steps[0], all_steps[-1]
    for m in made_from(low):
        said = f"{m}: more steps make a better gradient, {cosine[m, low].mean():.3f} to {cosine[m, high].mean():.3f}"
        judge_paired(judge, cosine[m, low], cosine[m, high], says=said)
    for m in ("exact critic", "critic, right"):
        judge(cosine[m, high].mean() >= 0.9, f"{m}: mean cosine {cosine[m, high].mean():.3f} from {high:,} (needs 0.9)")
    zero, net = np.zeros(len(runs)), each["critic, net", high]
    predicted = {
        "1. the score without a baseline is worse than smoothing": [
            (cosine["score", s], cosine["smoothing", s]) for s in all_steps
        ],
        "2. a baseline makes it better than smoothing": [
            (cosine["smoothing", s], cosine["score, baseline", s]) for s in all_steps
        ],
        "3. the right critic is better than smoothing from few": [
            (cosine["smoothing", low], cosine["critic, right", low])
        ],
        "4. the net is worse than the right critic from many": [
            (cosine["critic, net", high], cosine["critic, right", high])
        ],
        "5. the net is better than the score without a baseline from many": [
            (cosine["score", high], cosine["critic, net", high])
        ],
        "6. at the last policy the net's cosine from many is positive": [(zero, net[-1])],
        "7. cosines fall towards the optimum": [(each[m, low][-1], each[m, low][0]) for m in made_from(low)],
    }
    for text, pairs in predicted.items():
        note_prediction(judge, text, *pairs)


def judge_unbiased(records: list[Record], config: Config, judge: Judge) -> None:
    """Judge whether means are the exact gradient, and whether an error of 5 % would have been seen."""
    for method in UNBIASED:
        rows = [row for record in records for row in record.rows if row["method"] == method]
        made = np.array([[row["share"] - 1, *(row[f"g{i}"] for i in range(8))] for row in rows])
        error, off, limit = off_zero(made)  # two sides, nine directions, three methods: once in 2·10⁷
        judge(
            bool(off.max() <= limit),
            f"{method} is unbiased at K = 0: {1 + made[:, 0].mean():.4f} ± {error[0]:.4f} of the exact gradient along "
            f"it, at most {off.max():.1f} standard errors off in any direction (needs <= {limit:.1f}, which "
            f"Student's t of {len(made)} estimates exceeds once in 10⁹ on either side)",
        )
        if not config.fast:
            judge(
                bool(error[0] <= 0.005), f"{method}: 5 % more or less would be {0.05 / error[0]:.0f} of them (needs 10)"
            )


def judge_exact(runs: list[Record], judge: Judge) -> None:
    """Judge of each cell, where nothing else is, whether the exact critic's mean over seeds is the exact gradient."""
    for s in sorted({row["steps"] for row in runs[0].rows}):
        for p, share in zip(shown_in(runs), table(runs, "share", "exact critic", s), strict=True):
            error, off, limit = off_zero(share - 1)
            judge(
                bool(off <= limit),
                f"exact critic is unbiased {SHOWN[p]} from {s:,} steps: {share.mean():.4f} ± {error:.4f} of the exact "
                f"gradient along it, {off:.1f} standard errors off (needs <= {limit:.1f}, which Student's t of "
                f"{len(share)} estimates exceeds once in 10⁹ on either side)",
            )


def off_zero(made: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the standard error of means over axis 0, how many of them these are off 0, and how many chance explains.

    Where nothing scatters the second is NaN, which holds nothing.
    """
    error = made.std(0, ddof=1) / len(made) ** 0.5
    return error, np.abs(made.mean(0) / error), float(-stdtrit(len(made) - 1, 1e-9))


def chosen_of(records: list[Record]) -> dict[str, Any]:
    """Return the radius and the net of the largest mean cosine over policies, steps and seeds, and all trials."""
    rows = [row for record in records for row in record.rows]
    radii = {sigma: float(np.mean([r["cosine"] for r in rows if r.get("sigma") == sigma])) for sigma in SIGMAS}
    nets = {
        net: [(r["cosine"], r["held_out"]) for r in rows if (r.get("lr"), r.get("width")) == (net[0], net[1][0])]
        for net in NETS
    }
    means = {net: np.mean(made, 0) for net, made in nets.items()}
    lr, hidden = max(NETS, key=lambda net: means[net][0])
    return {
        "settings": {"sigma": max(SIGMAS, key=lambda sigma: radii[sigma]), "lr": lr, "hidden": list(hidden)},
        "seeds": list(TUNING_SEEDS),
        "trials": [{"sigma": sigma, "cosine": round(cosine, 4)} for sigma, cosine in radii.items()]
        + [
            {"lr": net[0], "hidden": list(net[1]), "cosine": round(float(m[0]), 4), "held_out": round(float(m[1]), 5)}
            for net, m in means.items()
        ],
    }


def figure(records: list[Record], config: Config) -> Path:
    """Draw the cosine and the error against steps, and the cosine along the descent."""
    if config.tune:
        return TUNED
    records = select(records, part="contrast")
    all_steps = sorted({row["steps"] for row in records[0].rows})
    methods = made_from(all_steps[-1])
    places = [SHOWN[p] for p in shown_in(records)]
    drawing, axes = plots.panels(len(places), 1, width=5.4, height=0.8 + 0.5 * len(methods))
    with plots.style():
        for i, (ax, policy) in enumerate(zip(axes, places, strict=True)):
            for y, method in enumerate(methods):
                color = STYLES[method].color
                for s, fill, up in zip(all_steps, ("white", color), (-0.15, 0.15), strict=False):
                    if method not in made_from(s):
                        continue
                    each = table(records, "cosine", method, s)[i]
                    look = {"color": color, "marker": "o", "markerfacecolor": fill, "capsize": 3, "linestyle": ""}
                    bar = half_width(each) if len(each) >= FEW else None
                    ax.errorbar(each.mean(), y + up, xerr=bar, **look)
                    label_end(ax, 1.05, y + up, f"{each.mean():.2f}", color)
            ax.axvline(0, **REFERENCE)
            ax.axvline(1, **REFERENCE)
            ax.set(xlim=(-0.25, 1.2), ylim=(len(methods) - 0.5, -0.5), xlabel="mean cosine to the exact gradient")
            ax.set_yticks(range(len(methods)), methods)
            ax.set_title(f"The gradient of a policy {policy}")
        marks = [f"Open: from {all_steps[0]:,} steps", *(f"filled: from {s:,}" for s in all_steps[1:])]
        means = f"means of {config.seeds} seeds, no intervals"
        bars = f"bars: 95 % intervals (Student) over {config.seeds} seeds" if config.seeds >= FEW else means
        drawing.suptitle(f"{answer(records, config.seeds)}\n{', '.join(marks)}; {bars}")
    return plots.save(drawing, config.out / "contrast.png")


if __name__ == "__main__":
    main(Config, __doc__, jobs_of, run, claims, figure)

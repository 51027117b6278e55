"""RandomWalk, FallChain, LinearSurvival: how long until it falls, with an exact gradient.

    cost = −τ, τ the number of steps taken, the fatal one included, at most `cap`

An integer: its pathwise derivative is 0 in every run, while the mean has a gradient. Flat tops are true: where almost
every run reaches the cap there is nothing to gain. Means come from the recursion v_{k+1} = 1 + P v_k over steps to go,
or without a cap from (I − P) τ = 1, and gradients by differentiating it. Smoothing in one parameter is integrated by
the trapezoidal rule, refined until it has converged: to 1e-12 of the mean size of what is integrated, where that is
not 0 to rounding of the number of steps.
"""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.special import expit, ndtri
from torch import Tensor

from rllab._special.nodes import gauss_legendre
from rllab._special.normal import interval, pdf
from rllab.checks import check_positive, take_counts
from rllab.problems.base import NoClosedForm, NormalMoments
from rllab.problems.stochastic import Noise, SimulatedRuns, Stochastic

_REACH = 9.0  # standard deviations; beyond them is 1e-19 of the mass


class Survival(Stochastic):
    """Base of the survival problems: subclasses give the mean number of steps and its gradient, and one step of a run.

    Attributes:
        cap: steps after which a run ends alive.
        start: the state a run starts in.
    """

    cap: float
    start: float
    _numbers_a_step: ClassVar[int]

    @abstractmethod
    def _mean_steps(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """E τ (n,) and its gradient (n, d) at θ (n, d)."""

    @abstractmethod
    def _step(self, theta: np.ndarray, state: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Next states (n,) and ∇_θ log π(a | s) (n, d), from uniform numbers (n, _numbers_a_step)."""

    @abstractmethod
    def _fallen(self, state: np.ndarray) -> np.ndarray:
        """Whether states (n,) are dead, (n,)."""

    def _value(self, x: Tensor) -> Tensor:
        return torch.from_numpy(-self._mean_steps(x.numpy())[0])

    def _gradient(self, x: Tensor) -> Tensor:
        return torch.from_numpy(-self._mean_steps(x.numpy())[1])

    def _run(self, x: Tensor, noise: Noise) -> SimulatedRuns:
        theta = x.numpy()
        steps, score = np.zeros(len(theta), np.int64), np.zeros_like(theta)
        alive, state = np.arange(len(theta)), np.full(len(theta), self.start)  # runs that go on, and where they are
        for t in itertools.count():
            if t >= self.cap or not len(alive):
                break
            drawn = noise.uniform(t * self._numbers_a_step, self._numbers_a_step, of=alive)
            following, score_t = self._step(theta[alive], state, drawn)
            score[alive] += score_t
            steps[alive] += 1
            on = ~self._fallen(following)
            alive, state = alive[on], following[on]
        taken = torch.from_numpy(steps)
        return SimulatedRuns(-taken.double(), torch.from_numpy(score), taken)

    def _run_gradient(self, x: Tensor, noise: Noise) -> Tensor:
        return torch.zeros_like(x)

    def _smooth_one_parameter(self, who: str, mean: np.ndarray, scale: np.ndarray, resolution: float) -> NormalMoments:
        """E J(θ + s u), E J′(θ + s u), E J′(θ + s u) u for one parameter, J being plain over a length `resolution`."""
        if (widest := float(scale.max())) > 1:
            raise NoClosedForm(f"{who}: deviations up to 1 are resolved, got {widest:g}")
        rows = [self._integrals(who, m, s, resolution) for m, s in zip(mean[:, 0], scale[:, 0], strict=True)]
        value, by_mean, by_scale = np.array(rows).T
        return NormalMoments(value, by_mean[:, None], by_scale[:, None])

    def _integrals(self, who: str, mu: float, s: float, resolution: float) -> np.ndarray:
        """The three integrals, (3,).

        J is analytic in a strip, where the error of the trapezoidal rule of step h is C e^{−c/h}: halving h squares it.
        """
        h = min(1.0, resolution / s)
        last = math.ceil(_REACH / h)
        sums, sizes = self._sums(mu, s, h * np.arange(-last, last + 1))
        for _ in range(7):
            coarse, h, last = h * sums, h / 2, 2 * last
            more = self._sums(mu, s, h * np.arange(1 - last, last, 2))
            sums, sizes = sums + more[0], sizes + more[1]
            # slopes are known to rounding of J over the length in which it changes
            known = h * np.maximum(sizes, 1e-6 * sizes[0] * np.array((0, 1, 1)) / resolution)
            if (np.abs(h * sums - coarse) <= 1e-8 * known).all():
                return h * sums
        raise NoClosedForm(f"{who}: the mean changes too fast to be integrated, at {mu:g} with deviation {s:g}")

    def _sums(self, mu: float, s: float, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Σ J φ, Σ J′ φ, Σ J′ u φ over nodes u, and the same of absolute values."""
        value, gradient = self._mean_steps((mu + s * u)[:, None])
        terms = -pdf(u) * np.stack((value, gradient[:, 0], gradient[:, 0] * u))
        return terms.sum(-1), np.abs(terms).sum(-1)


@dataclass(frozen=True)
class RandomWalk(Survival):
    """A walk on 0 … size, right with probability σ(θ), until it falls off either end; one parameter, no cap.

    Args:
        size: the upper end; the lower one is 0.
        start: where a run starts, between the ends.

    Raises:
        ValueError: `size` is no integer in 2..500, or `start` is not between the ends.

    Example:
        import torch
        from rllab import problems

        walk = problems.RandomWalk(size=4, start=2)
        walk.value(torch.zeros(1, 1)), walk.gradient(torch.zeros(1, 1))  # -4 steps, and 0 by symmetry
    """

    size: int = 20
    start: int = 7  # type: ignore[assignment]
    cap: ClassVar[float] = math.inf
    kernels: ClassVar[tuple[str, ...]] = ("gaussian",)
    _numbers_a_step: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_chain(self)

    @property
    def dimension(self) -> int:
        return 1

    def _mean_steps(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p, q = expit(theta[:, 0]), expit(-theta[:, 0])
        # elimination from state 1 up, v_s = (1 − γ_s) v_{s+1} + …, γ_s = q γ_{s−1}/(p + q γ_{s−1}), γ_0 = 1: nothing is
        # subtracted, so no digits are lost, whichever way it drifts
        pivot = np.empty((self.size, len(theta)))
        gamma = np.ones_like(p)
        for s in range(1, self.size):
            pivot[s] = p + q * gamma
            gamma = q * gamma / pivot[s]

        def solve(reward: np.ndarray) -> np.ndarray:
            """v_s = reward_s + p v_{s+1} + q v_{s−1}, v = 0 at both ends."""
            v = np.zeros((self.size + 1, len(theta)))
            for s in range(1, self.size):
                v[s] = (reward[s] + q * v[s - 1]) / pivot[s]
            for s in reversed(range(1, self.size)):
                v[s] += p / pivot[s] * v[s + 1]
            return v

        tau = solve(np.ones_like(pivot))
        slope = solve(p * q * (np.roll(tau, -1, axis=0) - np.roll(tau, 1, axis=0)))  # ∂p/∂θ = p q
        return tau[self.start], slope[self.start, :, None]

    def _step(self, theta: np.ndarray, state: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = expit(theta)
        right = noise < p
        return state + np.where(right[:, 0], 1, -1), np.where(right, expit(-theta), -p)

    def _fallen(self, state: np.ndarray) -> np.ndarray:
        return (state <= 0) | (state >= self.size)

    def _gaussian(self, who: str, mean: np.ndarray, scale: np.ndarray) -> NormalMoments:
        # the poles of τ next to the real axis are where (q/p)^size = 1: θ = ±2πi/size
        return self._smooth_one_parameter(who, mean, scale, 0.5 * math.pi / self.size)


@dataclass(frozen=True)
class FallChain(Survival):
    """A chain on 0 … size with a logit for each inner state, pushed outwards now and then: balancing in a table.

    In state s the policy goes right with probability σ(θ_s), else left. With probability `slip` the step goes away from
    the middle whatever was chosen (either way in the middle itself). Dead at 0 and at `size`.

    Args:
        size: the last state; there are size − 1 inner ones.
        start: the inner state a run starts in.
        slip: probability, in [0, 1], of being pushed outwards.
        cap: steps after which a run ends alive.

    Raises:
        ValueError: `size` is no integer in 2..500, `start` is no inner state, or `slip` is not in [0, 1].
        TypeError, ValueError: `cap` is no integer >= 1.

    Example:
        import torch
        from rllab import problems

        chain = problems.FallChain(size=4, start=2)
        chain.value(torch.zeros(1, 3)), chain.gradient(torch.zeros(1, 3))
    """

    size: int = 10
    start: int = 4  # type: ignore[assignment]
    slip: float = 0.3
    cap: int = 50  # type: ignore[assignment]
    _numbers_a_step: ClassVar[int] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_chain(self)
        take_counts(self, cap=1)
        if not 0 <= self.slip <= 1:
            raise ValueError(f"FallChain: slip must be in [0, 1], got {self.slip!r}")

    @property
    def dimension(self) -> int:
        return self.size - 1

    @property
    def _push(self) -> np.ndarray:
        """Probability that a slip goes right, in states 1 … size − 1."""
        return 0.5 + 0.5 * np.sign(2 * np.arange(1, self.size) - self.size)

    def _mean_steps(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n, chosen = self.dimension, 1 - self.slip
        p, q = expit(theta), expit(-theta)
        right, left = chosen * p + self.slip * self._push, chosen * q + self.slip * (1 - self._push)
        v = np.zeros((self.cap + 1, len(theta), n + 2))  # of states 0 … size, with k steps to go; dead ones stay 0
        for k in range(self.cap):
            v[k + 1, :, 1:-1] = 1 + right * v[k, :, 2:] + left * v[k, :, :-2]
        # ∂J/∂θ_s = Σ_t P(s_t = s) ∂P(s) v_{cap−t−1}
        visits, slope = np.zeros((len(theta), n)), np.zeros((len(theta), n))
        visits[:, self.start - 1] = 1
        for t in range(self.cap):
            following = v[self.cap - t - 1]
            slope += visits * chosen * p * q * (following[:, 2:] - following[:, :-2])
            moved = np.zeros_like(visits)
            moved[:, 1:] += (visits * right)[:, :-1]
            moved[:, :-1] += (visits * left)[:, 1:]
            visits = moved
        return v[self.cap, :, self.start], slope

    def _step(self, theta: np.ndarray, state: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at = state - 1
        logit = np.take_along_axis(theta, at[:, None], axis=1)[:, 0]
        chosen = noise[:, 1] < expit(logit)
        right = np.where(noise[:, 0] < self.slip, noise[:, 2] < self._push[at], chosen)
        score = np.zeros_like(theta)
        np.put_along_axis(score, at[:, None], np.where(chosen, expit(-logit), -expit(logit))[:, None], axis=1)
        return state + np.where(right, 1, -1), score

    def _fallen(self, state: np.ndarray) -> np.ndarray:
        return (state <= 0) | (state >= self.size)


@dataclass(frozen=True)
class LinearSurvival(Survival):
    """x′ = a x + b u + w, u = −k x + e, dead once |x| > 1; the one parameter is the gain k.

    The mean is a function on [−1, 1]; beyond |x| = r, where the next step is fatal, it is 1. In excess of that 1,

        v(x) = P(|x′| <= 1) + ∫_{−r}^{r} N(x′; (a − bk) x, b²σ_u² + σ_w²) v(x′) dx′

    with one step less on the right, on Gauss–Legendre nodes.

    Args:
        a, b: the system.
        action_noise, process_noise: σ_u of the policy, σ_w of the system.
        nodes: how many on [−1, 1], even; at least 50, and 11 over the standard deviation of a step.
        start: the state a run starts in, in [−1, 1].
        cap: steps after which a run ends alive.

    Raises:
        TypeError, ValueError: a number is of another kind or out of its range, or `nodes` are too few.

    Example:
        import torch
        from rllab import problems

        problems.LinearSurvival().gradient(torch.ones(1, 1))
    """

    a: float = 1.1
    b: float = 0.5
    action_noise: float = 0.2
    process_noise: float = 0.1
    start: float = 0.0
    cap: int = 50  # type: ignore[assignment]
    nodes: int = 80
    kernels: ClassVar[tuple[str, ...]] = ("gaussian",)
    _numbers_a_step: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("LinearSurvival", action_noise=self.action_noise)
        take_counts(self, cap=1)
        if not (math.isfinite(self.a) and math.isfinite(self.b) and self.process_noise >= 0):
            raise ValueError(f"LinearSurvival: a and b must be finite, process_noise >= 0, got {self}")
        if not abs(self.start) <= 1:
            raise ValueError(f"LinearSurvival: start must be in [-1, 1], got {self.start!r}")
        # where the gain is large, what is left of [−1, 1] spans 9 deviations and more, however large they are
        if (fewest := max(50.0, 11 / self._deviation)) > self.nodes or self.nodes % 2:
            raise ValueError(
                f"LinearSurvival: nodes must be even, >= 50 and >= 11 over the deviation of a step, here "
                f"{fewest:.0f}, got {self.nodes!r}"
            )

    @property
    def dimension(self) -> int:
        return 1

    @property
    def _deviation(self) -> float:
        return math.hypot(self.b * self.action_noise, self.process_noise)

    def _mean_steps(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = [self._few_mean_steps(theta[i : i + 16]) for i in range(0, len(theta), 16)]  # whose kernels fit a cache
        return np.concatenate([v for v, _ in parts]), np.concatenate([slope for _, slope in parts])

    def _few_mean_steps(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        closed, sd, half = self.a - self.b * theta, self._deviation, self.nodes // 2
        r = np.minimum(1.0, (1 + 9 * sd) / np.maximum(np.abs(closed), 1e-9))  # (n, 1)
        node, weight = (each[half:] for each in gauss_legendre(2 * half))
        # v is even, so the nodes of (0, r) serve both sides; the start is put first
        x = np.concatenate((np.full_like(r, self.start), r * node), axis=1)
        m = closed * x / sd
        alive = interval(m, np.full_like(m, 1 / sd), (np.abs(closed * x) - 1) / sd)
        near, far = (side * (r * node)[:, None, :] / sd - m[:, :, None] for side in (1, -1))
        p_near, p_far = pdf(near), pdf(far)
        by_gain = -self.b * x / sd  # ∂m/∂k
        kernel = (p_near + p_far) * (r * weight / sd)[:, None, :]
        kernel_slope = (near * p_near + far * p_far) * (r * weight / sd)[:, None, :] * by_gain[:, :, None]
        alive_slope = alive.pdf * by_gain
        v, slope = np.zeros_like(x), np.zeros_like(x)
        for _ in range(self.cap - 1):
            inner, inner_slope = v[:, 1:, None], slope[:, 1:, None]
            slope = alive_slope + (kernel_slope @ inner + kernel @ inner_slope)[..., 0]
            v = alive.probability + (kernel @ inner)[..., 0]
        return 1 + v[:, 0], slope[:, :1]

    def _step(self, theta: np.ndarray, state: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        e, w = self.action_noise * ndtri(noise[:, 0]), self.process_noise * ndtri(noise[:, 1])
        u = -theta[:, 0] * state + e
        # ∇_k log π(u | x) = −(u + k x) x/σ_u²
        return self.a * state + self.b * u + w, (-e * state / self.action_noise**2)[:, None]

    def _fallen(self, state: np.ndarray) -> np.ndarray:
        return np.abs(state) > 1

    def _gaussian(self, who: str, mean: np.ndarray, scale: np.ndarray) -> NormalMoments:
        # at |x| = 1 a change of the gain by this moves x′ by a quarter of its deviation
        resolution = 0.25 * self._deviation / abs(self.b) if self.b else math.inf
        return self._smooth_one_parameter(who, mean, scale, resolution)


def _check_chain(problem: RandomWalk | FallChain) -> None:
    name, size, start = type(problem).__name__, problem.size, problem.start
    if not isinstance(size, int) or not 2 <= size <= 500:
        raise ValueError(f"{name}: size must be an integer in 2..500, got {size!r}")
    if not isinstance(start, int) or not 0 < start < size:
        raise ValueError(f"{name}: start must be an integer in 1..{size - 1}, got {start!r}")

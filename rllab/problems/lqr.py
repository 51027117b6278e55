"""LQR: a linear system under quadratic cost and a linear Gaussian policy, with exact gradient, critic and optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rllab.checks import take_counts
from rllab.problems.stochastic import Noise, SimulatedRuns, Stochastic

Matrix = tuple[tuple[float, ...], ...]


class Trajectories(NamedTuple):
    """States (N, T + 1, n), actions and their noise e (N, T, m), and discounted costs (N,)."""

    states: Tensor
    actions: Tensor
    action_noise: Tensor
    cost: Tensor


class System(NamedTuple):
    """The matrices of the problem, float64 or complex128."""

    a: Tensor
    b: Tensor
    q: Tensor
    r: Tensor
    q_final: Tensor
    w: Tensor
    sigma: Tensor
    m0: Tensor
    s0: Tensor


@dataclass(frozen=True, eq=False)
class ExactCritic:
    """The exact critic of a policy, for states (N, n) and actions (N, m).

        V_t(x) = xᵀP_tx + c_t        Q_t(x, u) = xᵀQx + uᵀRu + γ E V_{t+1}(Ax + Bu + w)        ∂Q_t/∂u = 2(H_tu + G_tx)

    Being right, it gives the right policy gradient: γᵗ E [∂Q_t/∂u (−x_tᵀ)] = ∂J/∂K_t.
    """

    system: System
    discount: float
    p: Tensor  # (T + 1, n, n)
    c: Tensor  # (T + 1,)

    def value(self, t: int, state: Tensor) -> Tensor:
        """V_t(state), (N,)."""
        return _quadratic(state, self.p[t]) + self.c[t]

    def action_value(self, t: int, state: Tensor, action: Tensor) -> Tensor:
        """Q_t(state, action), (N,), t < T."""
        s = self.system
        following = self.value(t + 1, state @ s.a.T + action @ s.b.T) + (self.p[t + 1] * s.w).sum()
        return _quadratic(state, s.q) + _quadratic(action, s.r) + self.discount * following

    def action_gradient(self, t: int, state: Tensor, action: Tensor) -> Tensor:
        """∂Q_t/∂u at (state, action), (N, m), t < T."""
        s = self.system
        following = self.discount * (state @ s.a.T + action @ s.b.T) @ self.p[t + 1] @ s.b
        return 2 * (action @ s.r + following)


@dataclass(frozen=True)
class LQR(Stochastic):
    """Choose gains: x is K (m, n), row by row; or, with `stationary=False`, K_0, …, K_{T−1} one after another.

        x_{t+1} = A x_t + B u_t + w_t,   u_t = −K_t x_t + e_t,   w ~ N(0, W), e ~ N(0, Σ), x_0 ~ N(m_0, S_0)
        J(K) = E [ Σ_{t<T} γᵗ (x_tᵀQx_t + u_tᵀRu_t) + γᵀ x_TᵀQ_f x_T ]
        H_t = R + γBᵀP_{t+1}B,   G_t = γBᵀP_{t+1}A,   P_t = Q + K_tᵀRK_t + γ(A − BK_t)ᵀP_{t+1}(A − BK_t),   P_T = Q_f
        c_t = γ(c_{t+1} + tr P_{t+1}W) + tr H_tΣ,   X_{t+1} = (A − BK_t) X_t (A − BK_t)ᵀ + W + BΣBᵀ
        J = tr P_0X_0 + c_0
        ∂J/∂K_t = 2γᵗ (H_tK_t − G_t) X_t,             ∂J/∂Σ = Σ_t γᵗ H_t,        optimum K_t = H_t⁻¹G_t

    Args:
        a, b: A (n, n), B (n, m).
        q, r, q_final: Q (n, n), R (m, m), Q_f (n, n), symmetric.
        process_noise, action_noise, start_noise: W (n, n), Σ (m, m), S_0 (n, n), covariances; Σ invertible.
        start_mean: m_0 (n,).
        horizon, discount: T >= 1, γ in (0, 1].
        stationary: one gain for all steps.

    Raises:
        ValueError: a matrix has another shape, is not symmetric or no covariance; or `discount` is not in (0, 1].
        TypeError, ValueError: `horizon` is no integer >= 1.

    Source:
        Fazel, Ge, Kakade & Mesbahi (2018), "Global convergence of policy gradient methods for the linear quadratic
        regulator", lemma 1; here with a finite horizon, a discount, and noise in process and actions.

    Example:
        import torch
        from rllab import problems

        lqr = problems.LQR()
        lqr.gradient(torch.zeros(1, 2))  # at the gain K = (0, 0)
    """

    a: Matrix = ((1.0, 0.1), (0.0, 1.0))  # a double integrator, 0.1 s a step
    b: Matrix = ((0.005,), (0.1,))
    q: Matrix = ((1.0, 0.0), (0.0, 0.1))
    r: Matrix = ((0.01,),)
    q_final: Matrix = ((1.0, 0.0), (0.0, 0.1))
    process_noise: Matrix = ((1e-4, 0.0), (0.0, 1e-2))
    action_noise: Matrix = ((0.25,),)
    start_mean: tuple[float, ...] = (1.0, 0.0)
    start_noise: Matrix = ((0.01, 0.0), (0.0, 0.01))
    horizon: int = 20
    discount: float = 0.99
    stationary: bool = True
    offers: ClassVar[frozenset[str]] = frozenset({"value", "gradient", "jvp", "complex"})

    def __post_init__(self) -> None:
        super().__post_init__()
        n, m = len(self.start_mean), len(self.r)
        _check("start_mean", self.start_mean, (n,))
        _check("a", self.a, (n, n))
        _check("b", self.b, (n, m))
        for name, size in (("q", n), ("r", m), ("q_final", n)):
            _check(name, getattr(self, name), (size, size), symmetric=True)
        for name, size in (("process_noise", n), ("action_noise", m), ("start_noise", n)):
            matrix = _check(name, getattr(self, name), (size, size), symmetric=True)
            lowest = np.linalg.eigvalsh(matrix)[0]
            if lowest < -1e-12 * np.abs(matrix).max() or (name == "action_noise" and lowest <= 0):
                raise ValueError(f"LQR: {name} must be a covariance, invertible for actions, got {matrix.tolist()}")
        take_counts(self, horizon=1)
        if not 0 < self.discount <= 1:
            raise ValueError(f"LQR: discount must be in (0, 1], got {self.discount!r}")

    @property
    def dimension(self) -> int:
        return len(self.r) * len(self.start_mean) * (1 if self.stationary else self.horizon)

    def critic(self, x: Tensor) -> ExactCritic:
        """Return V_t and Q_t of the policy with gains x (d,)."""
        back = self._backward(self._points(f"{self._name}.critic", x[None]))
        return ExactCritic(self._system(back.p.dtype), self.discount, back.p[0], back.c[0])

    def optimal_gains(self) -> Tensor:
        """Return K_0, …, K_{T−1} (T, m, n) of least J, by the Riccati recursion."""
        s, gains = self._system(torch.float64), []
        p = s.q_final
        for _ in range(self.horizon):
            h, g = self._h_and_g(s, p)
            k = torch.linalg.solve(h, g)
            gains.append(k)
            p = s.q + self.discount * s.a.T @ p @ s.a - g.T @ k
        return torch.stack(gains[::-1])

    def action_noise_gradient(self, x: Tensor) -> Tensor:
        """Return ∂J/∂Σ at gains (N, d), as (N, m, m), its entries taken as independent."""
        h = self._backward(self._points(f"{self._name}.action_noise_gradient", x)).h
        return torch.einsum("t,ntij->nij", self._discounts(h)[:-1], h).to(x)

    def log_std_gradient(self, x: Tensor) -> Tensor:
        """Return ∂J/∂log std_i at gains (N, d), as (N, m), for a diagonal Σ = diag std²."""
        sigma = self._system(x.dtype).sigma
        if torch.count_nonzero(sigma - sigma.diag().diag()):
            raise ValueError("LQR.log_std_gradient: action_noise must be diagonal")
        return 2 * sigma.diag() * self.action_noise_gradient(x).diagonal(dim1=-2, dim2=-1)

    def simulate(self, x: Tensor, start: Tensor, process: Tensor, action: Tensor) -> Trajectories:
        """Run gains (N, d) under given standard normal noise: (N, n), (N, T, n), (N, T, m).

        Differentiable in x, and analytic: computed, and returned, in the dtype of x, which may be complex.
        """
        s, k = self._system(x.dtype), self._gains(x)
        start, process, action = (noise.to(x.dtype) for noise in (start, process, action))
        state = s.m0 + start @ _root(s.s0)
        w, e, discounts = process @ _root(s.w), action @ torch.linalg.cholesky(s.sigma).T, self._discounts(x)
        states, actions, cost = [state], [], torch.zeros_like(state[:, 0])
        for t in range(self.horizon):
            u = -torch.einsum("nij,nj->ni", k[:, t], state) + e[:, t]
            cost = cost + discounts[t] * (_quadratic(state, s.q) + _quadratic(u, s.r))
            state = state @ s.a.T + u @ s.b.T + w[:, t]
            states.append(state)
            actions.append(u)
        cost = cost + discounts[-1] * _quadratic(state, s.q_final)
        return Trajectories(torch.stack(states, 1), torch.stack(actions, 1), e, cost)

    def _value(self, x: Tensor) -> Tensor:
        s, back = self._system(x.dtype), self._backward(x)
        return _trace(back.p[:, 0], s.s0 + torch.outer(s.m0, s.m0)) + back.c[:, 0]

    def _gradient(self, x: Tensor) -> Tensor:
        s, back, k = self._system(x.dtype), self._backward(x), self._gains(x)
        moment = (s.s0 + torch.outer(s.m0, s.m0)).expand(len(x), -1, -1)  # X_t
        noise, gradients = s.w + s.b @ s.sigma @ s.b.T, []
        for t, discount in enumerate(self._discounts(x)[:-1]):
            gradients.append(2 * discount * (back.h[:, t] @ k[:, t] - back.g[:, t]) @ moment)
            closed = s.a - s.b @ k[:, t]
            moment = closed @ moment @ closed.mT + noise
        return self._flat(torch.stack(gradients, 1))

    def _run(self, x: Tensor, noise: Noise) -> SimulatedRuns:
        runs = self.simulate(x, *self._normals(noise))
        # ∇_K log π(u_t | x_t) = −Σ⁻¹ e_t x_tᵀ
        scaled = -runs.action_noise @ torch.linalg.inv(self._system(x.dtype).sigma)
        score = torch.einsum("nti,ntj->ntij", scaled, runs.states[:, :-1])
        return SimulatedRuns(runs.cost, self._flat(score), torch.full((len(x),), self.horizon))

    def _run_gradient(self, x: Tensor, noise: Noise) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.simulate(x, *self._normals(noise)).cost.sum(), x)
        return gradient

    def _normals(self, noise: Noise) -> tuple[Tensor, Tensor, Tensor]:
        n, m = len(self.start_mean), len(self.r)
        z = torch.from_numpy(noise.normal(0, n + self.horizon * (n + m)))
        steps = z[:, n:].reshape(-1, self.horizon, n + m)
        return z[:, :n], steps[..., :n], steps[..., n:]

    def _system(self, dtype: torch.dtype) -> System:
        names = "a", "b", "q", "r", "q_final", "process_noise", "action_noise", "start_mean", "start_noise"
        return System(*(torch.tensor(getattr(self, name), dtype=dtype) for name in names))

    def _discounts(self, like: Tensor) -> Tensor:
        """γᵗ for t = 0 … T."""
        return self.discount ** torch.arange(self.horizon + 1).to(like)

    def _gains(self, x: Tensor) -> Tensor:
        """K_t as (N, T, m, n)."""
        k = x.reshape(len(x), -1, len(self.r), len(self.start_mean))
        return k.expand(-1, self.horizon, -1, -1)

    def _flat(self, per_step: Tensor) -> Tensor:
        """Derivatives (N, T, m, n) with respect to K_t, as (N, d) with respect to x."""
        return (per_step.sum(1) if self.stationary else per_step).flatten(1)

    def _h_and_g(self, s: System, p: Tensor) -> tuple[Tensor, Tensor]:
        return s.r + self.discount * s.b.T @ p @ s.b, self.discount * s.b.T @ p @ s.a

    def _backward(self, x: Tensor) -> _Backward:
        s, k = self._system(x.dtype), self._gains(x)
        p, c = [s.q_final.expand(len(x), -1, -1)], [x.new_zeros(len(x))]
        hs, gs = [], []
        for t in reversed(range(self.horizon)):
            h, g = self._h_and_g(s, p[-1])
            closed = s.a - s.b @ k[:, t]
            c.append(self.discount * (c[-1] + _trace(p[-1], s.w)) + _trace(h, s.sigma))
            p.append(s.q + k[:, t].mT @ s.r @ k[:, t] + self.discount * closed.mT @ p[-1] @ closed)
            hs.append(h)
            gs.append(g)
        return _Backward(*(torch.stack(each[::-1], 1) for each in (p, c, hs, gs)))


class _Backward(NamedTuple):
    p: Tensor  # (N, T + 1, n, n)
    c: Tensor  # (N, T + 1)
    h: Tensor  # (N, T, m, m)
    g: Tensor  # (N, T, m, n)


def _quadratic(x: Tensor, m: Tensor) -> Tensor:
    return ((x @ m) * x).sum(-1)


def _trace(p: Tensor, m: Tensor) -> Tensor:
    """tr PM for a symmetric M."""
    return (p * m).sum((-2, -1))


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root, real whatever the dtype; unlike Cholesky's it exists for singular covariances."""
    values, vectors = torch.linalg.eigh(covariance.real)
    return (vectors * values.clamp(min=0).sqrt() @ vectors.T).to(covariance.dtype)


def _check(name: str, value: tuple, shape: tuple[int, ...], symmetric: bool = False) -> np.ndarray:
    try:
        numbers = np.array(value, dtype=np.float64)
    except ValueError:
        numbers = np.empty(0)
    if numbers.shape != shape or not np.isfinite(numbers).all() or (symmetric and (numbers != numbers.T).any()):
        kind = "a symmetric" if symmetric else "a"
        raise ValueError(f"LQR: {name} must be {kind} finite array of shape {shape}, got {value!r}")
    return numbers

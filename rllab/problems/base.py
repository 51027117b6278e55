"""Problem: a cost whose value, gradient, smoothed gradient and expected gradient are known: what estimates are held to.

    f(x),  ∇f(x)                          value, gradient                      the gradient almost everywhere
    f_σ(θ) = E f(θ + σu),  ∇f_σ(θ)        smoothed_value, smoothed_gradient    u ~ N(0, I), or uniform in the unit ball
    J(φ) = E_{x∼p_φ} f(x),  ∇_φ J         expected_value, expected_gradient    p_φ Gaussian, or given by logits

Nothing here is estimated: closed forms, or quadrature to rounding. They hold to 1e-10 of the problem's scale, and
closed forms to 1e-10 of themselves in tails; ridges and survival problems say what limits theirs. Where f jumps, ∇f
misses the jumps and ∇f_σ does not: that difference is the bias of every method that differentiates f.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rllab.checks import check_positive, take_counts
from rllab.cost import Cost
from rllab.distributions import Distribution, Gaussian, GaussianMixture
from rllab.estimate import Gradient, Kind, Target
from rllab.executors.jobs import Executor


class NoClosedForm(ValueError):
    """What was asked has no closed form here; nothing is approximated in its place.

    Example:
        import torch
        from rllab import problems

        try:
            problems.PushingCarts(horizon=2).smoothed_gradient(torch.zeros(2), sigma=0.1)
        except problems.NoClosedForm as error:
            print(error)
    """


class NormalMoments(NamedTuple):
    """E f under N(mean, diag scale²), and its gradients: (B,), (B, d) and (B, d)."""

    value: np.ndarray
    mean: np.ndarray
    scale: np.ndarray


class Problem(ABC):
    """A cost with known gradients. Subclasses are frozen dataclasses of their parameters, all defaulted, and final.

    Attributes:
        dimension: number of parameters d.
        offers: what an estimator may ask of the cost: "value"; "gradient" and "jvp", the derivative of the cost as
            it is, jumps ignored; "complex", if `value` continues f to complex points; "relaxed", if it continues a
            discrete cost to [0, 1]ᵈ.
        kernels: the smoothing kernels with a closed form, of "gaussian" and "ball".

    Example:
        import torch
        from rllab import Gaussian, problems

        problem, at = problems.Staircase(dimension=20), torch.full((20,), 0.4)
        problem.gradient(at[None]), problem.smoothed_gradient(at, sigma=0.1)  # 0, and not 0
        problem.expected_gradient(Gaussian(at, 0.1)), problem.cost(budget=1000)
    """

    offers: ClassVar[frozenset[str]] = frozenset({"value", "gradient", "jvp"})
    kernels: ClassVar[tuple[str, ...]] = ("gaussian",)

    def __post_init__(self) -> None:
        """Hold lists, arrays and tensors as tuples, and numpy's numbers as Python's: frozen, hashable, in full digits.

        Subclasses call this before they check their parameters.
        """
        for field in fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, _frozen(getattr(self, field.name)))
        if "dimension" in vars(self):  # it is a parameter, and no property
            take_counts(self, dimension=1)

    @property
    @abstractmethod
    def dimension(self) -> int: ...

    def value(self, x: Tensor) -> Tensor:
        """Return f at points (n, d), as (n,) of the same dtype and device; computed in float64 on the CPU."""
        return self._value(self._points(f"{self._name}.value", x)).to(x)

    def gradient(self, x: Tensor) -> Tensor:
        """Return ∇f at points (n, d), as (n, d); where f jumps or kinks, that of one side.

        Raises:
            NoClosedForm: if "gradient" is not in `offers`.
        """
        if "gradient" not in self.offers:
            raise NoClosedForm(f"{self._name}.gradient: this cost has none; it offers {sorted(self.offers)}")
        return self._gradient(self._points(f"{self._name}.gradient", x)).to(x)

    def jvp(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return f(x) and ∇f(x)·v for points and directions (n, d), each (n,)."""
        return self.value(x), (self.gradient(x) * v).sum(-1)

    def smoothed_value(self, at: Tensor, sigma: float, kernel: str = "gaussian") -> Tensor:
        """Return f_σ at parameters (d,) or (B, d), as () or (B,).

        Args:
            sigma: standard deviation of the Gaussian, or radius of the ball.
            kernel: "gaussian" or "ball" (its volume, not its surface).
        Raises:
            NoClosedForm: if the kernel is not in `kernels`.
        """
        return self._smoothed(f"{self._name}.smoothed_value", at, sigma, kernel)[0]

    def smoothed_gradient(self, at: Tensor, sigma: float, kernel: str = "gaussian") -> Tensor:
        """Return ∇f_σ at parameters (d,) or (B, d), in the same shape; see `smoothed_value`."""
        return self._smoothed(f"{self._name}.smoothed_gradient", at, sigma, kernel)[1]

    def expected_value(self, at: Distribution | Tensor) -> Tensor:
        """Return E f(x), x drawn from a distribution, as () or (B,).

        Args:
            at: a `Gaussian` for continuous problems; for discrete ones a distribution that has logits, or the
                logits themselves, (d,) or (B, d).
        Raises:
            NoClosedForm: if the problem has no closed form under such a distribution.
        """
        return self._expected(f"{self._name}.expected_value", at)[0]

    def expected_gradient(self, at: Distribution | Tensor) -> dict[str, Tensor]:
        """Return the gradient of `expected_value` by parameter name: "mean" and "scale", or "logits"."""
        return self._expected(f"{self._name}.expected_gradient", at)[1]

    def truth(self, target: Target, at: Tensor | Distribution) -> Gradient:
        """Return the exact gradient that `target` names, at parameters (d,) or (B, d) or at a distribution.

        Raises:
            NoClosedForm: if it is not known: another kernel, a relaxation, a direction.
        """
        if target.kind is Kind.EXPECTATION:
            return self.expected_gradient(at)
        if target.kind is Kind.GRADIENT and isinstance(at, Tensor):
            return self.gradient(self._at(f"{self._name}.truth", at)).reshape(at.shape)
        if target.kind is Kind.SMOOTHED and isinstance(at, Tensor):
            assert target.radius is not None and target.kernel is not None  # Target checks that
            return self.smoothed_gradient(at, target.radius, target.kernel)
        raise NoClosedForm(f"{self._name}.truth: no exact gradient is known for {target} at a {type(at).__name__}")

    def cost(self, budget: int | None = None, *, executor: Executor | None = None) -> Cost:
        """Return this problem as a counted black box, with its gradient where it has one; see `Cost` for executors."""
        if "gradient" in self.offers:
            relaxed = "relaxed" in self.offers
            given = {"gradient": self.gradient, "jvp": self.jvp, "relaxed": relaxed}
            return Cost(self.value, budget, check_rows=False, executor=executor, **given)
        return Cost(self.value, budget, check_rows=False, executor=executor)

    @abstractmethod
    def _value(self, x: Tensor) -> Tensor:
        """f at checked float64 (or complex128) points (n, d)."""

    def _gradient(self, x: Tensor) -> Tensor:
        """∇f at checked float64 points (n, d)."""
        raise NotImplementedError

    def _gaussian(self, who: str, mean: np.ndarray, scale: np.ndarray) -> NormalMoments:
        """E f under N(mean, diag scale²), both float64 (B, d), and its gradients."""
        raise NoClosedForm(f"{who}: no closed form under a Gaussian is known")

    def _ball(self, at: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
        """f smoothed by the uniform distribution in a ball, at float64 (B, d), and its gradient."""
        raise NotImplementedError

    def _logits(self, who: str, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """E f under the discrete distribution with these logits, float64 of unchecked shape, and its gradient."""
        raise NoClosedForm(f"{who}: no closed form under a distribution with logits is known")

    def _smoothed(self, who: str, at: Tensor, sigma: float, kernel: str) -> tuple[Tensor, Tensor]:
        x = _numbers(self._at(who, at))
        check_positive(who, sigma=sigma)
        if kernel not in self.kernels:
            known = f"one of {self.kernels}, whose closed form is known" if self.kernels else "none: none is known here"
            raise NoClosedForm(f"{who}: kernel must be {known}, got {kernel!r}")
        if kernel == "ball":
            value, gradient = self._ball(x, float(sigma))
        else:
            value, gradient, _ = self._gaussian(who, x, np.full(x.shape, float(sigma)))
        return _like(value, at, at.shape[:-1]), _like(gradient, at, at.shape)

    def _expected(self, who: str, at: Distribution | Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        if isinstance(at, Gaussian):
            parameters = at.parameters
            mean = parameters["mean"]
            x, s = (_numbers(self._at(who, parameters[name])) for name in ("mean", "scale"))
            value, *gradients = self._gaussian(who, x, s)
            named = {name: _like(g, mean, mean.shape) for name, g in zip(("mean", "scale"), gradients, strict=True)}
            return _like(value, mean, mean.shape[:-1]), named
        logits = at if isinstance(at, Tensor) else getattr(at, "parameters", {}).get("logits")
        if logits is None or isinstance(at, GaussianMixture):
            raise NoClosedForm(f"{who}: no closed form is known under a {type(at).__name__}")
        value, gradient = self._logits(who, _numbers(logits))
        return _like(value, logits, torch.Size(value.shape)), {"logits": _like(gradient, logits, logits.shape)}

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _points(self, who: str, x: Tensor) -> Tensor:
        """Check points (n, d); return them detached, on the CPU, in float64 or complex128."""
        if not isinstance(x, Tensor) or x.ndim != 2 or x.shape[1] != self.dimension:
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"{who}: points must be a tensor (n, {self.dimension}), got {got}")
        if x.is_complex() and "complex" not in self.offers:
            raise TypeError(f"{who}: this cost is not analytic, got complex points")
        return x.detach().to("cpu", torch.complex128 if x.is_complex() else torch.float64)

    def _at(self, who: str, at: Tensor) -> Tensor:
        """Check parameters (d,) or (B, d); return them detached as (B, d)."""
        if not isinstance(at, Tensor) or at.ndim not in (1, 2) or at.shape[-1] != self.dimension:
            got = tuple(at.shape) if isinstance(at, Tensor) else type(at).__name__
            raise ValueError(f"{who}: at must be a tensor ({self.dimension},) or (B, {self.dimension}), got {got}")
        if not at.is_floating_point():
            raise TypeError(f"{who}: at must be a floating-point tensor, got {at.dtype}")
        return at.detach().reshape(-1, self.dimension)


def vector(who: str, value: float | tuple[float, ...], dimension: int) -> np.ndarray:
    """Return a parameter given as one number for all coordinates, or as a tuple of `dimension` of them, as (d,)."""
    try:
        numbers = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if numbers.shape not in ((), (dimension,)) or not np.isfinite(numbers).all():
        raise ValueError(f"{who} must be a finite number or a tuple of dimension = {dimension} of them, got {value!r}")
    return numbers if numbers.ndim else np.full(dimension, numbers)


def _frozen(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic, Tensor)):
        value = value.tolist()
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _numbers(x: Tensor) -> np.ndarray:
    return x.detach().to("cpu", torch.float64).numpy()


def _like(numbers: np.ndarray, model: Tensor, shape: torch.Size) -> Tensor:
    return torch.from_numpy(np.array(numbers, dtype=np.float64)).reshape(shape).to(model.device, model.dtype)

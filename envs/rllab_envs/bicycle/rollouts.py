"""Whole rides of a population: many linear riders, each with gains of its own, as fast as the machine allows."""

from dataclasses import dataclass

import numpy as np

from .backends import check_backend, needs_numba
from .parameters import Parameters
from .task import BicycleBalance
from .vector import BicycleBalanceVectorEnv


@dataclass(frozen=True)
class Rides:
    """What n riders did in e rides each.

    Attributes:
        lengths: steps of each ride, the last one included, int64 (n, e): its return under `reward="survival"`.
        fallen: whether it ended in a fall, bool (n, e); if not, it lasted `cap` steps.
    """

    lengths: np.ndarray
    fallen: np.ndarray


def ride_population(
    gains: np.ndarray,
    seeds: np.ndarray,
    *,
    cap: int = 1000,
    variant: str = "author",
    noise: bool = True,
    parameters: Parameters | None = None,
    backend: str = "numpy",
) -> Rides:
    """Ride `rllab/BicycleBalance-v0` with n linear riders side by side, whole rides a call.

        a_t = clip(K_i s_t, −1, 1),    s_t = (ω, ω̇, θ, θ̇)

    Ride j of rider i meets the noise of `reset(seed=seeds[i, j])`. A ride depends on its gains and seed alone: not on
    other riders, nor on how many there are.

    Args:
        gains: K of each rider, (n, 2, 4), finite: first row torque, in units of 2 N·m, second displacement, of 0.02 m.
        seeds: whole numbers from 0 to 2^64 − 1, (n,) for one ride each, or (n, e). Equal seeds meet equal noise.
        cap: steps after which a ride ends.
        variant, noise, parameters: as of `BicycleBalanceEnv`.
        backend: "numpy", "numpy32" or "numba", see `BicycleBalanceVectorEnv`; "numba" begins a ride at once where
            another has ended. Lengths differ between backends where a lean comes within the rounding of the fall
            angle, which for a rider so stiff that it shakes the handlebar from limit to limit is any step.

    Returns:
        Rides: (n, e), e = 1 for seeds (n,).

    Raises:
        ValueError: if an argument has another shape, a gain is not finite, or a seed is out of range.
        ModuleNotFoundError: if numba is wanted and not installed.

    Cost: n e rides.

    Example:
        import numpy as np
        from rllab_envs.bicycle import ride_population

        gains = np.zeros((3, 2, 4))
        gains[1:, 0] = [35.5, 15.0, -10.8, -1.1]  # steers into the fall
        rides = ride_population(gains, np.arange(6).reshape(3, 2), cap=200)
        rides.lengths.mean(1)  # the first rider falls
    """
    who = "ride_population"
    check_backend(who, backend)
    gains, seeds = np.asarray(gains, np.float64), np.asarray(seeds)
    if gains.ndim != 3 or gains.shape[1:] != (2, 4) or not len(gains) or not np.isfinite(gains).all():
        raise ValueError(f"{who}: gains must be finite numbers of shape (n, 2, 4), n >= 1, got {gains.shape}")
    n = len(gains)
    if seeds.dtype.kind not in "iu" or seeds.shape[:1] != (n,) or seeds.ndim > 2 or not seeds.size or seeds.min() < 0:
        got = f"{seeds.dtype} of shape {seeds.shape}"
        raise ValueError(f"{who}: seeds must be whole numbers >= 0 of shape ({n},) or ({n}, e), got {got}")
    if cap is None:
        raise ValueError(f"{who}: cap must be an integer >= 1 (steps), got None")
    seeds = seeds.reshape(n, -1)
    if backend == "numba":
        task = BicycleBalance(variant, noise, cap, parameters=parameters or Parameters())
        with needs_numba(who):
            from .compiled import constants_of
            from .riding import ride
        lengths, fallen = np.zeros(seeds.shape, np.int64), np.zeros(seeds.shape, np.bool_)
        gains = np.ascontiguousarray(gains.reshape(n, 8))
        ride(gains, np.ascontiguousarray(seeds, np.uint64), constants_of(task), lengths, fallen)
        return Rides(lengths, fallen)
    dtype = np.float32 if backend == "numpy32" else np.float64
    env = BicycleBalanceVectorEnv(
        seeds.size, variant, noise, cap, parameters=parameters, dtype=dtype, backend=backend, autoreset_mode="DISABLED"
    )
    # one row for each gain, one column for each ride
    each = np.ascontiguousarray(np.repeat(gains, seeds.shape[1], 0).transpose(1, 2, 0), dtype)
    seen, _ = env.reset(seed=seeds.ravel().tolist())
    actions = np.zeros((seeds.size, 2), dtype)
    product = np.empty_like(each[0])
    while True:
        for k in range(2):
            np.multiply(each[k], seen.T, out=product)
            product.sum(0, out=actions[:, k])
        seen, _, terminated, truncated, _ = env.step(actions)
        if (terminated | truncated).all():
            return Rides(env.steps.reshape(seeds.shape), terminated.reshape(seeds.shape))

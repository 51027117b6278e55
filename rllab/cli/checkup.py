"""What `rllab doctor` checks: each check returns what it found, and raises an error that says what is amiss."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from importlib import metadata, util

Check = Callable[[], str]

LEAST = {"torch": "2.6", "numpy": "2.0", "scipy": "1.13", "gymnasium": "1.1", "matplotlib": "3.9", "tyro": "0.9"}
EXTRAS = {
    "data": (["sklearn"], "real data sets"),
    "report": (["jinja2"], "pages of recorded runs"),
    "tensorboard": (["tensorboard"], "rows in TensorBoard"),
    "wandb": (["wandb"], "rows in W&B"),
    "trackio": (["trackio"], "rows in trackio"),
    "mujoco": (["mujoco"], "MuJoCo environments"),
    "numba": (["numba"], "compiled bicycles"),
    "video": (["pygame"], "films of classic control, as Pendulum-v1"),
}


def checks() -> list[tuple[str, Check]]:
    """Return what is checked, by name, in order."""
    packages = [(name, lambda name=name: _version(name)) for name in LEAST]
    return [
        ("Python", _python),
        *packages,
        ("one thread a process", _threads),
        ("a gradient that is known", _gradient),
        ("an environment", _environment),
        ("the lab's own environments", _own_environments),
        ("writing and reading a run", _record),
    ]


def installed(module: str) -> bool:
    """Return whether a module could be imported; it is not."""
    return util.find_spec(module) is not None


def _python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _version(package: str) -> str:
    there = metadata.version(package)
    numbers = [tuple(int(part) for part in text.split("+")[0].split(".")[:2]) for text in (there, LEAST[package])]
    if numbers[0] < numbers[1]:
        raise RuntimeError(f"{LEAST[package]} or newer is needed, this is {there}: pip install -U {package}")
    return there


def _threads() -> str:
    import torch

    if torch.get_num_threads() != 1:
        raise RuntimeError(f"torch computes with {torch.get_num_threads()} threads, which is slower here than one")
    return "torch and BLAS were told to by this command; a script of yours tells them by rllab.runs.limit_threads()"


def _gradient() -> str:
    import torch

    from rllab import Cost
    from rllab.estimators import CentralDifference

    at = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    found = CentralDifference()(Cost(lambda x: x.square().sum(-1)), at, evaluations=6, key=0).gradient
    assert isinstance(found, torch.Tensor)
    error = float((found - 2 * at).abs().max())
    if not error < 1e-8:
        raise RuntimeError(f"the central difference of a quadratic is off by {error:.2g}, where rounding is 1e-10")
    return f"the central difference of a quadratic is right to {error:.1g}"


def _environment() -> str:
    import gymnasium

    env = gymnasium.make("Pendulum-v1")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()
    return "Pendulum-v1 takes a step"


def _own_environments() -> str:
    import gymnasium

    gymnasium.make("rllab_envs:rllab/BicycleBalance-v0").close()
    return f"{sum(name.startswith('rllab/') for name in gymnasium.registry)} are registered"


def _record() -> str:
    from rllab.runs import Record

    with tempfile.TemporaryDirectory() as folder:
        with Record.create(f"{folder}/run", {}, seed=0) as record:
            record.append({"steps": 1})
            record.finish()
        if Record.open(f"{folder}/run").rows != [{"steps": 1}]:
            raise RuntimeError("what was written does not come back")
    return "what is written comes back"

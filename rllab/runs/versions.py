"""What a run ran on: versions of what computes its numbers, the machine in one line, and one thread per process.

Nothing here loads numpy or torch, so that a script can begin with

    from rllab.runs.versions import limit_threads; limit_threads()

before they do. Two threads per process on a busy two-core machine are many times slower than one, and sums may then
differ in the last bit; a second core runs a second seed.
"""

from __future__ import annotations

import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path

from rllab.children import THREAD_VARIABLES, cores, one_thread_said
from rllab.version import __version__

PACKAGES = ("torch", "numpy", "scipy", "gymnasium")


def package_versions() -> dict[str, str]:
    """Return the versions of Python, rllab and what it computes with; what is not installed is left out.

    Returns:
        Versions by name of the package.

    Example:
        from rllab.runs import package_versions

        package_versions()["rllab"]
    """
    found = {"python": platform.python_version(), "rllab": __version__}
    for package in PACKAGES:
        if version := _installed(package):
            found[package] = version
    return found


@cache
def _installed(package: str) -> str | None:
    """Return a version, None without; read once a process, which takes 10 ms and more of every record."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def machine() -> str:
    """Describe processor, cores and versions in one line; no name of the host, no path.

    Returns:
        One line, as "AMD EPYC, 2 cores, Python 3.11.7, torch 2.13.0, numpy 2.4.1".

    Example:
        from rllab.runs import machine

        print(machine())
    """
    shown = package_versions()
    parts = [_processor(), f"{cores()} cores", f"Python {shown['python']}"]
    return ", ".join(parts + [f"{name} {shown[name]}" for name in ("torch", "numpy") if name in shown])


def limit_threads() -> None:
    """Make this process and those it starts compute with one thread each; call it before numpy and torch load.

    Example:
        from rllab.runs import limit_threads

        limit_threads()  # the first line of a script, above `import torch`
    """
    late = "numpy" in sys.modules and any(os.environ.get(name) != "1" for name in THREAD_VARIABLES)
    if late:
        warnings.warn("limit_threads: numpy is loaded and keeps its threads; call this first", stacklevel=2)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Like `limit_threads`, for a while: torch's threads and the environment are afterwards as they were."""
    torch = sys.modules.get("torch")
    torch_threads = torch.get_num_threads() if torch else None
    with one_thread_said():
        try:
            if torch:
                torch.set_num_threads(1)
            yield
        finally:
            if torch:
                torch.set_num_threads(torch_threads)


def threads() -> dict[str, str | int | None]:
    """Return how many threads the numerical libraries of this process were told to use."""
    found: dict[str, str | int | None] = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_num_threads()
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""Versions and threads are told without loading what they are about."""

import os
import re
import subprocess
import sys

import numpy
import pytest
import torch

from rllab.runs import limit_threads, machine, package_versions
from rllab.runs.versions import THREAD_VARIABLES, one_thread


def python(program, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES} | variables
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=240
    ).stdout.strip()


def test_runs_load_neither_numpy_nor_torch():
    heavy = "('numpy', 'torch', 'scipy', 'matplotlib', 'gymnasium')"
    assert python(f"import sys, rllab.runs; print([m for m in {heavy} if m in sys.modules])") == "[]"


@pytest.mark.slow
def test_threads_are_limited_before_numpy_and_torch_load():
    program = "from rllab.runs import limit_threads; limit_threads(); import torch; print(torch.get_num_threads())"
    assert python(program) == "1"


def test_coming_late_is_said():
    program = "import warnings, numpy; warnings.simplefilter('error'); from rllab.runs import limit_threads as limit\n"
    program += "try: limit()\nexcept Warning as warning: print(warning)"
    assert python(program).startswith("limit_threads: numpy is loaded and keeps its threads")
    assert python(program, **dict.fromkeys(THREAD_VARIABLES, "1")) == ""


def test_the_limit_is_lifted_after_its_block(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS")
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError), one_thread():
            assert [os.environ[name] for name in THREAD_VARIABLES] == ["1"] * 3 and torch.get_num_threads() == 1
            raise ZeroDivisionError
        assert torch.get_num_threads() == 2
        assert os.environ["OMP_NUM_THREADS"] == "5" and "MKL_NUM_THREADS" not in os.environ
        for name in THREAD_VARIABLES:
            monkeypatch.setenv(name, "1")
        limit_threads()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(1)


def test_versions_are_those_that_are_loaded():
    found = package_versions()
    assert found["numpy"] == numpy.__version__ and found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["python"] == sys.version.split()[0]


def test_the_machine_is_one_line_of_processor_cores_and_versions():
    line = machine()
    assert re.fullmatch(r".+, \d+ cores, Python \d+\.\d+\.\d+, torch \S+, numpy \S+", line)
    assert os.uname().nodename not in line

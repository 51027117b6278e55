"""The recipe that keeps every paid value: killed again and again, a run evaluates no point twice, and ends alike."""

import os
import signal
import sys
import warnings
from multiprocessing import get_context

import pytest
import torch

import rllab
from rllab.estimators import GaussianSmoothing
from tests.docs.pages import DOCS, blocks

SIMULATE = "    return float((w - 1).square().sum())\n"
COUNTED = """
    import os, signal
    with open("calls", "a") as file:
        file.write("called\\n")
    value = float((w - 1).square().sum())
    if len(open("calls").readlines()) in DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)  # before anything is kept
    return value
"""


def run(folder, deadly):
    """Run the page's program in a process of its own; return how that ended."""
    (block,) = (block for block in blocks(DOCS / "how" / "keep_values.md") if block.language == "python")
    assert SIMULATE in block.text and "print(rllab.minimize" in block.text
    text = block.text.replace(SIMULATE, COUNTED)
    text = text.replace("print(rllab.minimize", "trace = (rllab.minimize").replace(".at)\n", ")\n")
    text += 'open("result", "w").write(repr((trace.values, trace.at.tolist())))\n'

    def work():
        os.chdir(folder)
        exec(compile(text, "keep_values.md", "exec"), {"__name__": "__main__", "DEADLY": deadly})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads, which do not matter
        child = get_context("fork").Process(target=work)
        child.start()
    child.join()
    return child.exitcode


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_killed_again_and_again_nothing_is_paid_twice_and_the_end_is_the_same(tmp_path):
    loaded = rllab.Cost(lambda x: x.square().sum(-1))  # here and now, and not in each process that is forked
    rllab.minimize(loaded, torch.ones(2), GaussianSmoothing(), evaluations=4, budget=4, lr=0.1, key=0)
    deadly = (1, 47, 120)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    assert run(tmp_path / "whole", ()) == 0
    assert [run(tmp_path / "killed", deadly) for _ in range(4)] == [-signal.SIGKILL] * 3 + [0]
    calls = {name: len((tmp_path / name / "calls").read_text().split()) for name in ("whole", "killed")}
    assert calls == {"whole": 200, "killed": 200 + len(deadly)}  # what a kill interrupts is paid and not yet known
    assert (tmp_path / "whole" / "result").read_text() == (tmp_path / "killed" / "result").read_text()
    assert run(tmp_path / "killed", ()) == 0  # all of it is known by now
    assert len((tmp_path / "killed" / "calls").read_text().split()) == 200 + len(deadly)

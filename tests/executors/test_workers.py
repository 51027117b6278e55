"""Own workers and process pools: the same bits as here, whatever dies, hangs or is interrupted, and nobody stays."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from rllab import Cost
from rllab import estimators as est
from rllab.executors import NotSendable, Workers
from tests.proofs import evaluated

CHECKOUT = Path(__file__).parents[2]
ROWS = torch.arange(10.0, dtype=torch.float64)[:, None].repeat(1, 7)
SUMS = ROWS.sum(-1)
linux = pytest.mark.skipif(sys.platform != "linux", reason="signals and forks")


@pytest.mark.parametrize("chunk", ["auto", 3])
def test_functions_of_one_point_cost_the_same_bits_as_here(workers, chunk):
    here = Cost(evaluated.curved, batched=False)(ROWS / 3)
    cost = Cost(evaluated.curved, batched=False, executor=workers, chunk=chunk)
    for _ in range(3):  # in other chunks, once it is known how long a point takes
        assert torch.equal(cost(ROWS / 3), here)
    assert cost.spent["value"] == 30


@pytest.mark.parametrize(
    "options", [{"function": evaluated.drawn, "batched": False}, {"function": evaluated.drawn_rows}]
)
def test_seeds_go_with_their_points(workers, options):
    seeds = torch.arange(10) + 2**40
    here, there = Cost(seeded=True, **options), Cost(seeded=True, executor=workers, **options)
    assert torch.equal(here(ROWS, seeds), there(ROWS, seeds))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions_of_many_points_cost_the_same_bits_as_here_in_chunks_of_a_fixed_size(workers, dtype):
    estimator, at = est.GaussianSmoothing(0.1), torch.linspace(-1, 1, 7, dtype=dtype)
    here, there = (
        estimator(Cost(evaluated.products, **on), at, evaluations=300, key=3)
        for on in ({"chunk": 16}, {"chunk": 16, "executor": workers})
    )
    assert torch.equal(here.gradient, there.gradient) and here.value == there.value


@pytest.mark.parametrize("kind", ["gradient", "value_and_gradient", "jvp", "complex"])
def test_derivatives_come_from_workers_too(workers, kind):
    points = ROWS / 10 + (0.1j if kind == "complex" else 0)
    tangents = (points.flip(0),) if kind == "jvp" else ()
    here, there = Cost(evaluated.analytic, chunk=4), Cost(evaluated.analytic, chunk=4, executor=workers)
    expected, got = (getattr(cost, kind)(points, *tangents) for cost in (here, there))
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    assert here.spent == there.spent


def test_a_worker_is_another_process_of_one_thread(workers):
    found = {tuple(workers.submit(evaluated.where, None).result().tolist()) for _ in range(4)}
    assert {threads for _, threads in found} == {1} and os.getpid() not in {process for process, _ in found}


def test_a_function_is_sent_as_it_is_when_its_points_are(workers):
    function = evaluated.Scaled(2.0)
    cost = Cost(function, batched=False, executor=workers)
    assert torch.equal(cost(ROWS), 2 * SUMS)
    function.factor = 3.0
    assert torch.equal(cost(ROWS), 3 * SUMS)


@pytest.mark.slow
@linux
@pytest.mark.parametrize("what", ["die", "hang"])
def test_a_worker_that_is_killed_or_hangs_costs_an_attempt_and_changes_no_number(workers, what, tmp_path):
    function = evaluated.Once(tmp_path, what, {3})
    cost = Cost(function, batched=False, executor=workers, chunk=2, timeout=0.5 if what == "hang" else None)
    assert torch.equal(cost(ROWS), SUMS)
    assert cost.spent["value"] == 12 and cost.lost == 0 and (tmp_path / "3").exists()


@pytest.mark.slow
def test_what_hangs_whenever_it_is_tried_ends_and_is_scored(workers):
    cost = Cost(
        evaluated.Once(None, "hang always", {3}),
        batched=False,
        executor=workers,
        timeout=0.3,
        retries=0,
        on_failure=1e6,
        chunk=1,
    )
    assert torch.equal(cost(ROWS), torch.where(SUMS == 21, 1e6, SUMS))
    assert cost.lost == 1 and cost.spent["value"] == 10


def test_an_error_of_the_function_shows_where_in_the_worker_it_came_up(workers):
    cost = Cost(evaluated.failing, batched=False, executor=workers)
    with pytest.raises(ZeroDivisionError, match="three") as caught:
        cost(ROWS)
    assert caught.value.__notes__ == ["Cost: this came up at evaluation 3 at point [3, 3, 3, 3, 3, 3, …]"]
    assert "in failing" in str(caught.value.__cause__) and "evaluated.py" in str(caught.value.__cause__)
    assert cost.spent["value"] == 10


def test_what_cannot_be_sent_says_how_it_can(workers):
    with pytest.raises(
        NotSendable, match=r"a lambda, or a function inside another, cannot: define it at the top level"
    ):
        Cost(lambda point: point.sum(), batched=False, executor=workers)(ROWS)


def test_a_module_that_a_worker_cannot_import_is_named(workers, tmp_path, monkeypatch):
    (tmp_path / "hidden_simulator.py").write_text("def cost(point):\n    return point.sum()\n")
    workers.submit(int).result()  # it is started, with the path of before
    monkeypatch.syspath_prepend(tmp_path)
    import hidden_simulator  # type: ignore[import-not-found] - it is made above

    with pytest.raises(NotSendable, match=r"a worker cannot load function .*hidden_simulator.*; define it at the top"):
        Cost(hidden_simulator.cost, batched=False, executor=workers)(ROWS)


@linux
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_pool_that_is_made_anew_gives_the_same_bits_and_a_lambda_is_refused(tmp_path):
    def pool():
        return ProcessPoolExecutor(2, mp_context=get_context("fork"))

    cost = Cost(evaluated.Once(tmp_path, "die", {3, 8}), batched=False, executor=pool, chunk=1)
    assert torch.equal(cost(ROWS), SUMS)
    assert 12 <= cost.spent["value"] <= 30
    cost.close()
    with pool() as given, pytest.raises(NotSendable, match="cannot be sent to a worker"):
        Cost(lambda point: point.sum(), batched=False, executor=given)(ROWS)


PROGRAM = """
import signal
import torch
from rllab import Cost
from tests.proofs.evaluated import in_session

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what is in the background
    Cost(in_session, batched=False, executor=1)(torch.ones(4, 3))
"""


@linux
@pytest.mark.parametrize("ended_by", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_workers_end_with_their_program(tmp_path, ended_by):
    script = tmp_path / "script.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "RLLAB_TEST_FOLDER": str(tmp_path / "working"), "PYTHONPATH": str(CHECKOUT)}
    (tmp_path / "working").mkdir()
    program = subprocess.Popen([sys.executable, script], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: len(list((tmp_path / "working").iterdir())) == 1, 120)
        program.send_signal(ended_by)
        _, said = program.communicate(timeout=240)
    finally:
        program.kill()
    assert said.strip().endswith("KeyboardInterrupt") == (ended_by == signal.SIGINT), said
    until(lambda: not any(Path(f"/proc/{path.name}").exists() for path in (tmp_path / "working").iterdir()), 120)


@pytest.mark.slow
def test_a_script_without_its_guard_is_told_what_it_lacks(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(PROGRAM.replace('if __name__ == "__main__":', "if True:"))
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "CannotStart: Workers: a worker ended with exit code 1 before it was ready" in done.stderr.splitlines()[-1]
    assert 'if __name__ == "__main__":' in done.stderr.splitlines()[-1]


def test_closed_workers_take_nothing():
    closed = Workers(1)
    closed.close()
    with pytest.raises(RuntimeError, match="needs open workers"):
        closed.submit(int)


def until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)

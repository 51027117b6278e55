"""Ray: the same bits as here, a lost and a hung worker found and replaced, in a network namespace without a network."""

import json
import socket
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Thread

import pytest

from rllab.executors import CannotStart, ray_executor
from tests.proofs.everywhere import everywhere

pytest.importorskip("ray", reason="Ray is not installed")

SCRIPT = Path(__file__).parents[1] / "proofs" / "on_ray.py"
ROOT = SCRIPT.parents[2]
SUMS = [3.0 * i for i in range(6)]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    command = ["unshare", "--map-root-user", "--net", sys.executable, str(SCRIPT), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.timeout(1000)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_estimates_black_boxes_and_populations_are_the_same_bits_here_on_workers_pools_and_ray(told, workers):
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        found = {"here": everywhere(None), "own workers": everywhere(workers), "pool": everywhere(pool)}
    assert {name: bits for name, bits in found.items() if bits != told["bits"]} == {}
    assert len(set(told["bits"].values())) == len(told["bits"]) == 5


@pytest.mark.slow
def test_a_cluster_that_is_started_here_works_at_the_priority_of_this_process(told):
    assert told["count"] >= 1 and told["niceness"] == 0


@pytest.mark.slow
def test_a_cluster_that_runs_answers_and_a_process_joins_one_only(told):
    assert told["answers"] is None and told["joined"] == told["count"]
    assert "address must be None in a process that has joined a cluster already" in told["twice"]


@pytest.mark.parametrize("says", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["nothing", "HTTP/1", "goodbye"])
def test_a_server_that_is_no_cluster_is_named_before_ray_tries_for_minutes(says, monkeypatch):
    monkeypatch.setattr(ray_executor, "ANSWER", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if says is not None:
            Thread(target=answer, args=(server, says), daemon=True).start()
        for scheme in ("", "ray://") if says is None else ("",):
            with pytest.raises(CannotStart, match=f"no cluster answers at address '{scheme}{address}'"):
                ray_executor._check_answers(scheme + address)


def answer(server, says):
    connection, _ = server.accept()
    with connection:
        connection.recv(100)
        connection.sendall(says)


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_every_attempt_counted(told):
    assert told["lost once"] == [SUMS, 7]


@pytest.mark.slow
def test_a_hung_evaluation_ends_by_its_timeout_and_is_scored(told):
    costs, lost, seconds = told["hung"]
    assert costs == [*SUMS[:3], -1.0, *SUMS[4:]] and lost == 1
    assert seconds >= 3


@pytest.mark.slow
def test_an_error_of_the_function_names_its_point_and_carries_the_workers_traceback(told):
    message, notes, trace = told["own error"]
    assert message == "three" and "point [3, 3, 3]" in notes[0] and "in failing" in trace


@pytest.mark.slow
def test_a_lambda_reaches_ray(told):
    assert told["lambda"] == SUMS


@pytest.mark.slow
def test_an_address_nobody_answers_is_a_clear_error_within_fifteen_seconds(told):
    message, seconds = told["unanswered"]
    assert "no cluster answers at address '127.0.0.1:1'" in message and seconds < 15
    assert 'address must be one of a cluster, or "local"' in told["unnamed"]

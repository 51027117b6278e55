"""What a Ray cluster of two CPUs does with costs, as JSON on standard output: run in a network namespace of its own."""

import fcntl
import json
import os
import socket
import struct
import sys
import time
from functools import partial

import ray
import torch

from rllab import Cost, RayExecutor
from rllab.executors import CannotStart, ray_executor
from tests.proofs import evaluated
from tests.proofs.everywhere import everywhere


def loopback_up():
    """Set the flags UP and RUNNING of the interface lo."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14s", b"lo", 0x1 | 0x40, b""))


def die_once(folder, point):
    """End the process at the first visit to a point whose first number is 3."""
    mark = f"{folder}/died"
    if point[0] == 3 and not os.path.exists(mark):
        open(mark, "wb").close()
        os._exit(3)
    return point.sum()


def hang(point):
    """Sleep for long at points whose first number is 3."""
    if point[0] == 3:
        time.sleep(10_000)
    return point.sum()


def refused(address):
    start = time.monotonic()
    try:
        RayExecutor(address)
    except CannotStart as error:
        return str(error), time.monotonic() - start
    return "", 0.0


def main():
    loopback_up()
    os.environ.pop("RAY_ADDRESS", None)
    told = {"unanswered": refused("127.0.0.1:1"), "unnamed": refused(None)[0]}
    rows = torch.arange(6.0)[:, None].repeat(1, 3)
    with RayExecutor("local", num_cpus=1) as executor:
        told["count"] = executor.count
        told["niceness"] = executor.submit(os.nice, 0).result() - os.nice(0)
        told["answers"] = ray_executor._check_answers(ray.get_runtime_context().gcs_address)
        told["joined"], told["twice"] = RayExecutor().count, refused("local")[0]
        told["bits"] = everywhere(executor)
        cost = Cost(partial(die_once, sys.argv[1]), batched=False, executor=executor, chunk=1)
        told["lost once"] = [cost(rows).tolist(), cost.evaluated]
        cost = Cost(hang, batched=False, executor=executor, chunk=1, timeout=3, retries=0, on_failure=-1.0)
        start = time.monotonic()
        told["hung"] = [cost(rows).tolist(), cost.lost, time.monotonic() - start]
        try:
            Cost(evaluated.failing, batched=False, executor=executor)(rows)
        except ZeroDivisionError as error:
            told["own error"] = [str(error), error.__notes__, str(error.__cause__)]
        told["lambda"] = Cost(lambda p: p.sum(), batched=False, executor=executor)(rows).tolist()
    print(json.dumps(told))


if __name__ == "__main__":
    main()

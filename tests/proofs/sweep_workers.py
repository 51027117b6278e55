"""Workers for the tests of sweeps, in a module that a child process can import quickly."""

import os
import shutil
import signal
import time
from pathlib import Path


def walk(job, record):
    """A random walk whose numbers come from the seed, by torch and numpy."""
    import numpy as np
    import torch

    from rllab import Key

    key, x = Key(job.seed), 0.0
    for step in range(job.config["steps"]):
        direction = torch.randn(50, generator=key.child("direction", step).generator())
        noise = np.random.default_rng(key.child("noise", step).integer()).normal(size=50)
        x += float(direction @ torch.from_numpy(noise).float())
        record.append({"steps": step, "x": x})
    return {"last": x, "threads": torch.get_num_threads()}


def note(job, record):
    """Leave the process and the job's number behind."""
    record.append({"steps": job.seed, "process": os.getpid()})
    return {"value": 10 * job.seed}


def trouble(job, record):
    """Do what the job is called after."""
    record.append({"steps": 1})
    match job.name:
        case "raises":
            raise RuntimeError("the pole\nfell over")
        case "exits":
            raise SystemExit("gave up")
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        case "unstorable":
            return {"value": object()}
    return {"value": 1}


def stop_second(job, record):
    """Be interrupted by Ctrl-C in the second job."""
    record.append({"steps": job.seed})
    if job.seed == 1:
        raise KeyboardInterrupt
    return {}


def forever(job, record):
    """Write rows until the end of time, with the process in each."""
    for step in range(10**9):
        record.append({"steps": step, "process": os.getpid()})
        time.sleep(0.005)


def once_let(job, record):
    """Fail until the file named in the config exists."""
    record.append({"steps": 1})
    if not Path(job.config["permit"]).exists():
        raise RuntimeError("not yet")
    return {}


def tear_down(job, record):
    """Die, or raise, after the results' folder is gone; or fail in a way that is hard to write down."""
    match job.name:
        case "gone":
            while record.folder.parent.exists():  # others may be writing there
                shutil.rmtree(record.folder.parent, ignore_errors=True)
            os._exit(3)
        case "moves":
            os.chdir("/")
            record.append({"steps": 1})
            return {"value": 1}
        case "surrogate":
            raise RuntimeError("half a sign \udc80, ∇ and \x1b[31m")
        case "realtime":
            os.kill(os.getpid(), signal.SIGRTMIN + 3)
            time.sleep(30)
        case "forks":
            child = os.fork()
            if child == 0:
                time.sleep(30)
                os._exit(0)
            record.append({"steps": 1, "child": child})
            time.sleep(30)
    time.sleep(0.2)
    return {"value": 1}

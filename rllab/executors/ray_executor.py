"""RayExecutor: a Ray cluster behind the `submit` of concurrent.futures; a hung or dead worker is replaced by Ray."""

from __future__ import annotations

import faulthandler
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from rllab.executors.errors import CannotStart, WorkerLost

ANSWER = 5.0  # seconds that a cluster may take to accept a connection, and as many to say something
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # RFC 9113, 3.4: no settings
SETTINGS = 4  # the type of frame that a server says first
OF_OUR_OWN = {  # settings of a cluster that is started here, which the environment may have otherwise
    "worker_niceness": "0",  # Ray's 15 lets whatever else runs on the machine go first: ten times slower beside others
    "task_events_report_interval_ms": "0",  # no account of each task, which a dashboard would show
}


class RayExecutor:
    """Run functions as tasks of a Ray cluster, each of one CPU, which Ray itself does not repeat.

    A task that takes longer than it may ends its own process, a task whose process dies is lost; Ray starts another
    process. A function is put into the cluster's store once, for as long as the same object is submitted.

    Ray listens on every network interface, and whoever reaches it can run code: a cluster is kept apart by the network
    around it, not by this class.

    Args:
        address: "host:port" of a cluster, or "ray://host:port" of its client server; "local" starts one on this
            machine, whose tasks have the priority of this process, and which ends with `close`. None joins the one this
            process has joined already, or the one that the environment variable RAY_ADDRESS names.
        remote_options: of every task, as `ray.remote` takes them: `num_cpus`, `resources`, `runtime_env`, ….

    Attributes:
        count: tasks that the cluster can do at a time.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        CannotStart: no cluster answers at the address, or none is named, or this process has joined one already.

    Source: Moritz et al. (2018), "Ray: a distributed framework for emerging AI applications".

    Example:
        from rllab import Cost, RayExecutor

        def on_a_cluster(address: str) -> Cost:
            return Cost(abs, batched=False, executor=RayExecutor(address), timeout=60)
    """

    def __init__(self, address: str | None = None, **remote_options: Any):
        try:
            import ray
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("RayExecutor: needs Ray: pip install '.[ray]'") from error
        self._ray, self._started = ray, address == "local"
        if not ray.is_initialized():
            _join(ray, address or os.environ.get("RAY_ADDRESS", ""))
        elif address is not None:
            raise CannotStart(
                "RayExecutor: address must be None in a process that has joined a cluster already, which is used then; "
                f"got {address!r}"
            )
        options = {"num_cpus": 1, "max_retries": 0, **remote_options}
        self._apply = ray.remote(_apply).options(**options)
        cpus = ray.cluster_resources().get("CPU", 1.0)
        self.count = max(1, int(cpus / (options["num_cpus"] or 1)))
        self._last: tuple[object, Any] = None, None
        self._flying: set[_RayFuture] = set()

    def submit(self, function: Callable[..., Any], /, *inputs: Any, timeout: float | None = None) -> Future[Any]:
        """Run `function(*inputs)` somewhere in the cluster.

        Args:
            timeout: seconds it may take once it runs; its process ends then. None for as long as it takes.

        Returns:
            A future, whose error is that of the function; or a WorkerLost.
        """
        if function is not self._last[0]:
            self._last = function, self._ray.put(function)
        reference = self._apply.remote(self._last[1], timeout, *inputs)
        future = _RayFuture(self._ray, reference)
        self._flying.add(future)
        future.add_done_callback(self._flying.discard)  # type: ignore[arg-type] - it is one of them
        reference.future().add_done_callback(future.take)
        return future

    def kill(self) -> None:
        """End whatever runs, and cancel what has not begun."""
        for future in list(self._flying):
            self._ray.cancel(future.reference, force=True)

    def close(self) -> None:
        """End whatever runs, and the cluster, if it was started here."""
        self.kill()
        if self._started:
            self._ray.shutdown()

    def shutdown(self, wait: bool = True) -> None:
        """Do as `close` does, under the name that concurrent.futures has for it."""
        self.close()

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _RayFuture(Future[Any]):
    """The future of a task, which Ray's own future fills."""

    def __init__(self, ray: Any, reference: Any):
        super().__init__()
        self._ray, self.reference = ray, reference

    def cancel(self) -> bool:
        """Cancel the task, if it has not begun; one that runs is interrupted, and its result not waited for."""
        self._ray.cancel(self.reference)
        return super().cancel()

    def take(self, theirs: Future[Any]) -> None:
        """Take over what became of the task."""
        if not self.set_running_or_notify_cancel():
            return
        error = theirs.exception()
        if error is None:
            self.set_result(theirs.result())
        elif isinstance(error, self._ray.exceptions.RayTaskError):
            self.set_exception(getattr(error, "cause", error))
        else:
            self.set_exception(WorkerLost(f"its worker was lost, or had to be ended: {str(error).splitlines()[0]}"))


def _join(ray: Any, address: str) -> None:
    """Join the cluster at an address, or start one."""
    if not address:
        raise CannotStart('RayExecutor: address must be one of a cluster, or "local" to start one here; got none')
    if address != "local":
        _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    here: dict[str, Any] = {}
    if address == "local":
        here["include_dashboard"] = False
        for name, value in OF_OUR_OWN.items():
            os.environ.setdefault(f"RAY_{name}", value)
    ray.init(address=address, log_to_driver=False, logging_level="ERROR", **here)


def _check_answers(address: str) -> None:
    """Raise a CannotStart unless something at an address speaks HTTP/2, as gRPC does.

    Ray itself would try for minutes, and then end the program.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), ANSWER) as connection:
            if os.environ.get("RAY_USE_TLS", "0") in ("", "0"):  # of an encrypted one, that it listens is all we know
                connection.sendall(HELLO)
                said = connection.recv(9)
                if len(said) < 4 or said[3] != SETTINGS:
                    raise OSError("what listens there is no Ray")
    except (OSError, ValueError) as error:
        raise CannotStart(f"RayExecutor: no cluster answers at address {address!r} ({error})") from error


def _apply(function: Callable[..., Any], timeout: float | None, *inputs: Any) -> Any:
    """Apply a function in a worker; end the process if it takes too long, whatever it does then."""
    if timeout is None:
        return function(*inputs)
    with open(os.devnull, "wb") as nowhere:
        faulthandler.dump_traceback_later(timeout, exit=True, file=nowhere)  # a thread that needs no interpreter
        try:
            return function(*inputs)
        finally:
            faulthandler.cancel_dump_traceback_later()

"""Where tasks run: processes of this machine, or a Dask cluster."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import Any, Protocol

from emghand.errors import UserError
from emghand.sweep.task import Task, run_task

START_S = 30.0
"""How long a cluster may take to answer and to get its first worker [s]."""

IDLE_S = 60.0
"""Processes without work end after this time [s]: also those whose program was killed."""

_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


class WorkerDied(Exception):
    """The process that had a task under way is gone."""


class Pool(Protocol):
    """Somewhere tasks run."""

    @property
    def width(self) -> int:
        """How many tasks to hand over at a time."""
        ...

    def submit(self, task: Task) -> Future[dict[str, Any]]:
        """Hand a task over."""
        ...

    def outcome(self, future: Future[dict[str, Any]]) -> dict[str, Any]:
        """What `run_task` returned, of a future that is done.

        Raises
        ------
        WorkerDied
            When the task has to run again.
        UserError
            When nothing can run here any more.
        """
        ...


class LocalPool:
    """Processes of this machine, through joblib's `loky`.

    Parameters
    ----------
    jobs : int
        Processes; 0: one per core.
    """

    def __init__(self, jobs: int = 0) -> None:
        import joblib

        if jobs < 0:
            raise UserError(f"jobs: must be at least 1, or 0 for all cores, got {jobs}")
        self.width = jobs or int(joblib.cpu_count())
        self._executor: Any = None

    def submit(self, task: Task) -> Future[dict[str, Any]]:
        """See `Pool`. A broken set of processes is replaced."""
        try:
            return self._open().submit(run_task, task)
        except BrokenExecutor:
            self._executor = None
            return self._open().submit(run_task, task)

    def outcome(self, future: Future[dict[str, Any]]) -> dict[str, Any]:
        """See `Pool`."""
        try:
            return future.result()
        except BrokenExecutor as error:
            raise WorkerDied from error

    def close(self) -> None:
        """End the processes, whatever they are at."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)

    def _open(self) -> Executor:
        from joblib.externals.loky import ProcessPoolExecutor

        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                max_workers=self.width, timeout=IDLE_S, env=_ONE_THREAD
            )
        return self._executor


class DaskPool:
    """A Dask cluster.

    Parameters
    ----------
    scheduler : str
        Its address, for example ``tcp://127.0.0.1:8786``.
    """

    width = 1_000_000_000  # the scheduler holds the queue, so that workers may come and go

    def __init__(self, scheduler: str) -> None:
        try:
            from distributed import Client, KilledWorker
            from distributed.comm.addressing import get_address_host_port, parse_address
        except ModuleNotFoundError as error:
            raise UserError(
                "a cluster needs dask and distributed: pip install emghand[dask]"
            ) from (error)
        self._killed = KilledWorker
        self._address = scheduler
        try:
            # A client that finds nobody hangs for a minute when the program ends.
            if parse_address(scheduler)[0] in ("tcp", "tls"):
                socket.create_connection(get_address_host_port(scheduler), START_S).close()
            self._client = Client(scheduler, timeout=START_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UserError(f"{scheduler}: no Dask scheduler answers there") from error
        try:
            self._client.wait_for_workers(1, timeout=START_S)
        except TimeoutError as error:
            self.close()
            raise UserError(f"{scheduler}: the cluster has no worker; start dask worker") from error
        self._executor = self._client.get_executor(pure=False)

    def submit(self, task: Task) -> Future[dict[str, Any]]:
        """See `Pool`. Tasks of a worker that died are given to others by the scheduler."""
        return self._executor.submit(run_task, task)

    def outcome(self, future: Future[dict[str, Any]]) -> dict[str, Any]:
        """See `Pool`."""
        try:
            return future.result()
        except self._killed as error:
            raise WorkerDied from error
        except (CancelledError, OSError) as error:
            raise UserError(
                f"{self._address}: the scheduler is gone; what was finished is stored, start the "
                "sweep again"
            ) from error

    def close(self) -> None:
        """Leave the cluster; what it has not finished is given up."""
        self._client.close()


@contextlib.contextmanager
def open_pool(scheduler: str = "", jobs: int = 0) -> Iterator[LocalPool | DaskPool]:
    """Pool of a cluster, or of this machine when no scheduler is named."""
    pool = DaskPool(scheduler) if scheduler else LocalPool(jobs)
    try:
        yield pool
    finally:
        pool.close()

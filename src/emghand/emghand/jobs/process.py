"""Runs a job in a process of its own."""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from emghand.jobs.child import CANCELLED
from emghand.jobs.plan import Plan

PATIENCE_S = 10.0
"""A job that was asked to stop and does not is ended after this time."""
STOPPED = (CANCELLED, -signal.SIGTERM, -signal.SIGINT, -signal.SIGKILL)
"""How a process ends that was asked to stop: also before it could listen, or at its very end."""
POLL_S = 0.1
LONGEST_TEXT = 600


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Parameters
    ----------
    stage : str
        What it is doing.
    fraction : float
        Done, 0 to 1; NaN: not known.
    remaining : float
        Time to the end, if it goes on as it did [s]; NaN: not known.
    """

    stage: str
    fraction: float
    remaining: float


@dataclass(frozen=True)
class Ended:
    """What became of a job.

    Parameters
    ----------
    status : str
        ``complete``, ``cancelled`` or ``failed``.
    message : str
        One line for a person.
    uri : str
        What was written; empty: nothing.
    result : str
        JSON that the command printed; empty: none.
    """

    status: str
    message: str
    uri: str = ""
    result: str = ""


class JobRunner(Protocol):
    """Something that runs one job."""

    def cancel(self) -> None:
        """Ask it to stop; returns at once, from any thread."""

    def run(self, on_progress: Callable[[Progress], None]) -> Ended:
        """Run it to its end; blocks. `on_progress` is called in this thread."""


class JobProcess:
    """A job from start to end.

    It is the same code as that of the command line, in a process of its own with least priority, so
    that it takes nothing from the ticks. A job that is cancelled, or whose starter dies, stops
    before it writes anything or after everything is written.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cancelled = threading.Event()
        self._started = 0.0

    def cancel(self) -> None:
        """Ask it to stop; returns at once, from any thread."""
        self._cancelled.set()

    def run(self, on_progress: Callable[[Progress], None]) -> Ended:
        """Run it to its end; blocks.

        Parameters
        ----------
        on_progress : callable
            Called in this thread.
        """
        if self._cancelled.is_set():
            return Ended("cancelled", "cancelled before it began")
        read_end, write_end = os.pipe()
        self._started = time.monotonic()
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            os.fdopen(read_end, "rb", buffering=0) as reader,
        ):
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "emghand.jobs.child", str(write_end)],
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=err,
                    pass_fds=(write_end,),
                    # A group of its own: processes that the job starts end with it.
                    start_new_session=True,
                )
            finally:
                os.close(write_end)
            try:
                self._tell(process)
                self._follow(process, reader, on_progress)
            finally:
                _end_group(process)
                if process.returncode != 0:
                    for path in self._plan.scratch:
                        shutil.rmtree(path, ignore_errors=True)
            return self._ended(process.returncode, _text(out), _text(err))

    def _tell(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        task = task_of(self._plan)
        # A process that has died already says why by its status.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write((json.dumps(task) + "\n").encode())
            process.stdin.flush()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, process.pid, 19)

    def _follow(
        self,
        process: subprocess.Popen[bytes],
        reader: Any,
        on_progress: Callable[[Progress], None],
    ) -> None:
        asked = 0.0
        pending = b""
        with selectors.DefaultSelector() as selector:
            selector.register(reader, selectors.EVENT_READ)
            open_ = True
            while process.poll() is None:
                if open_ and selector.select(POLL_S):
                    data = os.read(reader.fileno(), 65536)
                    open_ = bool(data)
                    *lines, pending = (pending + data).split(b"\n")
                    if lines:
                        on_progress(self._progress(lines[-1]))
                elif not open_:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(POLL_S)
                if self._cancelled.is_set() and not asked:
                    asked = time.monotonic()
                    process.terminate()
                if asked and time.monotonic() - asked > PATIENCE_S:
                    process.kill()

    def _progress(self, line: bytes) -> Progress:
        said = json.loads(line)
        fraction = said["fraction"]
        if fraction is None:
            return Progress(said["stage"], math.nan, math.nan)
        left = math.nan
        if fraction > 0.0:
            left = (time.monotonic() - self._started) * (1.0 - fraction) / fraction
        return Progress(said["stage"], fraction, left)

    def _ended(self, code: int, out: str, err: str) -> Ended:
        if code == 0:
            return completed(self._plan, out, err)
        if self._cancelled.is_set() and code in STOPPED:
            return Ended("cancelled", "cancelled; nothing was written")
        if code < 0:
            return Ended("failed", f"the job was ended by {signal.Signals(-code).name}")
        if code == CANCELLED:
            return Ended("failed", "the job was ended by a signal")
        return failed(code, err)


def task_of(plan: Plan) -> dict[str, Any]:
    """What the command needs to be told, as plain values."""
    outputs: list[str] = []
    if plan.output is not None:
        # A result lies in two files: tables, and ticks.
        files = {plan.output, plan.output.with_suffix(".npz"), *plan.scratch}
        outputs = sorted(str(path) for path in files)
    return {
        "words": list(plan.words),
        "session": "" if plan.session is None else str(plan.session),
        "outputs": outputs,
    }


def completed(plan: Plan, out: str, err: str) -> Ended:
    """What became of a job whose command ended well, from what it printed."""
    uri = _uri(plan, out)
    warnings = "; ".join(line for line in _said(err) if line.startswith("warning: "))
    message = "; ".join(filter(None, (f"wrote {uri}" if uri else "done", warnings)))
    return Ended("complete", message[:LONGEST_TEXT], uri, out)


def failed(code: int, err: str) -> Ended:
    """What became of a job whose command ended with an error."""
    said = _said(err)
    last = said[-1] if said else f"the job ended with status {code}"
    message = last.partition("error: ")[2] or last
    return Ended("failed", message[:LONGEST_TEXT])


def _said(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.strip()]


def _uri(plan: Plan, out: str) -> str:
    if plan.output is not None:
        return str(plan.output)
    written = json.loads(out)[plan.uri]
    if isinstance(written, list):
        return os.pathsep.join(str(table["features"]) for table in written)
    return str(written)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Whatever the job started and left behind."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode(errors="replace"))

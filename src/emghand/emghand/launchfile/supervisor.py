"""Runs the processes of a launch and ends them in an orderly way."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emghand.launchfile.evaluate import Plan
from emghand.launchfile.process import NodeProcess

LINE_LIMIT = 2**20
REPEAT_S = 0.25
SOUND_S = 10.0
"""A process that lived so long was no mistake from the start."""
LONGEST_DELAY_S = 8.0
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class _Child:
    """One process, restarted as its description says."""

    def __init__(self, spec: NodeProcess, write: Callable[[str], None]) -> None:
        self.spec = spec
        self.write = write
        self.process: asyncio.subprocess.Process | None = None
        self.failed = False

    async def run(self, folder: Path, stopping: asyncio.Event) -> None:
        """Until it ends for good; one that dies at every start is started less and less often."""
        retries = early = 0
        while not stopping.is_set():
            started = time.monotonic()
            code = await self._once(folder)
            if stopping.is_set():
                return
            early = 0 if time.monotonic() - started > SOUND_S else early + 1
            self._tell_end(code)
            limit = self.spec.respawn_max_retries
            if not self.spec.respawn or 0 <= limit <= retries:
                self.failed = code != 0
                return
            retries += 1
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stopping.wait(), self._delay(early))

    def _delay(self, early: int) -> float:
        shortest = self.spec.respawn_delay
        return max(shortest, min(shortest * 2 ** max(0, early - 1), LONGEST_DELAY_S))

    async def _once(self, folder: Path) -> int:
        command = self.spec.command(folder)
        try:
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone. SIGINT is
            # ignored until the process handles it, so that one that is still importing its modules
            # does not die of it with a traceback.
            self.process = await asyncio.create_subprocess_exec(
                *command,
                env=_clean(self.spec.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_prepare_child,
                limit=LINE_LIMIT,
            )
        except OSError as error:
            self.write(f"cannot be started: {error}")
            return 127
        await self._copy_output(self.process)
        return await self.process.wait()

    async def _copy_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                # Longer than LINE_LIMIT: the stream has thrown away what it held.
                continue
            if not line:
                return
            self.write(line.decode(errors="replace").rstrip("\r\n"))

    def _tell_end(self, code: int) -> None:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        if code or self.spec.respawn or self.spec.required:
            then = "; starting it again" if self.spec.respawn else ""
            self.write(f"process {how}{then}")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def send(self, number: signal.Signals) -> None:
        """Signal the process; SIGKILL goes to all it has started as well."""
        if self.process is None or not self.running:
            return
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)


def _prepare_child() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # In a session of its own a process would outlive a killed supervisor, and move on unattended.
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def _clean(environment: dict[str, str]) -> dict[str, str]:
    # Python environments made of ROS wheels start themselves again once and note it here; a
    # process of another environment must make up its own mind.
    return {k: v for k, v in environment.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"} | {
        "PYTHONUNBUFFERED": "1",
        "RCUTILS_LOGGING_BUFFERED_STREAM": "0",
    }


class Supervisor:
    """Starts every process of a plan, and stops them all together.

    SIGINT, SIGTERM, SIGHUP (a closed terminal) or the end of a required process sends SIGINT to
    all; SIGTERM and SIGKILL follow after the times of the plan for those that are still there. When
    the supervisor itself is killed, the kernel sends SIGTERM to every process.

    Parameters
    ----------
    plan : Plan
    write : callable
        Gets every line of output.
    """

    def __init__(self, plan: Plan, write: Callable[[str], None] | None = None) -> None:
        self._plan = plan
        self._write = write or _print
        colour = sys.stdout.isatty() and write is None
        self._children = [
            _Child(spec, self._prefixed(spec.label, i if colour else None))
            for i, spec in enumerate(plan.processes)
        ]

    def run(self) -> int:
        """Run until everything has ended.

        Returns
        -------
        int
            0; 1 when a process that is not started again failed by itself, or had to be killed.
        """
        with tempfile.TemporaryDirectory(prefix="emghand_launch_") as folder:
            return asyncio.run(self._run(Path(folder)))

    async def _run(self, folder: Path) -> int:
        self._stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        tasks = [
            asyncio.create_task(self._follow(child, folder), name=child.spec.label)
            for child in self._children
        ]
        stop = asyncio.create_task(self._stopping.wait())
        everything = asyncio.gather(*tasks)
        waited: list[asyncio.Future[Any]] = [everything, stop]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            killed = await self._stop_all(tasks)
        await everything
        failed = [c.spec.label for c in self._children if c.failed]
        if failed:
            self._write(f"failed: {', '.join(failed)}")
        return 1 if failed or killed else 0

    async def _follow(self, child: _Child, folder: Path) -> None:
        await child.run(folder, self._stopping)
        if child.spec.required and not self._stopping.is_set():
            self._stopping.set()

    async def _stop_all(self, tasks: list[asyncio.Task[None]]) -> list[str]:
        start = time.monotonic()
        steps = (
            (signal.SIGINT, self._plan.sigterm_after),
            (signal.SIGTERM, self._plan.sigkill_after),
            (signal.SIGKILL, 1.0),
        )
        killed: list[str] = []
        for number, patience in steps:
            left = [child for child in self._children if child.running]
            if not left:
                break
            if number is not signal.SIGINT:
                names = ", ".join(c.spec.label for c in left)
                late = time.monotonic() - start
                self._write(f"{number.name} to {names} after {late:.1f} s")
            if number is signal.SIGKILL:
                killed = [child.spec.label for child in left]
            await self._ask(left, number, tasks, patience)
        return killed

    async def _ask(
        self,
        children: list[_Child],
        number: signal.Signals,
        tasks: list[asyncio.Task[None]],
        patience: float,
    ) -> None:
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0 and any(c.running for c in children):
            for child in children:
                child.send(number)
            # Again and again: a process that was just starting did not hear it, see `_once`.
            await asyncio.wait(tasks, timeout=min(left, REPEAT_S))

    def _prefixed(self, label: str, colour: int | None) -> Callable[[str], None]:
        prefix = f"[{label}] "
        if colour is not None:
            prefix = f"\x1b[{COLOURS[colour % len(COLOURS)]}m{prefix}\x1b[0m"
        return lambda line: self._write(prefix + line)


def _print(line: str) -> None:
    # A closed terminal or pipe must not end the supervision of the processes.
    with contextlib.suppress(OSError):
        print(line, flush=True)

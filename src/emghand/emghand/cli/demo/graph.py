"""A graph in the background of this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from emghand.errors import UserError

STOP_S = 8.0


def emghand(*arguments: object) -> list[str]:
    """Command line of `emghand` with these arguments."""
    return [sys.executable, "-m", "emghand.cli.main", *map(str, arguments)]


class BackgroundGraph:
    """``emghand up`` as a child; Ctrl-C is sent to it at the end.

    Parameters
    ----------
    log : Path
        Gets its output.
    arguments : sequence
        Those of ``emghand up``.
    """

    def __init__(self, log: Path, *arguments: object) -> None:
        self.log = log
        self._command = emghand("up", *arguments)

    def __enter__(self) -> BackgroundGraph:
        with self.log.open("w") as out:
            # A group of its own: a Ctrl-C at the keyboard reaches it through `__exit__` only.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise when the graph has ended by itself.

        Raises
        ------
        UserError
            With the end of its output.
        """
        if self._process.poll() is not None:
            end = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise UserError(f"the graph ended, its output in {self.log} ends with:\n{end}")

    def stop(self) -> float:
        """End it as Ctrl-C does; returns how long that took [s]."""
        import time

        started = time.monotonic()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        return time.monotonic() - started

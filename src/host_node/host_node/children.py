"""Processes that a host has been asked for, and their end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from emghand.errors import UserError
from emghand.launchfile.context import find_executable
from emghand.launchfile.process import NodeProcess
from host_node.allow_list import Kind

GRACE_S = ((signal.SIGINT, 2.5), (signal.SIGTERM, 1.5), (signal.SIGKILL, 1.0))
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _prepare_child() -> None:
    """Between fork and exec: end with the host, however that ends, and not of a SIGINT that comes
    before the node handles it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


class Child:
    """One node, a process of its own.

    Start it in a thread that lives as long as the host: Linux takes the end of that thread for the
    end of the parent.

    Parameters
    ----------
    name : str
        Name of the node.
    kind : Kind
    arguments : str
        See `Kind.resolve`.

    Raises
    ------
    UserError
        When an argument is not allowed or the program is not installed.
    """

    def __init__(self, name: str, kind: Kind, arguments: str) -> None:
        self.name = name
        parameters = kind.resolve(arguments)
        # Python environments made of ROS wheels note here that they were entered: a program of
        # another environment must enter its own.
        environment = dict(os.environ)
        environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
        spec = NodeProcess(
            label=name,
            executable=find_executable(kind.package, kind.executable, environment),
            arguments=(),
            ros_arguments=(),
            name=name,
            namespace="",
            parameters=(parameters,) if parameters else (),
            remaps=(),
            environment=environment,
            respawn=False,
            respawn_delay=0.0,
            respawn_max_retries=0,
            required=False,
        )
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="emghand_host_")
        except OSError as error:
            raise UserError(f"{name}: cannot be started: {error}") from error
        try:
            # A session of its own: Ctrl-C in the terminal reaches the host alone.
            self._process = subprocess.Popen(
                spec.command(Path(self._folder.name)),
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_prepare_child,
            )
        except OSError as error:
            self._folder.cleanup()
            raise UserError(f"{name}: cannot be started: {error}") from error

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its own children."""
        if self.exit_status is None:
            os.killpg(self._process.pid, number)

    def discard(self) -> None:
        """Remove its files, after its end."""
        self._folder.cleanup()


def end(children: Sequence[Child]) -> None:
    """End processes, all at once: SIGINT, then SIGTERM, then SIGKILL."""
    for number, patience in GRACE_S:
        for child in children:
            child.signal(number)
        deadline = time.monotonic() + patience
        while any(c.exit_status is None for c in children) and time.monotonic() < deadline:
            time.sleep(0.01)
    for child in children:
        child.discard()

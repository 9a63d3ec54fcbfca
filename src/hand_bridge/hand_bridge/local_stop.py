"""Emergency stops that need nothing but the bridge itself: a signal, a key, a switch on a cable.

A new kind of stop is a class with `start`, `pressed` and `close`, and a line in `make_stop`.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable
from typing import Protocol

import serial

from emghand.errors import UserError

OnStop = Callable[[str], None]
POLL_S = 0.01


class LocalStop(Protocol):
    """One source of emergency stops."""

    def start(self, on_stop: OnStop) -> None:
        """Begin to watch; `on_stop` is called from another thread.

        Raises
        ------
        UserError
            When it cannot be watched.
        """

    def pressed(self) -> bool:
        """Whether it still demands the stop."""

    def close(self) -> None:
        """Stop watching."""


class _SignalHub:
    """Hands SIGUSR1 to all who listen, at once, whatever the main thread is doing.

    Python runs handlers in the main thread, between two of its byte codes: too late when it waits
    in an executor. The byte that the interpreter writes to the wake-up descriptor comes at once.
    """

    def __init__(self) -> None:
        self.listeners: list[OnStop] = []
        self._lock = threading.Lock()
        self._started = False

    def add(self, on_stop: OnStop) -> None:
        with self._lock:
            self.listeners.append(on_stop)
            if self._started:
                return
            if threading.current_thread() is not threading.main_thread():
                raise UserError("local_stop signal: start the bridge in the main thread")
            reader, writer = os.pipe()
            os.set_blocking(writer, False)
            signal.signal(signal.SIGUSR1, lambda number, frame: None)
            signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
            self._started = True
        threading.Thread(target=self._watch, args=(reader,), name="sigusr1", daemon=True).start()

    def remove(self, on_stop: OnStop) -> None:
        with self._lock:
            if on_stop in self.listeners:
                self.listeners.remove(on_stop)

    def _watch(self, reader: int) -> None:
        while numbers := os.read(reader, 64):
            if signal.SIGUSR1 in numbers:
                for on_stop in list(self.listeners):
                    on_stop("SIGUSR1")


_hub = _SignalHub()


class SignalStop:
    """Stops on SIGUSR1."""

    def start(self, on_stop: OnStop) -> None:
        """Begin to watch."""
        self._on_stop = on_stop
        _hub.add(on_stop)

    def pressed(self) -> bool:
        """A signal does not last."""
        return False

    def close(self) -> None:
        """Stop watching; the signal is ignored from now on."""
        _hub.remove(self._on_stop)


class KeyStop:
    """Stops on the keys S and space in the terminal the bridge runs in, if it runs in one."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def start(self, on_stop: OnStop) -> None:
        """Begin to watch; does nothing without a terminal, or in the background of one."""
        try:
            descriptor = sys.stdin.fileno()
            if not os.isatty(descriptor) or os.tcgetpgrp(descriptor) != os.getpgrp():
                return
            self._saved = termios.tcgetattr(descriptor)
            tty.setcbreak(descriptor)
        except (OSError, ValueError, AttributeError, termios.error):
            return
        self._descriptor = descriptor
        self._thread = threading.Thread(
            target=self._watch, args=(on_stop,), name="stop_key", daemon=True
        )
        self._thread.start()

    def _watch(self, on_stop: OnStop) -> None:
        while not self._stop.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], 0.1)
            if ready:
                keys = os.read(self._descriptor, 64)
                if not keys:
                    return
                if any(key in b"sS " for key in keys):
                    on_stop("key in the terminal")

    def pressed(self) -> bool:
        """A key does not last."""
        return False

    def close(self) -> None:
        """Give the terminal back."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join(1.0)
            self._thread = None
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._saved)


class LineStop:
    """Stops as soon as an input line is not held active: a pressed switch or a broken cable.

    Parameters
    ----------
    name : str
        For messages.
    read : callable
        Whether the line is active. `OSError` counts as not active.
    """

    def __init__(self, name: str, read: Callable[[], bool]) -> None:
        self._name = name
        self._read = read
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, on_stop: OnStop) -> None:
        """Begin to watch."""
        self._thread = threading.Thread(
            target=self._watch, args=(on_stop,), name="stop_line", daemon=True
        )
        self._thread.start()

    def _watch(self, on_stop: OnStop) -> None:
        was_pressed = False
        while not self._stop.wait(POLL_S):
            now_pressed = self.pressed()
            if now_pressed and not was_pressed:
                on_stop(f"{self._name} is open")
            was_pressed = now_pressed

    def pressed(self) -> bool:
        """Whether the line is not active."""
        try:
            return not self._read()
        except OSError:
            return True

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(1.0)


def _serial_line(port: str, pin: str) -> LineStop:
    if pin not in ("cts", "dsr", "cd", "ri"):
        raise UserError(f"local_stop serial: unknown pin {pin!r}, choose cts, dsr, cd or ri")
    try:
        device = serial.Serial(port)
        getattr(device, pin)
    except OSError as error:
        raise UserError(f"local_stop serial: {port} cannot be read: {error}") from error
    return LineStop(f"{pin.upper()} of {port}", lambda: bool(getattr(device, pin)))


def make_stop(text: str) -> LocalStop:
    """Local stop from its text: ``signal``, ``key``, or ``serial:PORT:PIN``.

    Raises
    ------
    UserError
        For another text, or a port that cannot be read.
    """
    kind, _, rest = text.partition(":")
    if kind == "signal" and not rest:
        return SignalStop()
    if kind == "key" and not rest:
        return KeyStop()
    port, _, pin = rest.rpartition(":")
    if kind == "serial" and port and pin:
        return _serial_line(port, pin.lower())
    raise UserError(f"local_stop {text!r}: write signal, key, or serial:PORT:PIN")

"""Reading a device in a thread of its own, through unplugging and reconnection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Generic, Protocol, TypeVar

from emghand.devices.device import DeviceError, EndOfData

READ_TIMEOUT_S = 0.1
SETTLED_S = 5.0
"""After so much streaming the back-off starts over from its shortest pause."""

Opened = TypeVar("Opened")
Reading = TypeVar("Reading")
OpenedOut = TypeVar("OpenedOut", covariant=True)
ReadingOut = TypeVar("ReadingOut", covariant=True)


class State(Enum):
    """What an acquisition is doing."""

    STOPPED = "stopped"
    OPENING = "opening"
    STREAMING = "streaming"
    RECONNECTING = "reconnecting"
    ENDED = "ended"


class ReadableDevice(Protocol[OpenedOut, ReadingOut]):
    """The part of a device that `Acquisition` uses."""

    def open(self) -> OpenedOut:
        """Connect and start to stream; `DeviceError` when it cannot be done now."""

    def read(self, timeout_s: float) -> ReadingOut | None:
        """Next reading; None when there is none within the time-out; `DeviceError` when gone."""

    def close(self) -> None:
        """Stop and disconnect; never raises, may be called twice."""


class Acquisition(Generic[Opened, Reading]):
    """Thread that opens a device, reads it, and opens it again when it went away.

    The callbacks run in that thread.

    Parameters
    ----------
    device : ReadableDevice
    on_open : callable
        Gets what ``device.open`` returned, each time it is opened.
    on_reading : callable
        Gets every reading.
    on_state : callable
        Gets the new state and its reason, on every change.
    first_pause_s, longest_pause_s : float
        Pause before the first new attempt to open, doubled up to the longest.
    """

    def __init__(
        self,
        device: ReadableDevice[Opened, Reading],
        on_open: Callable[[Opened], None],
        on_reading: Callable[[Reading], None],
        on_state: Callable[[State, str], None] = lambda state, reason: None,
        first_pause_s: float = 0.25,
        longest_pause_s: float = 5.0,
    ) -> None:
        self._device = device
        self._on_open = on_open
        self._on_reading = on_reading
        self._on_state = on_state
        self._pauses = (first_pause_s, longest_pause_s)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._status = (State.STOPPED, "")
        self.opened = 0
        """How often the device was opened with success."""

    @property
    def status(self) -> tuple[State, str]:
        """State and, where something is wrong, the reason in one sentence."""
        return self._status

    def start(self) -> None:
        """Start the thread."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="acquisition", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 3.0) -> bool:
        """Stop the thread and close the device; False when it does not end in time."""
        self._stop.set()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _set(self, state: State, reason: str = "") -> None:
        if (state, reason) != self._status:
            self._status = (state, reason)
            self._on_state(state, reason)

    def _run(self) -> None:
        pause = self._pauses[0]
        self._set(State.OPENING)
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._stream()
            except EndOfData as end:
                self._device.close()
                if not end.again:
                    self._set(State.ENDED, str(end))
                    self._stop.wait()
                continue
            except DeviceError as error:
                reason = str(error)
            except Exception as error:
                # The last line of a thread: whatever a device does, it is seen and tried again.
                reason = f"internal error: {error!r}"
            else:
                break
            self._device.close()
            if time.monotonic() - began > SETTLED_S:
                pause = self._pauses[0]
            self._set(State.RECONNECTING, reason)
            self._stop.wait(pause)
            pause = min(2 * pause, self._pauses[1])
        self._device.close()
        self._set(State.STOPPED)

    def _stream(self) -> None:
        opened = self._device.open()
        self.opened += 1
        self._on_open(opened)
        while not self._stop.is_set():
            reading = self._device.read(READ_TIMEOUT_S)
            if reading is not None:
                self._on_reading(reading)
                if self._status[0] is not State.STREAMING:
                    self._set(State.STREAMING)

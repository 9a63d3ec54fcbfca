"""Virtual board at the pace of the steady clock."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping

from emghand.devices import DeviceError, DeviceKind
from emghand.ports import Port, PortReading, VirtualBoard, VirtualSettings
from emghand.ports.virtual import ports_of


class VirtualPorts:
    """`VirtualBoard` as a device."""

    def __init__(self, settings: VirtualSettings, block_size: int = 0) -> None:
        self._settings = settings
        self.ports = ports_of(settings)
        self._board: VirtualBoard | None = None
        self._changed = threading.Condition()
        self._waiting: deque[PortReading] = deque()
        self._sets = 0

    def open(self) -> tuple[Port, ...]:
        """A new board, everything at 0."""
        with self._changed:
            now = time.monotonic_ns()
            self._board = board = VirtualBoard(self._settings, now)
            self._waiting = deque(board.state(port.name, now) for port in self.ports)
        return self.ports

    def read(self, timeout_s: float) -> PortReading | None:
        """Next change."""
        with self._changed:
            board = self._board
            assert board is not None
            if not self._waiting:
                due = board.next_ns
                wait = timeout_s if due is None else (due - time.monotonic_ns()) * 1e-9
                self._changed.wait(max(0.0, min(wait, timeout_s)))
                self._waiting.extend(board.advance(time.monotonic_ns()))
            return self._waiting.popleft() if self._waiting else None

    def set(self, port: str, values: Mapping[str, float]) -> PortReading:
        """Set channels; what is wired to them follows."""
        with self._changed:
            if self._board is None:
                raise DeviceError("the virtual board is not open")
            now = time.monotonic_ns()
            changed = self._board.set(values, now)
            self._waiting.extend(r for r in changed if r.port != port)
            self._sets += 1
            self._changed.notify()
            return self._board.state(port, now)

    def close(self) -> None:
        """Forget the board."""
        with self._changed:
            self._board = None

    def counters(self) -> Mapping[str, int]:
        """How often it was set."""
        return {"sets": self._sets}


DEVICE = DeviceKind("Channels in software, wired to each other", VirtualSettings, VirtualPorts)

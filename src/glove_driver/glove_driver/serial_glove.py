"""A glove on a serial port: port, parser and calibration put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from emghand.devices import DeviceError
from emghand.devices.serial_port import SerialPort
from emghand.settings import check, setting
from glove_driver.calibration import Calibration
from glove_driver.device import Reading


@dataclass(frozen=True)
class SerialSettings:
    """What every glove on a serial port has in common."""

    port: str = setting("/dev/ttyUSB0", "Serial port of the glove", live=False)
    baud: int = setting(115200, "Speed of the port", unit="Bd", low=9600, high=4000000, live=False)
    calibration: str = setting(
        "", "YAML file sensor → DOF; empty: the whole range of the sensors", live=False
    )
    silence_s: float = setting(
        1.0, "A glove that is silent for so long is gone", unit="s", low=0.1, high=60.0, live=False
    )

    def __post_init__(self) -> None:
        check(self)


class Parser(Protocol):
    """Bytes in, sensor values by name out."""

    @property
    def junk_bytes(self) -> int:
        """Bytes that belonged to no frame."""

    def push(self, data: bytes) -> list[dict[str, int]]:
        """Values of the frames that are complete with these bytes."""


class SerialGlove:
    """Reads one glove.

    Parameters
    ----------
    settings : SerialSettings
    calibration : Calibration
    make_parser : callable
        A new parser for each opened stream.
    start : callable
        Sets the glove up and makes it stream.
    stop : bytes
        What makes it stop.
    """

    def __init__(
        self,
        settings: SerialSettings,
        calibration: Calibration,
        make_parser: Callable[[], Parser],
        start: Callable[[SerialPort], None] = lambda port: None,
        stop: bytes = b"",
    ) -> None:
        self._settings = settings
        self._calibration = calibration
        self._make_parser = make_parser
        self._start = start
        self._stop = stop
        self._port: SerialPort | None = None
        self._parser = make_parser()
        self._values: dict[str, float] = {}
        self._understood = 0.0
        self._frames = 0
        self._superseded = 0
        self._incomplete = 0
        self._junk_before = 0

    def open(self) -> tuple[str, ...]:
        """Open the port and start the glove."""
        self._port = SerialPort(self._settings.port, self._settings.baud, self._settings.silence_s)
        self._start(self._port)
        self._parser = self._make_parser()
        self._values = {}
        self._understood = time.monotonic()
        return self._calibration.dofs

    def read(self, timeout_s: float) -> Reading | None:
        """Newest posture of what arrived together."""
        if self._port is None:
            raise DeviceError("the port is closed")
        data = self._port.read(timeout_s)
        now_ns = time.monotonic_ns()
        frames = self._parser.push(data)
        if not frames:
            if now_ns * 1e-9 - self._understood > self._settings.silence_s:
                raise DeviceError(
                    f"{self._settings.port}: sends nothing that this protocol knows, "
                    "check device and speed"
                )
            return None
        self._understood = now_ns * 1e-9
        self._frames += len(frames)
        for frame in frames:
            self._values.update(frame)
        if self._calibration.missing(self._values):
            self._incomplete += 1
            return None
        self._superseded += len(frames) - 1
        return Reading(self._calibration.apply(self._values), now_ns)

    def close(self) -> None:
        """Stop the glove as well as it goes, and let go of the port."""
        port, self._port = self._port, None
        if port is None:
            return
        self._junk_before += self._parser.junk_bytes
        self._parser = self._make_parser()
        try:
            port.write(self._stop)
        except DeviceError:
            pass
        finally:
            port.close()

    def counters(self) -> Mapping[str, int]:
        """Frames, junk bytes, frames overtaken by a newer one, frames before all sensors came."""
        return {
            "frames": self._frames,
            "junk_bytes": self._junk_before + self._parser.junk_bytes,
            "superseded": self._superseded,
            "incomplete": self._incomplete,
        }

"""Serial port whose every failure is a `DeviceError`."""

from __future__ import annotations

import termios
import time

import serial

from emghand.devices.device import DeviceError

_ERRORS = (serial.SerialException, termios.error, OSError, TypeError, ValueError)
"""What pyserial raises when a port goes away, in its various versions."""

_AT_ONCE = 1 << 16


class SerialPort:
    """Bytes of a serial port, with a limit to silence.

    Parameters
    ----------
    path : str
        For example ``/dev/ttyUSB0``.
    baud : int
    silence_s : float
        A device that sends nothing for so long counts as gone [s]; may be changed at any time.
    """

    def __init__(self, path: str, baud: int, silence_s: float) -> None:
        self.path = path
        self.silence_s = silence_s
        try:
            self._port = serial.Serial(path, baud, timeout=0, write_timeout=1.0, exclusive=True)
        except _ERRORS as error:
            raise DeviceError(f"{path}: cannot be opened, is it plugged in? ({error})") from error
        self._heard = time.monotonic()

    def read(self, timeout_s: float) -> bytes:
        """All bytes that are there; waits for the first one, empty when none came in time."""
        try:
            self._port.timeout = timeout_s
            data = self._port.read(1)
            # All of it: what arrived together is dated together.
            while data and (waiting := self._port.in_waiting) and len(data) < _AT_ONCE:
                data += self._port.read(waiting)
        except _ERRORS as error:
            raise DeviceError(f"{self.path}: lost, was it unplugged? ({error})") from error
        now = time.monotonic()
        if data:
            self._heard = now
        elif now - self._heard > self.silence_s:
            raise DeviceError(
                f"{self.path}: sends nothing for {self.silence_s:g} s, is it switched on?"
            )
        return bytes(data)

    def read_until(self, end: bytes, timeout_s: float) -> bytes:
        """Bytes up to and with `end`; what follows is lost.

        Raises
        ------
        DeviceError
            When `end` does not come in time.
        """
        deadline = time.monotonic() + timeout_s
        data = b""
        while end not in data:
            if time.monotonic() > deadline:
                raise DeviceError(f"{self.path}: does not answer, is it the right device?")
            data += self.read(0.05)
        return data[: data.index(end) + len(end)]

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._port.write(data)
            self._port.flush()
        except _ERRORS as error:
            raise DeviceError(f"{self.path}: lost, was it unplugged? ({error})") from error

    def discard_input(self) -> None:
        """Forget what came so far."""
        try:
            self._port.reset_input_buffer()
        except _ERRORS as error:
            raise DeviceError(f"{self.path}: lost, was it unplugged? ({error})") from error

    def close(self) -> None:
        """Close the port; never raises."""
        try:
            self._port.close()
        except _ERRORS:
            return

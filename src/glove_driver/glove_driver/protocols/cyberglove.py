"""Frames of the CyberGlove I, II (8 bit) and III (16 bit).

The letter ``S`` (0x53) that starts a frame is a legal sensor value too, so a frame is recognised
by its length, its end and the range of its values together, never by the letter alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emghand.devices.framing import FixedFrames

SENSORS_18 = (
    *("thumb_roll", "thumb_mcp", "thumb_ip", "thumb_abd"),
    *("index_mcp", "index_pip"),
    *("middle_mcp", "middle_pip", "middle_abd"),
    *("ring_mcp", "ring_pip", "ring_abd"),
    *("little_mcp", "little_pip", "little_abd"),
    *("palm", "wrist_pitch", "wrist_yaw"),
)
SENSORS_22 = (
    *("thumb_roll", "thumb_mcp", "thumb_ip", "thumb_abd"),
    *("index_mcp", "index_pip", "index_dip"),
    *("middle_mcp", "middle_pip", "middle_dip", "middle_abd"),
    *("ring_mcp", "ring_pip", "ring_dip", "ring_abd"),
    *("little_mcp", "little_pip", "little_dip", "little_abd"),
    *("palm", "wrist_pitch", "wrist_yaw"),
)
STOP = b"\x03"
LARGEST_8 = 254
LARGEST_16 = 4094

_START = 0x53
_HEADER_III = b"\x0d\x0a\x00"
_TIME_BYTES = 14


class CyberGloveParser:
    """Sensor values from bytes in pieces of any size; never raises.

    Every byte is in a frame, in `junk_bytes`, or pending.

    Parameters
    ----------
    sensors : sequence of str
        Names in the order of the glove: `SENSORS_18` or `SENSORS_22`.
    status : bool
        8 bit: a status byte, which may be anything, follows the sensors.
    wide : bool
        The 16-bit frames of the CyberGlove III.
    """

    def __init__(
        self, sensors: Sequence[str] = SENSORS_18, *, status: bool = False, wide: bool = False
    ) -> None:
        self._sensors = tuple(sensors)
        n = len(self._sensors)
        if wide:
            self._dtype, self._largest = ">u2", LARGEST_16
            self._first = len(_HEADER_III) + _TIME_BYTES
            self._frames = FixedFrames(self._first + 2 * n, _HEADER_III, self._is_wide)
        else:
            self._dtype, self._largest = "u1", LARGEST_8
            self._first = 1
            self._frames = FixedFrames(n + status + 2, bytes([_START]), self._is_narrow)

    @property
    def junk_bytes(self) -> int:
        """Bytes that belonged to no frame."""
        return self._frames.junk_bytes

    @property
    def frames(self) -> int:
        """Frames so far."""
        return self._frames.frames

    @property
    def pending(self) -> int:
        """Bytes that wait for more."""
        return self._frames.pending

    def push(self, data: bytes) -> list[dict[str, int]]:
        """Values by sensor of the frames that are complete with these bytes."""
        return [
            dict(zip(self._sensors, self._values(frame).tolist(), strict=True))
            for frame in self._frames.push(data)
        ]

    def _values(self, frame: bytes) -> np.ndarray:
        return np.frombuffer(frame, self._dtype, len(self._sensors), self._first)

    def _in_range(self, frame: bytes) -> bool:
        values = self._values(frame)
        return bool(values.min() >= 1 and values.max() <= self._largest)

    def _is_narrow(self, frame: bytes) -> bool:
        return frame[-1] == 0 and self._in_range(frame)

    def _is_wide(self, frame: bytes) -> bool:
        return frame[self._first - 1] == _START and self._in_range(frame)

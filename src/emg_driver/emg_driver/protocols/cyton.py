"""Bytes of the OpenBCI Cyton (OpenBCI documentation, "Cyton Data Format").

A packet has 33 bytes: 0xA0, a counter modulo 256, 8 channels as 24-bit big-endian integers,
6 auxiliary bytes, and an end byte 0xC0 to 0xC6 that names what the auxiliary bytes are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.devices.framing import FixedFrames

PACKET_BYTES = 33
N_CHANNELS = 8
RATE = 250.0
BANNER_END = b"$$$"
RESET, START, STOP = b"v", b"b", b"s"

_START_BYTE = 0xA0
_END_BYTES = range(0xC0, 0xC7)
_REFERENCE_V = 4.5
_COUNTS = 2**23 - 1


def volts_per_count(gain: float) -> float:
    """Scale of a channel at an amplifier gain [V]."""
    return _REFERENCE_V / gain / _COUNTS


@dataclass(frozen=True)
class Packet:
    """One packet.

    Parameters
    ----------
    number : int
        Counter of the board, 0 to 255.
    counts : ndarray, shape (8,), int32
        +-8388607 is a railed channel.
    aux : bytes
        6 bytes; accelerometer, 3 big-endian int16 of 0.002/16 g, when `end` is 0xC0.
    end : int
        0xC0 to 0xC6.
    """

    number: int
    counts: NDArray[np.int32]
    aux: bytes
    end: int


class CytonParser:
    """Packets from bytes in pieces of any size; never raises.

    Every byte is in a packet, in `junk_bytes`, or pending.
    """

    def __init__(self) -> None:
        self._frames = FixedFrames(
            PACKET_BYTES, bytes([_START_BYTE]), lambda f: f[-1] in _END_BYTES, _is_next
        )

    @property
    def junk_bytes(self) -> int:
        """Bytes that belonged to no packet."""
        return self._frames.junk_bytes

    @property
    def packets(self) -> int:
        """Packets so far."""
        return self._frames.frames

    @property
    def pending(self) -> int:
        """Bytes that wait for more."""
        return self._frames.pending

    def push(self, data: bytes) -> list[Packet]:
        """Packets that are complete with these bytes, in order."""
        return [
            Packet(frame[1], int24(frame[2:26]), frame[26:32], frame[32])
            for frame in self._frames.push(data)
        ]


def _is_next(first: bytes, second: bytes) -> bool:
    return second[1] == (first[1] + 1) % 256


def int24(data: bytes) -> NDArray[np.int32]:
    """Big-endian 24-bit integers, shape (len(data) // 3,)."""
    b = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
    value = b[:, 0] << 16 | b[:, 1] << 8 | b[:, 2]
    return np.where(value & 0x800000, value - 0x1000000, value).astype(np.int32)


class Unwrapper:
    """Absolute packet index from a counter modulo 256.

    A loss of 256 packets or more is not visible in the counter alone; the time since the last
    packet tells the whole turns.

    Parameters
    ----------
    rate : float
        Packets per second [Hz].
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._last = -1
        self._time_s = 0.0

    def unwrap(self, numbers: Sequence[int], time_s: float) -> list[int]:
        """Indices of packets that arrived together; the first one ever has its own number.

        Parameters
        ----------
        numbers : sequence of int
            Counters, 0 to 255.
        time_s : float
            When they arrived, on any steady clock [s].

        Returns
        -------
        list of int
            Equal to the index before for a packet that was repeated.
        """
        indices = []
        for i, number in enumerate(numbers):
            if self._last < 0:
                self._last = number
            else:
                step = (number - self._last) % 256
                # The packets behind this one in the same piece arrived after it.
                elapsed = time_s - self._time_s - (len(numbers) - 1 - i) / self._rate
                turns = round((elapsed * self._rate - step) / 256)
                self._last += step + 256 * max(turns, 0)
            self._time_s = time_s - (len(numbers) - 1 - i) / self._rate
            indices.append(self._last)
        return indices


class DaisyPairs:
    """Joins the two packets of a sample when a Daisy module doubles the channels.

    An odd packet holds channels 1 to 8, the even one after it channels 9 to 16.
    """

    def __init__(self) -> None:
        self._odd: tuple[int, NDArray[np.int32]] | None = None
        self.unpaired = 0

    def push(self, index: int, counts: NDArray[np.int32]) -> tuple[int, NDArray[np.int32]] | None:
        """Index of the sample and its 16 counts, when this packet completes one."""
        if index % 2:
            self.unpaired += self._odd is not None
            self._odd = (index, counts)
            return None
        odd, self._odd = self._odd, None
        if odd is None or odd[0] != index - 1:
            self.unpaired += 1 + (odd is not None)
            return None
        return (index - 1) // 2, np.concatenate([odd[1], counts])

"""Live-signal guard: EMG that is finite and fresh but means nothing."""

from __future__ import annotations

import math
import zlib
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from emghand.signal.settings import FeatureSettings

Array = NDArray[np.float64]

HOLD_SAMPLES = 32
"""A fault lasts at least this many samples: quiet EMG in coarse counts repeats a value for 20."""
RAILED_SHARE = 0.8
"""Share of a block's samples at the rail; a healthy fist on an 8-bit armband reaches 0.7."""
LAGS = 64
"""A stream counts as repeating itself when a hop equals one of this many hops before it."""


class Quality(IntFlag):
    """What is wrong with the signal at a tick; the values of ``FeatureFrame.quality``."""

    OK = 0
    FLAT = 1
    RAILED = 2
    MAINS = 4
    FROZEN = 8


_LOOKS = 5
_CONDITIONS = (Quality.FLAT, Quality.RAILED, Quality.MAINS)


class SignalGuard:
    """Flags channels whose condition lasts.

    The signal is looked at in blocks of whole hops, about five in the time a fault must last, on
    the absolute sample grid. A condition must hold in every block:

    * flat: peak-to-peak of the raw signal is at most ``guard_flat``
    * railed: most samples are beyond ``guard_railed`` of the full scale
    * mains: the notches remove more than ``guard_mains`` of the power of the band-passed signal
    * frozen (of the whole stream): the block equals the one some fixed number of blocks before;
      finds any repeated packet whose length and the block have a common multiple below 64 blocks

    Parameters
    ----------
    settings : FeatureSettings
    n_channels : int
    rate : float
        Samples per second [Hz].
    full_scale : float
        Largest absolute value of the device; 0: unknown, nothing is flagged as railed.
    mains : bool
        Whether there is a notch.
    """

    def __init__(
        self,
        settings: FeatureSettings,
        n_channels: int,
        rate: float,
        full_scale: float,
        mains: bool,
    ) -> None:
        samples = max(math.ceil(settings.guard_hold_s * rate), HOLD_SAMPLES)
        self._hop = settings.hop
        self._block = max(1, samples // _LOOKS // settings.hop)
        self._hold = math.ceil(samples / (self._block * settings.hop))
        self._needed = max(1, math.ceil(settings.guard_fraction * n_channels))
        self._flat = settings.guard_flat
        self._rail = settings.guard_railed * full_scale
        self._residue = 1.0 - settings.guard_mains if mains else 0.0
        self._watch_frozen = settings.guard_frozen
        length = self._block * settings.hop
        self._raw = np.zeros((1 + length, n_channels))
        self._band = np.zeros((n_channels, length))
        self._clean = np.zeros((n_channels, length))
        self._held = np.zeros((len(_CONDITIONS), n_channels), np.int64)
        self._prints = np.zeros(LAGS, np.int64)
        self._repeats = np.zeros(LAGS, np.int64)
        self._quality = np.zeros(1, np.uint8)

    def start(self, level: Array) -> None:
        """Forget everything; the first sample, shape (n_channels,), stands for all before it."""
        for array in self.arrays().values():
            array[...] = 0
        self._prints[...] = -1
        self._raw[...] = level

    def update(self, hop_index: int, raw: Array, band: Array, clean: Array) -> list[int]:
        """Look at the next hops; bits of `Quality` after each of them.

        Parameters
        ----------
        hop_index : int
            Absolute index of the first one.
        raw : ndarray, shape (n_hops * hop, n_channels)
            The signal as it came.
        band, clean : ndarray, shape (n_channels, n_hops * hop)
            After the band-pass, and after the notches.
        """
        found: list[int] = []
        start, length = 0, len(self._raw) - 1
        place = hop_index % self._block * self._hop
        while start < len(raw):
            end = min(start + length - place, len(raw))
            into = place + end - start
            np.copyto(self._raw[1 + place : 1 + into], raw[start:end])
            if self._residue:
                np.copyto(self._band[:, place:into], band[:, start:end])
                np.copyto(self._clean[:, place:into], clean[:, start:end])
            found += [int(self._quality[0])] * ((end - start) // self._hop)
            if into == length:
                self._look()
                found[-1] = int(self._quality[0])
                into = 0
            start, place = end, into
        return found

    def _look(self) -> None:
        raw = self._raw
        low, high = np.minimum.reduce(raw, axis=0), np.maximum.reduce(raw, axis=0)
        bad = np.zeros(self._held.shape, bool)
        np.less_equal(high - low, self._flat, out=bad[0])
        if self._rail and max(high.max(), -low.min()) >= self._rail:
            railed = np.count_nonzero(np.abs(raw[1:]) >= self._rail, axis=0)
            np.greater_equal(railed, RAILED_SHARE * (len(raw) - 1), out=bad[1])
        if self._residue:
            power, left = (np.square(x).sum(axis=1) for x in (self._band, self._clean))
            np.less(left, power * self._residue, out=bad[2])
        self._held += 1
        self._held *= bad
        found = Quality.OK
        if self._held.max() >= self._hold:
            counts = (self._held >= self._hold).sum(axis=1)
            for flag, count in zip(_CONDITIONS, counts, strict=True):
                if count >= self._needed:
                    found |= flag
        if self._watch_frozen:
            fingerprint = zlib.adler32(raw[1:].data)
            self._repeats += 1
            self._repeats *= self._prints == fingerprint
            self._prints[:-1] = self._prints[1:]
            self._prints[-1] = fingerprint
            if self._repeats.max() >= self._hold:
                found |= Quality.FROZEN
        self._quality[0] = found
        raw[0] = raw[-1]

    def channel_flags(self) -> NDArray[np.uint8]:
        """Bits of `Quality` per channel, shape (n_channels,)."""
        bits = np.array(_CONDITIONS, np.uint8)[:, None]
        return ((self._held >= self._hold) * bits).sum(axis=0, dtype=np.uint8)

    def arrays(self) -> dict[str, NDArray]:
        """The state, as the arrays in use."""
        return {
            "raw": self._raw,
            "band": self._band,
            "clean": self._clean,
            "held": self._held,
            "prints": self._prints,
            "repeats": self._repeats,
            "quality": self._quality,
        }

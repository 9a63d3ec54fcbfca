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
LAGS = 64
"""A stream counts as repeating itself when a hop equals one of this many hops before it."""


class Quality(IntFlag):
    """What is wrong with the signal at a tick; the values of ``FeatureFrame.quality``."""

    OK = 0
    FLAT = 1
    RAILED = 2
    MAINS = 4
    FROZEN = 8


_CONDITIONS = (Quality.FLAT, Quality.RAILED, Quality.MAINS)


class SignalGuard:
    """Flags channels whose condition holds in every hop for some time.

    * flat: peak-to-peak of the raw signal is at most ``guard_flat``
    * railed: a sample is beyond ``guard_railed`` of the full scale
    * mains: the notches remove more than ``guard_mains`` of the power of the band-passed signal
    * frozen (of the whole stream): every hop equals the one some fixed number of hops before; finds
      any repeated block whose length and the hop have a common multiple below 64 hops

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
        hop = settings.hop
        samples = max(math.ceil(settings.guard_hold_s * rate), HOLD_SAMPLES)
        self._hold = math.ceil(samples / hop)
        self._needed = max(1, math.ceil(settings.guard_fraction * n_channels))
        self._flat = settings.guard_flat
        self._rail = settings.guard_railed * full_scale
        self._residue = 1.0 - settings.guard_mains if mains else 0.0
        self._watch_frozen = settings.guard_frozen

        self._raw = np.zeros((1 + hop, n_channels))
        self._low = np.zeros(n_channels)
        self._high = np.zeros(n_channels)
        self._squares = np.zeros((2, hop, n_channels))
        self._bad = np.zeros((len(_CONDITIONS), n_channels), bool)
        self._held = np.zeros((len(_CONDITIONS), n_channels), np.int32)
        self._prints = np.zeros(LAGS, np.int64)
        self._repeats = np.zeros(LAGS, np.int64)

    def start(self) -> None:
        """Forget everything."""
        for array in self.arrays().values():
            array[...] = 0
        self._prints[...] = -1
        self._raw[...] = np.nan

    def update(self, raw: Array, band: Array, clean: Array) -> Quality:
        """Look at the next hop.

        Parameters
        ----------
        raw, band, clean : ndarray, shape (hop, n_channels)
            The raw signal, after the band-pass, and after the notches.
        """
        self._raw[0] = self._raw[-1]
        self._raw[1:] = raw
        low, high = self._low, self._high
        np.fmin.reduce(self._raw, axis=0, out=low)
        np.fmax.reduce(self._raw, axis=0, out=high)
        np.less_equal(high - low, self._flat, out=self._bad[0])
        if self._rail:
            np.greater_equal(np.maximum(high, -low), self._rail, out=self._bad[1])
        if self._residue:
            np.multiply(band, band, out=self._squares[0])
            np.multiply(clean, clean, out=self._squares[1])
            power, left = np.add.reduce(self._squares, axis=1)
            np.less(left, power * self._residue, out=self._bad[2])
        np.add(self._held, 1, out=self._held)
        np.multiply(self._held, self._bad, out=self._held)
        found = Quality.OK
        if self._held.max() >= self._hold:
            counts = (self._held >= self._hold).sum(axis=1)
            for flag, count in zip(_CONDITIONS, counts, strict=True):
                if count >= self._needed:
                    found |= flag
        if self._watch_frozen and self._frozen():
            found |= Quality.FROZEN
        return found

    def _frozen(self) -> bool:
        fingerprint = zlib.adler32(self._raw[1:].data)
        np.add(self._repeats, 1, out=self._repeats)
        np.multiply(self._repeats, self._prints == fingerprint, out=self._repeats)
        self._prints[:-1] = self._prints[1:]
        self._prints[-1] = fingerprint
        return bool(self._repeats.max() >= self._hold)

    def channel_flags(self) -> NDArray[np.uint8]:
        """Bits of `Quality` per channel, shape (n_channels,)."""
        bits = np.array(_CONDITIONS, np.uint8)[:, None]
        return ((self._held >= self._hold) * bits).sum(axis=0, dtype=np.uint8)

    def arrays(self) -> dict[str, NDArray]:
        """The state, as the arrays in use."""
        return {
            "last": self._raw[-1],
            "held": self._held,
            "prints": self._prints,
            "repeats": self._repeats,
        }

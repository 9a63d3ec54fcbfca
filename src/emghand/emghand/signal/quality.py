"""Live-signal guard: EMG that is finite and fresh but means nothing."""

from __future__ import annotations

import math
import zlib
from collections import deque
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
        self._hop = hop
        self._hold = math.ceil(samples / hop)
        self._needed = max(1, math.ceil(settings.guard_fraction * n_channels))
        self._flat = settings.guard_flat
        self._rail = settings.guard_railed * full_scale
        self._residue = 1.0 - settings.guard_mains if mains else 0.0
        self._watch_frozen = settings.guard_frozen
        self._last = np.zeros(n_channels)
        self._held_since = np.zeros((len(_CONDITIONS), n_channels), np.int64)
        self._prints: deque[int] = deque(maxlen=LAGS)
        self._repeats = np.zeros(LAGS, np.int64)
        self._workspaces: dict[int, _Workspace] = {}
        self.start(np.zeros(n_channels), 0)

    def start(self, level: Array, hop_index: int) -> None:
        """Forget everything; the next hop has this index and starts with this sample."""
        self._last[...] = level
        self._held_since[...] = hop_index
        self._now = hop_index
        self._prints.extend([-1] * LAGS)
        self._repeats[...] = 0
        self._repeating = False

    def update(self, hop_index: int, raw: Array, band: Array, clean: Array) -> list[Quality]:
        """Look at the next hops; the flags after each of them.

        Parameters
        ----------
        hop_index : int
            Absolute index of the first one.
        raw : ndarray, shape (n_hops * hop, n_channels)
            The signal as it came.
        band, clean : ndarray, shape (n_channels, n_hops * hop)
            After the band-pass, and after the notches.
        """
        hop = self._hop
        n_hops = len(raw) // hop
        work = self._workspaces.get(n_hops)
        if work is None:
            work = self._workspaces[n_hops] = _Workspace(n_hops, hop, raw.shape[1])
        good = self._conditions(work, raw, band, clean)
        flags = []
        for k in range(n_hops):
            self._now = hop_index + k + 1
            np.copyto(self._held_since, self._now, where=good[k])
            found = Quality.OK
            if self._watch_frozen and self._frozen(raw[k * hop : (k + 1) * hop]):
                found = Quality.FROZEN
            if np.minimum.reduce(self._held_since, axis=None) <= self._now - self._hold:
                found |= self._held()
            flags.append(found)
        return flags

    def _conditions(
        self, work: _Workspace, raw: Array, band: Array, clean: Array
    ) -> NDArray[np.bool_]:
        np.copyto(work.first, self._last)
        np.copyto(work.samples, raw)
        np.copyto(self._last, raw[-1])
        np.negative(work.values, out=work.negated)
        np.maximum.reduce(work.windows, axis=1, out=work.extremes)
        np.greater(work.high + work.minus_low, self._flat, out=work.good[:, 0])
        if self._rail:
            peak = np.maximum(work.high, work.minus_low)
            np.less(peak, self._rail, out=work.good[:, 1])
        if self._residue:
            power = np.vecdot(band.reshape(work.by_hop), band.reshape(work.by_hop))
            left = np.vecdot(clean.reshape(work.by_hop), clean.reshape(work.by_hop))
            np.greater_equal(left.T, power.T * self._residue, out=work.good[:, 2])
        return work.good

    def _held(self) -> Quality:
        found = Quality.OK
        counts = (self._held_since <= self._now - self._hold).sum(axis=1)
        for flag, count in zip(_CONDITIONS, counts, strict=True):
            if count >= self._needed:
                found |= flag
        return found

    def _frozen(self, hop: Array) -> bool:
        fingerprint = zlib.adler32(hop.data)
        if fingerprint in self._prints:
            same = np.array(self._prints) == fingerprint
            np.multiply(self._repeats + 1, same, out=self._repeats)
            self._repeating = True
        elif self._repeating:
            self._repeats[...] = 0
            self._repeating = False
        self._prints.append(fingerprint)
        return self._repeating and bool(self._repeats.max() >= self._hold)

    def channel_flags(self) -> NDArray[np.uint8]:
        """Bits of `Quality` per channel, shape (n_channels,)."""
        bits = np.array(_CONDITIONS, np.uint8)[:, None]
        held = self._held_since <= self._now - self._hold
        return (held * bits).sum(axis=0, dtype=np.uint8)

    def state(self) -> dict[str, NDArray]:
        """A copy of the state."""
        return {
            "last": self._last.copy(),
            "held": self._now - self._held_since,
            "now": np.array(self._now, np.int64),
            "prints": np.array(self._prints, np.int64),
            "repeats": self._repeats.copy(),
        }

    def set_state(self, state: dict[str, NDArray]) -> None:
        """Go on from a state."""
        self._last[...] = state["last"]
        self._now = int(state["now"])
        self._held_since[...] = self._now - state["held"]
        self._prints.extend(state["prints"].tolist())
        self._repeats[...] = state["repeats"]
        self._repeating = bool(self._repeats.any())


class _Workspace:
    """Buffers and views for one number of hops."""

    def __init__(self, n_hops: int, hop: int, n_channels: int) -> None:
        rows = np.zeros((1 + n_hops * hop, 2 * n_channels))
        self.values, self.negated = rows[:, :n_channels], rows[:, n_channels:]
        self.first, self.samples = self.values[0], self.values[1:]
        step, item = rows.strides
        # Each hop with the last sample of the one before.
        self.windows = np.lib.stride_tricks.as_strided(
            rows, (n_hops, hop + 1, 2 * n_channels), (hop * step, step, item), writeable=False
        )
        self.extremes = np.zeros((n_hops, 2 * n_channels))
        self.high, self.minus_low = self.extremes[:, :n_channels], self.extremes[:, n_channels:]
        self.by_hop = (n_channels, n_hops, hop)
        self.good = np.ones((n_hops, len(_CONDITIONS), n_channels), bool)

"""Puts blocks of samples onto the absolute sample grid: overlaps, gaps, bad values, whole hops."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError

Array = NDArray[np.float64]

LARGEST = float(np.finfo(np.float32).max)
"""A larger value, NaN or infinity is no sample."""


@dataclass(frozen=True)
class Gap:
    """Samples that did not go through as they came.

    Parameters
    ----------
    first_sample : int
        On the device's counter.
    count : int
        Number of samples. A block without finite values that is cut into pieces may be reported
        in pieces.
    action : {"filled", "reset", "duplicate"}
        Filled by a straight line; filters and windows start anew; seen before and dropped. A
        counter that jumps back is a reset with count 0.
    tick : int
        Tick whose hop holds `first_sample`.
    """

    first_sample: int
    count: int
    action: Literal["filled", "reset", "duplicate"]
    tick: int


class Piece(NamedTuple):
    """Whole hops in a row.

    Parameters
    ----------
    hop_index : int
        Absolute index of the first hop: its first sample is ``hop_index * hop``.
    samples : ndarray, shape (n_hops * hop, n_channels)
    fresh : bool
        Nothing that came before belongs to it: filters and windows start anew.
    """

    hop_index: int
    samples: Array
    fresh: bool


class SampleGrid:
    """Cuts what arrives into whole hops on the absolute sample grid.

    * Samples that came before are dropped. A block that starts at 0 again, or more than
      `back_limit` samples back, is a new stream.
    * A sample with a value that is not finite is a missing sample.
    * A gap of up to `max_fill` samples is filled with a straight line per channel from the last
      sample before it to the first one after it. A longer one starts anew.
    * After a start, samples before the first whole hop are dropped.

    Parameters
    ----------
    hop, n_channels, max_fill, back_limit : int
    """

    def __init__(self, hop: int, n_channels: int, max_fill: int, back_limit: int) -> None:
        self._hop = hop
        self._max_fill = max_fill
        self._back_limit = back_limit
        self._pending = np.zeros((hop, n_channels))
        self._last = np.zeros(n_channels)
        self._gaps: list[Gap] = []
        self.reset()

    def reset(self) -> None:
        """Expect a new stream."""
        self._next = -1  # counter of the next sample; -1: any
        self._missing = 0  # samples just before it that may still be filled
        self._waiting = 0  # samples in _pending
        self._running = False
        self._fresh = False

    def take_gaps(self) -> list[Gap]:
        """What was reported since the last call."""
        gaps, self._gaps = self._gaps, []
        return gaps

    def push(self, samples: Array, first_sample: int) -> list[Piece]:
        """Take the next block, shape (n_samples, n_channels); the hops that are whole now."""
        first = first_sample
        if first < self._next:
            if first == 0 or first < self._next - self._back_limit:
                self._report(first, 0, "reset")
                self.reset()
            else:
                overlap = min(self._next - first, len(samples))
                self._report(first, overlap, "duplicate")
                samples = samples[overlap:]
                first += overlap
        if not len(samples):
            return []
        if self._next < 0:
            self._next = first
        elif first > self._next:
            self._skip(first - self._next)
        # One dot product tells that nothing is NaN, infinite or huge.
        flat = samples.reshape(-1)
        if flat.dot(flat) <= LARGEST:
            return self._take(samples)
        return self._push_finite(samples)

    def _push_finite(self, samples: Array) -> list[Piece]:
        good: NDArray[np.bool_] = np.all(np.abs(samples) <= LARGEST, axis=1)
        cuts = [0, *(np.flatnonzero(good[1:] != good[:-1]) + 1).tolist(), len(samples)]
        pieces = []
        for start, end in itertools.pairwise(cuts):
            if good[start]:
                pieces += self._take(samples[start:end])
            else:
                self._skip(end - start)
        return pieces

    def _skip(self, count: int) -> None:
        if self._running and self._missing + count <= self._max_fill:
            self._missing += count
        else:
            self._report(self._next - self._missing, self._missing + count, "reset")
            self._running = False
            self._missing = self._waiting = 0
        self._next += count

    def _take(self, rows: Array) -> list[Piece]:
        hop = self._hop
        if not self._running:
            lead = min(-self._next % hop, len(rows))
            self._next += lead
            rows = rows[lead:]
            if not len(rows):
                return []
            self._running = self._fresh = True
        if self._missing:
            first = self._next - self._missing
            self._report(first, self._missing, "filled")
            share = np.arange(1, self._missing + 1)[:, None] / (self._missing + 1)
            rows = np.concatenate([self._last + (rows[0] - self._last) * share, rows])
            self._next = first
            self._missing = 0
        start = self._next - self._waiting
        self._next += len(rows)
        self._last[...] = rows[-1]
        if self._waiting:
            rows = np.concatenate([self._pending[: self._waiting], rows])
        whole = len(rows) // hop * hop
        self._waiting = len(rows) - whole
        self._pending[: self._waiting] = rows[whole:]
        if not whole:
            return []
        fresh, self._fresh = self._fresh, False
        return [Piece(start // hop, rows[:whole], fresh)]

    def _report(
        self, first: int, count: int, action: Literal["filled", "reset", "duplicate"]
    ) -> None:
        self._gaps.append(Gap(first, count, action, first // self._hop))

    def state(self) -> dict[str, NDArray]:
        """A copy of the state."""
        numbers = (self._next, self._missing, self._waiting, self._running, self._fresh)
        pending = np.zeros_like(self._pending)
        pending[: self._waiting] = self._pending[: self._waiting]
        return {
            "numbers": np.array(numbers, np.int64),
            "pending": pending,
            "last": self._last.copy(),
        }

    def set_state(self, state: dict[str, NDArray]) -> None:
        """Go on from a state; unreported gaps are forgotten.

        Raises
        ------
        UserError
            When the state cannot be one of this grid.
        """
        following, missing, waiting, running, fresh = state["numbers"].tolist()
        if not (0 <= waiting < self._hop and 0 <= missing <= self._max_fill):
            raise UserError("snapshot: its sample counts are out of range")
        self._next, self._missing, self._waiting = following, missing, waiting
        self._running, self._fresh = bool(running), bool(fresh)
        self._pending[...] = state["pending"]
        self._last[...] = state["last"]
        self._gaps = []

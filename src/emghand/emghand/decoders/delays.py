"""Delayed copies of the features, in a batch and tick by tick."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError

Floats = NDArray[np.float64]

MAX_DELAY = 1000
"""Longest delay [ticks]."""

MAX_HELD = 2**24
"""Most numbers a delay line holds: it bounds the memory that a model file can ask for."""


def same_segment(segments: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether row i + 1 belongs to the segment of row i; shape (m,) -> (m - 1,)."""
    return segments[1:] == segments[:-1]


def stack_delays(Z: Floats, delays: tuple[int, ...], segments: NDArray[np.int64]) -> Floats:
    """Features of now and of `delays` ticks ago, side by side.

    Before the start of a segment its first row is repeated, as in `DelayLine`.

    Parameters
    ----------
    Z : ndarray, shape (m, n)
    delays : tuple of int, length k
    segments : ndarray of int, shape (m,)

    Returns
    -------
    ndarray, shape (m, n * (k + 1))
    """
    DelayLine(Z.shape[1], delays)
    if not delays:
        return Z
    row = np.arange(len(Z))
    starts = np.concatenate([[True], ~same_segment(segments)])
    first = np.maximum.accumulate(np.where(starts, row, 0))
    return np.hstack([Z] + [Z[np.maximum(row - d, first)] for d in delays])


class DelayLine:
    """The same, tick by tick.

    Parameters
    ----------
    n_features : int
    delays : tuple of int
        Ascending, positive [ticks]; empty: `push` returns its argument.
    """

    def __init__(self, n_features: int, delays: tuple[int, ...]) -> None:
        if not isinstance(delays, tuple) or not all(type(d) is int for d in delays):
            raise UserError(f"delays: expected whole numbers of ticks, got {delays!r}")
        if list(delays) != sorted(set(delays)):
            raise UserError(f"delays: must ascend, got {delays!r}")
        if delays and not 1 <= delays[0] <= delays[-1] <= MAX_DELAY:
            raise UserError(f"delays: must lie between 1 and {MAX_DELAY} ticks, got {delays!r}")
        if delays and (delays[-1] + 1) * n_features > MAX_HELD:
            raise UserError(f"delays: {delays[-1]} ticks of {n_features} features are too many")
        self._delays = delays
        self._ring = np.zeros((delays[-1] + 1 if delays else 0, n_features))
        self._count = 0
        self._stacked = np.zeros((len(delays) + 1, n_features))

    def reset(self) -> None:
        """Forget the past."""
        self._count = 0
        self._ring[:] = 0.0

    def push(self, z: Floats) -> Floats:
        """Features of now and their delayed copies, shape (n * (k + 1),); read only."""
        if not self._delays:
            return z
        ring = self._ring
        if self._count == 0:
            ring[:] = z
        ring[self._count % len(ring)] = z
        self._stacked[0] = z
        for row, delay in enumerate(self._delays, start=1):
            self._stacked[row] = ring[(self._count - delay) % len(ring)]
        self._count += 1
        return self._stacked.reshape(-1)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Past features and the number of ticks since the reset."""
        if not self._delays:
            return {}
        return {"delays.ring": self._ring.copy(), "delays.count": np.array([self._count])}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from what `state` returned."""
        if self._delays:
            self._ring[:] = state["delays.ring"]
            self._count = int(state["delays.count"][0])

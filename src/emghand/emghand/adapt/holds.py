"""Where a movement stands still: rests and holds in a stretch of estimates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SMOOTHING_S = 0.4
SLOWEST = 0.2
"""Speed of the whole hand below which it always stands still [1/s]."""
RELATIVE = 0.5
"""What is added to it for each unit away from rest [1/s]: EMG is noisier the stronger it is."""
SHORTEST_S = 0.4


@dataclass(frozen=True)
class Holds:
    """Rows `start` (included) to `end` (not included) of each hold, shapes (p,)."""

    start: Ints
    end: Ints

    def __len__(self) -> int:
        return len(self.start)

    def means(self, values: Floats) -> Floats:
        """Mean of the rows of each hold; shapes (m, n) -> (p, n)."""
        sums = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
        return (sums[self.end] - sums[self.start]) / (self.end - self.start)[:, None]


def find_holds(x: Floats, tick_rate: float, follows: NDArray[np.bool_] | None = None) -> Holds:
    """Holds of estimates or labels, rests included.

    Parameters
    ----------
    x : ndarray, shape (m, n_dofs)
    tick_rate : float
        Ticks per second [Hz].
    follows : ndarray of bool, shape (m,), optional
        Whether a row follows on the one before in time; no hold reaches across.
    """
    k = max(2, round(SMOOTHING_S * tick_rate))
    if len(x) <= k:
        return Holds(np.zeros(0, np.int64), np.zeros(0, np.int64))
    smooth = uniform_filter1d(x, k, axis=0, mode="nearest")
    step = np.linalg.norm(smooth[k:] - smooth[:-k], axis=1) * tick_rate / k
    speed = np.concatenate([np.full(k // 2, step[0]), step, np.full(k - k // 2, step[-1])])
    allowed = RELATIVE * np.linalg.norm(smooth, axis=1)
    # Where everything trembles, the calmer half counts as still.
    still = speed - allowed < max(SLOWEST, float(np.median(speed - allowed)))
    breaks = np.zeros(len(x), dtype=np.bool_) if follows is None else ~follows
    change = np.diff(still.astype(np.int8), prepend=0) != 0
    edges = np.append(np.flatnonzero(change | breaks), len(x))
    start, end = edges[:-1], edges[1:]
    kept = still[start] & (end - start >= SHORTEST_S * tick_rate)
    return Holds(start[kept].astype(np.int64), end[kept].astype(np.int64))

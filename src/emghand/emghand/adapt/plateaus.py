"""Plateaus of a window of use: where an adapter averages the features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from emghand.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def find_plateaus(
    x_hat: Floats,
    ticks: Ints,
    tick_rate: float,
    *,
    shortest_s: float = 0.4,
    smooth_s: float = 0.1,
    speed: float | None = None,
) -> tuple[Ints, Ints]:
    """Where the estimate is slower than usual, for long enough.

    Unlike the plateaus of `emghand.adapt.detector.MovementDetector` they need no threshold: the
    median speed of the window fits any decoder, also one that has become noisy by drift. Half of
    the window at most is on plateaus, so it should hold some minutes of use.

    Parameters
    ----------
    x_hat : ndarray, shape (m, n_dofs)
        Raw estimates.
    ticks : ndarray of int, shape (m,)
        Ascending; no plateau lies across a gap.
    tick_rate : float
        Ticks per second [Hz].
    shortest_s : float
        Shorter plateaus are left out [s].
    smooth_s : float
        Window of the slope that the speed is the norm of [s].
    speed : float, optional
        Limit of the speed instead of its median [1/s].

    Returns
    -------
    starts, ends : ndarray of int, shape (k,)
        Rows: first, and the one after the last.

    Raises
    ------
    UserError
        When the arrays are not equally long, or an estimate is not finite.
    """
    if x_hat.ndim != 2 or len(x_hat) != len(ticks) or not np.isfinite(x_hat).all():
        raise UserError("plateaus: needs finite estimates (m, n_dofs) and as many ticks")
    half = max(1, round((smooth_s * tick_rate - 1.0) / 2.0))
    # Rows nearer than this to a gap have no slope.
    gap = np.flatnonzero(np.diff(ticks) != 1) + 1
    edges = np.concatenate([[0], gap, [len(ticks)]])
    inside = np.zeros(len(ticks), dtype=np.bool_)
    for first, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        inside[first + half : max(first + half, end - half)] = True
    if not inside.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    since = np.arange(-half, half + 1, dtype=np.float64)
    slope = correlate1d(x_hat, since * (tick_rate / float(since @ since)), axis=0, mode="nearest")
    speeds = np.linalg.norm(slope, axis=1)
    limit = float(np.median(speeds[inside])) if speed is None else speed
    slow = np.concatenate([[False], (speeds < limit) & inside, [False]])
    change = np.flatnonzero(np.diff(slow.astype(np.int8)))
    starts, ends = change[::2], change[1::2]
    long = ends - starts >= shortest_s * tick_rate
    return starts[long].astype(np.int64), ends[long].astype(np.int64)

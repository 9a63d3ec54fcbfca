"""Long traces with as many points as a figure can show, extremes kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_GAP_S = 0.5
"""A line is interrupted where its points are further apart than this."""


def decimated(seconds: Floats, values: Floats, bins: int) -> tuple[Floats, Floats]:
    """Smallest and largest value of each of `bins` equal spans of time.

    No peak is lost, however long the trace. Both lie where they were, in their order; a short trace
    stays as it is.

    Parameters
    ----------
    seconds : ndarray, shape (n,)
        Ascending.
    values : ndarray, shape (n,)
    bins : int
        Usually the width of the figure in pixels.

    Returns
    -------
    seconds, values : ndarray, shape (k,), with k at most 2 * bins
    """
    if len(seconds) <= 2 * bins:
        return seconds, values
    edges = np.linspace(seconds[0], seconds[-1], bins + 1)[:-1]
    starts = np.unique(np.searchsorted(seconds, edges))
    lengths = np.diff(starts, append=len(seconds))
    # Position of the extreme of each bin: rows sorted by bin, then by value.
    order = np.lexsort((values, np.repeat(np.arange(len(starts)), lengths)))
    kept = np.unique(np.concatenate([order[starts], order[starts + lengths - 1]]))
    return seconds[kept], values[kept]


def line(seconds: Floats, values: Floats, bins: int) -> tuple[Floats, Floats]:
    """Points to draw as one line: decimated, NaN where it is interrupted by a gap.

    Parameters
    ----------
    seconds, values : ndarray, shape (n,)
        Values that are not finite are left out.
    bins : int

    Returns
    -------
    seconds, values : ndarray, shape (k,)
    """
    finite = np.isfinite(values)
    seconds, values = seconds[finite], values[finite]
    gaps = np.flatnonzero(np.diff(seconds) > MAX_GAP_S) + 1
    parts_t, parts_y = np.split(seconds, gaps), np.split(values, gaps)
    span = max(float(seconds[-1] - seconds[0]), 1e-9) if len(seconds) else 1.0
    t: list[Floats] = []
    y: list[Floats] = []
    for part_t, part_y in zip(parts_t, parts_y, strict=True):
        if not len(part_t):
            continue
        share = float(part_t[-1] - part_t[0]) / span
        few_t, few_y = decimated(part_t, part_y, max(2, round(bins * share)))
        # What lies within a level stretch adds nothing to the line.
        step = np.diff(few_y, prepend=np.nan, append=np.nan) != 0.0
        few_t, few_y = few_t[step[:-1] | step[1:]], few_y[step[:-1] | step[1:]]
        t += [few_t, few_t[-1:]]
        y += [few_y, np.array([np.nan])]
    if not t:
        return np.empty(0), np.empty(0)
    return np.concatenate(t)[:-1], np.concatenate(y)[:-1]

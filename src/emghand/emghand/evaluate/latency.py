"""By how much an estimate lags behind what was asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_LATENCY_S = 1.0

Floats = NDArray[np.float64]


def latency_s(
    x_d: Floats,
    estimate: Floats,
    run: NDArray[np.int64],
    tick_rate: float,
    max_s: float = MAX_LATENCY_S,
) -> Floats:
    """Lag of the estimate behind `x_d` [s], per DOF; positive: the estimate comes later.

    The lag with the largest Pearson correlation over the pairs of ticks so far apart within a run,
    refined by a parabola through its neighbours.

    Parameters
    ----------
    x_d, estimate : ndarray, shape (m, n_dofs)
    run : ndarray of int, shape (m,)
        Ticks that follow one another in time share a number, and stand one after the other.
    tick_rate : float
        Ticks per second [Hz].
    max_s : float
        Lags from minus to plus this are tried [s].

    Returns
    -------
    ndarray, shape (n_dofs,)
        NaN where a DOF or its estimate does not move, where they do not correlate, or where the
        best lag lies at the edge of what was tried.
    """
    most = int(max_s * tick_rate)
    lags = np.arange(-most, most + 1)
    values = np.stack([_correlation_at(x_d, estimate, run, int(lag)) for lag in lags])
    result = np.full(x_d.shape[1], np.nan)
    for dof, column in enumerate(values.T):
        if not np.isfinite(column).any():
            continue
        best = int(np.nanargmax(column))
        around = column[best - 1 : best + 2]
        if column[best] <= 0.0 or len(around) < 3 or not np.isfinite(around).all():
            continue
        before, top, after = around.tolist()
        bend = before - 2.0 * top + after
        shift = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
        result[dof] = (lags[best] + shift) / tick_rate
    return result


def _correlation_at(x_d: Floats, estimate: Floats, run: NDArray[np.int64], lag: int) -> Floats:
    """Correlation per DOF of `x_d` with the estimate of `lag` ticks later."""
    m, k = len(x_d), abs(lag)
    nothing = np.full(x_d.shape[1], np.nan)
    if k >= m:
        return nothing
    early, late = (x_d, estimate) if lag >= 0 else (estimate, x_d)
    same = run[: m - k] == run[k:]
    a, b = early[: m - k][same], late[k:][same]
    if len(a) < 3:
        return nothing
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norm = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    return np.divide((a * b).sum(axis=0), norm, out=nothing, where=norm > 1e-12)

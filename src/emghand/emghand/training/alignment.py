"""Alignment of the labels with what the features show of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emghand.training.dataset import Dataset

MAX_LAG_S = 0.66

Floats = NDArray[np.float64]


def shifted(dataset: Dataset, lag_s: float) -> Floats:
    """`x_d` of `lag_s` before each tick, shape (m, n_dofs), interpolated within each recording."""
    if lag_s == 0.0:
        return dataset.X
    result = np.empty_like(dataset.X)
    for r in np.unique(dataset.recording):
        rows = dataset.recording == r
        t = (dataset.stamps_ns[rows] - dataset.stamps_ns[rows][0]) * 1e-9
        result[rows] = np.column_stack(
            [np.interp(t - lag_s, t, column) for column in dataset.X[rows].T]
        )
    return result


def find_lag(dataset: Dataset, max_lag_s: float = MAX_LAG_S) -> float:
    """Lag of the features behind `x_d` in the rows in use [s].

    The lag, in whole ticks, that maximises the mean absolute correlation between every feature and
    the positive and the negative part of every DOF. Positive: the features follow, by reaction,
    filters and window.

    Parameters
    ----------
    dataset : Dataset
        The training part only, or the lag knows of the test.
    max_lag_s : float
        Lags from minus to plus this are tried [s].
    """
    ticks = int(max_lag_s * dataset.tick_rate)
    lags = np.arange(-ticks, ticks + 1) / dataset.tick_rate
    features = _standardised(dataset.Z[dataset.use])
    scores = np.empty(len(lags))
    for i, lag_s in enumerate(lags):
        X = shifted(dataset, float(lag_s))[dataset.use]
        parts = _standardised(np.hstack([np.maximum(X, 0.0), np.maximum(-X, 0.0)]))
        scores[i] = np.abs(features.T @ parts).mean() if parts.size and features.size else 0.0
    # Of equal scores the smallest lag counts; with no correlation at all that is none.
    best = np.flatnonzero(scores >= scores.max() - 1e-12)
    return float(lags[best[np.argmin(np.abs(lags[best]))]])


def _standardised(values: Floats) -> Floats:
    """Columns that vary, without their mean, of unit norm."""
    centred = values - values.mean(axis=0)
    norm = np.sqrt((centred * centred).sum(axis=0))
    varies = norm > 1e-9 * max(1.0, float(np.sqrt(len(values)))) * np.abs(values).max(axis=0)
    return centred[:, varies] / norm[varies]

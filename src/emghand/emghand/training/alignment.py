"""Alignment of the labels with what the features show of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.training.dataset import Dataset

MAX_LAG_S = 0.66
MAX_TRIAL_LAG_S = 0.2
TRIAL_ITERATIONS = 10

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


@dataclass(frozen=True)
class TrialLags:
    """Lags of single trials beside the one of all.

    Parameters
    ----------
    X : ndarray, shape (m, n_dofs)
        `x_d` of each row's whole lag before.
    lags_s : ndarray, shape (n_trials,)
        By how much the features of each trial lag more than those of all [s].
    iterations : int
        Number of linear maps that were fitted.
    """

    X: Floats
    lags_s: Floats
    iterations: int


def align_trials(
    dataset: Dataset, Z: Floats, lag_s: float, max_s: float = MAX_TRIAL_LAG_S
) -> TrialLags:
    """Find the lag of each trial beside the global one.

    A linear map from the features to the labels is fitted, each trial is moved to the lag at which
    its labels are closest to the map's estimate (least squares, in whole ticks), and so on until
    no trial moves any more, at most 10 times. Rows outside of trials keep the global lag.

    Parameters
    ----------
    dataset : Dataset
        The training part only.
    Z : ndarray, shape (m, n_features)
        Its features, normalised.
    lag_s : float
        The global lag [s].
    max_s : float
        Trial lags from minus to plus this are tried [s].
    """
    ticks = int(max_s * dataset.tick_rate + 1e-9)
    # The smallest shift first: of lags that fit alike it is taken.
    steps = np.array(sorted(range(-ticks, ticks + 1), key=abs))
    shifts = np.stack([shifted(dataset, lag_s + k / dataset.tick_rate) for k in steps.tolist()])
    in_trial = dataset.trial >= 0
    keys = dataset.recording * (dataset.trial.max(initial=0) + 1) + dataset.trial
    names, trial = np.unique(keys[in_trial], return_inverse=True)
    rows, use = np.flatnonzero(in_trial), dataset.use
    place = np.zeros(len(names), dtype=np.intp)
    X = shifts[0]
    fits = 0
    while fits < TRIAL_ITERATIONS and len(names):
        fits += 1
        estimate = _linear_estimate(Z, X, use)
        error = ((shifts - estimate) ** 2).sum(axis=2)[:, rows] * use[rows]
        per_trial = np.array([np.bincount(trial, e, len(names)) for e in error])
        # Rounding must not move a trial whose labels are at rest throughout.
        close = per_trial <= per_trial.min(axis=0) * (1.0 + 1e-9) + 1e-12
        found = np.argmax(close, axis=0)
        if np.array_equal(found, place):
            break
        place = found
        X = shifts[0].copy()
        X[rows] = shifts[place[trial], rows]
    return TrialLags(X, steps[place] / dataset.tick_rate, fits)


def _linear_estimate(Z: Floats, X: Floats, use: NDArray[np.bool_]) -> Floats:
    """Ridge regression with a slight penalty, fitted to the rows in use."""
    mean_z, mean_x = Z[use].mean(axis=0), X[use].mean(axis=0)
    centred = Z - mean_z
    inner = centred[use].T @ centred[use]
    penalty = 1e-3 * max(float(inner.diagonal().mean()), 1e-12)
    B = np.linalg.solve(inner + penalty * np.eye(len(inner)), centred[use].T @ (X[use] - mean_x))
    estimate: Floats = centred @ B + mean_x
    return estimate


def _standardised(values: Floats) -> Floats:
    """Columns that vary, without their mean, of unit norm."""
    centred = values - values.mean(axis=0)
    norm = np.sqrt((centred * centred).sum(axis=0))
    varies = norm > 1e-9 * max(1.0, float(np.sqrt(len(values)))) * np.abs(values).max(axis=0)
    return centred[:, varies] / norm[varies]

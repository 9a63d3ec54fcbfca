"""Choice of the features that say most about the desired DOFs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

STOPS = ("none", "aic", "bic")
MOST = 48
"""Most features that are ever chosen."""

DEPENDENT = 1e-8
"""A feature with less than this share of its variance left is a sum of those chosen before."""


@dataclass(frozen=True)
class Selection:
    """Chosen features.

    Parameters
    ----------
    columns : ndarray of int, shape (k,)
        Their places, the first choice first.
    correlations : ndarray, shape (k,)
        Largest absolute correlation of each, when it was chosen, with what was left of a DOF.
    """

    columns: Ints
    correlations: Floats


def select_features(
    Z: Floats, X: Floats, most: int = MOST, stop: str = "none", window_ticks: int = 1
) -> Selection:
    """Gram–Schmidt forward selection.

    The features are made free of their mean and of unit norm. The one with the largest absolute
    correlation with any DOF is chosen; what it explains is taken out of the DOFs and out of the
    other features, which are scaled to unit norm again; and so on (Chen, Billings, Luo, 1989, doi
    10.1080/00207178908953472). It is computed on the matrix of inner products, where taking a
    feature out is one update of rank one: the same choices at a cost that does not grow with m.

    The optional stop ends the choice before the first feature that does not lower

        n Σ_d ln(RSS_d / m) + c D k

    with k features, D DOFs, and c = 2 (AIC, Akaike 1974, doi 10.1109/TAC.1974.1100705) or c = ln n
    (BIC, Schwarz 1978, doi 10.1214/aos/1176344136). Ticks whose windows overlap are not independent
    samples: n = m / `window_ticks`.

    Parameters
    ----------
    Z : ndarray, shape (m, n_features)
        Training rows only.
    X : ndarray, shape (m, n_dofs)
    most : int
        At most so many features are chosen.
    stop : str
        One of `STOPS`.
    window_ticks : int
        Length of the feature window in ticks.

    Returns
    -------
    Selection
        Without features that do not vary; at least one unless none varies.
    """
    m = len(Z)
    samples = max(m / window_ticks, 1.0)
    Z, spread = _unit_columns(Z)
    X, moves = _unit_columns(X)
    dofs = int(moves.sum())
    inner, cross = Z.T @ Z, Z.T @ X
    left = np.where(spread, 1.0, 0.0)
    residual = np.where(moves, 1.0, 0.0)
    cost = {"none": 0.0, "aic": 2.0, "bic": math.log(samples)}[stop] * dofs
    columns: list[int] = []
    correlations: list[float] = []
    while len(columns) < min(most, Z.shape[1]):
        usable = left > DEPENDENT
        usable[columns] = False
        if not usable.any():
            break
        norm = np.sqrt(np.outer(left, residual))
        score = np.divide(
            np.abs(cross), norm, out=np.zeros_like(cross), where=(norm > 0.0) & usable[:, None]
        )
        best = score.max(axis=1)
        best[~usable] = -1.0
        chosen = int(np.argmax(best))
        remaining = np.maximum(residual - cross[chosen] ** 2 / left[chosen], 0.0)
        if stop != "none" and columns and not _gains(samples, residual, remaining, moves, cost):
            break
        columns.append(chosen)
        correlations.append(float(best[chosen]))
        share = inner[chosen] / left[chosen]
        cross -= np.outer(share, cross[chosen])
        inner -= np.outer(share, inner[chosen])
        left, residual = np.maximum(inner.diagonal(), 0.0), remaining
        residual[residual < 1e-14] = 0.0
    return Selection(np.array(columns, dtype=np.intp), np.array(correlations))


def _gains(samples: float, before: Floats, after: Floats, moves: Bools, cost: float) -> bool:
    """Whether a feature lowers the criterion by more than it costs."""
    known = moves & (before > 0.0)
    with np.errstate(divide="ignore"):
        gain = -np.log(after[known] / before[known]).sum()
    return bool(samples * gain > cost)


def _unit_columns(values: Floats) -> tuple[Floats, Bools]:
    """Columns without their mean, of unit norm, and which of them vary; the others are 0."""
    centred = values - values.mean(axis=0)
    norm = np.sqrt((centred * centred).sum(axis=0))
    varies = norm > 1e-9 * math.sqrt(max(len(values), 1)) * np.abs(values).max(axis=0)
    return np.divide(centred, norm, out=np.zeros_like(centred), where=varies), varies

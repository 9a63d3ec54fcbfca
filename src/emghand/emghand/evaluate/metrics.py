"""Measures of an estimate against the desired DOFs, per DOF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emghand.errors import UserError

AT_REST = 0.05
"""A DOF whose x_d is at most this far from rest is meant to be at rest."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Measures per DOF, each of shape (n_dofs,); NaN where a measure is not defined.

    Parameters
    ----------
    names : tuple of str
    rmse : ndarray
        Root of the mean squared error.
    nrmse : ndarray
        RMSE over the range of `x_d` (largest minus smallest).
    r2 : ndarray
        1 - squared error / squared deviation of `x_d` from its mean; at most 1, not bounded below.
    correlation : ndarray
        Pearson's; blind to gain and offset.
    intended : ndarray
        RMSE while this DOF is meant to be away from rest, by more than 0.05.
    unintended : ndarray
        Root mean square of the estimate, from rest, while this DOF is meant to rest and another
        is not.
    """

    names: tuple[str, ...]
    rmse: Floats
    nrmse: Floats
    r2: Floats
    correlation: Floats
    intended: Floats
    unintended: Floats

    @property
    def mean_r2(self) -> float:
        """R² averaged over the DOFs that move."""
        known = self.r2[np.isfinite(self.r2)]
        return float(known.mean()) if len(known) else float("nan")

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """Plain numbers by measure and DOF; undefined ones are None, for JSON."""
        measures: dict[str, Any] = {k: v for k, v in vars(self).items() if k != "names"}
        return {
            measure: {
                name: float(v) if np.isfinite(v) else None
                for name, v in zip(self.names, values, strict=True)
            }
            for measure, values in measures.items()
        }


def score(
    x_d: ArrayLike, estimate: ArrayLike, names: Sequence[str], rest: ArrayLike = 0.0
) -> Scores:
    """Measures of an estimate.

    Parameters
    ----------
    x_d, estimate : array_like, shape (m, n_dofs)
    names : sequence of str, length n_dofs
    rest : array_like, shape (n_dofs,)
        Where each DOF is at rest.

    Raises
    ------
    UserError
        When there is nothing to score, shapes disagree, or a value is not finite: it would take its
        DOF out of the mean.
    """
    X, P, origin = (np.asarray(a, dtype=np.float64) for a in (x_d, estimate, rest))
    if X.shape != P.shape or X.ndim != 2 or X.shape[1] != len(names):
        raise UserError(f"scores: shapes disagree: {X.shape}, {P.shape}, {len(names)} DOFs")
    if not len(X):
        raise UserError("scores: no tick is both labelled and decoded")
    if not (np.isfinite(X).all() and np.isfinite(P).all()):
        raise UserError("scores: x_d or the estimate holds values that are not finite")
    error = P - X
    mse = (error * error).mean(axis=0)
    rmse = np.sqrt(mse)
    span = X.max(axis=0) - X.min(axis=0)
    variance = X.var(axis=0)
    moves = span > 1e-9
    away = np.abs(X - origin) > AT_REST
    others = away.any(axis=1, keepdims=True) & ~away
    return Scores(
        names=tuple(names),
        rmse=rmse,
        nrmse=_divide(rmse, span, moves),
        r2=_divide(variance - mse, variance, moves),
        correlation=_correlation(X, P, moves),
        intended=_rms(error, away),
        unintended=_rms(P - origin, others),
    )


def _divide(a: Floats, b: Floats, where: NDArray[np.bool_]) -> Floats:
    return np.divide(a, b, out=np.full_like(a, np.nan), where=where)


def _rms(values: Floats, where: NDArray[np.bool_]) -> Floats:
    counts = where.sum(axis=0)
    sums = np.where(where, values * values, 0.0).sum(axis=0)
    return np.sqrt(_divide(sums, np.maximum(counts, 1.0), counts > 0))


def _correlation(X: Floats, P: Floats, moves: NDArray[np.bool_]) -> Floats:
    x, p = X - X.mean(axis=0), P - P.mean(axis=0)
    norm = np.sqrt((x * x).sum(axis=0) * (p * p).sum(axis=0))
    return _divide((x * p).sum(axis=0), norm, moves & (norm > 0.0))


def masked_r2(x_d: ArrayLike, estimate: ArrayLike, keep: ArrayLike) -> Floats:
    """R² per DOF over the samples that count, for labels that are known to be wrong in places.

    Parameters
    ----------
    x_d, estimate : array_like, shape (m, n_dofs)
    keep : array_like of bool, shape (m, n_dofs)

    Returns
    -------
    ndarray, shape (n_dofs,)
        See `Scores`.
    """
    columns = zip(*(np.asarray(a).T for a in (x_d, estimate, keep)), strict=True)
    return np.array([score(x[kept, None], p[kept, None], ("",)).mean_r2 for x, p, kept in columns])

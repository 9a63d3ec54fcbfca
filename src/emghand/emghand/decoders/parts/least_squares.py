"""Ridge regression with its penalty chosen by leaving one group out."""

from __future__ import annotations

import numpy as np

from emghand.decoders.base import Floats, Ints
from emghand.errors import UserError

LAMBDAS = tuple(float(f"{10.0**e:.3g}") for e in np.arange(-4.0, 1.01, 0.5))
"""Default grid of the penalty, per sample, for z-scored features."""


def fit_ridge(
    kind: str, Z: Floats, X: Floats, groups: Ints, lambdas: Floats
) -> tuple[Floats, Floats, Floats]:
    """``B = (Z'Z + m lambda I)^-1 Z'X`` on centred data, so that the intercept is not penalised.

    One lambda for all DOFs is chosen by leaving one group out, on the error relative to each DOF's
    variance.

    Parameters
    ----------
    kind : str
        Of the decoder, for errors.
    Z : ndarray, shape (m, n)
    X : ndarray, shape (m, d)
    groups : ndarray of int, shape (m,)
    lambdas : ndarray, shape (k,)
        Penalties per sample to choose from.

    Returns
    -------
    coef : ndarray, shape (d, n)
    intercept : ndarray, shape (d,)
    penalty : ndarray, shape (1,)

    Raises
    ------
    UserError
        When there is no second group to choose lambda by.
    """
    best = 0
    if len(lambdas) > 1:
        if len(np.unique(groups)) < 2:
            raise UserError(
                f"{kind} decoder: choosing lambda needs at least 2 repetitions; record more, or "
                "give one lambda"
            )
        best = int(np.argmin(_held_out_error(Z, X, groups, lambdas)))
    z_mean, x_mean = Z.mean(axis=0), X.mean(axis=0)
    moments = _Moments(Z - z_mean, X - x_mean)
    coef = np.ascontiguousarray(moments.solve(lambdas[best : best + 1])[0].T)
    return coef, x_mean - coef @ z_mean, lambdas[best : best + 1]


class _Moments:
    """Second moments of centred data and the ridge solutions made from them."""

    def __init__(self, Z: Floats, X: Floats) -> None:
        values, self._vectors = np.linalg.eigh(Z.T @ Z / len(Z))
        self._values = np.maximum(values, 0.0)
        self._projected = self._vectors.T @ (Z.T @ X / len(Z))

    def solve(self, lambdas: Floats) -> list[Floats]:
        """One matrix, shape (n, d), per penalty."""
        return [
            self._vectors @ (self._projected / (self._values + penalty)[:, None])
            for penalty in lambdas
        ]


def _held_out_error(Z: Floats, X: Floats, groups: Ints, lambdas: Floats) -> Floats:
    """Squared error on the group left out, relative to the variance, shape (n_lambdas,)."""
    error = np.zeros(len(lambdas))
    variance = X.var(axis=0)
    weight = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0.0)
    for name in np.unique(groups):
        out = groups == name
        z_mean, x_mean = Z[~out].mean(axis=0), X[~out].mean(axis=0)
        solutions = _Moments(Z[~out] - z_mean, X[~out] - x_mean).solve(lambdas)
        for i, B in enumerate(solutions):
            residual = X[out] - x_mean - (Z[out] - z_mean) @ B
            error[i] += ((residual * residual) @ weight).sum()
    return error

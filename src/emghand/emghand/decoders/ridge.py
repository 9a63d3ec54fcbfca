"""Ridge regression."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from emghand.decoders.base import Bools, Decoder, Floats, Ints
from emghand.errors import UserError

LAMBDAS = tuple(float(f"{10.0**e:.3g}") for e in np.arange(-4.0, 1.01, 0.5))
"""Default grid of the penalty, per sample, for z-scored features."""


class RidgeDecoder(Decoder):
    """Linear map with a quadratic penalty, ``B = (Z'Z + m lambda I)^-1 Z'X``.

    The intercept is not penalised: features and targets are centred for the fit. One `lambda` for
    all DOFs is chosen by leaving one group out, on the error relative to each DOF's variance.

    Parameters
    ----------
    delays : sequence of int
        See `Decoder`.
    lambdas : sequence of float
        Penalties per sample to choose from.

    Attributes
    ----------
    coef_ : ndarray, shape (d, f)
    intercept_ : ndarray, shape (d,)
    lambda_ : ndarray, shape (1,)
        The penalty chosen.
    """

    kind = "ridge"
    learned: ClassVar[dict[str, str]] = {"coef_": "df", "intercept_": "d", "lambda_": "1"}

    def __init__(self, delays: tuple[int, ...] = (), lambdas: tuple[float, ...] = LAMBDAS) -> None:
        super().__init__(delays)
        self.lambdas = lambdas

    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        lambdas = np.array(self.lambdas, dtype=np.float64)
        if lambdas.ndim != 1 or not len(lambdas) or not (lambdas > 0.0).all():
            raise UserError("ridge decoder: lambdas must be positive numbers, at least one")
        best = 0
        if len(lambdas) > 1:
            best = int(np.argmin(_held_out_error(Z, X, groups, lambdas)))
        z_mean, x_mean = Z.mean(axis=0), X.mean(axis=0)
        moments = _Moments(Z - z_mean, X - x_mean)
        self.coef_ = np.ascontiguousarray(moments.solve(lambdas[best : best + 1])[0].T)
        self.intercept_ = x_mean - self.coef_ @ z_mean
        self.lambda_ = lambdas[best : best + 1]

    def _estimate(self, z: Floats) -> Floats:
        # einsum: unlike a BLAS product, its bits do not depend on the number of threads.
        return np.einsum("df,f->d", self.coef_, z) + self.intercept_


class _Moments:
    """Second moments of centred data and the ridge solutions made from them."""

    def __init__(self, Z: Floats, X: Floats) -> None:
        values, self._vectors = np.linalg.eigh(Z.T @ Z / len(Z))
        self._values = np.maximum(values, 0.0)
        self._projected = self._vectors.T @ (Z.T @ X / len(Z))

    def solve(self, lambdas: Floats) -> list[Floats]:
        """One matrix, shape (f, d), per penalty."""
        return [
            self._vectors @ (self._projected / (self._values + penalty)[:, None])
            for penalty in lambdas
        ]


def _held_out_error(Z: Floats, X: Floats, groups: Ints, lambdas: Floats) -> Floats:
    """Squared error on the group left out, relative to the variance, shape (n_lambdas,)."""
    error = np.zeros(len(lambdas))
    variance = X.var(axis=0)
    weight = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0.0)
    names = np.unique(groups)
    if len(names) < 2:
        raise UserError(
            "ridge decoder: choosing lambda needs at least 2 repetitions; record more, or give one "
            "lambda"
        )
    for name in names:
        out = groups == name
        z_mean, x_mean = Z[~out].mean(axis=0), X[~out].mean(axis=0)
        solutions = _Moments(Z[~out] - z_mean, X[~out] - x_mean).solve(lambdas)
        for i, B in enumerate(solutions):
            residual = X[out] - x_mean - (Z[out] - z_mean) @ B
            error[i] += ((residual * residual) @ weight).sum()
    return error


DECODER = RidgeDecoder

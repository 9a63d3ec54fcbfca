"""Ridge regression on the features and their products."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from emghand.decoders.base import Bools, Decoder, Floats, Ints
from emghand.decoders.parts.least_squares import LAMBDAS, fit_ridge
from emghand.errors import UserError


class PolynomialDecoder(Decoder):
    """Second-degree polynomial with a quadratic penalty, chosen as that of ridge.

    Products tell apart movements that share their muscles: both active is another thing than the
    sum of each active alone. Their number grows with the square of the features, so that only the
    features most correlated with a DOF are used (with the rest of them too when `max_features` is
    as large).

    Parameters
    ----------
    delays : sequence of int
        See `Decoder`.
    lambdas : sequence of float
        Penalties per sample to choose from, by leaving one group out.
    max_features : int
        Features (with their delayed copies) that are used, those with the largest absolute
        correlation with any DOF.

    Attributes
    ----------
    linear_ : ndarray, shape (d, f)
        Zero for features that are not used.
    quadratic_ : ndarray, shape (d, q)
        For the products of the features used, those of the upper triangle in rows.
    used_ : ndarray, shape (s,)
        Their numbers, ascending.
    intercept_ : ndarray, shape (d,)
    lambda_ : ndarray, shape (1,)
        The penalty chosen.
    """

    kind = "polynomial"
    learned: ClassVar[dict[str, str]] = {
        "linear_": "df",
        "quadratic_": "dq",
        "used_": "s",
        "intercept_": "d",
        "lambda_": "1",
    }

    def __init__(
        self,
        delays: tuple[int, ...] = (),
        lambdas: tuple[float, ...] = LAMBDAS,
        max_features: int = 48,
    ) -> None:
        super().__init__(delays)
        self.lambdas = lambdas
        self.max_features = max_features

    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        used = _most_correlated(Z, X, int(self._number("max_features", low=1, whole=True)))
        i, j = np.triu_indices(len(used))
        terms = np.hstack([Z[:, used], Z[:, used[i]] * Z[:, used[j]]])
        coef, self.intercept_, self.lambda_ = fit_ridge(
            self.kind, terms, X, groups, self._positive("lambdas")
        )
        self.linear_ = np.zeros((X.shape[1], Z.shape[1]))
        self.linear_[:, used] = coef[:, : len(used)]
        self.quadratic_ = np.ascontiguousarray(coef[:, len(used) :])
        self.used_ = used.astype(np.float64)

    def _estimate(self, z: Floats) -> Floats:
        products = z[self._left] * z[self._right]
        x = np.einsum("df,f->d", self.linear_, z) + self.intercept_
        return x + np.einsum("dq,q->d", self.quadratic_, products)

    def _prepare(self) -> None:
        super()._prepare()
        used = self.used_.astype(np.int64)
        i, j = np.triu_indices(len(used))
        self._left, self._right = used[i], used[j]

    def _check_learned(self) -> None:
        super()._check_learned()
        n, used = self.linear_.shape[1], self.used_
        ascending = (np.diff(used) > 0).all() and used[0] >= 0 and used[-1] < n
        if not ascending or (used != np.floor(used)).any():
            raise UserError(f"{self.kind} decoder: array used_ does not number features")
        if self.quadratic_.shape[1] != len(used) * (len(used) + 1) // 2:
            raise UserError(f"{self.kind} decoder: array quadratic_ does not fit used_")


def _most_correlated(Z: Floats, X: Floats, count: int) -> Ints:
    """Numbers of the features, ascending."""
    z, x = Z - Z.mean(axis=0), X - X.mean(axis=0)
    norms = np.sqrt(np.outer((z * z).sum(axis=0), (x * x).sum(axis=0)))
    correlation = np.divide(np.abs(z.T @ x), norms, out=np.zeros_like(norms), where=norms > 0.0)
    best = np.argsort(-correlation.max(axis=1), kind="stable")
    return np.sort(best[:count])


DECODER = PolynomialDecoder

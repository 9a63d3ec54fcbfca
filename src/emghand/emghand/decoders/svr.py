"""Support vector regression with Gaussian kernels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from emghand.decoders.base import Bools, Decoder, Floats, Ints
from emghand.decoders.parts.rbf import TEN_DELAYS, KernelSum, affordable_rows
from emghand.errors import UserError


class SvrDecoder(Decoder):
    """epsilon support vector regression, one per DOF (Smola and Schoelkopf 2004).

    Errors below epsilon cost nothing, larger ones in proportion: a glitch of the ground truth pulls
    less than it does on squared errors. The DOFs share one set of support rows.

    Parameters
    ----------
    delays : sequence of int
        See `Decoder`.
    gamma : float
        Width of the kernel in units of 1 / number of features (with their delayed copies).
    cost : float
        C: how much an error counts against smoothness.
    epsilon : float
        Errors up to this are free, in units of the DOFs.
    max_rows : int
        Learns from at most so many rows, evenly spread; fewer where a step would take longer than
        0.5 ms.

    Attributes
    ----------
    support_ : ndarray, shape (s, f)
    coef_ : ndarray, shape (s, d)
        Dual coefficients.
    intercept_ : ndarray, shape (d,)
    gamma_ : ndarray, shape (1,)
    """

    kind = "svr"
    learned: ClassVar[dict[str, str]] = {
        "support_": "sf",
        "coef_": "sd",
        "intercept_": "d",
        "gamma_": "1",
    }

    def __init__(
        self,
        delays: tuple[int, ...] = TEN_DELAYS,
        gamma: float = 1.0,
        cost: float = 1.0,
        epsilon: float = 0.1,
        max_rows: int = 3000,
    ) -> None:
        super().__init__(delays)
        self.gamma = gamma
        self.cost = cost
        self.epsilon = epsilon
        self.max_rows = max_rows

    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        from sklearn.svm import SVR

        gamma = self._number("gamma", low=1e-9) / Z.shape[1]
        cost = self._number("cost", low=1e-9)
        epsilon = self._number("epsilon", low=0.0)
        wanted = int(self._number("max_rows", low=2, whole=True))
        size = min(affordable_rows(wanted, Z.shape[1]), len(Z))
        rows = np.linspace(0, len(Z) - 1, size).round().astype(np.int64)
        coef = np.zeros((size, X.shape[1]))
        self.intercept_ = np.empty(X.shape[1])
        for i, target in enumerate(X[rows].T):
            fitted = SVR(gamma=gamma, C=cost, epsilon=epsilon).fit(Z[rows], target)
            coef[fitted.support_, i] = fitted.dual_coef_[0]
            self.intercept_[i] = fitted.intercept_[0]
        # A DOF that never leaves the tube has no support rows; the file wants at least one row.
        supports = np.flatnonzero(np.abs(coef).max(axis=1) > 0.0)
        supports = supports if len(supports) else np.array([0])
        self.support_, self.coef_ = Z[rows[supports]], coef[supports]
        self.gamma_ = np.array([gamma])

    def _estimate(self, z: Floats) -> Floats:
        return self._sum(z)

    def _prepare(self) -> None:
        super()._prepare()
        self._sum = KernelSum(self.support_, self.coef_, self.intercept_, float(self.gamma_[0]))

    def _check_learned(self) -> None:
        super()._check_learned()
        if self.gamma_[0] < 0.0:
            raise UserError(f"{self.kind} decoder: array gamma_ must not be negative")


DECODER = SvrDecoder

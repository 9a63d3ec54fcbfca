"""Kernel ridge regression with Gaussian kernels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from emghand.decoders.base import Bools, Decoder, Floats, Ints
from emghand.decoders.parts.rbf import TEN_DELAYS, KernelSum, affordable_rows
from emghand.errors import UserError

CHUNK = 4096
"""Rows whose kernels are held in memory at a time."""


class KernelRidgeDecoder(Decoder):
    """Kernel ridge regression on landmarks (Nystroem; Williams and Seeger 2001).

    f(z) = mean + sum_s c_s exp(-g |z - s|^2), minimising the mean squared error plus the penalty
    times the squared norm of f. The landmarks s are rows of the training data drawn at random; with
    as many landmarks as rows this is kernel ridge regression itself. The target's mean is not
    penalised.

    Parameters
    ----------
    delays : sequence of int
        See `Decoder`.
    gamma : float
        Width g of the kernel in units of 1 / number of features (with their delayed copies), as
        scikit-learn's ``scale`` for z-scored features.
    penalty : float
        Per sample, as that of ridge.
    landmarks : int
        At most so many; fewer where a step would take longer than 0.5 ms.
    seed : int
        Of the choice of landmarks.

    Attributes
    ----------
    support_ : ndarray, shape (s, f)
    coef_ : ndarray, shape (s, d)
    intercept_ : ndarray, shape (d,)
    gamma_ : ndarray, shape (1,)
        g.
    """

    kind = "kernel_ridge"
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
        penalty: float = 1e-3,
        landmarks: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__(delays)
        self.gamma = gamma
        self.penalty = penalty
        self.landmarks = landmarks
        self.seed = seed

    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        from scipy.linalg import solve
        from sklearn.kernel_approximation import Nystroem

        gamma = self._number("gamma", low=1e-9) / Z.shape[1]
        penalty = self._number("penalty", low=1e-12)
        wanted = int(self._number("landmarks", low=2, whole=True))
        seed = int(self._number("seed", low=0, high=2**32 - 1, whole=True))
        size = min(affordable_rows(wanted, Z.shape[1]), len(Z))
        basis = Nystroem(gamma=gamma, n_components=size, random_state=seed).fit(Z)
        mean = X.mean(axis=0)
        gram, moment = np.zeros((size, size)), np.zeros((size, X.shape[1]))
        for start in range(0, len(Z), CHUNK):
            rows = basis.transform(Z[start : start + CHUNK])
            gram += rows.T @ rows
            moment += rows.T @ (X[start : start + CHUNK] - mean)
        gram[np.diag_indices_from(gram)] += penalty * len(Z)
        weights = solve(gram, moment, assume_a="pos")
        self.support_ = np.array(basis.components_)
        self.coef_ = np.ascontiguousarray(basis.normalization_.T @ weights)
        self.intercept_ = mean
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


DECODER = KernelRidgeDecoder

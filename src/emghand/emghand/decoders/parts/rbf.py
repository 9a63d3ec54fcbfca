"""Sums of Gaussian kernels, as kernel ridge and support vector regression step on them."""

from __future__ import annotations

import numpy as np

from emghand.decoders.base import Floats

TEN_DELAYS = tuple(range(1, 11))
"""Delayed copies that kernel decoders use by default."""

BUDGET = 2**19
"""Most numbers in the support rows of a new decoder: it keeps a step below 0.5 ms."""


def affordable_rows(wanted: int, n_features: int) -> int:
    """Support rows of `n_features` that a step has the time for, at most `wanted`."""
    return max(2, min(wanted, BUDGET // n_features))


class KernelSum:
    """f(z) = intercept + sum_s coef_s exp(-gamma |z - support_s|^2).

    Parameters
    ----------
    support : ndarray, shape (s, f)
    coef : ndarray, shape (s, d)
    intercept : ndarray, shape (d,)
    gamma : float
        Not negative.
    """

    def __init__(self, support: Floats, coef: Floats, intercept: Floats, gamma: float) -> None:
        # Doubled and with features in rows, so that a step runs along contiguous memory.
        self._twice = np.ascontiguousarray(2.0 * support.T)
        self._squares = np.einsum("sf,sf->s", support, support)
        self._coef = coef
        self._intercept = intercept
        self._gamma = gamma

    def __call__(self, z: Floats) -> Floats:
        """One tick; shapes (f,) -> (d,)."""
        # einsum: unlike a BLAS product, its bits do not depend on the number of threads.
        near = np.einsum("fs,f->s", self._twice, z)
        near -= self._squares
        near -= np.einsum("f,f->", z, z)
        # Rounding must not make a distance negative.
        np.minimum(near, 0.0, out=near)
        near *= self._gamma
        np.exp(near, out=near)
        return np.einsum("s,sd->d", near, self._coef) + self._intercept

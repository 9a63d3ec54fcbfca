"""Ridge regression."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from emghand.decoders.base import Bools, Decoder, Floats, Ints
from emghand.decoders.parts.least_squares import LAMBDAS, fit_ridge


class RidgeDecoder(Decoder):
    """Linear map with a quadratic penalty, ``B = (Z'Z + m lambda I)^-1 Z'X``.

    The intercept is not penalised. One `lambda` for all DOFs is chosen by leaving one group out, on
    the error relative to each DOF's variance.

    Parameters
    ----------
    delays : sequence of int
        See `Decoder`.
    lambdas : sequence of float
        Penalties per sample to choose from.
    differential : bool
        Learn velocities and integrate them, instead of positions.
    low, high : sequence of float
        Range of the DOFs that bounds the integration; one value, or one per DOF.
    tick_rate : float
        Ticks per second [Hz]; only a differential decoder needs it.

    Attributes
    ----------
    coef_ : ndarray, shape (d, f)
    intercept_ : ndarray, shape (d,)
    lambda_ : ndarray, shape (1,)
        The penalty chosen.
    """

    kind = "ridge"
    learned: ClassVar[dict[str, str]] = {"coef_": "df", "intercept_": "d", "lambda_": "1"}

    def __init__(
        self,
        delays: tuple[int, ...] = (),
        lambdas: tuple[float, ...] = LAMBDAS,
        differential: bool = False,
        low: tuple[float, ...] = (-1.0,),
        high: tuple[float, ...] = (1.0,),
        tick_rate: float = 0.0,
    ) -> None:
        super().__init__(delays)
        self.lambdas = lambdas
        self.differential = differential
        self.low = low
        self.high = high
        self.tick_rate = tick_rate

    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        self.coef_, self.intercept_, self.lambda_ = fit_ridge(
            self.kind, Z, X, groups, self._positive("lambdas")
        )

    def _estimate(self, z: Floats) -> Floats:
        # einsum: unlike a BLAS product, its bits do not depend on the number of threads.
        return np.einsum("df,f->d", self.coef_, z) + self.intercept_


DECODER = RidgeDecoder

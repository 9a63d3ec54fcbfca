"""Recent use of the hand: what adaptation sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Window:
    """Ticks of use without prompts, in order.

    Parameters
    ----------
    Z : ndarray, shape (m, n_features)
        Features as published, not normalised.
    x_hat : ndarray, shape (m, n_dofs)
        Raw estimates of the decoder that was in force.
    ticks : ndarray of int, shape (m,)
        Numbers of the ticks, ascending.
    good : ndarray of bool, shape (m,)
        Ticks to learn from: accepted, with the hand armed and no emergency stop.
    tick_rate : float
        Ticks per second [Hz].
    """

    Z: Floats
    x_hat: Floats
    ticks: Ints
    good: Bools
    tick_rate: float

    def __post_init__(self) -> None:
        m = len(self.ticks)
        if self.Z.shape[:1] != (m,) or self.x_hat.shape[:1] != (m,) or self.good.shape != (m,):
            raise UserError("window of use: its arrays are not equally long")
        if self.Z.ndim != 2 or self.x_hat.ndim != 2 or not self.tick_rate > 0.0:
            raise UserError("window of use: needs features and estimates (m, n), and a tick rate")
        if (np.diff(self.ticks) <= 0).any():
            raise UserError("window of use: ticks must ascend")

    def __len__(self) -> int:
        return len(self.ticks)

    @property
    def seconds(self) -> float:
        """Length of what can be learned from [s]."""
        return float(self.good.sum()) / self.tick_rate

    def usable(self) -> Window:
        """The good ticks whose values are finite."""
        finite = np.isfinite(self.Z).all(axis=1) & np.isfinite(self.x_hat).all(axis=1)
        return self.where(self.good & finite)

    def where(self, keep: Bools) -> Window:
        """The ticks for which `keep`, shape (m,), is true."""
        return Window(
            self.Z[keep], self.x_hat[keep], self.ticks[keep], self.good[keep], self.tick_rate
        )

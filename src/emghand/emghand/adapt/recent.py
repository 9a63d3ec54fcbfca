"""The last minutes of use, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.rules.labels import LabelledWindow

Floats = NDArray[np.float64]

MAX_BYTES = 256 * 2**20
"""Most that is kept; with very many features the window is shorter than asked for."""

RESTART_TICKS = 100
"""Gap that is left where the tick counter began anew: longer than any decoder remembers."""


@dataclass(frozen=True)
class Block:
    """Some ticks in order; shapes as in `LabelledWindow`."""

    Z: Floats
    x_hat: Floats
    ticks: NDArray[np.int64]
    good: NDArray[np.bool_]
    x_d: Floats

    def __len__(self) -> int:
        return len(self.ticks)

    def __getitem__(self, rows: slice) -> Block:
        return Block(
            self.Z[rows], self.x_hat[rows], self.ticks[rows], self.good[rows], self.x_d[rows]
        )


class RecentUse:
    """Keeps the latest ticks.

    Where the counter of the ticks begins anew (another stream), they are counted on, after a gap:
    the ticks of the window always ascend.

    Parameters
    ----------
    n_features, n_dofs : int
    capacity : int
        Most ticks to keep.
    tick_rate : float
        [Hz]
    """

    def __init__(self, n_features: int, n_dofs: int, capacity: int, tick_rate: float) -> None:
        row = 8 * (n_features + 2 * n_dofs + 1) + 1
        self._capacity = n = max(1, min(capacity, MAX_BYTES // row))
        self._tick_rate = tick_rate
        self._Z = np.zeros((n, n_features))
        self._x_hat = np.zeros((n, n_dofs))
        self._x_d = np.zeros((n, n_dofs))
        self._ticks = np.zeros(n, dtype=np.int64)
        self._good = np.zeros(n, dtype=np.bool_)
        self._count = 0
        self._last = -1
        self._offset = 0

    def push(self, block: Block) -> None:
        """Take the next ticks, which must ascend within the block."""
        block = block[-self._capacity :]
        if not len(block):
            return
        if block.ticks[0] + self._offset <= self._last:
            self._offset = self._last + RESTART_TICKS - int(block.ticks[0])
        rows = np.arange(self._count, self._count + len(block)) % self._capacity
        self._Z[rows], self._x_hat[rows], self._x_d[rows] = block.Z, block.x_hat, block.x_d
        self._ticks[rows], self._good[rows] = block.ticks + self._offset, block.good
        self._count += len(block)
        self._last = int(block.ticks[-1]) + self._offset

    def window(self) -> LabelledWindow:
        """A copy of everything kept, in order."""
        n = min(self._count, self._capacity)
        rows = np.arange(self._count - n, self._count) % self._capacity
        return LabelledWindow(
            self._Z[rows],
            self._x_hat[rows],
            self._ticks[rows],
            self._good[rows],
            self._tick_rate,
            self._x_d[rows],
        )

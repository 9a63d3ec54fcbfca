"""Sums over a sliding window of whole hops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class SlidingSum:
    """Sum over the last `hops` hops, at a cost that does not grow with their number.

    Nothing is ever subtracted, so no rounding piles up: time is cut into blocks of ``hops - 1``
    hops on the absolute hop grid. The window is the tail of the last block (its suffix sums, made
    once when it ended) plus the running sum of the present one. The order of the additions depends
    on the hop's absolute index alone.

    A hop has two sums: the full one, with the steps that lead into it from the hop before, and the
    inner one without. The oldest hop of the window counts with its inner sum.

    Parameters
    ----------
    hops : int
        Length of the window, at least 2.
    width : int
        Number of sums per hop.
    inner : bool
        Whether the inner sums differ from the full ones.
    """

    def __init__(self, hops: int, width: int, inner: bool) -> None:
        self._block = hops - 1
        self._full = np.zeros((self._block, width))
        self._inner = np.zeros((self._block, width)) if inner else self._full
        self._suffix = np.zeros((hops, width))
        self._edge = np.zeros((self._block, width))
        self._prefix = np.zeros(width)
        self._reversed = self._full[::-1]
        self._suffix_reversed = self._suffix[:-1][::-1]

    def start(self) -> None:
        """Forget everything."""
        for array in self.arrays().values():
            array[...] = 0.0

    def push(self, hop_index: int, full: Array, inner: Array) -> Array:
        """Add the next hops and return the sums over the window that ends with each of them.

        Parameters
        ----------
        hop_index : int
            Absolute index of the first hop; it follows on the last call.
        full, inner : ndarray, shape (n_hops, width)
            Sums of the hops with and without the steps that lead into each of them.

        Returns
        -------
        ndarray, shape (n_hops, width)
        """
        sums = np.empty_like(full)
        place = hop_index % self._block
        for row in range(len(full)):
            self._full[place] = full[row]
            if self._inner is not self._full:
                self._inner[place] = inner[row]
            if place:
                np.add(self._prefix, full[row], out=self._prefix)
            else:
                self._prefix[...] = full[row]
            np.add(self._edge[place], self._prefix, out=sums[row])
            place += 1
            if place == self._block:
                np.add.accumulate(self._reversed, axis=0, out=self._suffix_reversed)
                np.add(self._suffix[1:], self._inner, out=self._edge)
                place = 0
        return sums

    def arrays(self) -> dict[str, Array]:
        """The state, as the arrays in use."""
        arrays = {"full": self._full, "edge": self._edge, "prefix": self._prefix}
        if self._inner is not self._full:
            arrays["inner"] = self._inner
        return arrays

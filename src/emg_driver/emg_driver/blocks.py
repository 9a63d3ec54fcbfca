"""Blocks of equal size from readings of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Blocks:
    """Gathers samples into blocks that start on multiples of the block size.

    So a tick, whose length is a multiple of the block size, never waits for a sample that lies
    in the same block as later ones. At a gap in the counter the samples so far go out as a
    shorter block.

    Parameters
    ----------
    size : int
        Samples per block.

    Attributes
    ----------
    dropped : int
        Samples missing on the counter since the start, without those before the first one.
    repeated : int
        Samples refused because the counter had already passed them.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: list[NDArray[np.float32]] = []
        self._n_held = 0
        self._first = -1
        self.dropped = 0
        self.repeated = 0

    def push(
        self, first_sample: int, samples: NDArray[np.float32]
    ) -> list[tuple[int, int, NDArray[np.float32]]]:
        """Add samples; returns the blocks that are complete.

        Returns
        -------
        list of (first_sample, dropped, samples)
            `dropped` is the cumulative count before that block.
        """
        blocks: list[tuple[int, int, NDArray[np.float32]]] = []
        expected = self._first + self._n_held if self._first >= 0 else first_sample
        if first_sample < expected:
            known = min(expected - first_sample, len(samples))
            self.repeated += known
            first_sample, samples = first_sample + known, samples[known:]
        if not len(samples):
            return blocks
        if first_sample > expected and self._n_held:
            blocks.append(self._take())
        if not self._n_held:
            self._first = first_sample
        self.dropped += first_sample - expected
        start = 0
        while start < len(samples):
            n = min(self._size - (first_sample + start) % self._size, len(samples) - start)
            self._held.append(samples[start : start + n])
            self._n_held += n
            start += n
            if (first_sample + start) % self._size == 0:
                blocks.append(self._take())
        return blocks

    def _take(self) -> tuple[int, int, NDArray[np.float32]]:
        held = self._held
        block = (self._first, self.dropped, held[0] if len(held) == 1 else np.concatenate(held))
        self._first += self._n_held
        self._held, self._n_held = [], 0
        return block

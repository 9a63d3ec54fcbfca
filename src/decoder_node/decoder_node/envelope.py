"""Raw EMG, thin enough to plot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Range:
    """Smallest and largest sample of each channel, shape (n_channels,), up to `last_sample`."""

    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    last_sample: int


class Envelope:
    """Gathers minimum and maximum of each channel over `length` samples or a little more.

    Parameters
    ----------
    n_channels : int
    length : int
        Samples per result; whole blocks are gathered, so that it can be up to a block longer.
    """

    def __init__(self, n_channels: int, length: int) -> None:
        self._length = max(1, length)
        self._low = np.full(n_channels, np.nan)
        self._high = np.full(n_channels, np.nan)
        self._count = 0

    def push(self, samples: NDArray[np.float64], first_sample: int) -> Range | None:
        """Take a block, shape (n_samples, n_channels); a result when enough were gathered.

        Values that are not a number are passed over.
        """
        np.fmin(self._low, np.fmin.reduce(samples, axis=0), out=self._low)
        np.fmax(self._high, np.fmax.reduce(samples, axis=0), out=self._high)
        self._count += len(samples)
        if self._count < self._length:
            return None
        result = Range(self._low.copy(), self._high.copy(), first_sample + len(samples) - 1)
        self._low[:] = np.nan
        self._high[:] = np.nan
        self._count = 0
        return result

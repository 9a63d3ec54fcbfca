"""Features of surface EMG and the sums over one hop they are made of.

With x_1 … x_N the samples of the window:

===== ========================================================================= ===============
name  definition                                                                source
===== ========================================================================= ===============
mav   mean absolute value, 1/N Σ |x_i|                                          [1]_, [2]_
iav   integrated absolute value, Σ |x_i|                                        [2]_
rms   root mean square, sqrt(1/N Σ x_i²)                                        [2]_
var   variance about zero, 1/(N - 1) Σ x_i²: band-passed EMG has no mean        [2]_
wl    waveform length, Σ |x_{i+1} - x_i|                                        [1]_
zc    zero crossings: pairs with x_i x_{i+1} < 0 and |x_i - x_{i+1}| ≥ threshold [1]_
ssc   slope sign changes: (x_i - x_{i-1}) (x_i - x_{i+1}) > 0 and at least one  [1]_
      of the two steps ≥ threshold in absolute value
===== ========================================================================= ===============

Steps that lead into the window from the sample before it are not counted.

References
----------
.. [1] Hudgins, Parker, Scott, "A new strategy for multifunction myoelectric control", IEEE
   Transactions on Biomedical Engineering 40(1), 1993, doi 10.1109/10.204774.
.. [2] Phinyomark, Phukpattaranont, Limsakul, "Feature reduction and selection for EMG signal
   classification", Expert Systems with Applications 39(8), 2012, doi 10.1016/j.eswa.2012.01.102.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.signal.channels import Montage
from emghand.signal.settings import FeatureSettings

Array = NDArray[np.float64]

LOG_FLOOR = 1e-18
"""Transform "log" takes the logarithm of nothing smaller: a dead channel stays finite."""

_POINTWISE = ("abs", "square")


@dataclass(frozen=True)
class _Recipe:
    """How a feature is made from the window's sum of a statistic: divide, then take the root."""

    statistic: str
    divide: str = "1"
    root: bool = False
    count: bool = False


_RECIPES = {
    "mav": _Recipe("abs", "N"),
    "iav": _Recipe("abs"),
    "rms": _Recipe("square", "N", root=True),
    "var": _Recipe("square", "N-1"),
    "wl": _Recipe("wl"),
    "zc": _Recipe("zc", count=True),
    "ssc": _Recipe("ssc", count=True),
}


def has_steps(settings: FeatureSettings) -> bool:
    """Whether a feature looks at the step from one sample to the next."""
    return any(s not in _POINTWISE for s in _statistics(settings))


def _statistics(settings: FeatureSettings) -> tuple[str, ...]:
    needed = {_RECIPES[name].statistic for name in settings.features}
    return tuple(s for s in ("abs", "square", "wl", "zc", "ssc") if s in needed)


class HopSums:
    """Sums of the statistics over each of a fixed number of hops, for every column of a montage.

    The sum over time is taken in one fixed order (halving), spelled out as additions of whole
    rows, so that it does not depend on how numpy reduces an axis of this shape or that.

    Parameters
    ----------
    settings : FeatureSettings
    montage : Montage
    hops : int
        Number of hops per call.
    tail : ndarray, shape (2, n_columns)
        Last two samples before the next hop, the only state. Shared by the instances for other
        numbers of hops.

    Attributes
    ----------
    full : ndarray, shape (hops, n_statistics * n_columns)
        Sums over the hops, the steps into each of them from the hop before included.
    inner : ndarray, shape (hops, n_statistics * n_columns)
        The same without those steps; the same object as `full` when no statistic has steps.
    """

    def __init__(self, settings: FeatureSettings, montage: Montage, hops: int, tail: Array) -> None:
        hop, columns, n = settings.hop, montage.columns, len(montage.channels)
        statistics = _statistics(settings)
        count = len(statistics)
        pointwise = sum(s in _POINTWISE for s in statistics)
        self._thresholds = (settings.zc_threshold, settings.ssc_threshold)
        self._tail = tail
        self._has_steps = has_steps(settings)

        # The channels twice in a row: all differences are this circle, shifted, minus itself.
        length = hops * hop
        circle = np.zeros((length, 2 * n))
        self._circle = (circle[:, :n], circle[:, n:]) if montage.shifts else ()
        skip = 0 if montage.single else 1
        shape = (length, columns // n, n)
        row, item = circle.strides
        self._shifted = np.lib.stride_tricks.as_strided(
            circle[:, skip:], shape, (row, item, item), writeable=False
        )
        self._unshifted = circle[:, None, :n]

        self._signal = np.zeros((2 + length, columns))
        self._new = self._signal[2:].reshape(hops, hop, columns)
        self._differences = self._signal[2:].reshape(shape)
        self._channels = self._signal[2:, :n] if montage.single else None
        self._step = np.zeros((length + 1, columns))
        self._product = np.zeros((length, columns))
        self._terms = np.zeros((hops, hop, count, columns))
        self._computations = [
            (getattr(self, f"_{s}"), self._terms[:, :, i]) for i, s in enumerate(statistics)
        ]
        self._halvings = []
        rows = hop - 1
        while rows > 1:
            half = rows // 2
            into = self._terms[:, 1 : 1 + half]
            self._halvings.append((into, self._terms[:, 1 + rows - half : 1 + rows]))
            rows -= half
        full = np.zeros((hops, count, columns))
        inner = np.zeros((hops, count, columns)) if self._has_steps else full
        self._into_full = (self._terms[:, 1], self._terms[:, 0], full)
        self._into_inner = (
            (inner[:, :pointwise], full[:, :pointwise]),
            (inner[:, pointwise:], self._terms[:, 1, pointwise:]),
        )
        self.full = full.reshape(hops, -1)
        self.inner = inner.reshape(hops, -1) if self._has_steps else self.full

    def update(self, samples: Array) -> None:
        """Compute the sums of the next hops, samples of shape (hops * hop, n_channels)."""
        if self._circle:
            for half in self._circle:
                half[...] = samples
            np.subtract(self._shifted, self._unshifted, out=self._differences)
        if self._channels is not None:
            self._channels[...] = samples
        if self._has_steps:
            signal = self._signal
            signal[:2] = self._tail
            self._tail[...] = signal[-2:]
            np.subtract(signal[1:], signal[:-1], out=self._step)
        for compute, out in self._computations:
            compute(out)
        for into, other in self._halvings:
            np.add(into, other, out=into)
        first, others, full = self._into_full
        np.add(first, others, out=full)
        if self._has_steps:
            for inner, part in self._into_inner:
                inner[...] = part

    def _abs(self, out: Array) -> None:
        np.absolute(self._new, out=out)

    def _square(self, out: Array) -> None:
        np.multiply(self._new, self._new, out=out)

    def _wl(self, out: Array) -> None:
        np.absolute(self._step[1:].reshape(out.shape), out=out)

    def _zc(self, out: Array) -> None:
        np.multiply(self._signal[1:-1], self._signal[2:], out=self._product)
        crossing = self._product < 0
        if self._thresholds[0]:
            crossing &= np.absolute(self._step[1:]) >= self._thresholds[0]
        out[...] = crossing.reshape(out.shape)

    def _ssc(self, out: Array) -> None:
        np.multiply(self._step[:-1], self._step[1:], out=self._product)
        turning = self._product < 0
        if self._thresholds[1]:
            large = np.absolute(self._step) >= self._thresholds[1]
            turning &= large[1:] | large[:-1]
        out[...] = turning.reshape(out.shape)
        # A turn seen at the second sample of a hop still holds a sample of the hop before.
        out[:, 0] += out[:, 1]
        out[:, 1] = 0.0


class FeatureVector:
    """Features from the window's sums.

    Parameters
    ----------
    settings : FeatureSettings
    montage : Montage

    Attributes
    ----------
    names : tuple of str
        ``feature:channel`` or ``feature:a-b``, all channels of one feature after the other.
    """

    def __init__(self, settings: FeatureSettings, montage: Montage) -> None:
        statistics = _statistics(settings)
        width, window = len(montage.names), settings.window
        divisors = {"1": 1.0, "N": float(window), "N-1": float(window - 1)}
        names: list[str] = []
        index, divisor = [], []
        self._roots: list[slice] = []
        self._counts: list[slice] = []
        self._amplitudes: list[slice] = []
        for i, name in enumerate(settings.features):
            recipe = _RECIPES[name]
            names += [f"{name}:{channel}" for channel in montage.names]
            index.append(statistics.index(recipe.statistic) * montage.columns + montage.order)
            divisor.append(np.full(width, divisors[recipe.divide]))
            part = slice(i * width, (i + 1) * width)
            if recipe.root:
                self._roots.append(part)
            (self._counts if recipe.count else self._amplitudes).append(part)
        self.names = tuple(names)
        self._index = np.concatenate(index)
        self._divisor = np.concatenate(divisor)
        self._transform = settings.transform

    def compute(self, sums: Array) -> Array:
        """Feature vectors, shape (n, n_features), of windows' sums (n, n_statistics * n_columns).

        Transform "log" is the natural logarithm of max(feature, 1e-18), and ln(1 + count) of the
        counts ZC and SSC.
        """
        z = sums.take(self._index, axis=1)
        np.divide(z, self._divisor, out=z)
        for part in self._roots:
            np.sqrt(z[:, part], out=z[:, part])
        if self._transform == "sqrt":
            np.sqrt(z, out=z)
        elif self._transform == "log":
            # Row by row: a vectorised logarithm need not round alike at all lengths.
            for row in z:
                for part in self._amplitudes:
                    np.log(np.maximum(row[part], LOG_FLOOR), out=row[part])
                for part in self._counts:
                    np.log1p(row[part], out=row[part])
        return z

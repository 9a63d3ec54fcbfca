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


def _statistics(settings: FeatureSettings) -> tuple[str, ...]:
    needed = {_RECIPES[name].statistic for name in settings.features}
    return tuple(s for s in ("abs", "square", "wl", "zc", "ssc") if s in needed)


class HopSums:
    """Sums of the statistics over one hop, for every column of a montage.

    The sum over time is taken in one fixed order (halving), spelled out as additions of whole
    rows, so that it does not depend on how numpy reduces an axis of this shape or that.

    Parameters
    ----------
    settings : FeatureSettings
    montage : Montage

    Attributes
    ----------
    full : ndarray, shape (n_statistics * n_columns,)
        Sums over the last hop, the steps into it from the hop before included.
    inner : ndarray, shape (n_statistics * n_columns,)
        The same without those steps; the same object as `full` when no statistic has steps.
    """

    def __init__(self, settings: FeatureSettings, montage: Montage) -> None:
        hop, columns, n = settings.hop, montage.columns, len(montage.channels)
        self.statistics = _statistics(settings)
        count = len(self.statistics)
        self._thresholds = {"zc": settings.zc_threshold, "ssc": settings.ssc_threshold}
        pointwise = sum(s in _POINTWISE for s in self.statistics)
        self._has_steps = pointwise < count
        before = 2 if self._has_steps else 0

        self._ring = np.zeros((hop, 2 * n))
        self._circle = (self._ring[:, :n], self._ring[:, n:])
        self._signal = np.zeros((before + hop, columns))
        new = self._signal[before:]
        self._channels = new[:, :n] if montage.single else None
        self._pairs = new[:, columns - montage.shifts * n :].reshape(hop, montage.shifts, n)
        step = self._ring.strides
        self._shifted = np.lib.stride_tricks.as_strided(
            self._ring[:, 1:], self._pairs.shape, (step[0], step[1], step[1]), writeable=False
        )
        self._unshifted = self._ring[:, None, :n]

        self._new = new
        self._before = self._signal[:before]
        self.tail = self._signal[hop:]
        """Last two samples of the last hop, shape (2 or 0, n_columns): the only state."""
        self._step = np.zeros((hop + 1, columns))
        self._step_size = np.zeros((hop + 1, columns))
        self._product = np.zeros((hop, columns))
        self._terms = np.zeros((hop, count, columns))
        self._halvings = []
        rows = hop - 1
        while rows > 1:
            half = rows // 2
            self._halvings.append(
                (self._terms[1 : 1 + half], self._terms[1 + rows - half : 1 + rows])
            )
            rows -= half
        self._full = np.zeros((count, columns))
        self._inner = np.zeros((count, columns)) if self._has_steps else self._full
        self._inner_parts = (self._inner[:pointwise], self._full[:pointwise])
        self._inner_steps = (self._inner[pointwise:], self._terms[1, pointwise:])
        self.full, self.inner = self._full.reshape(-1), self._inner.reshape(-1)

    def start(self) -> None:
        """Forget the hop before."""
        self._signal[...] = 0.0

    def update(self, hop: Array) -> None:
        """Compute the sums of the next hop, shape (hop, n_channels)."""
        if self._has_steps:
            self._before[...] = self.tail
        if self._channels is not None:
            self._channels[...] = hop
        if self._pairs.shape[1]:
            self._circle[0][...] = hop
            self._circle[1][...] = hop
            np.subtract(self._shifted, self._unshifted, out=self._pairs)
        if self._has_steps:
            np.subtract(self._signal[1:], self._signal[:-1], out=self._step)
        for i, statistic in enumerate(self.statistics):
            getattr(self, f"_{statistic}")(self._terms[:, i])
        for into, half in self._halvings:
            np.add(into, half, out=into)
        np.add(self._terms[1], self._terms[0], out=self._full)
        if self._has_steps:
            self._inner_parts[0][...] = self._inner_parts[1]
            self._inner_steps[0][...] = self._inner_steps[1]

    def _abs(self, out: Array) -> None:
        np.absolute(self._new, out=out)

    def _square(self, out: Array) -> None:
        np.multiply(self._new, self._new, out=out)

    def _wl(self, out: Array) -> None:
        np.absolute(self._step[1:], out=out)

    def _zc(self, out: Array) -> None:
        np.multiply(self._signal[1:-1], self._new, out=self._product)
        crossing = self._product < 0
        if self._thresholds["zc"]:
            np.absolute(self._step, out=self._step_size)
            crossing &= self._step_size[1:] >= self._thresholds["zc"]
        out[...] = crossing

    def _ssc(self, out: Array) -> None:
        np.multiply(self._step[:-1], self._step[1:], out=self._product)
        turning = self._product < 0
        if self._thresholds["ssc"]:
            np.absolute(self._step, out=self._step_size)
            large = self._step_size >= self._thresholds["ssc"]
            turning &= large[1:] | large[:-1]
        out[...] = turning
        # A turn seen at the hop's second sample still holds a sample of the hop before.
        out[0] += out[1]
        out[1] = 0.0


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
        """Feature vector, shape (n_features,), from the window's sums (n_statistics * n_columns,).

        Transform "log" is the natural logarithm of max(feature, 1e-18), and ln(1 + count) of the
        counts ZC and SSC.
        """
        z = sums.take(self._index)
        np.divide(z, self._divisor, out=z)
        for part in self._roots:
            np.sqrt(z[part], out=z[part])
        if self._transform == "sqrt":
            np.sqrt(z, out=z)
        elif self._transform == "log":
            for part in self._amplitudes:
                np.log(np.maximum(z[part], LOG_FLOOR), out=z[part])
            for part in self._counts:
                np.log1p(z[part], out=z[part])
        return z

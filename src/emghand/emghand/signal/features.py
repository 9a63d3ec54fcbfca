"""Features of surface EMG made from sums over the window.

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

STATISTICS = ("square", "abs", "wl", "zc", "ssc")
POINTWISE = ("square", "abs")
"""Statistics of single samples; the others look at steps from one sample to the next."""


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


def statistics_of(settings: FeatureSettings) -> tuple[str, ...]:
    """Statistics the features need, in the order of `STATISTICS`."""
    needed = {_RECIPES[name].statistic for name in settings.features}
    return tuple(s for s in STATISTICS if s in needed)


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
        statistics = statistics_of(settings)
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

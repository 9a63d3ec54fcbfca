"""Features of surface EMG over the window.

With x_1 … x_N the samples of the window, d_i = x_{i+1} - x_i its N - 1 steps, and Var the variance
about zero, since band-passed EMG has no mean:

========== ===================================================================== ===============
name       definition                                                            source
========== ===================================================================== ===============
mav        mean absolute value, 1/N Σ |x_i|                                      [1]_, [2]_
iav        integrated absolute value, Σ |x_i|                                    [2]_
rms        root mean square, sqrt(1/N Σ x_i²)                                    [2]_
var        variance about zero, 1/(N - 1) Σ x_i²                                 [2]_
logvar     its natural logarithm, of 1e-18 at least                              [3]_
wl         waveform length, Σ |d_i|                                              [1]_
zc         zero crossings: steps with x_i x_{i+1} < 0 and |d_i| ≥ threshold      [1]_
ssc        slope sign changes: (x_i - x_{i-1}) (x_i - x_{i+1}) > 0 and at least  [1]_
           one of the two steps ≥ threshold in absolute value
wamp       Willison amplitude: steps with |d_i| ≥ threshold                      [4]_, [2]_
activity   Hjorth's first parameter, Var(x) = 1/N Σ x_i²                         [5]_
mobility   his second, sqrt(Var(d) / Var(x)), per sample: times the rate it is   [5]_
           an angular frequency [1/s]
complexity his third, mobility of d over mobility of x                           [5]_
ar         a_1 … a_4 of x_i = Σ_k a_k x_{i-k} + e_i by Burg's method, as the     [6]_, [2]_
           features ar1 … ar4
mnf        mean frequency, Σ f_j P_j / Σ P_j [Hz]                                [2]_
mdf        median frequency: the lowest f_j up to which at least half of the     [2]_
           power lies [Hz]
========== ===================================================================== ===============

P_j is the periodogram of the window, one-sided, without taper and padding; f_j = j rate / N.

Steps that lead into the window from the sample before it are not counted. A channel without any
signal has mobility, complexity, ar, mnf and mdf 0.

All but ar, mnf and mdf are made from sums over the window, at a cost that does not grow with its
length. The three are computed from all of its samples at every tick (`WindowFeatures`).

References
----------
.. [1] Hudgins, Parker, Scott, "A new strategy for multifunction myoelectric control", IEEE
   Transactions on Biomedical Engineering 40(1), 1993, doi 10.1109/10.204774.
.. [2] Phinyomark, Phukpattaranont, Limsakul, "Feature reduction and selection for EMG signal
   classification", Expert Systems with Applications 39(8), 2012, doi 10.1016/j.eswa.2012.01.102.
.. [3] Hahne et al., "Linear and nonlinear regression techniques for simultaneous and proportional
   myoelectric control", IEEE Transactions on Neural Systems and Rehabilitation Engineering 22(2),
   2014, doi 10.1109/TNSRE.2014.2305520.
.. [4] Willison, "Analysis of electrical activity in healthy and dystrophic muscle in man", Journal
   of Neurology, Neurosurgery and Psychiatry 27(5), 1964, doi 10.1136/jnnp.27.5.386.
.. [5] Hjorth, "EEG analysis based on time domain properties", Electroencephalography and Clinical
   Neurophysiology 29(3), 1970, doi 10.1016/0013-4694(70)90143-4.
.. [6] Burg, "Maximum entropy spectral analysis", 37th Meeting of the Society of Exploration
   Geophysicists, 1967; in this form Kay and Marple, "Spectrum analysis: a modern perspective",
   Proceedings of the IEEE 69(11), 1981, doi 10.1109/PROC.1981.12184.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.signal.channels import Montage
from emghand.signal.settings import FeatureSettings
from emghand.signal.window_features import AR_ORDER, WINDOW_FEATURES

Array = NDArray[np.float64]

LOG_FLOOR = 1e-18
"""A logarithm is taken of nothing smaller: a dead channel stays finite."""

STATISTICS = ("square", "abs", "wl", "wamp", "step2", "curve2", "zc", "ssc")
"""What is summed over the window: x², |x|, |d|, d ≥ threshold, d², (second difference)², and the
events zc and ssc."""
POINTWISE = ("square", "abs")
"""Statistics of single samples; the others look at steps from one sample to the next."""


@dataclass(frozen=True)
class _Recipe:
    """How a feature is made from the window's sum of a statistic: divide, then finish.

    ``kind`` says what a transform makes of it: an amplitude, a count, or something else, which
    stays as it is.
    """

    statistic: str
    divide: int | None = None
    """The sum is divided by N minus this many samples; None: not at all."""
    finish: str = ""
    needs: tuple[str, ...] = ()
    kind: str = "amplitude"


_MISSING = {"square": 0, "step2": 1, "curve2": 2}
"""By how much a window holds fewer values of a statistic than samples."""

_RECIPES = {
    "mav": _Recipe("abs", 0),
    "iav": _Recipe("abs"),
    "rms": _Recipe("square", 0, "root"),
    "var": _Recipe("square", 1),
    "logvar": _Recipe("square", 1, "log", kind="other"),
    "wl": _Recipe("wl"),
    "zc": _Recipe("zc", kind="count"),
    "ssc": _Recipe("ssc", kind="count"),
    "wamp": _Recipe("wamp", kind="count"),
    "activity": _Recipe("square", 0),
    "mobility": _Recipe("step2", 1, "mobility", ("square",), kind="other"),
    "complexity": _Recipe("curve2", 2, "complexity", ("square", "step2"), kind="other"),
}


def statistics_of(settings: FeatureSettings) -> tuple[str, ...]:
    """Statistics whose sums the features need, in the order of `STATISTICS`."""
    recipes = [_RECIPES[name] for name in settings.features if name in _RECIPES]
    needed = {s for recipe in recipes for s in (recipe.statistic, *recipe.needs)}
    return tuple(s for s in STATISTICS if s in needed)


class FeatureVector:
    """Features from the window's sums and, where asked for, from its samples.

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
        self._statistics = statistics_of(settings)
        self._columns, self._order = montage.columns, montage.order
        self._samples = settings.window
        width = len(montage.names)
        names: list[str] = []
        index, divisor = [], []
        self._finish: list[tuple[slice, _Recipe]] = []
        self._parts: dict[str, list[slice]] = {"amplitude": [], "count": [], "other": []}
        # The features of the window's samples follow the sums in the row that is indexed.
        next_column = len(self._statistics) * montage.columns
        for name in settings.features:
            if name in WINDOW_FEATURES:
                parts = [f"ar{k + 1}" for k in range(AR_ORDER)] if name == "ar" else [name]
                for part in parts:
                    names += [f"{part}:{channel}" for channel in montage.names]
                    index.append(next_column + np.arange(width))
                    divisor.append(np.ones(width))
                    next_column += width
                continue
            recipe = _RECIPES[name]
            place = slice(len(names), len(names) + width)
            names += [f"{name}:{channel}" for channel in montage.names]
            index.append(self._places(recipe.statistic))
            by = 1.0 if recipe.divide is None else float(self._samples - recipe.divide)
            divisor.append(np.full(width, by))
            if recipe.finish:
                self._finish.append((place, recipe))
            self._parts[recipe.kind].append(place)
        self.names = tuple(names)
        self._index = np.concatenate(index)
        self._divisor = np.concatenate(divisor)
        self._transform = settings.transform

    def compute(self, sums: Array, window_features: Array | None = None) -> Array:
        """Feature vectors, shape (n, n_features).

        Transforms change amplitudes and counts only: "sqrt" is the square root, "log" the natural
        logarithm of max(feature, 1e-18), and ln(1 + count) of the counts ZC, SSC and WAMP.

        Parameters
        ----------
        sums : ndarray, shape (n, n_statistics * n_columns)
            Of the windows.
        window_features : ndarray, shape (n, n_window_features), optional
            What `WindowFeatures` made of the samples of the same windows.
        """
        given = sums if window_features is None else np.hstack([sums, window_features])
        z = given.take(self._index, axis=1)
        np.divide(z, self._divisor, out=z)
        for place, recipe in self._finish:
            self._finish_part(z[:, place], recipe, sums)
        if self._transform == "sqrt":
            for place in (*self._parts["amplitude"], *self._parts["count"]):
                np.sqrt(z[:, place], out=z[:, place])
        elif self._transform == "log":
            for place in self._parts["amplitude"]:
                _log(z[:, place])
            for place in self._parts["count"]:
                for row in z[:, place]:
                    np.log1p(row, out=row)
        return z

    def _places(self, statistic: str) -> NDArray[np.intp]:
        return self._statistics.index(statistic) * self._columns + self._order

    def _finish_part(self, z: Array, recipe: _Recipe, sums: Array) -> None:
        if recipe.finish == "root":
            np.sqrt(z, out=z)
            return
        if recipe.finish == "log":
            _log(z)
            return
        variances = [
            sums.take(self._places(s), axis=1) / (self._samples - _MISSING[s]) for s in recipe.needs
        ]
        if recipe.finish == "mobility":
            z[...] = _root_of_ratio(z, variances[0])
        else:
            of_signal, of_steps = variances
            mobility = _root_of_ratio(of_steps, of_signal)
            z[...] = _ratio(_root_of_ratio(z, of_steps), mobility)


def _log(z: Array) -> None:
    # Row by row: a vectorised logarithm need not round alike at all lengths.
    for row in z:
        np.log(np.maximum(row, LOG_FLOOR), out=row)


def _ratio(a: Array, b: Array) -> Array:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0.0)


def _root_of_ratio(a: Array, b: Array) -> Array:
    return np.sqrt(_ratio(a, b))

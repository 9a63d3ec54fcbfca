"""Features that need all samples of the window at every tick: AR coefficients and frequencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emghand.signal.channels import Montage
from emghand.signal.settings import FeatureSettings

Array = NDArray[np.float64]

WINDOW_FEATURES = ("ar", "mnf", "mdf")
AR_ORDER = 4
"""As in Phinyomark et al. 2012."""


class WindowFeatures:
    """Keeps the samples of the window and computes the features in `WINDOW_FEATURES` from them.

    The samples of a hop have their place by the hop's absolute index, and every window is computed
    by itself, in one shape: the result does not depend on how the samples arrived. The cost grows
    with the window and with the number of channels and pairs.

    Parameters
    ----------
    settings : FeatureSettings
    montage : Montage
    rate : float
        Samples per second [Hz].

    Attributes
    ----------
    samples : ndarray, shape (window_hops, hop, n_channels)
        The only state.
    """

    def __init__(self, settings: FeatureSettings, montage: Montage, rate: float) -> None:
        self._features = tuple(f for f in settings.features if f in WINDOW_FEATURES)
        self._hops = settings.window_hops
        self._montage = montage
        self.samples = np.zeros((settings.window_hops, settings.hop, len(montage.channels)))
        places = np.arange(settings.window // 2 + 1)
        self._frequency = np.asarray(places * (rate / settings.window), dtype=np.float64)
        rows = sum(AR_ORDER if f == "ar" else 1 for f in self._features)
        self._shape = (rows, len(montage.names))

    def push(self, hop_index: int, samples: Array) -> Array:
        """Take the next hops and compute the features of the windows that end with each of them.

        Parameters
        ----------
        hop_index : int
            Absolute index of the first hop.
        samples : ndarray, shape (n_hops * hop, n_channels)
            The filtered signal.

        Returns
        -------
        ndarray, shape (n_hops, n_window_features)
            In the order of the settings; all channels and pairs of one after the other.
        """
        hops = samples.reshape(-1, *self.samples.shape[1:])
        found = np.empty((len(hops), *self._shape))
        for row, hop in zip(found, hops, strict=True):
            place = hop_index % self._hops
            self.samples[place] = hop
            hop_index += 1
            newest_last = (self.samples[place + 1 :], self.samples[: place + 1])
            self._compute(np.concatenate(newest_last).reshape(-1, hop.shape[1]), row)
        return found.reshape(len(hops), -1)

    def _compute(self, window: Array, out: Array) -> None:
        columns = self._montage.columns_of(window)
        power = None
        place = 0
        for feature in self._features:
            if feature == "ar":
                out[place : place + AR_ORDER] = burg(columns, AR_ORDER)
                place += AR_ORDER
                continue
            if power is None:
                spectrum = np.fft.rfft(columns, axis=0)
                power = spectrum.real**2 + spectrum.imag**2
                # Both halves of the spectrum count, but there is one frequency 0 and one Nyquist.
                power[1 : (len(columns) + 1) // 2] *= 2.0
            frequency = mean_frequency if feature == "mnf" else median_frequency
            out[place] = frequency(power, self._frequency)
            place += 1


def burg(x: Array, order: int) -> Array:
    """Coefficients of autoregressive models by Burg's method.

    Parameters
    ----------
    x : ndarray, shape (n, n_columns)
        One signal per column.
    order : int

    Returns
    -------
    ndarray, shape (order, n_columns)
        a_k of x_i = Σ_k a_k x_{i-k} + e_i. 0 for a signal that is predicted perfectly already.
    """
    forward, backward = x[1:], x[:-1]
    a = np.zeros((order, x.shape[1]))
    for m in range(order):
        # Rows are added one after the other, in the same order on every machine.
        product = np.add.reduce(forward * backward, axis=0)
        power = np.add.reduce(forward * forward + backward * backward, axis=0)
        reflection = np.divide(2.0 * product, power, out=np.zeros_like(power), where=power > 0.0)
        a[:m] -= reflection * a[:m][::-1].copy()
        a[m] = reflection
        ahead = forward - reflection * backward
        backward = (backward - reflection * forward)[:-1]
        forward = ahead[1:]
    return a


def mean_frequency(power: Array, frequency: Array) -> Array:
    """Mean frequency of power spectra (n_frequencies, n_columns), shape (n_columns,)."""
    total = np.add.reduce(power, axis=0)
    weighted = np.add.reduce(power * frequency[:, None], axis=0)
    return np.divide(weighted, total, out=np.zeros_like(total), where=total > 0.0)


def median_frequency(power: Array, frequency: Array) -> Array:
    """Lowest frequency up to which at least half of the power lies, shape (n_columns,)."""
    cumulative = np.add.accumulate(power, axis=0)
    half = 0.5 * cumulative[-1]
    found: Array = frequency[np.argmax(cumulative >= half, axis=0)]
    return found

"""Causal filters with state.

Second-order sections in the transposed direct form II, sample after sample: the same bits however
the signal is cut into blocks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from emghand.errors import UserError
from emghand.signal.settings import FeatureSettings

try:
    # The loop that scipy.signal.sosfilt calls. For one block of 16 samples the checks around it
    # take 25 us, the loop 2 us. It is private to scipy: without it the public function does.
    from scipy.signal._sosfilt import _sosfilt
except ImportError:
    _sosfilt = None

SILENCE = 1e-150
"""A state below this is 0: a dead stream would decay into denormal numbers, slow on many CPUs."""
NYQUIST_SHARE = 0.95
"""Filter edges are kept below this share of the Nyquist frequency."""

Sections = NDArray[np.float64]


def band_sections(settings: FeatureSettings, rate: float) -> Sections:
    """Butterworth band-pass (high-pass, low-pass where one edge is 0) as sections.

    Parameters
    ----------
    settings : FeatureSettings
    rate : float
        Samples per second [Hz].

    Returns
    -------
    ndarray, shape (n_sections, 6)
        No section when both edges are 0. An upper edge above 0.95 times the Nyquist frequency is
        moved there.

    Raises
    ------
    UserError
        When the lower edge is not below the upper one at this rate.
    """
    low, high = settings.bandpass_low, settings.bandpass_high
    top = NYQUIST_SHARE * rate / 2
    if high:
        high = min(high, top)
    if low and low >= (high or top):
        raise UserError(
            f"bandpass_low: {low:g} Hz is too high for a stream of {rate:g} Hz, "
            f"choose less than {high or top:g} Hz"
        )
    order = settings.filter_order
    if low and high:
        return signal.butter(order, (low, high), "bandpass", fs=rate, output="sos")
    if low:
        return signal.butter(order, low, "highpass", fs=rate, output="sos")
    if high:
        return signal.butter(order, high, "lowpass", fs=rate, output="sos")
    return np.empty((0, 6))


def notch_sections(settings: FeatureSettings, rate: float) -> Sections:
    """Notches at the mains frequency and its multiples as sections.

    Returns
    -------
    ndarray, shape (n_sections, 6)
        Only frequencies below 0.95 times the Nyquist frequency get one.
    """
    base = settings.notch_hz
    if not base:
        return np.empty((0, 6))
    multiples = [base * k for k in range(1, settings.notch_harmonics + 1)]
    rows = [
        signal.tf2sos(*signal.iirnotch(f, settings.notch_q, fs=rate))
        for f in multiples
        if f < NYQUIST_SHARE * rate / 2
    ]
    return np.vstack(rows) if rows else np.empty((0, 6))


class StreamingFilter:
    """One cascade of sections over several channels, in place.

    Parameters
    ----------
    sections : ndarray, shape (n_sections, 6)
        None: passes everything through.
    n_channels : int
    """

    def __init__(self, sections: Sections, n_channels: int) -> None:
        self._sections = np.array(sections, np.float64, order="C")
        self._state = np.zeros((n_channels, len(sections), 2))
        self._rest = signal.sosfilt_zi(self._sections) if len(sections) else np.zeros((0, 2))

    def start(self, level: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take the state of an endless constant input, so that an offset makes no transient.

        Parameters
        ----------
        level : ndarray, shape (n_channels,)

        Returns
        -------
        ndarray, shape (n_channels,)
            The constant output that belongs to it.
        """
        np.multiply(level[:, None, None], self._rest, out=self._state)
        b0, b1, b2, a0, a1, a2 = self._sections.T
        return level * math.prod(((b0 + b1 + b2) / (a0 + a1 + a2)).tolist())

    def flush(self) -> None:
        """Set what has decayed to nothing to 0."""
        self._state[np.abs(self._state) < SILENCE] = 0.0

    def run(self, x: NDArray[np.float64]) -> None:
        """Filter the next samples, shape (n_channels, n_samples), C-contiguous, in place."""
        if not len(self._sections):
            return
        if _sosfilt is not None:
            _sosfilt(self._sections, x, self._state)
            return
        y, state = signal.sosfilt(self._sections, x, zi=self._state.transpose(1, 0, 2))
        x[...] = y
        self._state[...] = state.transpose(1, 0, 2)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """The state, as the arrays in use.

        The coefficients are part of it: another processor may design them with other last bits.
        """
        return {"state": self._state, "sections": self._sections, "rest": self._rest}

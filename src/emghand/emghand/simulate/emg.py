"""Streaming synthetic EMG: intended DOFs in, electrode voltages out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from emghand.errors import UserError
from emghand.simulate.arm import UNITS_PER_MUSCLE, Arm, Floats, activation
from emghand.simulate.settings import SyntheticSettings

try:
    # As in emghand.signal.filters: the loop itself, without checks that cost ten times as much.
    from scipy.signal._sosfilt import _sosfilt
except ImportError:
    _sosfilt = None

GRID = 16
"""Matrix products are taken in pieces of this many samples on the absolute sample grid. BLAS sums
in an order that depends on the shape, so this makes the output independent of the block size."""

_ONSET = 0.05
_UNSTEADY_TAU_S = 0.4
_MUSCLE_TAU_S = 0.02
_DRIFT_STEP = 64 * GRID
_PIECE = 256 * GRID


class SyntheticEmg:
    """EMG of a synthetic person who follows an intention.

    intention → reaction delay → effort of two muscles per DOF (cross-talk, co-contraction,
    variability by trial) → amplitude of four motor-unit groups per muscle, each a noise with the
    spectrum of surface EMG → electrodes → amplifier (noise, hum, limits).

    The output depends on the settings and the intention alone, to the bit, whatever the sizes of
    the blocks it is asked for.

    Parameters
    ----------
    settings : SyntheticSettings

    Notes
    -----
    The spectrum is that of Shwedyk, Balasubramanian and Scott (1977),
    P(f) = k f² fh⁴ / ((f² + fl²)(f² + fh²)²) with fl = 60 Hz and fh = 120 Hz (Stulen and De Luca
    1981), which a filter with one zero and three real poles has exactly.
    """

    def __init__(self, settings: SyntheticSettings) -> None:
        self.settings = settings
        self.dofs = settings.dofs
        self.channel_names = tuple(f"ch{i + 1:02d}" for i in range(settings.n_channels))
        n_dofs = len(self.dofs)
        person = np.random.default_rng([settings.seed, 0])
        self._arm = Arm(person, n_dofs, settings.n_channels, settings.muscles)
        streams = np.random.default_rng([settings.seed, 1, settings.run]).spawn(5)
        self._unit_rng, self._noise_rng, self._unsteady_rng, self._trial_rng, fixed = streams
        self.next_sample = 0

        delay = round(settings.reaction_s * settings.rate)
        self._delayed = np.zeros((delay, n_dofs))
        pole = np.exp(-1.0 / (_MUSCLE_TAU_S * settings.rate))
        self._muscle_sos = np.array([[(1 - pole) ** 2, 0, 0, 1, -2 * pole, pole**2]])
        self._muscle_zi = np.zeros((1, 2, n_dofs))
        self._moving = False
        self._trial_gain = np.ones(2 * n_dofs)

        pole = np.exp(-1.0 / (_UNSTEADY_TAU_S * settings.rate))
        self._unsteady_sos = np.array([[np.sqrt(1 - pole**2), 0, 0, 1, -pole, 0]])
        self._unsteady_zi = np.zeros((1, 2, len(self._arm.tuning)))

        self._emg_sos = surface_spectrum(settings.rate)
        self._emg_zi = np.zeros((len(self._emg_sos), 2, self._arm.n_units))

        self._noise = settings.noise * np.exp(fixed.normal(0, 0.2, settings.n_channels))
        self._hum = settings.hum * np.exp(fixed.normal(0, 0.3, settings.n_channels))
        self._hum_phase = fixed.uniform(0, 2 * np.pi, 2)
        self._drift_gain = fixed.normal(0, 1, settings.n_channels) * settings.drift_gain
        noisy = fixed.permutation(settings.n_channels) < round(0.7 * settings.n_channels)
        self._drift_noise = settings.drift_noise * noisy
        self._noise_now = self._noise
        self._mixing_step = -1
        self._mixing = self._arm.mixing() * settings.amplitude

    def push(self, intention: Floats) -> NDArray[np.float32]:
        """EMG of the next samples.

        Parameters
        ----------
        intention : ndarray, shape (n_samples, n_dofs)
            Intended DOFs at each sample, normalised to [-1, 1], in the order of `dofs`.

        Returns
        -------
        ndarray, shape (n_samples, n_channels), float32
            In volt.
        """
        intention = np.asarray(intention, np.float64)
        if intention.ndim != 2 or intention.shape[1] != len(self.dofs):
            raise UserError(
                f"intention: expected shape (n_samples, {len(self.dofs)}), got {intention.shape}"
            )
        if not np.isfinite(intention).all():
            raise UserError("intention: holds a value that is not finite")
        pieces = []
        start = 0
        while start < len(intention):
            # The mixing is constant within a step of the drift and a piece bounds the memory.
            limit = _DRIFT_STEP if self.settings.drifts else _PIECE
            n = min(limit - self.next_sample % limit, len(intention) - start)
            pieces.append(self._piece(np.clip(intention[start : start + n], -1.0, 1.0)))
            start += n
        if not pieces:
            return np.empty((0, self.settings.n_channels), np.float32)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _piece(self, intention: Floats) -> NDArray[np.float32]:
        n = len(intention)
        amplitude = np.repeat(self._activations(intention), UNITS_PER_MUSCLE, axis=1)
        units = self._unit_rng.standard_normal((n, self._arm.n_units))
        units, self._emg_zi = _filtered(self._emg_sos, units, self._emg_zi)
        units *= amplitude
        if self.settings.drifts and self.next_sample // _DRIFT_STEP != self._mixing_step:
            self._mixing_step = self.next_sample // _DRIFT_STEP
            self._mixing, self._noise_now = self._drifted()
        volts = self._on_grid(units, self._mixing)
        volts += self._noise_rng.standard_normal((n, self.settings.n_channels)) * self._noise_now
        volts += self._mains(n)[:, None] * self._hum
        self.next_sample += n
        limit = self.settings.full_scale
        return np.clip(volts, -limit, limit).astype(np.float32)

    def _activations(self, intention: Floats) -> Floats:
        n = len(intention)
        late = np.concatenate([self._delayed, intention])
        self._delayed = late[n:]
        intended, self._muscle_zi = _filtered(self._muscle_sos, late[:n], self._muscle_zi)
        effort = np.concatenate([np.maximum(intended, 0), np.maximum(-intended, 0)], axis=1)
        moving = effort.max(axis=1) > _ONSET
        effort *= self._trial_gains(moving)
        effort = self._on_grid(effort, self._arm.tuning.T)
        drive = self._unsteady_rng.standard_normal(effort.shape)
        drive, self._unsteady_zi = _filtered(self._unsteady_sos, drive, self._unsteady_zi)
        effort *= np.maximum(1 + self.settings.unsteadiness * drive, 0)
        return activation(effort)

    def _trial_gains(self, moving: NDArray[np.bool_]) -> Floats:
        # Each movement away from rest is made with an effort of its own.
        before = np.concatenate([[self._moving], moving[:-1]])
        onsets = np.flatnonzero(moving & ~before)
        self._moving = bool(moving[-1])
        if not onsets.size:
            return self._trial_gain
        gains = np.empty((len(moving), self._trial_gain.size))
        gains[: onsets[0]] = self._trial_gain
        for onset in onsets:
            spread = self._trial_rng.standard_normal(self._trial_gain.size + 1)
            self._trial_gain = np.exp(self.settings.variability * (spread[1:] + spread[0]))
            gains[onset:] = self._trial_gain
        return gains

    def _drifted(self) -> tuple[Floats, Floats]:
        """Mixing and noise of the step."""
        s = self.settings
        since = self._mixing_step * _DRIFT_STEP / s.rate - s.drift_start_s
        share = float(since >= 0) if s.drift_ramp_s == 0 else min(max(since / s.drift_ramp_s, 0), 1)
        mixing = self._arm.mixing(share * np.deg2rad(s.drift_shift_deg))
        gain = np.exp(share * (self._drift_gain + np.log(s.drift_level)))
        if s.drift_dead >= 0 and since >= 0:
            gain[s.drift_dead] = 0.0
        return mixing * s.amplitude * gain, np.hypot(self._noise, share * self._drift_noise)

    def _mains(self, n: int) -> Floats:
        t = np.arange(self.next_sample, self.next_sample + n) / self.settings.rate
        angle = 2 * np.pi * self.settings.hum_hz * t
        first, third = self._hum_phase
        return np.sin(angle + first) + 0.3 * np.sin(3 * angle + third)

    def _on_grid(self, rows: Floats, matrix: Floats) -> Floats:
        """`rows @ matrix`, the same to the bit for every way to cut the rows into blocks."""
        lead = self.next_sample % GRID
        n = len(rows)
        if lead or n % GRID:
            padded = np.zeros((-(-(lead + n) // GRID) * GRID, rows.shape[1]))
            padded[lead : lead + n] = rows
            rows = padded
        product = np.matmul(rows.reshape(-1, GRID, rows.shape[1]), matrix)
        return product.reshape(-1, matrix.shape[1])[lead : lead + n]


def _filtered(sos: Floats, x: Floats, zi: Floats) -> tuple[Floats, Floats]:
    """``signal.sosfilt(sos, x, axis=0, zi=zi)``, zi of shape (n_sections, 2, n_columns)."""
    if _sosfilt is None:
        return signal.sosfilt(sos, x, axis=0, zi=zi)
    columns = np.array(x.T, order="C")
    state = np.array(zi.transpose(2, 0, 1), order="C")
    _sosfilt(sos, columns, state)
    # Row after row again: what matrix products make of it depends on the order in memory.
    return np.ascontiguousarray(columns.T), np.ascontiguousarray(state.transpose(1, 2, 0))


def surface_spectrum(rate: float, low: float = 60.0, high: float = 120.0) -> Floats:
    """Filter that gives white noise the spectrum of surface EMG, with unit variance out.

    Returns
    -------
    ndarray, shape (n_sections, 6)
        Second-order sections at `rate` [Hz].
    """
    poles = -2 * np.pi * np.array([low, high, high])
    sos = signal.zpk2sos(*signal.bilinear_zpk([0.0], poles, 1.0, rate))
    impulse = np.zeros(int(rate))
    impulse[0] = 1.0
    sos[0, :3] /= np.linalg.norm(signal.sosfilt(sos, impulse))
    return sos

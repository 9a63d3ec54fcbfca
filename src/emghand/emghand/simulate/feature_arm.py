"""Features of a synthetic arm, without raw EMG: thousands of minutes of use in seconds.

Muscles, electrodes and drifts as in `emghand.simulate.arm`; each tick has the amplitude of every
electrode, and the features are their moving average: the mean absolute value.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from emghand.simulate.arm import Floats, activation, random_tuning
from emghand.simulate.drift import Drift
from emghand.simulate.use import Course

WINDOW_S = 0.3
NOISE = 0.05
UNSTEADINESS, UNSTEADY_S = 0.08, 0.4
VARIABILITY = 0.15


class FeatureArm:
    """One person with electrodes in rings.

    Parameters
    ----------
    seed : int
    n_dofs : int
    n_electrodes : int
        Two rings when even and at least 12, otherwise one.
    rate : float
        Ticks per second [Hz].
    """

    def __init__(
        self, seed: int, n_dofs: int = 6, n_electrodes: int = 32, rate: float = 60.0
    ) -> None:
        rng = np.random.default_rng([seed, 20])
        self.n_dofs, self.n_electrodes, self.rate = n_dofs, n_electrodes, rate
        self._tuning = random_tuning(rng, n_dofs)
        n = 2 * n_dofs
        self._angle = 2 * np.pi * rng.permutation(n) / n + rng.normal(0, 0.12, n)
        self._along = rng.uniform(-0.6, 0.6, n)
        self._depth = rng.uniform(0.25, 0.6, n)
        self._muscle_gain = np.exp(rng.normal(0, 0.25, n))
        self.rings = 2 if n_electrodes >= 12 and n_electrodes % 2 == 0 else 1
        per_ring = n_electrodes // self.rings
        self._electrode_angle = np.tile(2 * np.pi * np.arange(per_ring) / per_ring, self.rings)
        self._electrode_along = np.repeat([-0.5, 0.5] if self.rings == 2 else [0.0], per_ring)
        self._electrode_gain = np.exp(rng.normal(0, 0.15, n_electrodes))
        self._noise = NOISE * np.exp(rng.normal(0, 0.2, n_electrodes))

    @property
    def mixing(self) -> Floats:
        """Amplitude of each muscle in each electrode, shape (n_electrodes, n_muscles)."""
        return self._mixing(0.0)

    def features(
        self, course: Course, rng: np.random.Generator, drift: Drift | None = None
    ) -> Floats:
        """Mean absolute values at each tick of a course, shape (n, n_electrodes)."""
        drift = drift or Drift.none(self.n_electrodes)
        n = len(course.x)
        effort = np.hstack([np.maximum(course.x, 0.0), np.maximum(-course.x, 0.0)])
        a = activation(effort @ self._tuning.T)
        trials = int(course.trial.max()) + 1
        spread = rng.normal(0, VARIABILITY, (trials, a.shape[1]))
        spread += rng.normal(0, VARIABILITY, (trials, 1))
        a *= np.exp(spread)[course.trial]
        pole = np.exp(-1.0 / (UNSTEADY_S * self.rate))
        ou = lfilter([np.sqrt(1 - pole**2)], [1, -pole], rng.standard_normal(a.shape), axis=0)
        a *= np.abs(1 + UNSTEADINESS * ou)
        a *= np.abs(1 + 0.25 * rng.standard_normal(a.shape))
        G = self._mixing(drift.shift_rad)
        power = drift.gain**2 * (a**2 @ (G**2).T) + self._noise**2
        power += (drift.noise * np.median(self.mixing.max(axis=0))) ** 2
        flicker = np.abs(1 + 0.25 * rng.standard_normal(power.shape))
        amplitude = np.sqrt(power) * flicker
        if drift.dead >= 0:
            level = self._level(drift.dead) if drift.stuck else 0.0
            amplitude[:, drift.dead] = level + np.abs(
                self._noise[drift.dead] * rng.standard_normal(n)
            )
        window = round(WINDOW_S * self.rate)
        padded = np.concatenate([np.tile(amplitude[:1], (window - 1, 1)), amplitude])
        sums = np.cumsum(np.vstack([np.zeros((1, amplitude.shape[1])), padded]), axis=0)
        return (sums[window:] - sums[:-window]) / window

    def stream(self, rng: np.random.Generator, drift: Drift | None = None) -> FeatureStream:
        """The same arm tick by tick, for use in which the intention depends on the output."""
        return FeatureStream(self, rng, drift or Drift.none(self.n_electrodes))

    def strongest(self) -> int:
        """The electrode with the largest amplitudes."""
        return int(np.argmax(self.mixing.mean(axis=1)))

    def _level(self, electrode: int) -> float:
        return float(0.3 * self.mixing[electrode].max())

    def _mixing(self, shift_rad: float) -> Floats:
        apart = self._electrode_angle[:, None] + shift_rad - self._angle
        apart = (apart + np.pi) % (2 * np.pi) - np.pi
        along = self._electrode_along[:, None] - self._along
        distance_sq = apart**2 + along**2 + self._depth**2 + 0.12
        near = np.exp(-(apart**2) / (2 * 0.8**2))
        gains = self._electrode_gain[:, None] * self._muscle_gain
        return gains * 0.35 * near / distance_sq


class FeatureStream:
    """Features of one tick after the other; made by `FeatureArm.stream`."""

    def __init__(self, arm: FeatureArm, rng: np.random.Generator, drift: Drift) -> None:
        self._arm, self._rng, self._drift = arm, rng, drift
        self._trial = -1
        n = 2 * arm.n_dofs
        self._spread, self._unsteady = np.ones(n), rng.standard_normal(n)
        self._pole = float(np.exp(-1.0 / (UNSTEADY_S * arm.rate)))
        self._window = np.zeros((round(WINDOW_S * arm.rate), arm.n_electrodes))
        self._at = 0
        self._mixing = arm._mixing(drift.shift_rad) ** 2
        self._noise = arm._noise**2 + (drift.noise * np.median(arm.mixing.max(axis=0))) ** 2

    def step(self, x: Floats, trial: int) -> Floats:
        """Features of a tick; shapes (n_dofs,) -> (n_electrodes,).

        Parameters
        ----------
        x : ndarray, shape (n_dofs,)
            Intended DOFs.
        trial : int
            With a new one the muscles vary anew.
        """
        rng, n = self._rng, len(self._spread)
        if trial != self._trial:
            self._trial = trial
            own = rng.normal(0, VARIABILITY, n) + rng.normal(0, VARIABILITY)
            self._spread = np.exp(own)
        innovation = np.sqrt(1 - self._pole**2) * rng.standard_normal(n)
        self._unsteady = self._pole * self._unsteady + innovation
        effort = np.concatenate([np.maximum(x, 0.0), np.maximum(-x, 0.0)])
        a = activation(self._arm._tuning @ effort) * self._spread
        a *= np.abs(1 + UNSTEADINESS * self._unsteady)
        a *= np.abs(1 + 0.25 * rng.standard_normal(n))
        power = self._drift.gain**2 * (self._mixing @ a**2) + self._noise
        amplitude = np.sqrt(power) * np.abs(1 + 0.25 * rng.standard_normal(len(power)))
        dead = self._drift.dead
        if dead >= 0:
            level = self._arm._level(dead) if self._drift.stuck else 0.0
            amplitude[dead] = level + abs(self._arm._noise[dead] * rng.standard_normal())
        if not self._at:
            self._window[:] = amplitude
        self._window[self._at % len(self._window)] = amplitude
        self._at += 1
        mean: Floats = self._window.mean(axis=0)
        return mean


def delayed(x: Floats, ticks: int) -> Floats:
    """`x` of so many ticks ago; before the beginning its first value."""
    return np.concatenate([np.tile(x[:1], (ticks, 1)), x])[: len(x)]

"""Synthetic data glove: what a glove on the intact hand would report of a movement."""

from __future__ import annotations

import numpy as np
from scipy import signal

from emghand.errors import UserError
from emghand.simulate.arm import Floats


class SyntheticGlove:
    """Readings of a glove whose wearer follows an intention.

    Reaction delay, then the smoothness of a hand with mass (two equal poles), then sensor noise.

    Parameters
    ----------
    n_dofs : int
    rate : float
        Readings per second [Hz].
    reaction_s : float
        Delay from the prompt to the movement [s].
    smoothing_s : float
        Time constant of the hand [s].
    noise : float
        RMS of the sensor noise, in units of the normalised DOF.
    seed : int
    """

    def __init__(
        self,
        n_dofs: int,
        rate: float = 60.0,
        reaction_s: float = 0.2,
        smoothing_s: float = 0.04,
        noise: float = 0.01,
        seed: int = 0,
    ) -> None:
        self._n_dofs = n_dofs
        self._noise = noise
        self._rng = np.random.default_rng([seed, 2])
        self._delayed = np.zeros((round(reaction_s * rate), n_dofs))
        pole = np.exp(-1.0 / (smoothing_s * rate)) if smoothing_s > 0 else 0.0
        self._sos = np.array([[(1 - pole) ** 2, 0, 0, 1, -2 * pole, pole**2]])
        self._zi = np.zeros((1, 2, n_dofs))

    def push(self, intention: Floats) -> Floats:
        """Readings for the next samples of the intention, shape (n_samples, n_dofs), in [-1, 1]."""
        intention = np.asarray(intention, np.float64)
        if intention.ndim != 2 or intention.shape[1] != self._n_dofs:
            raise UserError(
                f"intention: expected shape (n_samples, {self._n_dofs}), got {intention.shape}"
            )
        n = len(intention)
        late = np.concatenate([self._delayed, intention])
        self._delayed = late[n:]
        posture, self._zi = signal.sosfilt(self._sos, late[:n], axis=0, zi=self._zi)
        posture = posture + self._rng.standard_normal(posture.shape) * self._noise
        return np.clip(posture, -1.0, 1.0)

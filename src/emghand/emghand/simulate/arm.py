"""Muscles of a forearm and the electrodes around it.

Two muscles per DOF, one for each direction; or, for a person with many one-sided actions, a number
of muscles that they share. Geometry and constants follow no anatomy in
particular; they are chosen so that the difficulty (cross-talk, co-contraction, uneven electrodes)
is that of a good surface recording.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

UNITS_PER_MUSCLE = 4
"""Independent groups of motor units per muscle: electrodes above one muscle see partly different
signals, as they do on an arm."""

_REACH_SQ = 0.12
_SPREAD_RAD = 0.8
_SPARSENESS = 0.3
_MOST_ALIKE = 0.95


class Arm:
    """Geometry of one person's arm, made from a seed.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_dofs : int
        Half-directions 0..n_dofs-1 are flexion, n_dofs..2*n_dofs-1 extension.
    n_channels : int
    n_muscles : int
        Muscles that the DOFs share, each DOF being an action in one direction with a pattern of
        its own; 0: two muscles per DOF, one for each direction.

    Attributes
    ----------
    tuning : ndarray, shape (n_muscles, 2 * n_dofs)
        Activation of muscle i per unit of effort in half-direction j.
    n_units : int
        Signal sources: `UNITS_PER_MUSCLE` for each muscle, in the order of the muscles.
    """

    def __init__(
        self, rng: np.random.Generator, n_dofs: int, n_channels: int, n_muscles: int = 0
    ) -> None:
        self.n_channels = n_channels
        self.tuning = _shared(rng, n_dofs, n_muscles) if n_muscles else random_tuning(rng, n_dofs)
        n_muscles = len(self.tuning)
        self.n_units = n_muscles * UNITS_PER_MUSCLE

        around = 2 * np.pi * rng.permutation(n_muscles) / n_muscles
        angle = around + rng.normal(0, 0.12, n_muscles)
        along = rng.uniform(-0.6, 0.6, n_muscles)
        depth = rng.uniform(0.25, 0.6, n_muscles)
        gain = np.exp(rng.normal(0, 0.25, n_muscles))
        shape = (n_muscles, UNITS_PER_MUSCLE)
        self._angle = (angle[:, None] + rng.normal(0, 0.15, shape)).ravel()
        self._along = (along[:, None] + rng.normal(0, 0.15, shape)).ravel()
        self._depth = (depth[:, None] * np.exp(rng.normal(0, 0.15, shape))).ravel()
        self._gain = np.repeat(gain / np.sqrt(UNITS_PER_MUSCLE), UNITS_PER_MUSCLE)

        rings = 2 if n_channels >= 12 and n_channels % 2 == 0 else 1
        per_ring = n_channels // rings
        self._electrode_angle = np.tile(2 * np.pi * np.arange(per_ring) / per_ring, rings)
        self._electrode_along = np.repeat([-0.5, 0.5] if rings == 2 else [0.0], per_ring)
        self._electrode_gain = np.exp(rng.normal(0, 0.15, n_channels))
        # Motor units fire on both sides of the zero line: neighbours see them with either sign.
        self._sign = rng.choice([-1.0, 1.0], self.n_units)

    def mixing(self, shift_rad: float = 0.0) -> Floats:
        """Weights of the units in each channel, shape (n_units, n_channels).

        Scaled so that the median over muscles of the strongest channel's RMS is 1 at activation 1.

        Parameters
        ----------
        shift_rad : float
            Rotation of all electrodes around the arm.
        """
        weights = self._weights(shift_rad)
        reference = self._weights(0.0) if shift_rad else weights
        power = (reference**2).reshape(-1, UNITS_PER_MUSCLE, self.n_channels).sum(axis=1)
        return weights / np.median(np.sqrt(power.max(axis=1)))

    def _weights(self, shift_rad: float) -> Floats:
        apart = self._electrode_angle + shift_rad - self._angle[:, None]
        apart = (apart + np.pi) % (2 * np.pi) - np.pi
        along = self._electrode_along - self._along[:, None]
        distance_sq = apart**2 + along**2 + self._depth[:, None] ** 2 + _REACH_SQ
        near = np.exp(-(apart**2) / (2 * _SPREAD_RAD**2))
        source = (self._sign * self._gain)[:, None]
        return source * self._electrode_gain * near / distance_sq


def random_tuning(rng: np.random.Generator, n_dofs: int) -> Floats:
    """How much each muscle takes part in each half-direction, shape (2 n_dofs, 2 n_dofs)."""
    tuning = np.eye(2 * n_dofs)
    for side in (0, n_dofs):
        for i in range(n_dofs - 1):
            tuning[side + i, side + i + 1] += rng.uniform(0.05, 0.35)
            tuning[side + i + 1, side + i] += rng.uniform(0.05, 0.35)
    for i in range(2 * n_dofs):
        tuning[(i + n_dofs) % (2 * n_dofs), i] += rng.uniform(0.05, 0.2)
        tuning[rng.integers(2 * n_dofs), i] += rng.uniform(0.0, 0.2)
    return tuning


def _shared(rng: np.random.Generator, n_actions: int, n_muscles: int) -> Floats:
    """Actions over muscles that they share: few muscles each, and each action like another one.

    How alike is drawn from nothing to nearly the same, so that some pairs are easy and some are
    hard to tell apart; how strong an action is varies as well.
    """
    patterns = rng.dirichlet(np.full(n_muscles, _SPARSENESS), n_actions)
    for i in range(1, n_actions):
        alike = _MOST_ALIKE * np.sqrt(rng.uniform())
        patterns[i] = alike * patterns[rng.integers(i)] + (1 - alike) * patterns[i]
    strength = np.exp(rng.normal(0.0, 0.3, n_actions))
    patterns *= (strength / np.linalg.norm(patterns, axis=1))[:, None]
    return np.concatenate([patterns.T, np.zeros((n_muscles, n_actions))], axis=1)


def activation(effort: Floats) -> Floats:
    """Static non-linearity of a muscle: EMG amplitude of an effort of 0 or more."""
    return effort**1.15 / (1 + 0.15 * effort)

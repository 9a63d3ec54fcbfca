"""Baseline, global gain and dead channels: what can be told without a model of the muscles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.reference import UPPER, Reference, rest_level, shared_signal

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

QUIET = 0.15
"""A channel is dead when its signal has fallen to this share of what the others kept."""
ALONE = 0.35, 0.2
"""Or when it goes with no other any more: shares of the reference, and of 1."""
IGNORED = 0.05
"""A global gain within this of 1 is none."""
RISEN = 0.1
"""A level at rest within this of the one before is the same."""
FLOOR = 0.3
"""No amplitude is taken to be below this share of the level at rest."""


@dataclass(frozen=True)
class Alignment:
    """How amplitudes of the reference and of now belong together.

    Parameters
    ----------
    before, now : ndarray, shape (n,)
        Level at rest in the reference and now.
    gain : float
        Of all channels.
    dead : ndarray of bool, shape (n,)
    """

    before: Floats
    now: Floats
    gain: float
    dead: Bools

    @property
    def unchanged(self) -> bool:
        """Whether there is nothing to align."""
        same = np.abs(np.log(self.now / self.before)) < np.log1p(RISEN)
        return self.gain == 1.0 and not self.dead.any() and bool(same.all())

    def to_now(self, amplitudes: Floats) -> Floats:
        """What amplitudes of the reference would be now, shape (m, n)."""
        grown = self.before + (amplitudes - self.before) * self.gain
        return _rebased(grown, self.before, self.now)

    def to_reference(self, amplitudes: Floats) -> Floats:
        """What amplitudes of now would have been, shape (m, n)."""
        based = _rebased(amplitudes, self.now, self.before)
        return self.before + (based - self.before) / self.gain


def align(amplitudes: Floats, reference: Reference) -> Alignment:
    """Alignment of a window of use with the reference.

    Parameters
    ----------
    amplitudes : ndarray, shape (m, n)
    reference : Reference
    """
    now = rest_level(amplitudes)
    risen = np.quantile(amplitudes, UPPER[-1], axis=0) - now
    ratio = risen / np.maximum(reference.high - reference.rest, 1e-12)
    together = shared_signal(amplitudes)
    dead = ratio < QUIET * np.median(ratio)
    dead |= (together < ALONE[0] * reference.correlation) | (together < ALONE[1])
    based = _rebased(amplitudes, now, reference.rest)
    upper = np.quantile(based, UPPER, axis=0).mean(axis=0) - reference.rest
    logs = np.log(np.maximum(upper, 1e-12) / (reference.upper - reference.rest))
    gain = float(np.exp(np.median(logs[~dead]))) if not dead.all() else 1.0
    if abs(np.log(gain)) < np.log1p(IGNORED):
        gain = 1.0
    return Alignment(reference.rest, now, gain, dead)


def _rebased(amplitudes: Floats, old: Floats, new: Floats) -> Floats:
    """Another level at rest: noise adds in quadrature."""
    power = np.square(np.maximum(amplitudes, 0.0)) - np.square(old) + np.square(new)
    return np.sqrt(np.maximum(power, np.square(FLOOR * new)))

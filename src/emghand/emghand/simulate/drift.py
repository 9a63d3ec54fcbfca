"""How electrodes change: gain, shift, failure, noise, another day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emghand.errors import UserError
from emghand.simulate.arm import Floats

if TYPE_CHECKING:
    from emghand.simulate.feature_arm import FeatureArm

KINDS = ("gain", "electrode gain", "shift", "dead", "noise", "new day")
STRENGTHS = (1, 2, 3)


@dataclass(frozen=True)
class Drift:
    """State of the electrodes.

    Parameters
    ----------
    gain : ndarray, shape (n,)
        Factor of each electrode's signal.
    shift_rad : float
        Rotation of all electrodes around the arm.
    noise : ndarray, shape (n,)
        Added in quadrature, relative to the median over muscles of their largest amplitude.
    dead : int
        Electrode without signal; -1: none.
    stuck : bool
        The dead electrode reads a constant level, not zero.
    """

    gain: Floats
    shift_rad: float
    noise: Floats
    dead: int = -1
    stuck: bool = False

    @classmethod
    def none(cls, n: int) -> Drift:
        """No drift of n electrodes."""
        return cls(np.ones(n), 0.0, np.zeros(n))


def make_drift(arm: FeatureArm, kind: str, strength: int, rng: np.random.Generator) -> Drift:
    """A drift of a kind, of strength 1 (mild) to 3 (strong).

    Raises
    ------
    UserError
        For an unknown kind or strength.
    """
    if kind not in KINDS or strength not in STRENGTHS:
        raise UserError(
            f"drift {kind!r} {strength!r}: kinds are {', '.join(KINDS)}, strengths 1 to 3"
        )
    n, s = arm.n_electrodes, strength - 1
    gain: Floats = np.ones(n)
    noise: Floats = np.zeros(n)
    shift, dead, stuck = 0.0, -1, False
    if kind == "gain":
        factor = (1.15, 1.3, 1.5)[s]
        gain = np.full(n, factor if rng.uniform() < 0.5 else 1.0 / factor)
    if kind == "electrode gain":
        gain = _lognormal(rng, n, (0.1, 0.2, 0.35)[s])
    if kind == "shift":
        shift = np.radians((6.0, 11.0, 22.0)[s]) * rng.choice([-1.0, 1.0])
    if kind == "noise":
        noise = (0.12, 0.25, 0.45)[s] * (rng.permutation(n) < round(0.7 * n)).astype(np.float64)
    if kind == "dead":
        dead = int(rng.integers(n)) if strength == 1 else arm.strongest()
        stuck = strength == 3
    if kind == "new day":
        factor = (1.1, 1.2, 1.3)[s]
        gain = _lognormal(rng, n, (0.07, 0.14, 0.25)[s])
        gain *= factor if rng.uniform() < 0.5 else 1.0 / factor
        shift = np.radians((4.0, 8.0, 15.0)[s]) * rng.choice([-1.0, 1.0])
        noise = (0.08, 0.16, 0.3)[s] * (rng.permutation(n) < round(0.7 * n)).astype(np.float64)
        dead = int(rng.integers(n)) if strength == 3 else -1
    return Drift(gain, float(shift), noise, dead, stuck)


def _lognormal(rng: np.random.Generator, n: int, spread: float) -> Floats:
    return np.clip(np.exp(rng.normal(0, spread, n)), 0.5, 1.5)

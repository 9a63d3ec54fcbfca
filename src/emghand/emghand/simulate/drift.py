"""How electrodes change: gain, shift, failure, noise, another day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emghand.errors import UserError
from emghand.simulate.arm import Floats

if TYPE_CHECKING:
    from emghand.simulate.feature_arm import FeatureArm

SIZES: dict[str, dict[str, tuple[float, float, float]]] = {
    "gain": {"level": (1.15, 1.3, 1.5)},
    "electrode gain": {"gain": (0.1, 0.2, 0.35)},
    "shift": {"shift_deg": (6.0, 11.0, 22.0)},
    "dead": {},
    "noise": {"noise": (0.12, 0.25, 0.45)},
    "new day": {
        "level": (1.1, 1.2, 1.3),
        "gain": (0.07, 0.14, 0.25),
        "shift_deg": (4.0, 8.0, 15.0),
        "noise": (0.08, 0.16, 0.3),
    },
}
"""What each kind of drift changes, for strengths 1 to 3: factor of all electrodes, spread of the
gain of each (log-normal), rotation, and noise of 70 % of them relative to the largest amplitude."""
KINDS = tuple(SIZES)
STRENGTHS = (1, 2, 3)


def drift_sizes(kind: str, strength: int) -> dict[str, float]:
    """What a drift of a strength from 1 (mild) to 3 (strong) changes; see `SIZES`.

    Raises
    ------
    UserError
        For an unknown kind or strength.
    """
    if kind not in SIZES or strength not in STRENGTHS:
        raise UserError(
            f"drift {kind!r} {strength!r}: kinds are {', '.join(KINDS)}, strengths 1 to 3"
        )
    return {name: of_strength[strength - 1] for name, of_strength in SIZES[kind].items()}


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
    sizes = drift_sizes(kind, strength)
    n = arm.n_electrodes
    gain: Floats = np.ones(n)
    noise: Floats = np.zeros(n)
    shift, dead, stuck = 0.0, -1, False
    if "gain" in sizes:
        gain = _lognormal(rng, n, sizes["gain"])
    if "level" in sizes:
        gain *= sizes["level"] if rng.uniform() < 0.5 else 1.0 / sizes["level"]
    if "shift_deg" in sizes:
        shift = np.radians(sizes["shift_deg"]) * rng.choice([-1.0, 1.0])
    if "noise" in sizes:
        noise = sizes["noise"] * (rng.permutation(n) < round(0.7 * n)).astype(np.float64)
    if kind == "dead":
        dead = int(rng.integers(n)) if strength == 1 else arm.strongest()
        stuck = strength == 3
    if kind == "new day" and strength == 3:
        dead = int(rng.integers(n))
    return Drift(gain, float(shift), noise, dead, stuck)


def _lognormal(rng: np.random.Generator, n: int, spread: float) -> Floats:
    return np.clip(np.exp(rng.normal(0, spread, n)), 0.5, 1.5)

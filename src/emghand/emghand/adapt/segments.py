"""What the movement detector is told, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.settings import SettingsError, check, setting

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class DetectorSettings:
    """When the hand moves.

    Speeds and displacements are those of the DOF that has most of it, in normalised units (1: from
    rest to full flexion). The defaults suit the noise of the synthetic arm with the default
    decoder; halving or doubling one of them hardly matters, except `on_displacement`.
    """

    smooth_s: float = setting(
        0.3,
        "Window of the mean and of the slope that thresholds are compared with; half of it is "
        "taken off the stamps.",
        unit="s",
        low=0.0,
        high=1.0,
    )
    on_displacement: float = setting(
        0.2, "Distance from the last plateau that starts a movement.", low=0.01, high=2.0
    )
    on_speed: float = setting(
        1.5, "Speed that starts a movement.", unit="1/s", low=0.01, high=100.0
    )
    on_s: float = setting(0.06, "Either must last so long.", unit="s", low=0.0, high=1.0)
    pre_roll_s: float = setting(
        0.4, "A movement begins at most so long before its start was noticed.", unit="s", low=0.0
    )
    off_speed: float = setting(0.7, "Speed of a hand at rest.", unit="1/s", low=0.001, high=100.0)
    off_share: float = setting(
        0.6,
        "Share of the peak speed of a movement that counts as rest too: large movements are held "
        "less steadily.",
        low=0.0,
        high=0.95,
    )
    hold_s: float = setting(
        0.35,
        "A movement has ended when the hand rested so long; where it ended is the median over it.",
        unit="s",
        low=0.05,
        high=2.0,
    )
    level_s: float = setting(
        2.0,
        "Time constant with which a plateau follows a slow drift: one slower than on_displacement "
        "in level_s is no movement.",
        unit="s",
        low=0.1,
        high=60.0,
    )
    displacement: float = setting(0.2, "Smaller movements are none.", low=0.01, high=2.0)
    shortest_s: float = setting(0.15, "Shorter movements are none.", unit="s", low=0.0, high=10.0)
    longest_s: float = setting(4.0, "Longer movements are none.", unit="s", low=0.1, high=60.0)
    moving_displacement: float = setting(
        0.15, "A DOF takes part in a movement when it goes so far", low=0.0, high=2.0
    )
    moving_share: float = setting(
        0.35, "and this share of the way of the DOF that goes farthest.", low=0.0, high=1.0
    )
    plateau_s: float = setting(0.4, "Shorter plateaus are none.", unit="s", low=0.0, high=10.0)

    def __post_init__(self) -> None:
        check(self)
        if self.off_speed > self.on_speed:
            raise SettingsError("off_speed: must not be above on_speed")
        if self.shortest_s > self.longest_s:
            raise SettingsError("shortest_s: must not be above longest_s")


@dataclass(frozen=True)
class Segment:
    """A movement, or a plateau.

    Parameters
    ----------
    kind : str
        ``movement`` or ``plateau``.
    t0_tick, t1_tick : int
        First and last tick. A movement is still at `x0` at the first and has come to `x_f` at the
        last, were it made with the profile of minimum jerk.
    x0, x_f : ndarray, shape (n_dofs,)
        Where it was before and after; of a plateau: at its beginning and its end.
    moving : ndarray of bool, shape (n_dofs,)
        DOFs that take part in a movement; of a plateau none.
    """

    kind: str
    t0_tick: int
    t1_tick: int
    x0: Floats
    x_f: Floats
    moving: Bools

    @property
    def displacement(self) -> float:
        """Way of the DOF that goes farthest."""
        return float(np.abs(self.x_f - self.x0).max(initial=0.0))

"""Beginning and end of a movement, from the part of it that noise hardly touches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

QUARTER = 0.3594363
"""Share of its time at which the profile of minimum jerk, 10 s³ - 15 s⁴ + 6 s⁵, has made a quarter
of its way (Flash and Hogan 1985, doi 10.1523/JNEUROSCI.05-07-01688.1985)."""


@dataclass(frozen=True)
class ProfileFit:
    """Beginning and end, in ticks after the first of the course; not rounded, may lie outside."""

    begin: float
    end: float


def fit_profile(course: Floats) -> ProfileFit:
    """The profile of minimum jerk that passes 1/4 and 3/4 of its way when the course does.

    Beginning and end of such a movement are too slow to be seen in noise; its middle is not.

    Parameters
    ----------
    course : ndarray, shape (m,)
        Way made: about 0 before the movement, about 1 after it.
    """
    middle = int(np.argmax(course >= 0.5))
    above = middle + int(np.argmax(course[middle:] >= 0.75))
    if course[above] < 0.75:
        return ProfileFit(0.0, len(course) - 1.0)
    below = np.flatnonzero(course[:middle] < 0.25)
    first = _cross(course, int(below[-1]), 0.25) if len(below) else 0.0
    second = _cross(course, above - 1, 0.75) if above else 0.0
    rest = (second - first) * QUARTER / (1.0 - 2.0 * QUARTER)
    return ProfileFit(first - rest, second + rest)


def _cross(course: Floats, row: int, level: float) -> float:
    """Where the course passes the level between a row and the next one."""
    low, high = float(course[row]), float(course[row + 1])
    return row + (level - low) / (high - low)

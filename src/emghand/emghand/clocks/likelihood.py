"""Which of the lines between the bounds are likely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emghand.clocks.lines import Lines, Point

DRIFT_SCALE = 50e-6
"""Scale of the prior of the drift: crystals are sold with 20 to 100 ppm."""
DRIFT_MASS = 0.99
"""More than 95 %, because the delays of one burst are not independent."""
GRID = 201


def most_likely(
    lines: Lines, lower: Sequence[Point], upper: Sequence[Point], resolution: float
) -> tuple[tuple[float, float], Lines]:
    """Most likely line, and all lines with a plausible slope.

    Each bound lies off the true line by the shortest delay of its way, which is unknown, and an
    exponentially distributed further one of unknown mean. With flat priors of the shortest delays
    and 1/s of the mean s, all of these integrate out; with a Laplace prior, the log posterior of
    the slope d is ::

        - (n - 2) log S(d) - |d| / DRIFT_SCALE

    where n is the number of bounds and S(d) the sum of their distances from the outermost lines of
    that slope: the ceiling for upper, the floor for lower ones. S is least where bounds of both
    sides touch these lines best, which is a lower envelope fitted to each way with one common
    slope. How a delay that both ways always have is shared between them cannot be known, so of a
    plausible slope *every* line between floor and ceiling stays plausible.

    Parameters
    ----------
    lines : Lines
        All lines between the bounds.
    lower, upper : sequence of (x, y)
        The bounds.
    resolution : float
        Least distance that means something, in units of y.

    Returns
    -------
    tuple of float
        a and d of the most likely line, half-way between floor and ceiling.
    Lines
        The lines whose slopes have `DRIFT_MASS` of the posterior.
    """
    first, last = float(lines.slopes[0]), float(lines.slopes[-1])
    zero = min(max(0.0, first), last)  # the prior bends there
    grid = np.linspace(first, last, GRID)
    slopes = np.unique(np.concatenate([lines.slopes, grid, [zero]]))
    floors = np.interp(slopes, lines.slopes, lines.floors)
    ceilings = np.interp(slopes, lines.slopes, lines.ceilings)
    low, high = np.array(lower).sum(axis=0), np.array(upper).sum(axis=0)
    above = high[1] - slopes * high[0] - len(upper) * ceilings
    below = len(lower) * floors - (low[1] - slopes * low[0])
    count = len(lower) + len(upper)
    distances = np.maximum(above + below, count * resolution)
    log = -(count - 2) * np.log(distances) - np.abs(slopes) / DRIFT_SCALE
    best = int(np.argmax(log))
    line = float(floors[best] + ceilings[best]) / 2.0, float(slopes[best])
    if len(slopes) == 1:
        return line, lines
    density = np.exp(log - log[best])
    pieces = (density[1:] + density[:-1]) / 2.0 * np.diff(slopes)
    mass = np.concatenate([[0.0], np.cumsum(pieces)]) / pieces.sum()
    tail = (1.0 - DRIFT_MASS) / 2.0
    # Outwards to the next slope of the grid.
    least = min(int(np.searchsorted(mass, tail, "right")) - 1, best)
    greatest = max(int(np.searchsorted(mass, 1.0 - tail, "left")), best)
    greatest = min(greatest, len(slopes) - 1)
    return line, lines.between_slopes(float(slopes[least]), float(slopes[greatest]))

"""All straight lines that pass between lower and upper bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = tuple[float, float]
_EPSILON = 1e-12


@dataclass(frozen=True)
class Lines:
    """The lines ``y = a + d x`` with ``y ≥ l`` at every lower and ``y ≤ u`` at every upper bound.

    They are a convex polygon in (a, d). For a slope d the line may move between
    ``floor(d) = max(l - d x)`` and ``ceiling(d) = min(u - d x)``; both are piecewise linear in d
    and bend only at the slopes of the edges of the convex hulls of the bounds. So the polygon is
    known exactly from its floor and ceiling at these slopes.

    Parameters
    ----------
    slopes : array, shape (k,)
        Ascending: the least and the greatest possible slope, and every bend between them.
    floors, ceilings : array, shape (k,)
        Lowest and highest line of each slope, at x = 0.
    """

    slopes: Floats
    floors: Floats
    ceilings: Floats

    def range_at(self, x: float) -> tuple[float, float]:
        """Lowest and highest y of all the lines at x."""
        rise = self.slopes * x
        return float((self.floors + rise).min()), float((self.ceilings + rise).max())

    def between_slopes(self, least: float, greatest: float) -> Lines:
        """Those of the lines whose slope is in a range, which may not be empty."""
        inner = self.slopes[(self.slopes > least) & (self.slopes < greatest)]
        slopes = np.concatenate([[least], inner, [greatest]])
        floors = np.interp(slopes, self.slopes, self.floors)
        return Lines(slopes, floors, np.interp(slopes, self.slopes, self.ceilings))


def lines_between(lower: Sequence[Point], upper: Sequence[Point], steepest: float) -> Lines | None:
    """Lines between bounds; None when there is none.

    Parameters
    ----------
    lower, upper : sequence of (x, y)
        Bounds, at least one each.
    steepest : float
        Greatest slope, up or down.
    """
    low = _hull(lower, 1.0)
    high = _hull(upper, -1.0)
    bends = np.concatenate([_edge_slopes(low), _edge_slopes(high), [-steepest, steepest]])
    slopes = np.unique(bends[np.abs(bends) <= steepest])
    floors = (low[:, 1] - slopes[:, None] * low[:, 0]).max(axis=1)
    ceilings = (high[:, 1] - slopes[:, None] * high[:, 0]).min(axis=1)
    gaps = ceilings - floors
    (possible,) = np.nonzero(gaps >= -_EPSILON)
    if not len(possible):
        return None
    first, last = int(possible[0]), int(possible[-1])
    kept = [(slopes[i], floors[i], ceilings[i]) for i in range(first, last + 1)]
    if first > 0:
        kept.insert(0, _closing(slopes, floors, ceilings, first, first - 1))
    if last < len(slopes) - 1:
        kept.append(_closing(slopes, floors, ceilings, last, last + 1))
    return Lines(*np.array(kept).T)


def _closing(
    slopes: Floats, floors: Floats, ceilings: Floats, inside: int, outside: int
) -> tuple[float, float, float]:
    """Corner of the polygon between a slope with a gap and the next one without."""
    gap, lack = ceilings[inside] - floors[inside], floors[outside] - ceilings[outside]
    share = max(gap, 0.0) / max(gap + lack, _EPSILON)
    corner = floors[inside] + share * (floors[outside] - floors[inside])
    return slopes[inside] + share * (slopes[outside] - slopes[inside]), corner, corner


def _hull(points: Sequence[Point], side: float) -> Floats:
    """Upper (side 1) or lower (side -1) convex hull, shape (n, 2), x ascending.

    A. M. Andrew, "Another efficient algorithm for convex hulls in two dimensions", 1979.
    """
    hull: list[Point] = []
    for x, y in sorted(points, key=lambda p: (p[0], side * p[1])):
        if hull and hull[-1][0] == x:
            hull.pop()  # of two bounds at one x the tighter one, which comes last
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if side * ((y1 - y0) * (x - x0) - (y - y0) * (x1 - x0)) > 0.0:
                break
            hull.pop()
        hull.append((x, y))
    return np.array(hull)


def _edge_slopes(hull: Floats) -> Floats:
    steps = np.diff(hull, axis=0)
    with np.errstate(over="ignore"):  # then it is steeper than any line that counts
        return steps[:, 1] / steps[:, 0]

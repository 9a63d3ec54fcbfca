"""When a sample was acquired, from the device's sample counter and the times blocks arrived."""

from __future__ import annotations

import itertools
from collections import deque

SECOND = 1_000_000_000

BIN_S = 0.5
"""Of all blocks that arrive in this time only the least delayed one counts."""
WINDOW_BINS = 60
SETTLED_BINS = 4
"""Before as many bins are complete, the device's rate is taken as stated."""
MAX_DRIFT = 0.02
"""Largest relative deviation of the device's rate that is followed."""
FADE_S = 0.25
MAX_SLEW = 0.5
"""Corrections fade in over this time, and never faster than this many seconds per second."""
LATE_S = 0.05
LATE_BINS = 6
"""When every block of so many bins is so late, samples were lost that were not counted."""
EARLY_S = 0.5
"""When a block is so much too early, the steady clock stood still: the machine slept."""


class SampleClock:
    """Line from the sample counter to the steady clock, beneath all arrivals.

    A block arrives after its last sample was acquired, never before: arrival = acquisition + delay,
    delay ≥ 0. So the line is not the mean of the arrivals but their lower envelope: of all lines
    beneath the arrivals of the last 30 s, the one nearest to them in sum, which is the edge of the
    lower convex hull below their centre (Moon, Skelly, Towsley, "Estimation and removal of clock
    skew from network delay measurements", INFOCOM 1999). Late blocks, however many, do not move it;
    what remains unknown is the smallest delay there is.

    Corrections fade in, so that time never goes back.

    Parameters
    ----------
    rate : float
        Nominal samples per second [Hz].
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.reset()

    def reset(self) -> None:
        """Expect a new stream."""
        self._origin: tuple[int, int] | None = None  # sample and its arrival: x = y = 0
        self._latest = 0.0  # x of the last update
        self._bins: deque[tuple[float, float]] = deque(maxlen=WINDOW_BINS)
        self._bin = 0  # number of the present bin
        self._least = (0.0, 0.0)  # least delayed block of the present bin
        self._offset = self._slope = 0.0  # the line
        self._anchor = self._error = 0.0  # what is told deviates from the line by this, there
        self._floor: tuple[int, int] | None = None  # sample and time no later one goes below

    @property
    def drift_ppm(self) -> float:
        """By how much a sample of the device lasts longer than stated [ppm]."""
        return self._slope * 1e6

    def update(self, last_sample: int, arrival_ns: int) -> None:
        """Tell when a block arrived.

        Parameters
        ----------
        last_sample : int
            Index of its last sample on the device's counter. A counter that goes back is a new
            stream.
        arrival_ns : int
            Steady time [ns].
        """
        if self._origin is None:
            self._origin = (last_sample, arrival_ns)
            return
        x, nominal = self._locate(last_sample)
        if x < self._latest:
            self.reset()
            self._origin = (last_sample, arrival_ns)
            return
        y = (arrival_ns - nominal) / SECOND
        if y < self._line(x) - EARLY_S:
            floor = self._origin[0] + round(self._latest * self._rate)
            floor_ns = self.time_ns(floor)
            self.reset()
            self._origin = (last_sample, arrival_ns)
            self._floor = (floor, floor_ns)
            return
        told = self._told(self._latest)
        self._collect(x, y)
        self._anchor, self._error = self._latest, told - self._line(self._latest)
        self._latest = x

    def time_ns(self, sample: int) -> int:
        """Steady time at which a sample was acquired [ns].

        Increasing samples up to the last one updated with get increasing times, whenever asked.

        Raises
        ------
        ValueError
            Before the first update.
        """
        x, nominal = self._locate(sample)
        time = nominal + round(self._told(x) * SECOND)
        if self._floor is not None and sample > self._floor[0]:
            time = max(time, self._floor[1] + sample - self._floor[0])
        return time

    def _locate(self, sample: int) -> tuple[float, int]:
        """Nominal time since the origin [s], and as steady time [ns]."""
        if self._origin is None:
            raise ValueError("no block has arrived yet")
        first, arrival = self._origin
        x = (sample - first) / self._rate
        return x, arrival + round(x * SECOND)

    def _line(self, x: float) -> float:
        """Delay against nominal time [s]."""
        return self._offset + self._slope * x

    def _told(self, x: float) -> float:
        """The line, and the part of the last correction that has not faded in yet [s]."""
        fade = max(FADE_S, abs(self._error) / MAX_SLEW)
        left = 1.0 - (x - self._anchor) / fade
        return self._line(x) + self._error * min(max(left, 0.0), 1.0)

    def _collect(self, x: float, y: float) -> None:
        number = int(x / BIN_S)
        if number != self._bin:
            self._bins.append(self._least)
            self._bin, self._least = number, (x, y)
            self._drop_before_a_loss()
            self._fit()
        elif y - self._slope * x < self._least[1] - self._slope * self._least[0]:
            self._least = (x, y)
        if y < self._line(x):
            self._fit()

    def _drop_before_a_loss(self) -> None:
        recent = list(self._bins)[-LATE_BINS:]
        if len(recent) == LATE_BINS and all(y - self._line(x) > LATE_S for x, y in recent):
            self._bins = deque(recent, maxlen=WINDOW_BINS)

    def _fit(self) -> None:
        points = [*self._bins, self._least]
        if len(points) > SETTLED_BINS:
            self._slope = _slope_below(points)
        self._offset = min(y - self._slope * x for x, y in points)


def _slope_below(points: list[tuple[float, float]]) -> float:
    """Slope of the line beneath the points, in order of x, that is nearest to them in sum."""
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (y1 - y0) * (x - x0) < (y - y0) * (x1 - x0):
                break
            hull.pop()
        hull.append((x, y))
    centre = sum(x for x, _ in points) / len(points)
    for (x0, y0), (x1, y1) in itertools.pairwise(hull):
        if x1 >= centre:
            return min(max((y1 - y0) / (x1 - x0), -MAX_DRIFT), MAX_DRIFT)
    raise AssertionError("the hull spans all points")

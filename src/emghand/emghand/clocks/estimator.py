"""Offset and drift of another host's clock, from pings, with an interval that can be trusted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emghand.clocks.likelihood import most_likely
from emghand.clocks.lines import Lines, Point, lines_between
from emghand.clocks.ping import Ping
from emghand.settings import check, setting

SECOND = 1_000_000_000
BINS = 60
RESIDUALS = 256
CONFIRMATIONS = 3
"""So many pings against it, and the line no longer holds: one of the clocks was set."""


@dataclass(frozen=True)
class ClockSettings:
    """What is known about clocks and network."""

    window_s: float = setting(
        120.0, "Pings that count", unit="s", low=1.0, high=86400.0, live=False
    )
    max_drift_ppm: float = setting(
        1000.0,
        "Largest drift: two crystals, and a clock that is being slewed",
        unit="ppm",
        low=1.0,
        high=100000.0,
        live=False,
    )
    wander_ppm: float = setting(
        1.0,
        "Change of the drift that is allowed for beyond the last ping",
        unit="ppm",
        low=0.0,
        high=1000.0,
        live=False,
    )
    resolution_ns: float = setting(
        1000.0, "To what the clocks are read", unit="ns", low=1.0, high=1e8, live=False
    )
    max_round_trip_s: float = setting(
        1.0, "A ping that took longer says too little", unit="s", low=0.001, high=60.0, live=False
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class LocalTime:
    """A remote stamp in local time [ns], give or take the uncertainty [ns] (95 %)."""

    ns: int
    uncertainty_ns: float


@dataclass(frozen=True)
class ClockEstimate:
    """How another clock relates to the local one: the fields of ``ClockMap``.

    ``local = remote + offset_ns + drift_ppm * 1e-6 * (remote - reference_ns)``

    Parameters
    ----------
    reference_ns : int
        Remote time that the offset is stated for: the last ping.
    offset_ns : int
        Local minus remote time at the reference.
    drift_ppm : float
    uncertainty_ns : float
        Half width of the 95 % interval of the offset.
    drift_uncertainty_ppm : float
        The same of the drift.
    residual_ns : float
        Robust spread of the pings about the line: 1.4826 times the median distance of the middle
        of a ping from it.
    pings : int
        In the window.
    round_trip_ns : float
        Shortest in the window.
    """

    reference_ns: int
    offset_ns: int
    drift_ppm: float
    uncertainty_ns: float
    drift_uncertainty_ppm: float
    residual_ns: float
    pings: int
    round_trip_ns: float

    def to_local(self, remote_ns: int) -> LocalTime:
        """Local time of a remote stamp; the uncertainty grows with its distance."""
        away = remote_ns - self.reference_ns
        local = remote_ns + self.offset_ns + round(self.drift_ppm * 1e-6 * away)
        more = abs(away) * self.drift_uncertainty_ppm * 1e-6
        return LocalTime(local, self.uncertainty_ns + more)


@dataclass
class _Bin:
    """Of the pings of a stretch of time only the bounds that bind most, one on either side."""

    number: int
    lower: Point
    upper: Point
    round_trip: int
    pings: int = 1

    def add(self, lower: Point, upper: Point, round_trip: int, drift: float) -> None:
        if lower[1] - drift * lower[0] > self.lower[1] - drift * self.lower[0]:
            self.lower = lower
        if upper[1] - drift * upper[0] < self.upper[1] - drift * self.upper[0]:
            self.upper = upper
        self.round_trip = min(self.round_trip, round_trip)
        self.pings += 1


class ClockEstimator:
    """Follows one remote clock, ping by ping, in constant memory.

    A question is taken after it was sent, and its answer comes after it was made, never before:
    each ping bounds the offset from both sides, however long it was delayed. The true line of
    offset against remote time passes between all these bounds (one direction: Moon, Skelly and
    Towsley, "Estimation and removal of clock skew from network delay measurements", INFOCOM 1999;
    one ping: Cristian, "Probabilistic clock synchronization", 1989). Late pings, however many, do
    not move the bounds, and nothing is assumed about how the delay is shared by the two ways: no
    ping can tell, so the interval is never narrower than the shortest round trip.

    The interval is the range of all these lines whose slope is plausible (`most_likely`). The
    slope is the only thing that is weighed: of the offset everything that the pings leave open is
    in it, while both clocks run evenly during the window.

    A ping that no line can meet, together with those before it, says that a clock was set: when
    `CONFIRMATIONS` pings say so before one at least as quick as they denies it, everything older
    than the contradiction is forgotten.

    Parameters
    ----------
    settings : ClockSettings, optional

    Attributes
    ----------
    steps : int
        How often a clock was set.
    refused : int
        Pings that did not count: too slow, out of order, or alone in what they said.
    """

    def __init__(self, settings: ClockSettings | None = None) -> None:
        self.settings = settings or ClockSettings()
        self.steps = 0
        self.refused = 0
        self._start()

    def _start(self) -> None:
        self._origin = (0, 0)  # remote time and offset [ns] where x = y = 0
        self._bins: deque[_Bin] = deque()
        self._middles: deque[tuple[float, float]] = deque(maxlen=RESIDUALS)
        self._doubts: list[Ping] = []  # pings that contradict the lines
        self._latest = 0
        self._lines: Lines | None = None
        self._plausible: Lines | None = None
        self._line = (0.0, 0.0)

    def add(self, ping: Ping) -> bool:
        """Take a ping into account; False when it does not count, or not yet.

        Pings are given in the order of their answers.
        """
        if ping.round_trip > self.settings.max_round_trip_s * SECOND:
            self.refused += 1
            return False
        if self._lines is None:
            self._origin = _origin_of(ping)
        elif ping.remote_replied < self._latest or not self._agrees(ping):
            return self._doubt(ping)
        if any(ping.round_trip <= doubt.round_trip for doubt in self._doubts):
            self.refused += len(self._doubts)
            self._doubts.clear()
        self._insert([ping])
        return True

    def estimate(self) -> ClockEstimate | None:
        """Offset and drift at the last ping that counts; None before the first."""
        if self._lines is None:
            return None
        plausible = self._weigh()
        x = self._x(self._latest)
        intercept, drift = self._line
        at_x = intercept + drift * x
        low, high = plausible.range_at(x)
        steepest = max(plausible.slopes[-1] - drift, drift - plausible.slopes[0])
        distances = [abs(y - intercept - drift * x) for x, y in self._middles]
        return ClockEstimate(
            reference_ns=self._latest,
            offset_ns=self._origin[1] + round(at_x * SECOND),
            drift_ppm=drift * 1e6,
            uncertainty_ns=max(high - at_x, at_x - low) * SECOND,
            drift_uncertainty_ppm=float(steepest) * 1e6 + self.settings.wander_ppm,
            residual_ns=1.4826 * float(np.median(distances)) * SECOND,
            pings=sum(b.pings for b in self._bins),
            round_trip_ns=float(min(b.round_trip for b in self._bins)),
        )

    def to_local(self, remote_ns: int) -> LocalTime:
        """Local time of a remote stamp, from all lines that are possible.

        Raises
        ------
        ValueError
            Before the first ping.
        """
        plausible = self._weigh()
        x = self._x(remote_ns)
        told = self._line[0] + self._line[1] * x
        low, high = plausible.range_at(x)
        beyond = max(remote_ns - self._latest, 0) * self.settings.wander_ppm * 1e-6
        local = remote_ns + self._origin[1] + round(told * SECOND)
        return LocalTime(local, max(high - told, told - low) * SECOND + beyond)

    def _x(self, remote_ns: int) -> float:
        return (remote_ns - self._origin[0]) / SECOND

    def _bounds(self, ping: Ping) -> tuple[Point, Point]:
        """Lower and upper bound in seconds from the origin, with the clocks' resolution."""
        slack = self.settings.resolution_ns
        lower = (ping.at_least - self._origin[1] - slack) / SECOND
        upper = (ping.at_most - self._origin[1] + slack) / SECOND
        return (self._x(ping.remote_taken), lower), (self._x(ping.remote_replied), upper)

    def _doubt(self, ping: Ping) -> bool:
        self._doubts.append(ping)
        if len(self._doubts) < CONFIRMATIONS:
            return False
        doubts, self._doubts = self._doubts, []
        self.steps += 1
        if min(doubt.remote_replied for doubt in doubts) >= self._latest:
            while self._bins:
                self._bins.popleft()
                if self._bins and self._lines_with(doubts) is not None:
                    self._lines = None
                    self._insert(doubts)
                    return True
        while True:  # the last ping agrees with itself
            self._start()
            self._origin = _origin_of(doubts[0])
            if self._lines_with(doubts) is not None:
                self._insert(doubts)
                return True
            doubts.pop(0)

    def _lines_with(self, pings: Sequence[Ping] = ()) -> Lines | None:
        """Lines between the bounds in the window and those of other pings."""
        bounds = [self._bounds(ping) for ping in pings]
        return lines_between(
            [*(b.lower for b in self._bins), *(lower for lower, _ in bounds)],
            [*(b.upper for b in self._bins), *(upper for _, upper in bounds)],
            self.settings.max_drift_ppm * 1e-6,
        )

    def _agrees(self, ping: Ping) -> bool:
        return not self._cuts(ping) or self._lines_with([ping]) is not None

    def _cuts(self, ping: Ping) -> bool:
        """Whether a ping excludes lines that were possible: a late one does not."""
        if self._lines is None:
            return True
        (x_low, lower), (x_high, upper) = self._bounds(ping)
        low, high = self._lines.range_at(x_low)[0], self._lines.range_at(x_high)[1]
        return lower > low or upper < high

    def _insert(self, pings: Sequence[Ping]) -> None:
        for ping in sorted(pings, key=lambda p: p.remote_replied):
            cuts = self._cuts(ping)
            lower, upper = self._bounds(ping)
            self._latest = ping.remote_replied
            self._middles.append(((lower[0] + upper[0]) / 2.0, (lower[1] + upper[1]) / 2.0))
            number = int(upper[0] / (self.settings.window_s / BINS))
            if self._bins and self._bins[-1].number == number:
                self._bins[-1].add(lower, upper, ping.round_trip, self._line[1])
            else:
                if self._bins and self._lines is not None:
                    self._weigh()  # the drift that the bounds of a bin are compared with
                self._bins.append(_Bin(number, lower, upper, ping.round_trip))
                cuts = True
            while self._bins[0].number <= number - BINS:
                self._bins.popleft()
            if cuts:
                # What agreed a moment ago can only miss by rounding.
                self._lines = self._lines_with() or self._lines
        self._plausible = None

    def _weigh(self) -> Lines:
        """The plausible lines; finds the most likely one when pings came since the last call."""
        if self._lines is None:
            raise ValueError("no ping was answered yet")
        if self._plausible is None:
            lower, upper = [b.lower for b in self._bins], [b.upper for b in self._bins]
            resolution = self.settings.resolution_ns / SECOND
            self._line, self._plausible = most_likely(self._lines, lower, upper, resolution)
        return self._plausible


def _origin_of(ping: Ping) -> tuple[int, int]:
    return ping.remote_taken, (ping.at_least + ping.at_most) // 2

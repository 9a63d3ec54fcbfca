"""Remote stamps in local time, from the clock maps of a recording or of a topic."""

from __future__ import annotations

import bisect
from collections import deque

from emghand.clocks.estimator import ClockEstimate, LocalTime
from emghand.errors import UserError

UNSEEN_PPM = 200.0
"""How much two clocks are trusted to drift apart where no map tells: twice the 100 ppm that the
worst crystals are sold with."""


class ClockTrack:
    """The maps of one remote clock in the order of their references.

    Between two maps the offset is interpolated. Both ends lie within their intervals, so the line
    between them does too, and nothing has to be known about the error of the drift. Before the
    first and after the last map the stated drift goes on, and the uncertainty grows by
    `UNSEEN_PPM`. Where the clock was set between two maps, both are possible until one is
    passed: the uncertainty spans them.

    Parameters
    ----------
    limit : int
        Number of maps that are kept, the last ones.
    """

    def __init__(self, limit: int = 1_000_000) -> None:
        self._maps: deque[ClockEstimate] = deque(maxlen=limit)

    def __len__(self) -> int:
        return len(self._maps)

    def add(self, estimate: ClockEstimate) -> None:
        """Add a map; one that goes back in remote time replaces those behind it."""
        while self._maps and self._maps[-1].reference_ns >= estimate.reference_ns:
            self._maps.pop()
        self._maps.append(estimate)

    def to_local(self, remote_ns: int) -> LocalTime:
        """Local time of a remote stamp.

        Raises
        ------
        UserError
            When there is no map.
        """
        maps = self._maps
        if not maps:
            raise UserError("no clock map yet: does clock_node run, and host_node over there?")
        after = bisect.bisect_right(maps, remote_ns, key=lambda m: m.reference_ns)
        if after == 0 or after == len(maps):
            return _extended(maps[0] if after == 0 else maps[-1], remote_ns)
        first, second = maps[after - 1], maps[after]
        span = second.reference_ns - first.reference_ns
        share = (remote_ns - first.reference_ns) / span
        expected = first.offset_ns + first.drift_ppm * 1e-6 * span
        allowed = first.uncertainty_ns + second.uncertainty_ns + UNSEEN_PPM * 1e-6 * span
        if abs(second.offset_ns - expected) > allowed:
            return _spanned(_extended(first, remote_ns), _extended(second, remote_ns))
        offset = first.offset_ns + round(share * (second.offset_ns - first.offset_ns))
        uncertainty = (1.0 - share) * first.uncertainty_ns + share * second.uncertainty_ns
        return LocalTime(remote_ns + offset, uncertainty)


def _extended(estimate: ClockEstimate, remote_ns: int) -> LocalTime:
    away = remote_ns - estimate.reference_ns
    local = remote_ns + estimate.offset_ns + round(estimate.drift_ppm * 1e-6 * away)
    return LocalTime(local, estimate.uncertainty_ns + abs(away) * UNSEEN_PPM * 1e-6)


def _spanned(first: LocalTime, second: LocalTime) -> LocalTime:
    low = min(first.ns - first.uncertainty_ns, second.ns - second.uncertainty_ns)
    high = max(first.ns + first.uncertainty_ns, second.ns + second.uncertainty_ns)
    return LocalTime(round((low + high) / 2.0), (high - low) / 2.0)

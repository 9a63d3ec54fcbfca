"""Clock maps of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from emghand.clocks.estimator import ClockEstimate
from emghand.clocks.track import ClockTrack
from emghand.storage.bags import BagReader

TOPIC = "/clock_map"


def tracks_of_bag(path: str | Path) -> dict[str, ClockTrack]:
    """Maps of every remote clock that a bag knows, by the name of its host.

    Raises
    ------
    emghand.storage.bags.BagError
        When the bag cannot be read.
    """
    tracks: dict[str, ClockTrack] = {}
    with BagReader(path) as bag:
        for raw in bag.messages([TOPIC]):
            message = cast(Any, bag.decode(raw))
            tracks.setdefault(message.remote, ClockTrack()).add(estimate_of(message))
    return tracks


def estimate_of(message: Any) -> ClockEstimate:
    """What a ``ClockMap`` says; the error of the drift is not in it, and 0 here."""
    return ClockEstimate(
        reference_ns=int(message.reference_ns),
        offset_ns=int(message.offset_ns),
        drift_ppm=float(message.drift_ppm),
        uncertainty_ns=float(message.uncertainty_ns),
        drift_uncertainty_ppm=0.0,
        residual_ns=float(message.residual_ns),
        pings=int(message.pings),
        round_trip_ns=float(message.round_trip_ns),
    )

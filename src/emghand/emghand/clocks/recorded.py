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
            track = tracks.setdefault(message.remote, ClockTrack())
            track.add(
                ClockEstimate(
                    int(message.reference_ns),
                    int(message.offset_ns),
                    float(message.drift_ppm),
                    float(message.uncertainty_ns),
                    0.0,
                    float(message.residual_ns),
                    int(message.pings),
                    float(message.round_trip_ns),
                )
            )
    return tracks

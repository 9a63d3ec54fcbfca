"""Clocks of other hosts: offset and drift from pings, and their stamps in local time."""

from emghand.clocks.estimator import ClockEstimate, ClockEstimator, ClockSettings, LocalTime
from emghand.clocks.ping import Ping, PingError
from emghand.clocks.recorded import tracks_of_bag
from emghand.clocks.track import ClockTrack

__all__ = [
    "ClockEstimate",
    "ClockEstimator",
    "ClockSettings",
    "ClockTrack",
    "LocalTime",
    "Ping",
    "PingError",
    "tracks_of_bag",
]

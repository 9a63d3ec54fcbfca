"""Clock maps as messages, and stamps of other hosts in the time of this one."""

from __future__ import annotations

from collections.abc import Callable

from emghand_interfaces.msg import ClockMap
from rclpy.node import Node

from emghand.clocks import ClockEstimate, ClockTrack, LocalTime
from emghand.clocks.recorded import estimate_of
from emghand.errors import UserError
from emghand_ros import qos
from emghand_ros.conversions import ns_to_time

KEPT = 120
"""Two minutes of maps: stamps that are older come from a bag."""


def clock_map_to_ros(estimate: ClockEstimate, remote: str, now_ns: int) -> ClockMap:
    """Map as a message.

    Parameters
    ----------
    estimate : ClockEstimate
    remote : str
        Name of the host.
    now_ns : int
        Local ROS time [ns].
    """
    message = ClockMap(
        remote=remote,
        reference_ns=estimate.reference_ns,
        offset_ns=estimate.offset_ns,
        drift_ppm=estimate.drift_ppm,
        uncertainty_ns=estimate.uncertainty_ns,
        residual_ns=estimate.residual_ns,
        pings=estimate.pings,
        round_trip_ns=estimate.round_trip_ns,
    )
    message.header.stamp = ns_to_time(now_ns)
    return message


class RemoteClocks:
    """For a node that gets stamps of other hosts: follows /clock_map.

    Parameters
    ----------
    node : Node
    on_map : callable, optional
        Gets the name of the host of every map.
    """

    def __init__(self, node: Node, on_map: Callable[[str], None] = lambda remote: None) -> None:
        self._tracks: dict[str, ClockTrack] = {}
        self._on_map = on_map
        node.create_subscription(ClockMap, "/clock_map", self._on_message, qos.EVENT)

    def to_local(self, remote: str, stamp_ns: int) -> LocalTime:
        """Local ROS time of a stamp of a host.

        Raises
        ------
        UserError
            When no map of this host was heard yet.
        """
        if remote not in self._tracks:
            raise UserError(
                f"no clock map of {remote} yet: does clock_node run, and its host_node?"
            )
        return self._tracks[remote].to_local(stamp_ns)

    def _on_message(self, message: ClockMap) -> None:
        track = self._tracks.setdefault(message.remote, ClockTrack(KEPT))
        track.add(estimate_of(message))
        self._on_map(message.remote)

"""Pings the clock of every host, and publishes how it relates to the local one."""

from __future__ import annotations

import dataclasses
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import ClockMap
from emghand_interfaces.srv import EchoClock
from rclpy.task import Future

from emghand.clocks import ClockEstimate, ClockEstimator, ClockSettings, Ping, PingError
from emghand.settings import setting
from emghand_ros import qos
from emghand_ros.clock import RosSteadyMap, steady_ns
from emghand_ros.clock_maps import clock_map_to_ros
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters

SERVICE = re.compile(r"/hosts/([a-z0-9_]+)/echo_clock")
KIND = "emghand_interfaces/srv/EchoClock"
LOOK_S = 1.0
LOST_S = 2.0
"""A ping without an answer is given up, and the next one sent."""


@dataclass(frozen=True)
class ClockNodeSettings(ClockSettings):
    """Parameters of the node, beside those of the estimate."""

    hosts: tuple[str, ...] = setting((), "Hosts to ping; empty: all there are", live=False)
    ping_period: float = setting(
        0.25, "Time between two pings of a host", unit="s", low=0.01, high=60.0, live=False
    )
    publish_period: float = setting(
        1.0, "Time between two maps of a host", unit="s", low=0.05, high=60.0, live=False
    )


class _Remote:
    """One host: its client, the ping that is on its way, and the estimate."""

    def __init__(self, node: EmghandNode, host: str, service: str, settings: ClockSettings) -> None:
        self.host = host
        self.service = service
        self.client = node.create_client(EchoClock, service)
        self.estimator = ClockEstimator(settings)
        self.lost = 0
        self.heard = -LOST_S
        self.twofold = False
        self._pending: Future | None = None
        self._sent = 0

    def ping(self) -> None:
        """Send a ping, unless one is on its way or nobody is there."""
        if self._pending is not None:
            if steady_ns() - self._sent < LOST_S * 1e9:
                return
            self.client.remove_pending_request(self._pending)
            self._pending = None
            self.lost += 1
        if self.twofold or not self.client.service_is_ready():
            return
        self._sent = steady_ns()
        self._pending = self.client.call_async(EchoClock.Request(t_send=self._sent))
        self._pending.add_done_callback(self._on_answer)

    def _on_answer(self, future: Future) -> None:
        received = steady_ns()
        if future is not self._pending:
            return
        self._pending = None
        answer = future.result()
        try:
            ping = Ping(answer.t_send, answer.t_receive, answer.t_reply, received)
        except PingError:
            self.estimator.refused += 1
            return
        self.heard = time.monotonic()
        self.estimator.add(ping)

    @property
    def silent(self) -> bool:
        """Whether its last answer is too old."""
        return time.monotonic() - self.heard > LOST_S


class ClockNode(EmghandNode):
    """Publishes /clock_map.

    Pings are timed with the steady clock and only the maps are shifted to ROS time: a local clock
    that is set moves the maps at once, and bends nothing.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("clock_node", **kwargs)
        self._settings = SettingsParameters(self, ClockNodeSettings).value
        self._steady = RosSteadyMap(self.get_clock())
        self._remotes: dict[str, _Remote] = {}
        self._steps: dict[str, int] = {}
        self._maps = self.create_publisher(ClockMap, "/clock_map", qos.EVENT)
        self.create_timer(LOOK_S, lambda: self.active and self._look())
        self.create_timer(self._settings.ping_period, self._ping)
        self.create_timer(self._settings.publish_period, self._publish)

    def activate(self) -> None:
        """Look for hosts at once."""
        self._look()

    def _look(self) -> None:
        """Find hosts by their service; two of one name are told, and not pinged."""
        for service, kinds in self.get_service_names_and_types():
            match = SERVICE.fullmatch(service)
            if match is None or KIND not in kinds:
                continue
            host = match[1]
            wanted = not self._settings.hosts or host in self._settings.hosts
            if wanted and host not in self._remotes:
                self._remotes[host] = _Remote(self, host, service, self._settings)
        for remote in self._remotes.values():
            remote.twofold = self.count_services(remote.service) > 1

    def _ping(self) -> None:
        if self.active:
            for remote in self._remotes.values():
                remote.ping()

    def _publish(self) -> None:
        if not self.active:
            return
        if self._steady.update():
            self.get_logger().warning("the clock of this machine stepped, the maps follow it")
        for host, remote in self._remotes.items():
            estimate = remote.estimator.estimate()
            if estimate is None or remote.silent:
                continue
            if remote.estimator.steps != self._steps.setdefault(host, 0):
                self._steps[host] = remote.estimator.steps
                self.get_logger().warning(f"{host}: its clock was set, its map starts anew")
            now = self._steady.to_ros(steady_ns())
            self._maps.publish(clock_map_to_ros(self._to_ros_time(estimate), host, now))

    def _to_ros_time(self, estimate: ClockEstimate) -> ClockEstimate:
        """Map to steady time as one to ROS time, which holds until the next one is published."""
        s = self._settings
        until_next = s.publish_period * estimate.drift_uncertainty_ppm * 1e3
        return dataclasses.replace(
            estimate,
            offset_ns=self._steady.to_ros(estimate.offset_ns),
            uncertainty_ns=estimate.uncertainty_ns + until_next,
        )

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """Offset, drift and uncertainty of every host."""
        if not self.active:
            return DiagnosticStatus.WARN, "inactive", {}
        values: dict[str, object] = {}
        wrong = []
        for host, remote in self._remotes.items():
            estimate = remote.estimator.estimate()
            if remote.twofold:
                wrong.append(f"{host}: two hosts of this name, give one another")
            elif remote.silent:
                wrong.append(f"{host}: does not answer")
            if estimate is not None:
                told = self._to_ros_time(estimate)
                values[host] = (
                    f"offset {told.offset_ns * 1e-9:.6f} s ± {told.uncertainty_ns * 1e-6:.3f} ms, "
                    f"drift {told.drift_ppm:.2f} ppm, round trip {told.round_trip_ns * 1e-6:.3f} ms"
                )
            values[f"{host} counts"] = (
                f"{remote.lost} lost, {remote.estimator.refused} refused, "
                f"{remote.estimator.steps} steps"
            )
        missing = set(self._settings.hosts) - self._remotes.keys()
        wrong += [f"{host}: is not there" for host in sorted(missing)]
        if wrong:
            return DiagnosticStatus.WARN, "; ".join(wrong), values
        return DiagnosticStatus.OK, f"{len(self._remotes)} hosts", values


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return run([ClockNode], args)


if __name__ == "__main__":
    sys.exit(main())

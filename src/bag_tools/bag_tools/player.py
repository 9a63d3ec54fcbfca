"""Node that plays a rosbag2 directory (MCAP)."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from bag_tools.playback import Playback, Sinks, has_header, restamped
from bag_tools.ros_types import message_class, playing_qos
from emghand.errors import UserError
from emghand.settings import check, setting
from emghand.storage.bags import BagReader, RawMessage, Topic
from emghand_ros import qos
from emghand_ros.clock import RosSteadyMap
from emghand_ros.conversions import ns_to_time
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters

PROTECTED = ("/estop", "/out_x_hat", "/decoder/model", "/decoder/state", "/session/perturbations")
"""Ends of the names of topics that command or disturb a hand, or stand for a decoder that is not
there. ``out_x_hat`` commands in any namespace: behind perturbation_node it is that of another."""


def is_protected(topic: str) -> bool:
    """Whether a topic is played only when asked for by ``publish_commands``."""
    return topic.endswith(PROTECTED)


@dataclass(frozen=True)
class PlayerSettings:
    """What is played, and how."""

    uri: str = setting("", "Bag to play", live=False)
    topics: tuple[str, ...] = setting((), "Topics to play; empty: all", live=False)
    rate: float = setting(1.0, "Seconds recorded per second played", low=0.01, high=1000.0)
    start_offset: float = setting(0.0, "Part of the bag to skip", unit="s", low=0.0, live=False)
    loop: bool = setting(False, "Start again at the end", live=False)
    paused: bool = setting(False, "Start paused", live=False)
    clock_rate: float = setting(
        0.0, "Messages per second on /clock; 0: none", unit="Hz", low=0.0, high=1000.0, live=False
    )
    restamp: bool = setting(
        False, "Stamp headers as if it happened now: a live hand refuses old stamps", live=False
    )
    publish_commands: bool = setting(
        False, "Also play commands, models and the emergency stop", live=False
    )
    wait_for: tuple[str, ...] = setting(
        (), "Topics that must have a subscriber before playing starts", live=False
    )
    exit_at_end: bool = setting(True, "End the process after the last message", live=False)

    def __post_init__(self) -> None:
        check(self)


class BagPlayer(EmghandNode):
    """Thin node around `Playback`: publishers, clock, services, parameters."""

    def __init__(self, name: str = "bag_player", **kwargs: object) -> None:
        super().__init__(name, **kwargs)
        self._settings = SettingsParameters(self, PlayerSettings, on_change=self._on_change)
        self._reader: BagReader | None = None
        self._playback: Playback | None = None
        self._outlets: dict[str, Publisher] = {}
        self._stamped: set[str] = set()
        self._awaited: list[str] = []
        self._started = False
        self._finished = False
        self._announced_end = False
        self._clock_outlet: Publisher | None = None
        self._ros_map = RosSteadyMap(self.get_clock())
        self.create_service(Trigger, "~/pause", self._on_pause)
        self.create_service(Trigger, "~/resume", self._on_resume)
        self.create_timer(0.05, self._look)

    def configure(self) -> None:
        """Open the bag and announce its topics."""
        settings = self._settings.value
        if not settings.uri:
            raise UserError("no bag to play: set the parameter uri")
        reader = BagReader(settings.uri)
        self._reader = reader
        if reader.damaged:
            self.get_logger().warning(f"{settings.uri} was cut short: run emghand session repair")
        known = {self.resolve_topic_name(name) for name in settings.topics}
        missing = ", ".join(sorted(known - reader.topics.keys()))
        if missing:
            self.get_logger().warning(f"{settings.uri} holds no {missing}")
        for topic in reader.topics.values():
            if (known and topic.name not in known) or topic.name == "/clock":
                continue
            self._announce(topic)
        if settings.start_offset > reader.duration_s:
            raise UserError(f"start_offset: {settings.uri} only lasts {reader.duration_s:.1f} s")
        if not self._outlets:
            raise UserError(f"{settings.uri} holds nothing to play of what was asked for")
        if settings.clock_rate:
            self._clock_outlet = self.create_publisher(Clock, "/clock", qos.SLOW)

    def _announce(self, topic: Topic) -> None:
        # Remapping must not turn something harmless into a command either.
        names = (topic.name, self.resolve_topic_name(topic.name))
        if any(map(is_protected, names)) and not self._settings.value.publish_commands:
            self.get_logger().info(f"{topic.name} is not played: publish_commands is off")
            return
        try:
            kind = message_class(topic.type)
        except UserError as error:
            self.get_logger().warning(f"{topic.name} is not played: {error}")
            return
        self._outlets[topic.name] = self.create_publisher(kind, topic.name, playing_qos(topic.qos))
        if has_header(topic):
            self._stamped.add(topic.name)

    def activate(self) -> None:
        """Start to play, once everybody in `wait_for` listens."""
        assert self._reader is not None
        settings = self._settings.value
        topics = self._reader.topics
        latched = {
            name
            for name in self._outlets
            if playing_qos(topics[name].qos).durability == QoSDurabilityPolicy.TRANSIENT_LOCAL
        }
        self._playback = Playback(
            self._reader,
            set(self._outlets),
            latched,
            Sinks(self._publish, self._publish_clock, self._on_finished),
            rate=settings.rate,
            start_offset=settings.start_offset,
            loop=settings.loop,
            paused=settings.paused,
            clock_rate=settings.clock_rate,
        )
        self._awaited = [self.resolve_topic_name(name) for name in settings.wait_for]
        self._started = self._finished = self._announced_end = False
        self._look()

    def deactivate(self) -> None:
        """Stop playing."""
        playback, self._playback = self._playback, None
        if playback is not None:
            playback.stop()

    def cleanup(self) -> None:
        """Close the bag."""
        for outlet in self._outlets.values():
            self.destroy_publisher(outlet)
        self._outlets.clear()
        if self._clock_outlet is not None:
            self.destroy_publisher(self._clock_outlet)
            self._clock_outlet = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """State of the playback."""
        playback = self._playback
        if playback is None or not self._started:
            waiting = ", ".join(self._awaited)
            text = f"waiting for a subscriber of {waiting}" if waiting else "not playing"
            return DiagnosticStatus.OK, text, {}
        text = "paused" if playback.timeline.paused else "playing"
        if self._finished:
            text = "finished"
        values = {
            "bag": self._settings.value.uri,
            "messages": playback.played,
            "latest by [ms]": round(playback.worst_late_ns * 1e-6, 3),
        }
        return DiagnosticStatus.OK, text, values

    def _publish(self, message: RawMessage) -> None:
        data = message.data
        if self._settings.value.restamp and message.topic in self._stamped:
            data = restamped(data, self._live_stamp)
        self._outlets[message.topic].publish(data)

    def _live_stamp(self, stamp: int) -> int:
        assert self._playback is not None
        return self._playback.timeline.restamp(stamp, self._ros_map.to_ros(0))

    def _publish_clock(self, recorded: int) -> None:
        if self._clock_outlet is not None:
            self._clock_outlet.publish(Clock(clock=ns_to_time(recorded)))

    def _on_finished(self) -> None:
        self._finished = True

    def _on_change(self, settings: PlayerSettings) -> None:
        if self._playback is not None and settings.rate != self._playback.timeline.rate:
            self._playback.change(rate=settings.rate)

    def _look(self) -> None:
        playback = self._playback
        if playback is None:
            return
        if not self._started:
            self._awaited = [t for t in self._awaited if not self.count_subscribers(t)]
            if not self._awaited:
                self._ros_map.update()
                self._started = True
                playback.start()
                self.get_logger().info(f"playing {self._settings.value.uri}")
        elif self._finished and not self._announced_end:
            self.get_logger().info(f"played {playback.played} messages")
            self._announced_end = True
            if self._settings.value.exit_at_end:
                self.context.try_shutdown()

    def _on_pause(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._pause(True, response)

    def _on_resume(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._pause(False, response)

    def _pause(self, paused: bool, response: Trigger.Response) -> Trigger.Response:
        if self._playback is None:
            response.message = "not playing"
            return response
        self._playback.change(paused=paused)
        response.success = True
        response.message = "paused" if paused else "playing"
        return response


def main() -> int:
    """Run the node."""
    return run([BagPlayer])


if __name__ == "__main__":
    sys.exit(main())

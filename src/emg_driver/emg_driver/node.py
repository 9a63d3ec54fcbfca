"""Publishes the raw EMG of one device on /emg/raw and describes it on /emg/info."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import EmgFrame, EmgInfo
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import JointState

from emg_driver import devices
from emg_driver.blocks import Blocks
from emg_driver.device import Device, FollowsTask, Reading
from emghand.devices import Acquisition, State, discover
from emghand.settings import check, setting
from emghand.signal.sample_clock import SampleClock
from emghand.storage.recording import Stream
from emghand_ros import qos
from emghand_ros.clock import RosSteadyMap
from emghand_ros.conversions import emg_to_ros, ns_to_time
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters

KINDS = discover(devices)


@dataclass(frozen=True)
class Settings:
    """What every device has in common."""

    device: str = setting("synthetic", "Source of the EMG", choices=tuple(KINDS), live=False)
    block_size: int = setting(
        0,
        "Samples per message, must divide the hop of the features; 0: the device's own choice",
        low=0,
        high=4096,
        live=False,
    )
    first_pause_s: float = setting(
        0.25, "Pause before the first attempt to reconnect", unit="s", low=0.01, high=60, live=False
    )
    longest_pause_s: float = setting(
        5.0, "Longest pause between attempts to reconnect", unit="s", low=0.01, high=60, live=False
    )

    def __post_init__(self) -> None:
        check(self)


class EmgDriver(EmghandNode):
    """One EMG device as a lifecycle node.

    configure: check the settings, read files. activate: connect and stream; a device that is not
    there is waited for. deactivate: stop and disconnect.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("emg_driver", **kwargs)
        self._common = SettingsParameters(self, Settings)
        self._specific = {
            name: SettingsParameters(self, kind.settings, prefix=name)
            for name, kind in KINDS.items()
        }
        overrides = qos.overridable()
        self._raw = self.create_publisher(
            EmgFrame, "/emg/raw", qos.EMG, qos_overriding_options=overrides
        )
        self._info = self.create_publisher(EmgInfo, "/emg/info", qos.LATCHED)
        self._task = self.create_subscription(JointState, "/task/x_d", self._on_task, qos.COMMAND)
        self._map = RosSteadyMap(self.get_clock())
        self.create_timer(1.0, self._follow_clock)
        self._device: Device | None = None
        self._acquisition: Acquisition[Stream, Reading] | None = None
        self._stream: Stream | None = None
        self._blocks = Blocks(1)
        self._sample_clock = SampleClock(1.0)
        self._published = 0
        self._dropped_before = 0

    def configure(self) -> None:
        """Make the device: checks its settings and reads files."""
        s = self._common.value
        device = KINDS[s.device].make(self._specific[s.device].value, s.block_size)
        self._device = device
        self._acquisition = Acquisition(
            device,
            self._on_open,
            self._on_reading,
            self._on_state,
            s.first_pause_s,
            s.longest_pause_s,
        )

    def activate(self) -> None:
        """Connect in the acquisition thread and stream."""
        assert self._acquisition is not None
        self._acquisition.start()

    def deactivate(self) -> None:
        """Stop the thread, disconnect."""
        if self._acquisition is not None and not self._acquisition.stop():
            self.get_logger().error("the device does not let go, its thread is left behind")

    def cleanup(self) -> None:
        """Forget the device."""
        self._device = self._acquisition = None

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """State of the device, and what was published, dropped and discarded."""
        acquisition, device, stream = self._acquisition, self._device, self._stream
        if acquisition is None or device is None:
            return DiagnosticStatus.OK, "not configured", {}
        state, reason = acquisition.status
        values: dict[str, object] = {
            "device": self._common.value.device,
            "state": state.value,
            "opened": acquisition.opened,
            "samples": self._published,
            "dropped": self._dropped_before + self._blocks.dropped,
            "repeated": self._blocks.repeated,
            **device.counters(),
        }
        if stream is not None:
            values |= {"stream": stream.stream, "rate": stream.rate}
        healthy = state is State.STREAMING or not self.active
        level = DiagnosticStatus.OK if healthy else DiagnosticStatus.WARN
        return level, f"{state.value}: {reason}" if reason else state.value, values

    def _on_task(self, message: JointState) -> None:
        if isinstance(self._device, FollowsTask):
            self._device.set_intention(dict(zip(message.name, message.position, strict=False)))

    def _follow_clock(self) -> None:
        if self._map.update():
            self.get_logger().warning("the clock of this machine stepped; time stamps follow it")

    def _on_state(self, state: State, reason: str) -> None:
        if not self.context.ok():
            return
        log = self.get_logger()
        if state is State.RECONNECTING:
            log.warning(f"reconnecting: {reason}")
        else:
            log.info(f"{state.value}: {reason}" if reason else state.value)

    def _on_open(self, opened: Stream) -> None:
        s = self._common.value
        size = s.block_size or opened.block_size
        name = f"{opened.device}-{uuid.uuid4().hex[:12]}"
        self._stream = stream = replace(opened, stream=name, block_size=size)
        self._dropped_before += self._blocks.dropped
        self._blocks = Blocks(size)
        assert self._device is not None
        self._sample_clock = SampleClock(stream.rate * self._device.speed)
        info = EmgInfo(
            device=stream.device,
            stream=stream.stream,
            channel_names=list(stream.channel_names),
            rate=stream.rate,
            block_size=size,
            unit=stream.unit,
            full_scale=stream.full_scale,
        )
        info.header.stamp = ns_to_time(self.get_clock().now().nanoseconds)
        info.header.frame_id = stream.stream
        self._publish(self._info, info)

    def _on_reading(self, reading: Reading) -> None:
        stream = self._stream
        assert stream is not None
        blocks = self._blocks
        dropped = blocks.dropped
        last = reading.first_sample + len(reading.samples) - 1
        self._sample_clock.update(last, reading.arrival_ns)
        for first, dropped_before, samples in blocks.push(reading.first_sample, reading.samples):
            stamp = self._map.to_ros(self._sample_clock.time_ns(first))
            # The name of the stream travels with every block: a reader sees a new stream at its
            # first block, in whatever order the topics arrive.
            self._publish(
                self._raw, emg_to_ros(samples, first, dropped_before, stamp, stream.stream)
            )
            self._published += len(samples)
        if blocks.dropped > dropped:
            self.get_logger().warning(
                f"{blocks.dropped - dropped} samples lost, {blocks.dropped} in this stream",
                throttle_duration_sec=1.0,
            )

    def _publish(self, publisher: object, message: object) -> None:
        # The context ends under this thread when the process is told to stop.
        try:
            publisher.publish(message)  # type: ignore[attr-defined]
        except (RuntimeError, InvalidHandle, ExternalShutdownException):
            if self.context.ok():
                raise


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return run([EmgDriver], args)


if __name__ == "__main__":
    sys.exit(main())

"""Publishes the raw EMG of one device on /emg/raw and describes it on /emg/info."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from emghand_interfaces.msg import EmgFrame, EmgInfo
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState

from emg_driver import devices
from emg_driver.blocks import Blocks
from emg_driver.device import FollowsTask, Reading
from emghand.devices import discover
from emghand.settings import setting
from emghand.signal.sample_clock import SampleClock
from emghand.storage.recording import Stream
from emghand_ros import qos
from emghand_ros.conversions import emg_to_ros, ns_to_time
from emghand_ros.device_runner import DeviceRunner, DriverSettings
from emghand_ros.node import EmghandNode, run

KINDS = discover(devices)
TASK_TOPIC = "task/x_d"


@dataclass(frozen=True)
class Settings(DriverSettings):
    """Parameters of the driver; those of each device are named ``<device>.<setting>``."""

    device: str = setting("synthetic", "Source of the EMG", choices=tuple(KINDS), live=False)
    block_size: int = setting(
        0,
        "Samples per message, must divide the hop of the features; 0: the device's own choice",
        low=0,
        high=4096,
        live=False,
    )


class EmgDriver(EmghandNode):
    """One EMG device as a lifecycle node.

    configure: check the settings, read files. activate: connect and stream; a device that is not
    there is waited for. deactivate: stop and disconnect.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("emg_driver", **kwargs)
        self._runner = DeviceRunner(self, KINDS, Settings, self._on_open, self._on_reading)
        overrides = qos.overridable()
        self._raw = self.create_publisher(
            EmgFrame, "emg/raw", qos.EMG, qos_overriding_options=overrides
        )
        self._info = self.create_publisher(EmgInfo, "emg/info", qos.LATCHED)
        self._intention: Subscription | None = None
        self._stream: Stream | None = None
        self._blocks = Blocks(1)
        self._sample_clock = SampleClock(1.0)
        self._published = 0
        self._dropped_before = 0

    def configure(self) -> None:
        """Make the device: checks its settings and reads files."""
        self._runner.configure(self._runner.settings.block_size)
        if isinstance(self._runner.device, FollowsTask):
            topic = getattr(self._runner.device, "intention_topic", TASK_TOPIC)
            self._intention = self.create_subscription(
                JointState, topic, self._on_task, qos.COMMAND
            )

    def activate(self) -> None:
        """Connect in the acquisition thread and stream."""
        self._runner.start()

    def deactivate(self) -> None:
        """Stop the thread, disconnect."""
        self._runner.stop()

    def cleanup(self) -> None:
        """Forget the device."""
        self._runner.cleanup()
        if self._intention is not None and self.context.ok():
            self.destroy_subscription(self._intention)
        self._intention = None

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """State of the device, and what was published, dropped and discarded."""
        level, text, values = self._runner.diagnose()
        stream, blocks = self._stream, self._blocks
        if stream is not None:
            values |= {
                "stream": stream.stream,
                "rate": stream.rate,
                "samples": self._published,
                "dropped": self._dropped_before + blocks.dropped,
                "repeated": blocks.repeated,
            }
        return level, text, values

    def _on_task(self, message: JointState) -> None:
        if isinstance(self._runner.device, FollowsTask):
            values = dict(zip(message.name, message.position, strict=False))
            self._runner.device.set_intention(values)

    def _on_open(self, opened: Stream) -> None:
        size = self._runner.settings.block_size or opened.block_size
        name = f"{opened.device}-{uuid.uuid4().hex[:12]}"
        self._stream = stream = replace(opened, stream=name, block_size=size)
        self._dropped_before += self._blocks.dropped
        self._blocks = Blocks(size)
        self._sample_clock = SampleClock(stream.rate * self._runner.device.speed)
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
        self._runner.publish(self._info, info)

    def _on_reading(self, reading: Reading) -> None:
        stream, blocks = self._stream, self._blocks
        if stream is None:
            return
        known = blocks.dropped
        last = reading.first_sample + len(reading.samples) - 1
        self._sample_clock.update(last, reading.arrival_ns)
        for first, dropped, samples in blocks.push(reading.first_sample, reading.samples):
            stamp = self._runner.clock_map.to_ros(self._sample_clock.time_ns(first))
            # The name of the stream travels with every block: a reader sees a new stream at its
            # first block, in whatever order the two topics arrive.
            frame = emg_to_ros(samples, first, dropped, stamp, stream.stream)
            self._runner.publish(self._raw, frame)
            self._published += len(samples)
        if blocks.dropped > known and self.context.ok():
            self.get_logger().warning(
                f"{blocks.dropped - known} samples lost, {blocks.dropped} in this stream",
                throttle_duration_sec=1.0,
            )


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return run([EmgDriver], args)


if __name__ == "__main__":
    sys.exit(main())

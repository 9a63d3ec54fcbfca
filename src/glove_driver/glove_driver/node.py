"""Publishes the hand kinematics of one data glove on /glove/dof."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from emghand_interfaces.msg import EmgFrame
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState

from emghand.devices import discover
from emghand.settings import setting
from emghand_ros import qos
from emghand_ros.conversions import dofs_to_ros, ns_to_time, time_to_ns
from emghand_ros.device_runner import DeviceRunner, DriverSettings
from emghand_ros.node import EmghandNode, run
from glove_driver import devices
from glove_driver.device import FollowsEmg, FollowsTask, Reading

KINDS = discover(devices)


@dataclass(frozen=True)
class Settings(DriverSettings):
    """Parameters of the driver; those of each device are named ``<device>.<setting>``."""

    device: str = setting("synthetic", "Source of the kinematics", choices=tuple(KINDS), live=False)


class GloveDriver(EmghandNode):
    """One data glove as a lifecycle node.

    configure: check the settings, read files. activate: connect and stream; a glove that is not
    there is waited for. deactivate: stop and disconnect.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("glove_driver", **kwargs)
        self._runner = DeviceRunner(self, KINDS, Settings, self._on_open, self._on_reading)
        self._dof = self.create_publisher(JointState, "glove/dof", qos.TICK)
        self.create_subscription(JointState, "task/x_d", self._on_task, qos.COMMAND)
        self._emg: Subscription | None = None
        self._names: tuple[str, ...] = ()
        self._published = 0

    def configure(self) -> None:
        """Make the device: checks its settings and reads files."""
        self._runner.configure()
        if isinstance(self._runner.device, FollowsEmg):
            self._emg = self.create_subscription(EmgFrame, "emg/raw", self._on_emg, qos.EMG)

    def activate(self) -> None:
        """Connect in the acquisition thread and stream."""
        self._runner.start()

    def deactivate(self) -> None:
        """Stop the thread, disconnect."""
        self._runner.stop()

    def cleanup(self) -> None:
        """Forget the device."""
        self._runner.cleanup()
        if self._emg is not None and self.context.ok():
            self.destroy_subscription(self._emg)
        self._emg = None

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """State of the glove, and what was published and discarded."""
        level, text, values = self._runner.diagnose()
        return level, text, values | {"readings": self._published}

    def _on_task(self, message: JointState) -> None:
        if isinstance(self._runner.device, FollowsTask):
            values = dict(zip(message.name, message.position, strict=False))
            self._runner.device.set_intention(values)

    def _on_emg(self, message: EmgFrame) -> None:
        if self.active:
            stamp = self._runner.clock_map.to_steady(time_to_ns(message.header.stamp))
            self._runner.device.emg_arrived(message.first_sample, stamp)

    def _on_open(self, names: tuple[str, ...]) -> None:
        self._names = names

    def _on_reading(self, reading: Reading) -> None:
        stamp = ns_to_time(self._runner.clock_map.to_ros(reading.time_ns))
        self._runner.publish(self._dof, dofs_to_ros(self._names, reading.values, stamp))
        self._published += 1


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return run([GloveDriver], args)


if __name__ == "__main__":
    sys.exit(main())

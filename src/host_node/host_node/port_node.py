"""Reads and sets the ports of one device: digital, analogue and ADC channels."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from emghand_interfaces.msg import PortState
from emghand_interfaces.srv import SetPort
from rclpy.publisher import Publisher
from rclpy.service import Service

from emghand.devices import DeviceError, discover
from emghand.errors import UserError
from emghand.ports import Port, PortReading
from emghand.settings import setting
from emghand_ros import qos
from emghand_ros.conversions import ns_to_time
from emghand_ros.device_runner import DeviceRunner, DriverSettings
from emghand_ros.node import EmghandNode, run
from host_node import ports as devices

KINDS = discover(devices)


@dataclass(frozen=True)
class Settings(DriverSettings):
    """Parameters of the node; those of each device are named ``<device>.<setting>``."""

    device: str = setting("virtual", "Device with the ports", choices=tuple(KINDS), live=False)


class PortNode(EmghandNode):
    """Per port a topic ``~/PORT/state`` and, where it can be set, a service ``~/PORT/set``.

    configure: check the settings. activate: connect with every output at 0. A device that goes away
    is waited for, and comes back with its outputs at 0: nothing is set again by itself.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("port_node", **kwargs)
        self._runner = DeviceRunner(self, KINDS, Settings, lambda ports: None, self._publish)
        self._ports: dict[str, Port] = {}
        self._states: dict[str, Publisher] = {}
        self._setters: list[Service] = []
        self._published = 0

    def configure(self) -> None:
        """Make the device, and the topics and services of its ports."""
        self._runner.configure()
        self._ports = {port.name: port for port in self._runner.device.ports}
        for name, port in self._ports.items():
            self._states[name] = self.create_publisher(PortState, f"~/{name}/state", qos.HISTORY)
            if port.settable:
                callback = functools.partial(self._on_set, port)
                self._setters.append(self.create_service(SetPort, f"~/{name}/set", callback))

    def activate(self) -> None:
        """Connect in the acquisition thread."""
        self._runner.start()

    def deactivate(self) -> None:
        """Set every output to 0 and disconnect."""
        self._runner.stop()

    def cleanup(self) -> None:
        """Forget the device."""
        self._runner.cleanup()
        if self.context.ok():
            for service in self._setters:
                self.destroy_service(service)
            for publisher in self._states.values():
                self.destroy_publisher(publisher)
        self._setters, self._states, self._ports = [], {}, {}

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """State of the device."""
        level, text, values = self._runner.diagnose()
        return level, text, values | {"states": self._published}

    def _on_set(
        self, port: Port, request: SetPort.Request, response: SetPort.Response
    ) -> SetPort.Response:
        try:
            if request.port not in ("", port.name):
                raise UserError(f"this is port {port.name}, not {request.port}")
            values = port.check(request.channels, request.values)
            if not self.active:
                raise DeviceError(f"{self.get_name()} is not active")
            reading = self._runner.device.set(port.name, values)
        except UserError as error:
            response.message = str(error)
            return response
        self._publish(reading)
        response.success = True
        response.stamp_ns = self._runner.clock_map.to_ros(reading.time_ns)
        return response

    def _publish(self, reading: PortReading) -> None:
        port, publisher = self._ports.get(reading.port), self._states.get(reading.port)
        if port is None or publisher is None:
            return
        message = PortState(
            port=port.name, kind=port.kind, channels=list(port.channels), values=reading.values
        )
        message.header.stamp = ns_to_time(self._runner.clock_map.to_ros(reading.time_ns))
        message.header.frame_id = self.get_name()
        self._runner.publish(publisher, message)
        self._published += 1


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return run([PortNode], args)


if __name__ == "__main__":
    sys.exit(main())

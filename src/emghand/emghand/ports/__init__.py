"""Ports of devices: digital, analogue and ADC channels, and a virtual board of them."""

from emghand.ports.port import Port, PortReading, PortsDevice
from emghand.ports.virtual import VirtualBoard, VirtualSettings

__all__ = ["Port", "PortReading", "PortsDevice", "VirtualBoard", "VirtualSettings"]

"""What every device driver shares: acquisition with reconnection, framing, ports, discovery."""

from emghand.devices.acquisition import Acquisition, State
from emghand.devices.device import DeviceError, DeviceKind, EndOfData, discover

__all__ = ["Acquisition", "DeviceError", "DeviceKind", "EndOfData", "State", "discover"]

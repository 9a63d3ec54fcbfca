"""What a port is: channels of one kind that are read, or set, together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from emghand.errors import UserError

KINDS = ("digital", "analog", "adc")


@dataclass(frozen=True)
class Port:
    """Channels of one kind.

    Parameters
    ----------
    name : str
    kind : str
        ``digital``: 0 or 1; ``analog``: an output [V]; ``adc``: an input [V].
    channels : tuple of str
    settable : bool
    highest : float
        Of an analogue output or an ADC [V]; the lowest is 0.
    """

    name: str
    kind: str
    channels: tuple[str, ...]
    settable: bool
    highest: float = 1.0

    def check(self, channels: Sequence[str], values: Sequence[float]) -> dict[str, float]:
        """Values by channel, to be set.

        Raises
        ------
        UserError
            For an unknown or repeated channel, a value that is not possible, or a port that
            cannot be set. Nothing is set then.
        """
        if not self.settable:
            raise UserError(f"port {self.name}: is an input, it cannot be set")
        if not channels or len(channels) != len(values):
            raise UserError(
                f"port {self.name}: {len(channels)} channels but {len(values)} values, give one "
                "value for each channel"
            )
        found: dict[str, float] = {}
        for channel, value in zip(channels, values, strict=True):
            if channel not in self.channels:
                known = ", ".join(self.channels)
                raise UserError(f"port {self.name}: has no channel {channel!r}, but: {known}")
            if channel in found:
                raise UserError(f"port {self.name}: channel {channel} is given twice")
            if self.kind == "digital" and value not in (0.0, 1.0):
                raise UserError(f"port {self.name}, {channel}: {value:g} is neither 0 nor 1")
            if not (math.isfinite(value) and 0.0 <= value <= self.highest):
                raise UserError(
                    f"port {self.name}, {channel}: {value:g} V is not between 0 and "
                    f"{self.highest:g} V"
                )
            found[channel] = float(value)
        return found


@dataclass(frozen=True)
class PortReading:
    """All channels of a port at one time.

    Parameters
    ----------
    port : str
    time_ns : int
        When they were read or set, steady clock of the device's host.
    values : tuple of float
        In the order of the port's channels.
    """

    port: str
    time_ns: int
    values: tuple[float, ...]


class PortsDevice(Protocol):
    """A device with ports, an `emghand.devices.ReadableDevice` that can be set too.

    Whenever it is opened or closed its outputs are at 0.
    """

    ports: tuple[Port, ...]

    def open(self) -> tuple[Port, ...]:
        """Connect, with every output at 0."""

    def read(self, timeout_s: float) -> PortReading | None:
        """Next change of a port, or None when there is none within the time-out."""

    def set(self, port: str, values: Mapping[str, float]) -> PortReading:
        """Set channels that `Port.check` has passed; the whole port afterwards.

        Called from another thread than the rest.

        Raises
        ------
        emghand.devices.DeviceError
            When the device is not there.
        """

    def close(self) -> None:
        """Set every output to 0 as far as that is possible, and disconnect; never raises."""

    def counters(self) -> Mapping[str, int]:
        """Cumulative counts for the diagnostics."""

"""CyberGlove I, II and III on a serial port."""

from __future__ import annotations

from dataclasses import dataclass

from emghand.devices.serial_port import SerialPort
from emghand.errors import UserError
from emghand.settings import SettingsError, setting
from glove_driver.calibration import Calibration, SensorRange, load_calibration
from glove_driver.device import DeviceKind
from glove_driver.protocols import cyberglove
from glove_driver.serial_glove import SerialGlove, SerialSettings

_SETTLE_S = 0.1


@dataclass(frozen=True)
class Settings(SerialSettings):
    """Port, model and calibration."""

    model: str = setting("II", "Generation of the glove", choices=("I", "II", "III"), live=False)
    sensors: int = setting(18, "Number of sensors", choices=(18, 22), live=False)
    status: bool = setting(False, "I, II: ask for the status byte (button, light)", live=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model == "III" and self.sensors != 22:
            raise SettingsError("sensors: a CyberGlove III sends 22")


def make(settings: Settings, block_size: int = 0) -> SerialGlove:
    """A CyberGlove of the chosen model."""
    names = cyberglove.SENSORS_22 if settings.sensors == 22 else cyberglove.SENSORS_18
    wide = settings.model == "III"
    if settings.calibration:
        calibration = load_calibration(settings.calibration)
    else:
        calibration = whole_range(cyberglove.LARGEST_16 if wide else cyberglove.LARGEST_8)
    unknown = calibration.missing(names)
    if unknown:
        raise UserError(
            f"{settings.calibration}: this CyberGlove has no sensor "
            f"{', '.join(sorted(unknown))}, it has: {', '.join(names)}"
        )

    def start(port: SerialPort) -> None:
        port.write(cyberglove.STOP)
        for command in commands(settings):
            port.write(command)
            port.read(_SETTLE_S)
        port.discard_input()
        port.write(b"1S" if wide else b"S")

    def parser() -> cyberglove.CyberGloveParser:
        return cyberglove.CyberGloveParser(names, status=settings.status and not wide, wide=wide)

    return SerialGlove(settings, calibration, parser, start, cyberglove.STOP)


def commands(settings: Settings) -> list[bytes]:
    """Set-up of the glove: no filter, 100 Hz, status byte or not."""
    if settings.model == "III":
        return [b"1eu"]
    return [b"f 0\r", b"t 1152 1\r", b"u 1\r" if settings.status else b"u 0\r"]


def whole_range(largest: int) -> Calibration:
    """The two inner joints of each finger, and the wrist, over the whole range of the sensors."""
    ranges = {
        "thumb_mcp": "thumb_flex",
        "thumb_ip": "thumb_flex",
        "wrist_pitch": "wrist_flex",
    }
    for finger in ("index", "middle", "ring", "little"):
        ranges |= {f"{finger}_{joint}": f"{finger}_flex" for joint in ("mcp", "pip")}
    return Calibration({s: SensorRange(dof, 1.0, float(largest)) for s, dof in ranges.items()})


DEVICE = DeviceKind("CyberGlove I, II or III on a serial port", Settings, make)

"""lucidgloves and other gloves that speak the OpenGloves protocol, alpha or legacy."""

from __future__ import annotations

from dataclasses import dataclass

from emghand.errors import UserError
from glove_driver.calibration import Calibration, SensorRange, load_calibration
from glove_driver.device import DeviceKind
from glove_driver.protocols.opengloves import FINGERS, KEYS, LARGEST, OpenGlovesParser
from glove_driver.serial_glove import SerialGlove, SerialSettings


@dataclass(frozen=True)
class Settings(SerialSettings):
    """Port and calibration."""


def make(settings: Settings, block_size: int = 0) -> SerialGlove:
    """An OpenGloves glove; its encoding is told from its lines."""
    if settings.calibration:
        calibration = load_calibration(settings.calibration)
    else:
        calibration = Calibration(
            {f"{f}_curl": SensorRange(f"{f}_flex", 0.0, float(LARGEST)) for f in FINGERS}
        )
    unknown = calibration.missing(KEYS.values())
    if unknown:
        raise UserError(
            f"{settings.calibration}: an OpenGloves glove has no sensor "
            f"{', '.join(sorted(unknown))}, it may have: {', '.join(KEYS.values())}"
        )
    return SerialGlove(settings, calibration, OpenGlovesParser)


DEVICE = DeviceKind("Glove that speaks OpenGloves on a serial port", Settings, make)

"""A hand of serial servos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.settings import SettingsError, check, setting
from hand_bridge.buses import BusSettings, Servo, ServoBus, make_bus
from hand_bridge.cue import Cue
from hand_bridge.mapping import (
    ActuatorMap,
    Range,
    check_coverage,
    check_keys,
    dof_weights,
    load_yaml,
    number,
)
from hand_bridge.safety import Drive, Power, Reading

SETTLE_RANGES_PER_S = 0.25
MODES = ("current_position", "position")


@dataclass(frozen=True)
class ServoSettings:
    """Settings of the servo hand."""

    calibration: str = setting("", "Calibration file of the servos, see docs/hands.md", live=False)
    port: str = setting("", "Serial port; empty: the one in the calibration file", live=False)
    baudrate: int = setting(
        0, "Baudrate; 0: the one in the calibration file", low=0, high=4_000_000, live=False
    )
    rate: float = setting(
        62.5,
        "Rate at which the servos are read and driven",
        unit="Hz",
        low=10.0,
        high=500.0,
        live=False,
    )
    bus_watchdog: float = setting(
        0.2,
        "Time without a message from the bridge after which the servos stop by themselves",
        unit="s",
        low=0.04,
        high=2.5,
        live=False,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.bus_watchdog < 2.5 / self.rate:
            raise SettingsError(
                f"bus_watchdog: {self.bus_watchdog} s is shorter than 2.5 periods of {self.rate} Hz"
            )


@dataclass(frozen=True)
class Calibration:
    """A calibration file: bus, servos in the order of the file, and how the DOFs move them."""

    protocol: str
    bus: BusSettings
    servos: tuple[Servo, ...]
    map: ActuatorMap


def load_calibration(settings: ServoSettings, dofs: Sequence[str]) -> Calibration:
    """Read the calibration file named in the settings.

    Raises
    ------
    UserError
        When it cannot be read, holds something unknown or out of range, uses an id twice, or
        leaves a DOF without a servo.
    """
    if not settings.calibration:
        raise UserError("calibration: name the calibration file of the servos, see docs/hands.md")
    path = Path(settings.calibration).expanduser()
    where = f"calibration {path}"
    document = load_yaml(path, "calibration")
    optional = {"port", "baudrate", "mode", "current_unit"}
    check_keys(document, where, {"protocol", "servos"}, optional)
    port = settings.port or str(document.get("port", ""))
    if not port:
        raise UserError(f"{where}: no port: set it here or as parameter port")
    mode = str(document.get("mode", MODES[0]))
    if mode not in MODES:
        raise UserError(f"{where}: mode {mode!r} is unknown, choose from: {', '.join(MODES)}")
    bus = BusSettings(
        port=port,
        baudrate=settings.baudrate or int(number(document.get("baudrate", 57600), where)),
        mode=mode,
        current_unit=_positive(document.get("current_unit", 1.0), f"{where}, current_unit"),
        watchdog_s=settings.bus_watchdog,
    )
    if not isinstance(document["servos"], dict) or not document["servos"]:
        raise UserError(
            f"{where}: servos must map names to id, dofs, min, rest, max and the limits"
        )
    servos, ranges, rows = [], [], []
    for name, item in document["servos"].items():
        servo, span, row = _parse_servo(str(name), item, dofs, f"{where}, servo {name}")
        servos.append(servo)
        ranges.append(span)
        rows.append(row)
    ids = [s.id for s in servos]
    if len(set(ids)) != len(ids):
        raise UserError(f"{where}: an id is used twice: {', '.join(map(str, sorted(ids)))}")
    weights = np.array(rows)
    check_coverage(weights, dofs, where)
    return Calibration(str(document["protocol"]), bus, tuple(servos), ActuatorMap(ranges, weights))


def _parse_servo(
    name: str, item: object, dofs: Sequence[str], where: str
) -> tuple[Servo, Range, NDArray[np.float64]]:
    required = {"id", "dofs", "min", "rest", "max", "current_limit", "speed"}
    check_keys(item, where, required, {"direction", "acceleration"})
    assert isinstance(item, dict)
    low, rest, high = (number(item[k], f"{where}, {k}") for k in ("min", "rest", "max"))
    if not low <= rest <= high or low == high:
        raise UserError(f"{where}: expected min <= rest <= max in ticks, got {low}, {rest}, {high}")
    direction = item.get("direction", 1)
    if direction not in (1, -1):
        raise UserError(f"{where}: direction must be 1 or -1")
    identity = int(number(item["id"], f"{where}, id"))
    if not 0 <= identity <= 252:
        raise UserError(f"{where}: id {identity} is not in 0 to 252")
    servo = Servo(
        name=name,
        id=identity,
        low=int(low),
        high=int(high),
        current=_positive(item["current_limit"], f"{where}, current_limit"),
        speed=_positive(item["speed"], f"{where}, speed"),
        acceleration=int(number(item.get("acceleration", 0), f"{where}, acceleration")),
    )
    span = Range(low, rest, high) if direction == 1 else Range(high, rest, low)
    return servo, span, dof_weights(item["dofs"], dofs, where)


def _positive(value: object, where: str) -> float:
    result = number(value, where)
    if result <= 0:
        raise UserError(f"{where}: must be positive, got {result:g}")
    return result


class ServoHand:
    """Servos on a bus, driven as the safety core says.

    Parameters
    ----------
    settings : ServoSettings
    dofs : sequence of str
    on_stop : callable
        Not used: servos have no key of their own.

    Raises
    ------
    UserError
        When the calibration is wrong.
    """

    def __init__(
        self, settings: ServoSettings, dofs: Sequence[str], on_stop: Callable[[str], None]
    ) -> None:
        calibration = load_calibration(settings, dofs)
        self._map = calibration.map
        self._bus: ServoBus = make_bus(calibration.protocol, calibration.bus, calibration.servos)
        self._powered = False
        self._current = 1.0
        # Servos may stand where no DOF vector puts them: one that no DOF moves, or two that share a
        # DOF and were pushed apart. What is left of that when torque comes on goes away slowly.
        spans = np.array([s.high - s.low for s in calibration.servos], float)
        self._settle = spans * SETTLE_RANGES_PER_S / settings.rate
        self._offset = np.zeros(len(spans))

    def open(self) -> None:
        """Find every servo, torque off."""
        self._bus.open()

    def read(self) -> Reading | None:
        """Measured position, current, temperature and errors."""
        reading = self._bus.read()
        if reading is None:
            return None
        return Reading(
            self._map.to_dofs(reading.position),
            reading.current,
            reading.temperature,
            reading.alerts,
        )

    def apply(self, drive: Drive) -> None:
        """Torque on or off, current and goals."""
        if drive.power is not Power.ON:
            self._powered = False
            self._bus.power_off()
            return
        goal = self._map.to_actuators(drive.position)
        if not self._powered:
            self._offset = self._bus.power_on() - goal
            self._powered = True
            self._current = 1.0
        if drive.current != self._current:
            self._bus.limit_current(drive.current)
            self._current = drive.current
        self._bus.move(goal + self._offset)
        self._offset -= np.clip(self._offset, -self._settle, self._settle)

    def show(self, x_d: NDArray[np.float64]) -> None:
        """Servos draw nothing."""

    def cue(self, cue: Cue) -> None:
        """Servos write nothing."""

    def close(self) -> None:
        """Torque off, disconnect."""
        self._powered = False
        self._bus.close()

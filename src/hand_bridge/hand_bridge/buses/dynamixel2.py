"""Dynamixel protocol 2.0, X series (ROBOTIS e-manual, control table of XM430, XL330, XC330).

All settings go out as sync writes, which no servo answers: six servos take a few milliseconds
even where a USB adapter delays every answer. What was written is read back before torque is on.
"""

from __future__ import annotations

import contextlib
import struct
import termios
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import serial
from dynamixel_sdk import (
    COMM_SUCCESS,
    GroupSyncRead,
    GroupSyncWrite,
    PortHandler,
    Protocol2PacketHandler,
)
from numpy.typing import NDArray

from hand_bridge.buses import BusSettings, Servo, ServoReading
from hand_bridge.device import HandError

OPERATING_MODE = (11, 1)
MAX_POSITION = (48, 4)
MIN_POSITION = (52, 4)
TORQUE_ENABLE = (64, 1)
HARDWARE_ERROR = (70, 1)
BUS_WATCHDOG = (98, 1)
GOAL_CURRENT = (102, 2)
PROFILE_ACCELERATION = (108, 4)
PROFILE_VELOCITY = (112, 4)
GOAL_POSITION = (116, 4)
PRESENT_CURRENT = (126, 2)
PRESENT_POSITION = (132, 4)
PRESENT_TEMPERATURE = (146, 1)
# Read in one piece: current, velocity, position; and torque enable to bus watchdog.
MOTION = (PRESENT_CURRENT[0], 10)
CONDITION = (TORQUE_ENABLE[0], 35)

MODES = {"position": 3, "current_position": 5}
VELOCITY_UNIT = 0.229  # rev/min
WATCHDOG_UNIT_S = 0.020
WATCHDOG_TRIPPED = 255
ANSWER_TIMEOUT_MS = 20.0
PINGS = 3
HARDWARE_ERRORS = {
    0: "input voltage",
    2: "overheating",
    3: "encoder",
    4: "electrical shock",
    5: "overload",
}
T = TypeVar("T")


class Port(PortHandler):
    """Serial port of the SDK that sleeps while it waits, times out early, on the steady clock."""

    def setupPort(self, cflag_baud: int) -> bool:
        """Open the port exclusively."""
        if self.is_open:
            self.closePort()
        self.ser = serial.Serial(
            self.port_name, baudrate=self.baudrate, timeout=0.002, exclusive=True
        )
        with contextlib.suppress(OSError, ValueError, NotImplementedError):
            self.ser.set_low_latency_mode(True)  # not every adapter can
        self.is_open = True
        self.tx_time_per_byte = 10_000.0 / self.baudrate
        return True

    def setPacketTimeout(self, packet_length: int) -> None:
        """Wait for the bytes of the answer, and a little for the servo and the adapter."""
        self.setPacketTimeoutMillis(self.tx_time_per_byte * packet_length + ANSWER_TIMEOUT_MS)

    def getCurrentTime(self) -> float:
        """Steady time in milliseconds."""
        return time.monotonic() * 1e3


class DynamixelBus:
    """Servos of the X series on one serial bus.

    Parameters
    ----------
    bus : BusSettings
    servos : sequence of Servo
    """

    def __init__(self, bus: BusSettings, servos: Sequence[Servo]) -> None:
        self._bus = bus
        self._servos = tuple(servos)
        self._packets = Protocol2PacketHandler()
        self._port: Port | None = None
        self._powered = False
        self._turn = 0
        self._temperature = np.full(len(servos), np.nan)
        self._errors = [0] * len(servos)

    # Connection

    def open(self) -> None:
        """Open the port and ping every servo.

        Raises
        ------
        HandError
            When the port cannot be opened, or with the names and ids of missing servos.
        """
        if self._port is not None:
            return
        self._powered = False
        self._port = port = Port(self._bus.port)
        try:
            if not port.setBaudRate(self._bus.baudrate):
                raise HandError(f"baudrate {self._bus.baudrate} is not one of the servos'")
        except (OSError, ValueError) as error:
            self._port = None
            raise HandError(f"{self._bus.port} cannot be opened: {error}") from error
        try:
            self._find_servos()
        except HandError:
            self.close()
            raise

    def _find_servos(self) -> None:
        missing = [s for s in self._servos if not self._answers(s)]
        if missing:
            names = ", ".join(f"{s.id} ({s.name})" for s in missing)
            raise HandError(
                f"no answer on {self._bus.port} from servo {names}:"
                " check power, cable, id and baudrate"
            )
        self._write(TORQUE_ENABLE, [0] * len(self._servos))
        for _ in range(2 * len(self._servos)):
            self._read_condition()

    def _answers(self, servo: Servo) -> bool:
        for _ in range(PINGS):
            _, result, _ = self._call(lambda: self._packets.ping(self._port, servo.id))
            if result == COMM_SUCCESS:
                return True
        return False

    def close(self) -> None:
        """Torque off, watchdog off, disconnect."""
        if self._port is None:
            return
        with contextlib.suppress(HandError):  # gone already: the servos' watchdog stops them
            self.power_off()
            self._write(BUS_WATCHDOG, [0] * len(self._servos))
        with contextlib.suppress(OSError, termios.error):
            self._port.closePort()
        self._port = None

    # Power

    def power_on(self) -> NDArray[np.float64]:
        """Limits first, then torque where the servos are, then their watchdog.

        Returns
        -------
        ndarray, shape (n_servos,)
            Where they are [ticks].

        Raises
        ------
        HandError
            When a servo does not answer or did not take a setting.
        """
        n = len(self._servos)
        present = self._positions()
        self._write(BUS_WATCHDOG, [0] * n)
        self._write(TORQUE_ENABLE, [0] * n)
        settings = [
            (OPERATING_MODE, [MODES[self._bus.mode]] * n),
            (MIN_POSITION, [s.low for s in self._servos]),
            (MAX_POSITION, [s.high for s in self._servos]),
            (PROFILE_ACCELERATION, [s.acceleration for s in self._servos]),
            (PROFILE_VELOCITY, [max(1, round(s.speed / VELOCITY_UNIT)) for s in self._servos]),
            (GOAL_CURRENT, self._current_limits(1.0)),
        ]
        for register, values in settings:
            # The first three are in EEPROM, which wears: write what differs.
            if self._read_all(register) != values:
                self._write(register, values)
                self._expect(register, values)
        goals = [round(p) for p in np.clip(present, *self._limits())]
        self._write(GOAL_POSITION, goals)
        self._expect(GOAL_POSITION, goals)
        watchdog = min(max(round(self._bus.watchdog_s / WATCHDOG_UNIT_S), 1), 127)
        self._write(TORQUE_ENABLE, [1] * n)
        self._write(BUS_WATCHDOG, [watchdog] * n)
        self._expect(BUS_WATCHDOG, [watchdog] * n)
        self._expect(TORQUE_ENABLE, [1] * n)
        self._powered = True
        return np.array(goals, float)

    def power_off(self) -> None:
        """Torque off. Sent again with every call: nobody confirms a sync write."""
        self._powered = False
        self._write(TORQUE_ENABLE, [0] * len(self._servos))

    def limit_current(self, fraction: float) -> None:
        """Allow this fraction of each servo's current limit."""
        self._write(GOAL_CURRENT, self._current_limits(fraction))

    def _current_limits(self, fraction: float) -> list[int]:
        unit = self._bus.current_unit
        return [max(1, int(s.current * fraction / unit)) for s in self._servos]

    def _limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return (
            np.array([float(s.low) for s in self._servos]),
            np.array([float(s.high) for s in self._servos]),
        )

    # Every step

    def move(self, position: NDArray[np.float64]) -> None:
        """Send goals [ticks], within the limits of the servos."""
        self._write(GOAL_POSITION, [round(p) for p in np.clip(position, *self._limits())])

    def read(self) -> ServoReading | None:
        """Position and current of all servos; temperature and errors of one more each time."""
        data = self._sync_read(MOTION)
        if data is None or not self._read_condition():
            return None
        fields = [struct.unpack("<hii", d) for d in data]
        return ServoReading(
            position=np.array([f[2] for f in fields], float),
            current=np.abs(np.array([f[0] for f in fields], float)) * self._bus.current_unit,
            temperature=self._temperature.copy(),
            alerts=tuple(
                f"servo {s.id} ({s.name}) reports {_error_names(e)}: power it off and on"
                for s, e in zip(self._servos, self._errors, strict=True)
                if e
            ),
        )

    def _read_condition(self) -> bool:
        """One servo in turn: temperature, or its errors, torque and watchdog."""
        self._turn = (self._turn + 1) % (2 * len(self._servos))
        k, thermometer = divmod(self._turn, 2)
        servo = self._servos[k]
        start, length = PRESENT_TEMPERATURE if thermometer else CONDITION
        data, result, _ = self._call(
            lambda: self._packets.readTxRx(self._port, servo.id, start, length)
        )
        if result != COMM_SUCCESS or len(data) != length:
            return False
        if thermometer:
            self._temperature[k] = data[0]
            return True
        torque, watchdog = data[0], data[BUS_WATCHDOG[0] - start]
        self._errors[k] = data[HARDWARE_ERROR[0] - start]
        where = f"servo {servo.id} ({servo.name})"
        if self._powered and watchdog == WATCHDOG_TRIPPED:
            raise HandError(f"{where} was stopped by its own watchdog: the bridge had stalled")
        if self._powered and not torque and not self._errors[k]:
            raise HandError(f"{where} has lost torque: was its power interrupted?")
        return True

    # Bytes

    def _call(self, call: Callable[[], T]) -> T:
        if self._port is None:
            raise HandError(f"{self._bus.port} is not open")
        try:
            return call()
        except (OSError, termios.error, TypeError) as error:
            # pyserial raises TypeError when the port is closed under a waiting read.
            self._port.is_using = False
            raise HandError(f"{self._bus.port} is gone: {error}") from error

    def _write(self, register: tuple[int, int], values: Sequence[int]) -> None:
        start, length = register
        group = GroupSyncWrite(self._port, self._packets, start, length)
        for servo, value in zip(self._servos, values, strict=True):
            mask = (1 << (8 * length)) - 1
            group.addParam(servo.id, list((int(value) & mask).to_bytes(length, "little")))
        if self._call(group.txPacket) != COMM_SUCCESS:
            raise HandError(f"{self._bus.port} takes no more data")

    def _sync_read(self, register: tuple[int, int]) -> list[bytes] | None:
        start, length = register
        group: Any = GroupSyncRead(self._port, self._packets, start, length)
        for servo in self._servos:
            group.addParam(servo.id)
        if self._call(group.txRxPacket) != COMM_SUCCESS:
            return None
        data = [bytes(group.data_dict[s.id][:length]) for s in self._servos]
        return data if all(len(d) == length for d in data) else None

    def _read_all(self, register: tuple[int, int]) -> list[int]:
        for _ in range(PINGS):
            data = self._sync_read(register)
            if data is not None:
                return [int.from_bytes(d, "little") for d in data]
        raise HandError(f"a servo on {self._bus.port} does not answer any more")

    def _positions(self) -> list[int]:
        return [p - (p >> 31 << 32) for p in self._read_all(PRESENT_POSITION)]

    def _expect(self, register: tuple[int, int], values: Sequence[int]) -> None:
        for servo, wanted, got in zip(self._servos, values, self._read_all(register), strict=True):
            if got != wanted & ((1 << (8 * register[1])) - 1):
                raise HandError(
                    f"servo {servo.id} ({servo.name}) did not take {wanted} at address"
                    f" {register[0]} (it has {got}): is the calibration right for its model?"
                )


def _error_names(bits: int) -> str:
    return ", ".join(HARDWARE_ERRORS.get(i, f"error bit {i}") for i in range(8) if bits >> i & 1)


def make_bus(bus: BusSettings, servos: Sequence[Servo]) -> DynamixelBus:
    """Bus with these servos."""
    return DynamixelBus(bus, servos)

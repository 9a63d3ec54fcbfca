"""Any microcontroller board that runs StandardFirmata, on a serial port."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from emghand.devices import DeviceError, DeviceKind
from emghand.devices.serial_port import SerialPort
from emghand.ports import Port, PortReading
from emghand.settings import SettingsError, check, setting
from host_node.protocols import firmata

OLDEST = (2, 5)
ASK_S = 0.5
"""How often the board is asked whether it is still there."""
BOOT_S = 6.0
"""Most boards restart when their port is opened, and wait for a new program before they go on."""
FULL_SCALE = 1023
FULL_DUTY = 255


@dataclass(frozen=True)
class FirmataSettings:
    """Where the board is, and what its pins are called: each channel as `name:pin`."""

    path: str = setting("/dev/ttyACM0", "Serial port of the board", live=False)
    baud: int = setting(57600, "Bits per second", low=300, high=4_000_000, live=False)
    digital_out: tuple[str, ...] = setting(
        ("motor:13",), "Channels of the port `out`, as name:pin", live=False
    )
    digital_in: tuple[str, ...] = setting(
        ("photobeam:2",), "Channels of the port `in`, as name:pin", live=False
    )
    pullup: bool = setting(True, "Whether inputs are pulled up to 1 when open", live=False)
    analog: tuple[str, ...] = setting(
        (), "Channels of the port `analog`, as name:pin; PWM, so filter it", live=False
    )
    adc: tuple[str, ...] = setting(
        (), "Channels of the port `adc`, as name:input (0 for A0)", live=False
    )
    supply: float = setting(
        5.0, "Voltage of a pin at 1, and of an ADC at full scale", unit="V", low=1.0, high=6.0,
        live=False,
    )  # fmt: skip
    interval_ms: int = setting(
        20, "Time between two readings of the ADC", unit="ms", low=1, high=16383, live=False
    )
    threshold: float = setting(
        0.02, "Least change of an ADC that is told", unit="V", low=0.0, high=6.0, live=False
    )
    silence_s: float = setting(
        2.0, "A board that says nothing for so long is gone", unit="s", low=1.0, high=60.0,
        live=False,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)
        pins = {n: self.pins(n) for n in ("digital_out", "digital_in", "analog", "adc")}
        names = [name for of_port in pins.values() for name in of_port]
        used = [pin for n, of_port in pins.items() if n != "adc" for pin in of_port.values()]
        if len(set(names)) < len(names) or len(set(used)) < len(used):
            raise SettingsError("two channels have the same name or the same pin")
        if any(pin > firmata.LAST_SHORT_PIN for n in ("analog", "adc") for pin in pins[n].values()):
            raise SettingsError(f"analog, adc: pins go up to {firmata.LAST_SHORT_PIN}")

    def pins(self, setting_name: str) -> dict[str, int]:
        """Pins by channel name."""
        found = {}
        for text in getattr(self, setting_name):
            name, _, pin = text.partition(":")
            if not name or not pin.isdecimal() or int(pin) > 127 or name in found:
                raise SettingsError(f"{setting_name}: expected name:pin, each once, got {text!r}")
            found[name] = int(pin)
        return found


class FirmataBoard:
    """Ports ``out``, ``in``, ``analog`` and ``adc`` of a board, as far as they have channels.

    The protocol does not confirm what is set: the state of an output is what was sent.
    """

    def __init__(self, settings: FirmataSettings, block_size: int = 0) -> None:
        s = self._settings = settings
        self._pins = {
            "out": s.pins("digital_out"),
            "in": s.pins("digital_in"),
            "analog": s.pins("analog"),
            "adc": s.pins("adc"),
        }
        kinds = {"out": "digital", "in": "digital", "analog": "analog", "adc": "adc"}
        self.ports = tuple(
            Port(name, kinds[name], tuple(pins), name in ("out", "analog"),
                 1.0 if kinds[name] == "digital" else s.supply)
            for name, pins in self._pins.items()
            if pins
        )  # fmt: skip
        self._lock = threading.Lock()  # of writing, and of the state of the outputs
        self._serial: SerialPort | None = None
        self._parser = firmata.Parser()
        self._values: dict[str, dict[str, float]] = {}
        self._told: dict[str, tuple[float, ...]] = {}
        self._waiting: deque[PortReading] = deque()
        self._asked = 0.0

    def open(self) -> tuple[Port, ...]:
        """Wait until the board answers, set its pins up, all outputs at 0."""
        s = self._settings
        serial = SerialPort(s.path, s.baud, BOOT_S)
        try:
            self._wait_for_version(serial)
            serial.silence_s = s.silence_s
            serial.write(self._set_up())
        except DeviceError:
            serial.close()
            raise
        with self._lock:
            # Nothing is told of an input port before all of its channels have been read.
            self._values = {
                name: dict.fromkeys(pins, 0.0 if name in ("out", "analog") else math.nan)
                for name, pins in self._pins.items()
            }
            self._serial = serial
            now = time.monotonic_ns()
            outputs = [p.name for p in self.ports if p.settable]
            self._waiting = deque(self._reading(name, now) for name in outputs)
        self._told = {}
        return self.ports

    def _wait_for_version(self, serial: SerialPort) -> None:
        self._parser = firmata.Parser()
        deadline = time.monotonic() + BOOT_S
        while time.monotonic() < deadline:
            serial.write(firmata.ASK_VERSION)
            asked = time.monotonic()
            while time.monotonic() < asked + ASK_S:
                for message in self._parser.push(serial.read(0.05)):
                    if message.command != firmata.VERSION:
                        continue
                    version = divmod(message.value, 256)
                    if version < OLDEST:
                        raise DeviceError(
                            f"{serial.path}: speaks Firmata {version[0]}.{version[1]}, install "
                            f"StandardFirmata {OLDEST[0]}.{OLDEST[1]} or later"
                        )
                    return
        raise DeviceError(f"{serial.path}: does not answer, does it run StandardFirmata?")

    def _set_up(self) -> bytes:
        pins, s = self._pins, self._settings
        data = self._outputs_off()
        for pin in pins["in"].values():
            data += firmata.pin_mode(pin, firmata.PULLUP if s.pullup else firmata.INPUT)
        for port in sorted({pin // 8 for pin in pins["in"].values()}):
            data += firmata.report_digital(port)
        data += firmata.sampling_interval(s.interval_ms)
        for channel in pins["adc"].values():
            data += firmata.report_analog(channel)
        return data

    def _outputs_off(self) -> bytes:
        data = b""
        for pin in self._pins["out"].values():
            data += firmata.pin_mode(pin, firmata.OUTPUT) + firmata.set_pin(pin, 0)
        for pin in self._pins["analog"].values():
            data += firmata.pin_mode(pin, firmata.PWM) + firmata.set_pwm(pin, 0)
        return data

    def read(self, timeout_s: float) -> PortReading | None:
        """Next change."""
        serial = self._serial
        if serial is None:
            raise DeviceError("the board is not open")
        if not self._waiting:
            now = time.monotonic()
            if now > self._asked + ASK_S:
                self._asked = now
                with self._lock:
                    serial.write(firmata.ASK_VERSION)
            messages = self._parser.push(serial.read(timeout_s))
            self._take(messages, time.monotonic_ns())
        return self._waiting.popleft() if self._waiting else None

    def _take(self, messages: list[firmata.Message], now_ns: int) -> None:
        for message in messages:
            if message.command == firmata.DIGITAL:
                for name, pin in self._pins["in"].items():
                    if pin // 8 == message.channel:
                        self._values["in"][name] = float(message.value >> pin % 8 & 1)
                self._tell("in", now_ns)
            elif message.command == firmata.ANALOG:
                for name, channel in self._pins["adc"].items():
                    if channel == message.channel:
                        share = min(message.value, FULL_SCALE) / FULL_SCALE
                        self._values["adc"][name] = share * self._settings.supply
                        self._tell("adc", now_ns)

    def _tell(self, port: str, now_ns: int) -> None:
        if not self._pins[port]:
            return
        reading = self._reading(port, now_ns)
        if any(math.isnan(value) for value in reading.values):
            return
        told = self._told.get(port)
        least = self._settings.threshold if port == "adc" else 0.5
        if told is None or any(
            abs(a - b) >= least and a != b for a, b in zip(told, reading.values, strict=True)
        ):
            self._told[port] = reading.values
            self._waiting.append(reading)

    def _reading(self, port: str, now_ns: int) -> PortReading:
        return PortReading(port, now_ns, tuple(self._values[port].values()))

    def set(self, port: str, values: Mapping[str, float]) -> PortReading:
        """Send the values of outputs in one piece."""
        pins, supply = self._pins[port], self._settings.supply
        data = b""
        for name, value in values.items():
            if port == "out":
                data += firmata.set_pin(pins[name], round(value))
            else:
                data += firmata.set_pwm(pins[name], round(value / supply * FULL_DUTY))
        with self._lock:
            if self._serial is None:
                raise DeviceError(f"{self._settings.path}: the board is not there now")
            self._serial.write(data)
            now = time.monotonic_ns()
            self._values[port] |= values
            return self._reading(port, now)

    def close(self) -> None:
        """Set every output to 0 and disconnect."""
        with self._lock:
            serial, self._serial = self._serial, None
            if serial is None:
                return
            with contextlib.suppress(DeviceError):  # it may be gone, and closed for that
                serial.write(self._outputs_off())
            serial.close()

    def counters(self) -> Mapping[str, int]:
        """Bytes that fit no message."""
        return {"junk_bytes": self._parser.junk_bytes}


DEVICE = DeviceKind("A board with StandardFirmata on a serial port", FirmataSettings, FirmataBoard)

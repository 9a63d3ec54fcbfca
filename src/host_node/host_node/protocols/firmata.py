"""Bytes of the Firmata protocol, version 2.5 and later, as far as ports need it.

https://github.com/firmata/protocol. A message is a command byte with the top bit set and data
bytes without; a number of 14 bits is sent as its lower, then its upper 7 bits. What is used of it
stands in docs/clocks.md.
"""

from __future__ import annotations

from dataclasses import dataclass

DIGITAL, ANALOG = 0x90, 0xE0
REPORT_ANALOG, REPORT_DIGITAL = 0xC0, 0xD0
SYSEX, END_SYSEX = 0xF0, 0xF7
PIN_MODE, SET_PIN, VERSION = 0xF4, 0xF5, 0xF9
SAMPLING_INTERVAL = 0x7A
INPUT, OUTPUT, ANALOG_IN, PWM, PULLUP = 0x00, 0x01, 0x02, 0x03, 0x0B
LONGEST_SYSEX = 256
LAST_SHORT_PIN = 15

ASK_VERSION = bytes([VERSION])


def pin_mode(pin: int, mode: int) -> bytes:
    """Say what a pin is used for."""
    return bytes([PIN_MODE, pin, mode])


def set_pin(pin: int, value: int) -> bytes:
    """Set a digital output."""
    return bytes([SET_PIN, pin, value])


def set_pwm(pin: int, value: int) -> bytes:
    """Set the duty of a PWM pin (0 to 15) in 1/255."""
    return bytes([ANALOG | pin, value & 0x7F, value >> 7])


def report_digital(port: int) -> bytes:
    """Send the eight pins of a port now, and whenever one changes."""
    return bytes([REPORT_DIGITAL | port, 1])


def report_analog(channel: int) -> bytes:
    """Send an analogue input at every sampling interval."""
    return bytes([REPORT_ANALOG | channel, 1])


def sampling_interval(milliseconds: int) -> bytes:
    """How often analogue inputs are sent."""
    return bytes([SYSEX, SAMPLING_INTERVAL, milliseconds & 0x7F, milliseconds >> 7, END_SYSEX])


@dataclass(frozen=True)
class Message:
    """What a board says.

    Parameters
    ----------
    command : int
        `DIGITAL`, `ANALOG` or `VERSION`.
    channel : int
        Port of eight pins, or analogue input; 0 for a version.
    value : int
        Bits of the eight pins, 10-bit reading, or 256 times the major plus the minor version.
    """

    command: int
    channel: int
    value: int


class Parser:
    """Messages in bytes that come in pieces of any size.

    Sysex messages (the name of the firmware, texts) are skipped. A command byte ends a message that
    was not complete, whose bytes count as junk.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self.junk_bytes = 0

    def push(self, data: bytes) -> list[Message]:
        """Messages that are complete with these bytes, in order."""
        found = []
        for byte in data:
            message = self._next(byte)
            if message is not None:
                found.append(message)
        return found

    def _next(self, byte: int) -> Message | None:
        pending = self._pending
        in_sysex = pending[:1] == bytes([SYSEX])
        if in_sysex and byte == END_SYSEX:
            pending.clear()
            return None
        if byte >= 0x80:
            self.junk_bytes += len(pending)
            pending.clear()
            if byte in (SYSEX, VERSION) or byte & 0xF0 in (DIGITAL, ANALOG):
                pending.append(byte)
            else:
                self.junk_bytes += 1
            return None
        if not pending:
            self.junk_bytes += 1
            return None
        pending.append(byte)
        if in_sysex:
            if len(pending) > LONGEST_SYSEX:
                self.junk_bytes += len(pending)
                pending.clear()
            return None
        if len(pending) < 3:
            return None
        command, first, second = pending
        pending.clear()
        if command == VERSION:
            return Message(VERSION, 0, first << 8 | second)
        return Message(command & 0xF0, command & 0x0F, first | second << 7)

"""X-series servos on a pseudo-terminal, byte for byte, written from the e-manual.

Run as a process: prints the name of the terminal, then obeys lines on standard input and answers
each with the state of all servos as JSON: ``state``, ``set ID REGISTER VALUE``, ``place ID
POSITION`` (as if moved by hand), ``mute ID`` and ``unmute ID`` (cuts a servo off),
``unplug`` (closes the terminal).
"""

from __future__ import annotations

import json
import os
import pty
import select
import struct
import sys
import termios
import time
import tty

REGISTERS = {
    "model": (0, 2), "firmware": (6, 1), "id": (7, 1), "mode": (11, 1), "current_limit": (38, 2),
    "max_position": (48, 4), "min_position": (52, 4), "torque": (64, 1), "hardware_error": (70, 1),
    "watchdog": (98, 1), "goal_current": (102, 2), "profile_acceleration": (108, 4),
    "profile_velocity": (112, 4), "goal": (116, 4), "moving": (122, 1), "current": (126, 2),
    "velocity": (128, 4), "position": (132, 4), "voltage": (144, 2), "temperature": (146, 1),
}  # fmt: skip
EEPROM_END = 64
GOALS = range(100, 120)
TICKS_PER_UNIT = 0.229 / 60 * 4096
PING, READ, WRITE, STATUS, SYNC_READ, SYNC_WRITE = 0x01, 0x02, 0x03, 0x55, 0x82, 0x83
BROADCAST = 0xFE
RANGE_ERROR, LENGTH_ERROR, LIMIT_ERROR, ACCESS_ERROR, INSTRUCTION_ERROR = 4, 5, 6, 7, 2
ALERT = 0x80


def crc16(data: bytes) -> int:
    """CRC-16 with polynomial 0x8005, most significant bit first, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x8005 if crc & 0x8000 else crc << 1
            crc &= 0xFFFF
    return crc


def stuff(body: bytes) -> bytes:
    return body.replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")


def unstuff(body: bytes) -> bytes:
    return body.replace(b"\xff\xff\xfd\xfd", b"\xff\xff\xfd")


def packet(identity: int, body: bytes) -> bytes:
    """Frame of an instruction or status: header, id, length, stuffed body, CRC."""
    body = stuff(body)
    head = b"\xff\xff\xfd\x00" + struct.pack("<BH", identity, len(body) + 2)
    return head + body + struct.pack("<H", crc16(head + body))


class Parser:
    """Finds packets in a stream of bytes; counts what it drops."""

    def __init__(self) -> None:
        self._buffer = b""
        self.dropped = 0
        self.bad_crc = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        self._buffer += data
        found = []
        while True:
            start = self._buffer.find(b"\xff\xff\xfd\x00")
            if start < 0:
                self._buffer = self._buffer[-3:]
                return found
            self.dropped += start
            self._buffer = self._buffer[start:]
            if len(self._buffer) < 7:
                return found
            identity, length = struct.unpack_from("<BH", self._buffer, 4)
            if not 3 <= length <= 1024:
                self._buffer = self._buffer[4:]
                continue
            if len(self._buffer) < 7 + length:
                return found
            whole, self._buffer = self._buffer[: 7 + length], self._buffer[7 + length :]
            if crc16(whole[:-2]) == struct.unpack("<H", whole[-2:])[0]:
                found.append((identity, unstuff(whole[7:-2])))
            else:
                self.bad_crc += 1


class EmulatedServo:
    """Control table and motion of one servo."""

    def __init__(self, identity: int, position: int, now: float) -> None:
        self.table = bytearray(147)
        self.id = identity
        self.muted = False
        self.exact = float(position)
        self.last = now
        self.last_heard = now
        self.held = float(position)
        for name, value in {
            "model": 1020, "firmware": 45, "id": identity, "mode": 3, "current_limit": 1193,
            "max_position": 4095, "goal_current": 1193, "goal": position, "position": position,
            "voltage": 120, "temperature": 35,
        }.items():  # fmt: skip
            self.set(name, value)

    def get(self, name: str) -> int:
        start, length = REGISTERS[name]
        return int.from_bytes(self.table[start : start + length], "little")

    def set(self, name: str, value: int) -> None:
        start, length = REGISTERS[name]
        mask = (1 << 8 * length) - 1
        self.table[start : start + length] = (value & mask).to_bytes(length, "little")

    def advance(self, now: float) -> None:
        """Move towards the goal; trip the watchdog when the bus was silent for too long."""
        dt, self.last = now - self.last, now
        limit = self.get("watchdog")
        if 1 <= limit <= 127 and now - self.last_heard > limit * 0.020:
            self.set("watchdog", 255)
            self.held = self.exact
        velocity = 0.0
        if self.get("torque") and not self.get("hardware_error"):
            goal = self.held if self.get("watchdog") == 255 else float(self.get("goal"))
            speed = (self.get("profile_velocity") or 445) * TICKS_PER_UNIT
            step = max(-speed * dt, min(speed * dt, goal - self.exact))
            self.exact += step
            velocity = step / dt if dt > 0 else 0.0
        self.set("position", round(self.exact))
        self.set("velocity", round(velocity / TICKS_PER_UNIT))
        self.set("moving", int(abs(velocity) > 1))
        pull = 20 + int(abs(velocity) / 20) if self.get("torque") else 0
        self.set("current", min(pull, self.get("goal_current")))

    def write(self, address: int, data: bytes) -> int:
        """Error of the status packet: 0 when it was written."""
        end = address + len(data)
        if end > len(self.table):
            return ACCESS_ERROR
        if address < EEPROM_END and self.get("torque"):
            return ACCESS_ERROR
        touches_goal = any(a in GOALS for a in range(address, end))
        if self.get("watchdog") == 255 and touches_goal:
            return RANGE_ERROR
        if address <= 116 < end:
            goal = int.from_bytes(data[116 - address : 120 - address], "little", signed=True)
            if not self.get("min_position") <= goal <= self.get("max_position"):
                return LIMIT_ERROR
        if address <= 64 < end and data[64 - address] and not self.get("torque"):
            self.set("goal", round(self.exact))
        self.table[address:end] = data
        return 0


class Emulator:
    """All servos of one bus."""

    def __init__(self, ids: list[int], position: int = 2048) -> None:
        now = time.monotonic()
        self.servos = {i: EmulatedServo(i, position, now) for i in ids}
        self.parser = Parser()

    def advance(self) -> None:
        now = time.monotonic()
        for servo in self.servos.values():
            servo.advance(now)

    def feed(self, data: bytes) -> bytes:
        """Answers to what came over the bus."""
        self.advance()
        answer = b""
        for identity, body in self.parser.feed(data):
            if body[0] == STATUS:
                continue
            for servo in self.servos.values():
                servo.last_heard = servo.last
            answer += self._answer(identity, body[0], body[1:])
        return answer

    def _answer(self, identity: int, instruction: int, parameters: bytes) -> bytes:
        if instruction == SYNC_WRITE:
            self._sync_write(parameters)
            return b""
        if instruction == SYNC_READ:
            address, length = struct.unpack_from("<HH", parameters)
            return b"".join(self._read(i, address, length) for i in parameters[4:])
        targets = list(self.servos) if identity == BROADCAST else [identity]
        if instruction == PING:
            return b"".join(self._status(i, 0, self._table(i, 0, 2) + b"\x2d") for i in targets)
        if identity == BROADCAST:
            return b""
        if instruction == READ:
            return self._read(identity, *struct.unpack("<HH", parameters))
        if instruction == WRITE and identity in self.servos:
            (address,) = struct.unpack_from("<H", parameters)
            return self._status(identity, self.servos[identity].write(address, parameters[2:]))
        return self._status(identity, INSTRUCTION_ERROR)

    def _sync_write(self, parameters: bytes) -> None:
        address, length = struct.unpack_from("<HH", parameters)
        for k in range(4, len(parameters), length + 1):
            servo = self.servos.get(parameters[k])
            if servo is not None and not servo.muted:
                servo.write(address, parameters[k + 1 : k + 1 + length])

    def _table(self, identity: int, address: int, length: int) -> bytes:
        servo = self.servos.get(identity)
        return b"" if servo is None else bytes(servo.table[address : address + length])

    def _read(self, identity: int, address: int, length: int) -> bytes:
        data = self._table(identity, address, length)
        return self._status(identity, 0 if len(data) == length else LENGTH_ERROR, data)

    def _status(self, identity: int, error: int, data: bytes = b"") -> bytes:
        servo = self.servos.get(identity)
        if servo is None or servo.muted:
            return b""
        if servo.get("hardware_error"):
            error |= ALERT
        return packet(identity, bytes([STATUS, error]) + data)

    def state(self) -> str:
        self.advance()
        return json.dumps({i: {n: s.get(n) for n in REGISTERS} for i, s in self.servos.items()})


def main() -> None:
    emulator = Emulator([int(i) for i in sys.argv[1].split(",")])
    master, slave = pty.openpty()
    tty.setraw(slave, termios.TCSANOW)
    print(os.ttyname(slave), flush=True)
    commands = os.fdopen(0, "rb", buffering=0)
    plugged = [master]
    while True:
        ready, _, _ = select.select([*plugged, commands], [], [], 0.005)
        emulator.advance()
        if master in ready:
            os.write(master, emulator.feed(os.read(master, 4096)))
        if commands in ready:
            line = commands.readline().decode().split()
            if not line:
                return
            if line[0] == "set":
                emulator.servos[int(line[1])].set(line[2], int(line[3]))
            elif line[0] == "place":
                emulator.servos[int(line[1])].exact = float(line[2])
            elif line[0] in ("mute", "unmute"):
                emulator.servos[int(line[1])].muted = line[0] == "mute"
            elif line[0] == "unplug":
                plugged.clear()
                os.close(slave)
                os.close(master)
            print(emulator.state(), flush=True)


if __name__ == "__main__":
    main()

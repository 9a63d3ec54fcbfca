"""A board with StandardFirmata on a pseudo-terminal, written from the protocol's description.

Digital output 13 is wired to input 2, PWM pin 9 through a filter to analogue input 0.
"""

from __future__ import annotations

import os
import select
import threading
import time
import tty


class Board:
    def __init__(self, link):
        self._link = link
        self.path = str(link)
        self.version = (2, 5)
        self.noise = b""
        self.modes, self.pins, self.pwm = {}, {}, {}
        self.alive = True
        self._stop = threading.Event()

    def plug_in(self):
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(self._slave))
        self._stop.clear()
        self._digital, self._analog, self._interval = set(), set(), 0.019
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def unplug(self):
        self._stop.set()
        self._thread.join(2.0)
        self._link.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)

    @property
    def plugged(self):
        return not self._stop.is_set()

    def _send(self, data):
        if self.alive and select.select([], [self._master], [], 0)[1]:
            os.write(self._master, data)

    def _send_port(self, port):
        bits = 0
        for pin in range(8 * port, 8 * port + 8):
            level = self.pins.get(13, 0) if pin == 2 else self.modes.get(pin) == 11
            bits |= int(level) << pin % 8
        self._send(bytes([0x90 | port, bits & 0x7F, bits >> 7]))

    def _run(self):
        buffer, due = bytearray(), time.monotonic()
        while not self._stop.wait(0.002):
            while select.select([self._master], [], [], 0)[0]:
                buffer += os.read(self._master, 256)
            while self._take(buffer):
                pass
            if time.monotonic() > due:
                due = time.monotonic() + self._interval
                for channel in self._analog:
                    level = round(self.pwm.get(9, 0) / 255 * 1023) if channel == 0 else 0
                    self._send(bytes([0xE0 | channel, level & 0x7F, level >> 7]))

    def _take(self, buffer):
        if not buffer:
            return False
        command = buffer[0]
        kind = command & 0xF0 if command < 0xF0 else command
        length = {0xF9: 1, 0xC0: 2, 0xD0: 2, 0xE0: 3, 0xF4: 3, 0xF5: 3}.get(kind, 0)
        if kind == 0xF0:
            length = buffer.find(0xF7) + 1
        if length == 0:
            assert kind == 0xF0, f"no such command: {command:#x}"
            return False
        if len(buffer) < length:
            return False
        message = bytes(buffer[:length])
        del buffer[:length]
        assert all(byte < 0x80 for byte in message[1:] if byte != 0xF7), message
        if kind == 0xF9:
            self._send(self.noise + b"\xf0\x79\x02\x05E\x00\xf7" + bytes([0xF9, *self.version]))
        elif kind == 0xF4:
            self.modes[message[1]] = message[2]
        elif kind == 0xF5:
            assert self.modes[message[1]] == 1
            self.pins[message[1]] = message[2]
            if message[1] == 13 and 0 in self._digital:
                self._send_port(0)
        elif kind == 0xE0:
            assert self.modes[command & 0x0F] == 3
            self.pwm[command & 0x0F] = message[1] | message[2] << 7
        elif kind == 0xD0:
            self._digital.add(command & 0x0F)
            self._send_port(command & 0x0F)
        elif kind == 0xC0:
            self._analog.add(command & 0x0F)
        elif message[1] == 0x7A:
            self._interval = (message[2] | message[3] << 7) / 1000
        return True

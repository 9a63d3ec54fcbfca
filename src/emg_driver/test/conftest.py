"""A Cyton board on a pseudo-terminal, to the byte."""

import os
import select
import threading
import time
import tty

import pytest

BANNER = (
    b"OpenBCI V3 8-16 channel\r\nADS1299 Device ID: 0x3E\r\nLIS3DH Device ID: 0x33\r\n"
    b"Firmware: v3.1.2\r\n$$$"
)


def packet(number, counts=(0,) * 8, end=0xC0):
    data = b"".join(int(c).to_bytes(3, "big", signed=True) for c in counts)
    return bytes([0xA0, number % 256]) + data + bytes(6) + bytes([end])


class CytonBoard:
    """Answers v, b and s; streams packets whose channel k holds 1000 * k + counter."""

    def __init__(self, link, banner=BANNER, rate=250.0):
        self._link = link
        self.banner = banner
        self.rate = rate
        self.received = b""
        self.sent = 0
        self.skip = set()
        self.junk_before = {}
        self.mute = False
        self._stop = threading.Event()
        self._thread = None

    def plug_in(self):
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(self._slave))
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def unplug(self):
        self._stop.set()
        self._thread.join(2.0)
        self._link.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)

    def _run(self):
        began = None
        while not self._stop.is_set():
            if select.select([self._master], [], [], 0.004)[0]:
                command = os.read(self._master, 100)
                self.received += command
                for byte in command:
                    if byte == ord("v"):
                        began = None
                        os.write(self._master, b"\x00junk" + self.banner)
                    elif byte == ord("b"):
                        began, self.sent = time.monotonic(), 0
                    elif byte == ord("s"):
                        began = None
            while began is not None and time.monotonic() - began > self.sent / self.rate:
                number = self.sent
                self.sent += 1
                if self.mute or number in self.skip:
                    continue
                data = packet(number, [1000 * k + number for k in range(8)])
                os.write(self._master, self.junk_before.get(number, b"") + data)


@pytest.fixture
def board(tmp_path):
    board = CytonBoard(tmp_path / "ttyUSB0")
    board.path = str(tmp_path / "ttyUSB0")
    board.plug_in()
    yield board
    if not board._stop.is_set():
        board.unplug()


@pytest.fixture
def make_packet():
    return packet

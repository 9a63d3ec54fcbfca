"""A glove on a pseudo-terminal that says the same line or frame again and again."""

import os
import select
import threading
import tty

import pytest


class Glove:
    def __init__(self, link):
        self._link = link
        self.path = str(link)
        self.message = b""
        self.starts_with = b""
        self.received = b""
        self._stop = threading.Event()

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
        streaming = not self.starts_with
        while not self._stop.wait(0.01):
            while select.select([self._master], [], [], 0)[0]:
                self.received += os.read(self._master, 100)
                streaming = self.received.endswith(self.starts_with)
            # Nobody reads before the port is open: do not fill it.
            if streaming and select.select([], [self._master], [], 0)[1]:
                os.write(self._master, self.message)


@pytest.fixture
def glove(tmp_path):
    glove = Glove(tmp_path / "ttyUSB0")
    yield glove
    if not glove._stop.is_set():
        glove.unplug()

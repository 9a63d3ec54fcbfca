"""Emergency stops that need no other process."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from emghand.errors import UserError
from hand_bridge.local_stop import LineStop, make_stop

WAITING = """
import ctypes, os, sys
from hand_bridge.local_stop import make_stop
stop = make_stop(sys.argv[1])
stop.start(lambda reason: (os.write(1, reason.encode() + b"\\n"), os._exit(0)))
os.write(1, b"ready\\n")
# The main thread hangs in a C function: a Python signal handler would never run here.
mutex = ctypes.create_string_buffer(64)
while True:
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""


def test_sigusr1_works_while_the_main_thread_hangs():
    command = [sys.executable, "-c", WAITING, "signal"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "ready\n"
            time.sleep(0.1)
            child.send_signal(signal.SIGUSR1)
            assert child.communicate(timeout=5)[0] == "SIGUSR1\n"
        finally:
            child.kill()


@pytest.mark.parametrize("key", [b"s", b" "])
def test_a_key_in_the_terminal_stops(key):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", WAITING, "key"])
    output = b""
    while b"ready" not in output:
        output += os.read(terminal, 1024)
    os.write(terminal, b"x" + key)
    while b"key in the terminal" not in output:
        output += os.read(terminal, 1024)
    os.close(terminal)
    os.waitpid(pid, 0)


def test_a_line_that_is_released_stops_and_stays_pressed():
    line = {"active": True}
    reasons = []
    stop = LineStop("CTS of the box", lambda: line["active"])
    stop.start(reasons.append)
    time.sleep(0.05)
    assert not reasons
    assert not stop.pressed()
    line["active"] = False
    deadline = time.monotonic() + 2.0
    while not reasons and time.monotonic() < deadline:
        time.sleep(0.005)
    stop.close()
    assert reasons == ["CTS of the box is open"]
    assert stop.pressed()


def test_a_line_that_cannot_be_read_counts_as_pressed():
    def broken() -> bool:
        raise OSError("unplugged")

    assert LineStop("CTS", broken).pressed()


@pytest.mark.parametrize("text", ["", "sign", "serial", "serial:/dev/null", "signal:1"])
def test_texts_that_mean_nothing_are_refused(text):
    with pytest.raises(UserError, match="write signal, key, or serial"):
        make_stop(text)


def test_a_port_without_that_line_is_refused():
    with pytest.raises(UserError, match="unknown pin"):
        make_stop("serial:/dev/null:abc")
    with pytest.raises(UserError, match="cannot be read"):
        make_stop("serial:/dev/does-not-exist:cts")

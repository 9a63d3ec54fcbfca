"""The thread that steps a hand."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from emghand.dofs import Dof
from hand_bridge.device import HandError
from hand_bridge.loop import HandLoop
from hand_bridge.safety import Drive, Power, Reading, SafetyCore, SafetySettings, State


class ScriptedHand:
    """A hand that can be made to fail in every way a device can."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.opened = 0
        self.closed = 0
        self.drives: list[Drive] = []
        self.position = np.zeros(1)

    def open(self) -> None:
        if self.failure is not None:
            raise self.failure
        self.opened += 1

    def read(self) -> Reading | None:
        if self.failure is not None:
            raise self.failure
        return Reading(self.position.copy())

    def apply(self, drive: Drive) -> None:
        self.drives.append(drive)
        if drive.power is Power.ON:
            self.position = drive.position

    def show(self, x_d: np.ndarray) -> None:
        pass

    def cue(self, cue: object) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def rig():
    hand = ScriptedHand()
    core = SafetyCore([Dof("grip")], SafetySettings())
    loop = HandLoop(hand, core, 200.0)
    loop.start()
    yield hand, core, loop
    hand.failure = None
    loop.stop()


def wait_for(condition, timeout=5.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_steps_at_its_rate_without_drift(rig):
    _, _, loop = rig
    wait_for(lambda: loop.steps > 5)
    before, started = loop.steps, time.monotonic()
    time.sleep(0.5)
    rate = (loop.steps - before) / (time.monotonic() - started)
    assert 150 < rate < 215


def test_a_lost_device_is_opened_again_and_stays_disarmed(rig):
    hand, core, loop = rig
    wait_for(lambda: loop.steps > 2)
    assert core.arm(time.monotonic_ns()) == ""
    hand.failure = HandError("unplugged")
    wait_for(lambda: core.status().fault == "bus")
    assert core.status().reason == "unplugged"
    hand.failure = None
    wait_for(lambda: core.status().state is State.DISARMED)
    assert loop.reconnects == 1


def test_a_defect_in_the_thread_is_shown_and_switches_off(rig, monkeypatch):
    hand, core, loop = rig
    seen = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    wait_for(lambda: loop.steps > 2)
    core.arm(time.monotonic_ns())
    hand.failure = ZeroDivisionError("a defect")
    wait_for(lambda: core.status().fault == "bus")
    assert "restart the bridge" in core.status().reason
    wait_for(lambda: hand.closed == 1)
    assert seen


def test_stopping_ramps_to_rest_and_ends_with_the_power_off(rig):
    hand, core, loop = rig
    hand.position = np.array([0.5])
    wait_for(lambda: loop.steps > 2)
    assert core.arm(time.monotonic_ns()) == ""
    wait_for(lambda: hand.drives[-1].power is Power.ON)
    started = time.monotonic()
    loop.stop()
    assert 0.4 < time.monotonic() - started < 1.5
    assert abs(hand.position[0]) < 0.01
    assert hand.closed == 1

"""Servo hand and Dynamixel bus against emulated servos, byte for byte."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from emghand.errors import UserError
from hand_bridge.device import HandError
from hand_bridge.hands.servo_hand import ServoHand, ServoSettings, load_calibration
from hand_bridge.safety import Drive, Power

DOFS = ("thumb_flex", "index_flex", "middle_flex")


def make_hand(emulator, **settings):
    path = emulator.port.parent / "calibration.yaml"
    return ServoHand(ServoSettings(calibration=str(path), **settings), DOFS, lambda reason: None)


@pytest.fixture
def hand(emulator):
    made = make_hand(emulator)
    made.open()
    yield made
    made.close()


def drive(hand, x, *, seconds=0.0, current=1.0, power=Power.ON):
    """Drive for a while as the bridge does, or until the reading is there."""
    end = time.monotonic() + seconds
    while True:
        reading = hand.read()
        hand.apply(Drive(power, np.asarray(x, float), current))
        if time.monotonic() >= end and reading is not None:
            return reading
        time.sleep(0.01)


def test_opening_moves_nothing_and_reads_the_position(emulator, hand):
    emulator.tell("set", 1, "position", 0)
    reading = hand.read()
    np.testing.assert_allclose(reading.position, 0.0, atol=1e-3)
    assert reading.temperature.tolist() == [35.0] * 3
    assert emulator.all("torque") == [0, 0, 0]
    assert emulator.all("watchdog") == [0, 0, 0]


def test_missing_servos_are_named(emulator):
    emulator.tell("mute", 2)
    emulator.tell("mute", 3)
    with pytest.raises(HandError, match=r"2 \(index\), 3 \(rest\)"):
        make_hand(emulator).open()


def test_limits_and_watchdog_are_set_before_torque_is_on(emulator, hand):
    drive(hand, [0, 0, 0])
    state = emulator.state()
    assert [s["torque"] for s in state.values()] == [1, 1, 1]
    assert [s["watchdog"] for s in state.values()] == [10, 10, 10]
    assert [s["goal_current"] for s in state.values()] == [111, 111, 148]
    assert [s["profile_velocity"] for s in state.values()] == [262] * 3
    assert [s["mode"] for s in state.values()] == [5] * 3
    assert [s["min_position"] for s in state.values()] == [1048, 1548, 1048]
    assert [s["max_position"] for s in state.values()] == [3048, 3048, 2548]


def test_moves_asymmetrically_about_rest_and_backwards_where_told(emulator, hand):
    drive(hand, [0, 0, 0])
    drive(hand, [1.0, -1.0, 0.5], seconds=0.6)
    assert emulator.all("goal") == [3048, 1548, 1548]
    reading = drive(hand, [1.0, -1.0, 0.5], seconds=0.2)
    np.testing.assert_allclose(reading.position, [1.0, -1.0, 0.5], atol=0.01)
    drive(hand, [0.0, 0.0, -1.0], seconds=0.1)
    assert emulator.all("goal")[2] == 2548


def test_a_servo_that_no_dof_moves_goes_to_its_rest_slowly(emulator):
    emulator.tell("place", 3, 2300)
    path = emulator.port.parent / "calibration.yaml"
    hand = ServoHand(ServoSettings(calibration=str(path)), DOFS[:2], lambda reason: None)
    hand.open()
    drive(hand, [0, 0])
    assert emulator.all("goal") == [2048, 2048, 2300]
    drive(hand, [0, 0], seconds=0.1)
    assert 2200 < emulator.all("goal")[2] < 2300
    drive(hand, [0, 0], seconds=0.8)
    assert emulator.all("goal")[2] == 2048
    hand.close()


def test_goals_never_leave_the_calibrated_range(emulator, hand):
    drive(hand, [0, 0, 0])
    drive(hand, [9.0, -9.0, 9.0])
    assert emulator.all("goal") == [3048, 1548, 1048]


def test_reduced_current_and_torque_off(emulator, hand):
    drive(hand, [0, 0, 0], current=0.5)
    assert emulator.all("goal_current") == [55, 55, 74]
    drive(hand, [0, 0, 0], power=Power.LIMP)
    assert emulator.all("torque") == [0, 0, 0]


def test_hardware_errors_and_temperature_are_reported(emulator, hand):
    drive(hand, [0, 0, 0])
    emulator.tell("set", 2, "hardware_error", 32)
    emulator.tell("set", 3, "temperature", 77)
    reading = drive(hand, [0, 0, 0], seconds=0.3)
    assert "servo 2 (index) reports overload" in reading.alerts[0]
    assert reading.temperature.max() == 77


def test_negative_positions_and_stuffed_bytes_come_through(emulator, hand):
    emulator.tell("set", 1, "current", 0xFFFF)
    emulator.tell("set", 1, "velocity", 0xFDFFFFFD)
    assert hand.read() is not None
    reading = hand.read()
    assert np.isfinite(reading.position).all()


def test_a_servo_that_falls_silent_gives_no_reading(emulator, hand):
    emulator.tell("mute", 2)
    assert hand.read() is None
    emulator.tell("unmute", 2)
    assert hand.read() is not None


def test_lost_torque_is_noticed(emulator, hand):
    drive(hand, [0, 0, 0])
    emulator.tell("set", 3, "torque", 0)
    with pytest.raises(HandError, match="lost torque"):
        drive(hand, [0, 0, 0], seconds=1.0)


def test_silence_trips_the_servos_watchdog_and_the_bus_notices(emulator):
    path = emulator.port.parent / "calibration.yaml"
    path.write_text(path.read_text().replace("speed: 60", "speed: 20"))
    hand = make_hand(emulator)
    hand.open()
    drive(hand, [0, 0, 0])
    drive(hand, [1.0, 0.0, 0.0], seconds=0.1)
    time.sleep(0.3)
    stopped = emulator.all("position")
    assert emulator.all("watchdog") == [255] * 3
    assert 2048 < stopped[0] < 3048
    with pytest.raises(HandError, match="own watchdog"):
        drive(hand, [1.0, 0.0, 0.0], seconds=1.0)
    assert emulator.all("position") == stopped
    hand.close()
    assert emulator.all("torque") == [0, 0, 0]
    hand.open()
    drive(hand, [0.2, 0.0, 0.0])
    assert emulator.all("watchdog") == [10] * 3
    hand.close()


def test_unplugging_is_an_error_and_closing_then_raises_nothing(emulator, hand):
    drive(hand, [0, 0, 0])
    emulator.tell("unplug")
    with pytest.raises(HandError, match="gone"):
        drive(hand, [0, 0, 0], seconds=1.0)
    hand.close()
    with pytest.raises(HandError, match="cannot be opened"):
        hand.open()


def test_a_frozen_bus_gives_no_reading_instead_of_blocking(emulator, hand):
    os.kill(emulator.child.pid, signal.SIGSTOP)
    started = time.monotonic()
    assert hand.read() is None
    assert time.monotonic() - started < 0.15
    os.kill(emulator.child.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id: 2", "id: 1", "used twice"),
        ("thumb_flex: 1.0", "nose: 1.0", "no actuator moves thumb_flex"),
        ("rest: 2048, max: 2548", "rest: 2600, max: 2548", "min <= rest <= max"),
        ("direction: -1", "direction: 2", "direction must be 1 or -1"),
        ("protocol: dynamixel2", "protocol: morse", "choose from: dynamixel2"),
        ("speed: 60", "sped: 60", "speed missing"),
        ("current_limit: 300", "current_limit: -3", "must be positive"),
        ("baudrate: 1000000", "baudrate: fast", "expected a number"),
        ("servos:", "serfos:", "servos missing"),
        ("port: {port}", "", "no port"),
    ],
)
def test_mistakes_in_the_calibration_are_named(emulator, old, new, message):
    path = emulator.port.parent / "calibration.yaml"
    text = path.read_text().replace(old.format(port=emulator.port), new, 1)
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        make_hand(emulator)


def test_a_calibration_file_is_required():
    with pytest.raises(UserError, match="name the calibration file"):
        load_calibration(ServoSettings(), DOFS)

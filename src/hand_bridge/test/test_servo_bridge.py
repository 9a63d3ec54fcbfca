"""The servo bridge as a process against emulated servos: what is left when things die."""

from __future__ import annotations

import signal
import time

import pytest
from emghand_interfaces.msg import HandStatus

pytestmark = pytest.mark.ros

REST = [0.0] * 3
FLEXED = [0.8] * 3


def moving_towards_flexion(setup):
    """Arm and command flexion; returns while the servos are still on their way."""
    bench = setup.bench
    assert bench.arm().success
    bench.stream(FLEXED, lambda: setup.emulator.all("position")[0] > 2100)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_when_the_bridge_dies_the_servos_stop_by_their_own_watchdog(setup, number):
    bench, emulator = setup.bench, setup.emulator
    bench.stream(FLEXED, lambda: bench.status.accepted > 20)
    assert emulator.all("position") == [2048] * 3
    assert emulator.all("torque") == [0] * 3
    moving_towards_flexion(setup)
    setup.process.send(number)
    setup.wait_until(lambda: emulator.all("watchdog") == [255] * 3, 1.0)
    stopped = emulator.all("position")
    assert max(abs(p - 2048) for p in stopped) < 790
    time.sleep(0.2)
    assert emulator.all("position") == stopped
    if number == signal.SIGSTOP:
        setup.process.send(signal.SIGCONT)
        bench.stream(FLEXED, lambda: bench.state == HandStatus.DISARMED)
        assert emulator.all("torque") == [0] * 3
    else:
        setup.respawn()
        setup.bench.stream(FLEXED, lambda: setup.bench.status.accepted > 20)
        assert setup.bench.state == HandStatus.DISARMED
    assert emulator.all("position") == stopped


def test_unplugged_and_plugged_in_again_it_stays_disarmed(setup):
    bench, emulator = setup.bench, setup.emulator
    setup.flex()
    emulator.tell("unplug")
    bench.stream(FLEXED, lambda: bench.status.fault == "bus")
    emulator = setup.replace_servos()
    bench.stream(FLEXED, lambda: bench.state == HandStatus.DISARMED)
    bench.stream(FLEXED, lambda: int(bench.diagnostics.get("reconnects", 0)) > 0)
    assert bench.diagnostics["place"] == "hand"
    assert emulator.all("torque") == [0] * 3
    assert emulator.all("position") == [2048] * 3
    setup.flex()


def test_lost_commands_hold_first_and_then_go_to_rest(setup):
    bench, emulator = setup.bench, setup.emulator
    setup.flex()
    bench.wait(lambda: bench.status.fault == "watchdog")
    assert bench.status.fault_action == "hold"
    setup.wait_until(lambda: emulator.all("goal_current") == [44, 44, 59])
    grip = emulator.all("goal")
    assert min(abs(g - 2048) for g in grip) > 700
    time.sleep(0.1)
    assert emulator.all("goal") == grip
    bench.wait(lambda: bench.at(REST))


def test_emergency_stop_lets_go_and_ctrl_c_ends_at_rest_without_torque(setup):
    bench, emulator = setup.bench, setup.emulator
    setup.flex()
    bench.estop.publish(bench.Bool(data=True))
    bench.stream(FLEXED, lambda: bench.state == HandStatus.ESTOP)
    setup.wait_until(lambda: emulator.all("torque") == [0] * 3, 1.0)
    bench.reset()
    setup.flex()
    setup.process.send(signal.SIGINT)
    code, output = setup.process.wait(5.0)
    assert code == 0
    assert "Traceback" not in output
    assert max(abs(p - 2048) for p in emulator.all("position")) < 60
    assert emulator.all("torque") == [0] * 3
    assert emulator.all("watchdog") == [0] * 3


def test_missing_servos_are_a_clear_message(emulator, start_servo_bridge):
    emulator.tell("mute", 3)
    process = start_servo_bridge(emulator)
    assert "3 (rest)" in process.child.stdout.readline()
    process.send(signal.SIGINT)
    code, output = process.wait(5.0)
    assert code == 0
    assert "Traceback" not in output

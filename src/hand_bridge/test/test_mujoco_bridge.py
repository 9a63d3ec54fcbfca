"""The bridge to the simulated hand as a process: what a person with a terminal sees of it."""

from __future__ import annotations

import math
import signal
import time

import numpy as np
import pytest
from emghand_interfaces.msg import HandStatus
from sensor_msgs.msg import JointState

pytestmark = pytest.mark.ros

REST = [0.0] * 6
FLEXED = [0.8] * 6


@pytest.fixture(scope="module")
def running(bridges):
    return bridges("mujoco_bridge")


@pytest.fixture
def bench(running):
    """The running bridge, disarmed, with no emergency stop."""
    _, bench = running
    bench.reset()
    bench.arm(False)
    bench.wait(lambda: bench.state == HandStatus.DISARMED)
    return bench


def arm_and_flex(bench):
    """Arm, and follow commands to rest and until the hand is flexed."""
    accepted = bench.status.accepted
    bench.stream(REST, lambda: bench.status.accepted > accepted)
    assert bench.arm().success
    bench.stream(REST, lambda: bench.at(REST))
    bench.stream(FLEXED, lambda: bench.at(FLEXED))


def rest_and_disarm(bench):
    bench.stream(REST, lambda: bench.at(REST))
    bench.arm(False)


def test_nothing_moves_before_arming(bench):
    before = bench.states[-1][1]
    accepted = bench.status.accepted
    bench.stream(FLEXED, lambda: bench.status.accepted > accepted + 30)
    np.testing.assert_allclose(bench.states[-1][1], before, atol=1e-3)
    assert bench.state == HandStatus.DISARMED


def test_follows_commands_when_armed_and_starts_by_a_ramp(bench):
    assert bench.arm().success
    bench.stream(REST, lambda: bench.at(REST))
    bench.states.clear()
    bench.stream(FLEXED, lambda: bench.at(FLEXED))
    positions = np.array([p for _, p in bench.states])
    assert np.abs(np.diff(positions, axis=0)).max() < 0.35
    assert bench.state == HandStatus.ARMED
    assert len(bench.status.commander) == 32
    rest_and_disarm(bench)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("not_finite", {"values": [math.nan] * 6}),
        ("wrong_length", {"values": [0.5] * 5}),
        ("unknown_dof", {"values": [0.5] * 6, "names": list("abcdef")}),
        ("stale", {"values": [0.5] * 6, "age": 0.3}),
        ("future", {"values": [0.5] * 6, "age": -0.3}),
    ],
)
def test_bad_messages_are_refused_counted_and_do_not_move_the_hand(bench, reason, change):
    bench.stream(REST, lambda: bench.at(REST))
    assert bench.arm().success
    bench.stream(REST, lambda: bench.state == HandStatus.ARMED)
    before = bench.refusals[reason]
    for _ in range(5):
        bench.send(**change)
        time.sleep(0.02)
    bench.stream(REST, lambda: bench.refusals[reason] == before + 5)
    assert bench.at(REST)
    if reason == "not_finite":
        bench.stream(REST, lambda: bench.diagnostics.get("refused.not_finite") == str(before + 5))
        assert bench.diagnostics["place"] == "simulator"


def test_a_second_publisher_is_refused(bench):
    arm_and_flex(bench)
    other = bench.node.create_publisher(JointState, "/decoder/out_x_hat", 10)
    before = bench.refusals["other_publisher"]
    bench.wait(lambda: other.get_subscription_count() > 0)

    def both():
        bench.send([-1.0] * 6, publisher=other)
        return bench.refusals["other_publisher"] > before + 10

    bench.stream(FLEXED, both)
    assert bench.at(FLEXED)
    bench.node.destroy_publisher(other)
    rest_and_disarm(bench)


def test_killed_decoder_sends_the_hand_to_rest_within_150_ms_by_a_ramp(bench, commander):
    decoder = commander(*FLEXED)
    accepted = bench.status.accepted
    bench.wait(lambda: bench.status.accepted > accepted + 32)
    assert bench.arm().success
    bench.wait(lambda: bench.at(FLEXED))
    bench.states.clear()
    decoder.send(signal.SIGKILL)
    killed = time.monotonic()
    bench.wait(lambda: bench.at(REST, 0.01))
    times = np.array([t for t, _ in bench.states])
    positions = np.array([p for _, p in bench.states])
    started = times[np.argmax((positions < 0.79).all(axis=1))]
    assert started - killed < 0.150
    assert bench.status.fault == "watchdog"
    steps = np.abs(np.diff(positions, axis=0)).max(axis=1)
    assert steps.max() < 0.1
    assert 0.6 < times[np.argmax((positions < 0.02).all(axis=1))] - started < 1.5
    bench.estop.publish(bench.Bool(data=True))
    bench.wait(lambda: bench.state == HandStatus.ESTOP)


def test_the_decoders_fault_is_quoted(bench):
    arm_and_flex(bench)
    event = bench.PipelineEvent(kind="fault", detail='{"reason": "electrodes lifted"}')
    bench.events.publish(event)
    bench.wait(lambda: bench.status.fault == "signal")
    assert "electrodes lifted" in bench.status.reason
    bench.wait(lambda: bench.at(REST))


def test_emergency_stop_is_latched_until_the_service_resets_it(bench):
    arm_and_flex(bench)
    bench.estop.publish(bench.Bool(data=True))
    bench.stream(REST, lambda: bench.state == HandStatus.ESTOP)
    where = bench.states[-1][1]
    accepted = bench.status.accepted
    bench.estop.publish(bench.Bool(data=False))
    bench.stream(REST, lambda: bench.status.accepted > accepted + 30)
    assert bench.state == HandStatus.ESTOP
    np.testing.assert_allclose(bench.states[-1][1], where, atol=0.02)
    assert not bench.arm().success
    assert bench.reset().success
    bench.wait(lambda: bench.state == HandStatus.DISARMED)


def test_sigusr1_stops_without_anything_else(bench, running):
    arm_and_flex(bench)
    running[0].send(signal.SIGUSR1)
    sent = time.monotonic()
    bench.stream(FLEXED, lambda: bench.state == HandStatus.ESTOP)
    assert time.monotonic() - sent < 0.5
    assert "SIGUSR1" in bench.status.reason


def test_ctrl_c_ends_at_rest_within_5_s_and_without_a_traceback(bench, running):
    process, _ = running
    arm_and_flex(bench)
    process.send(signal.SIGINT)
    process.send(signal.SIGINT)
    started = time.monotonic()
    code, output = process.wait(5.0)
    assert code == 0, output
    assert time.monotonic() - started > 0.5, output
    assert "Traceback" not in output

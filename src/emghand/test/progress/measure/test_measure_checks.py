import dataclasses
import json

import numpy as np
import pytest
from measure_sessions import ARMED, DOFS, ESTOP, FAULT, HOLD, MOVE, PROMPT, REST, Sitting, spec

from emghand.progress.bag import read_bag
from emghand.progress.session import read_session
from emghand.storage.bags import BagWriter
from emghand.storage.bags.messages import BagError, Topic

ONE = [spec()]
MINUTE_NS = 60 * 10**9


@pytest.fixture
def sitting(tmp_path):
    return Sitting(tmp_path / "s01")


def after_pause(path):
    return [t.after_pause for t in read_session(path).trials]


# Pauses and what comes after them.


def test_a_pause_of_fifteen_minutes_is_recorded_and_a_shorter_one_is_not(sitting):
    for at in (5.0, 20.0, 40.0):
        sitting.task(at, ONE)
    row = read_session(sitting.path).row
    # A trial takes 4 s at most and ends after 1.35 s.
    ((begin, length),) = json.loads(row.pauses)
    assert begin == pytest.approx(20.0, abs=0.1)
    assert length == pytest.approx(20.0, abs=0.1)
    assert after_pause(sitting.path) == [False, False, True]
    assert (row.n_after_pause, row.completed_after_pause) == (1, 1)


def test_whatever_is_recorded_ends_a_pause(sitting):
    sitting.task(5.0, ONE)
    sitting.passive(15.0, "control", minutes=8.0)
    sitting.task(25.0, ONE)
    assert json.loads(read_session(sitting.path).row.pauses) == []


@pytest.mark.parametrize(
    ("at", "kept", "recalibrations"),
    [(3.0, True, 0), (6.0, False, 1), (29.0, False, 1), (31.0, True, 1)],
)
@pytest.mark.parametrize(
    ("folder", "name"),
    [("results", "calibration.emgcalibration"), ("models", "kalman.emgmodel")],
)
def test_after_a_calibration_or_training_a_pause_shows_nothing(
    sitting, at, kept, recalibrations, folder, name
):
    sitting.task(5.0, ONE)
    sitting.task(30.0, ONE)
    sitting.add(at, folder, name)
    assert after_pause(sitting.path) == [False, kept]
    assert read_session(sitting.path).row.recalibrations == recalibrations


def test_what_adaptation_keeps_is_no_training(sitting):
    sitting.task(5.0, ONE)
    sitting.add(6.0, "models", "kalman.emgmemory")
    sitting.task(30.0, ONE)
    assert after_pause(sitting.path) == [False, True]


def test_a_second_pause_begins_anew(sitting):
    for at in (5.0, 30.0, 60.0):
        sitting.task(at, ONE)
    sitting.add(20.0, "models", "kalman.emgmodel")
    assert after_pause(sitting.path) == [False, False, True]


@pytest.mark.parametrize("trained", [1.0, 6.0])
def test_in_a_simulated_graph_the_order_tells_what_came_after_the_training(sitting, trained):
    sitting.task(5.0, ONE)
    sitting.task(30.0, ONE)
    sitting.add(trained, "models", "kalman.emgmodel")
    before = read_session(sitting.path)
    # The same on a computer whose clock is a year ahead of the graph's.
    year = 365 * 24 * 60 * MINUTE_NS
    sitting.added = {name: stamp + year for name, stamp in sitting.added.items()}
    ahead = sitting.ns
    sitting.ns = lambda minutes: ahead(minutes) + year
    sitting.finish()
    found = read_session(sitting.path)
    assert [t.after_pause for t in found.trials] == [t.after_pause for t in before.trials]
    assert found.row.recalibrations == before.row.recalibrations == (trained > 5.0)
    assert found.row.date.year == 2027
    assert (found.row.start_ns, found.row.start_delay) == (before.trials[0].start_ns, 0.0)


# What had the hand.


def say(sitting, *bridges):
    def tell(stamp):
        sitting.say(stamp, place="")
        for bridge in bridges:
            sitting.bridge(stamp, **bridge)

    return tell


SERVO = {"name": "servo_bridge", "place": "hand"}
MUJOCO = {"name": "mujoco_bridge", "place": "simulator"}


@pytest.mark.parametrize(
    ("bridges", "place"),
    [
        ([SERVO], "hand"),
        ([MUJOCO], "simulator"),
        ([SERVO, MUJOCO], "hand"),
        ([SERVO | {"state": "DISARMED"}, MUJOCO], "simulator"),
        ([{"name": "left/servo_bridge"}], "hand"),
        ([{"name": "mujoco_bridge"}], "simulator"),
        ([{"name": "my_hand", "place": "hand"}], "hand"),
        ([{"name": "my_hand", "place": "hand", "commander": ""}], "hand"),
        ([{"name": "my_hand"}], "none"),
        ([{"name": "servo_bridge", "state": "ARMED", "commander": ""}], "none"),
        ([], "none"),
    ],
)
def test_the_bridge_that_had_the_hand_says_where_it_was(sitting, bridges, place):
    sitting.task(5.0, ONE, say=say(sitting, *bridges))
    row = read_session(sitting.path).row
    assert row.place == place
    assert ("nothing says what drove the hand" in row.problems) == (place == "none")


def test_a_graph_that_knows_the_intention_of_the_person_is_simulated(sitting):
    def tell(stamp):
        sitting.put("/user/intention", {"name": list(DOFS), "position": [0.0, 0.0]}, stamp)

    sitting.task(5.0, ONE, say=tell)
    assert read_session(sitting.path).row.place == "simulator"


def test_of_a_session_on_both_only_trials_on_the_hand_show_what_is_retained(sitting):
    sitting.task(5.0, ONE)
    sitting.task(30.0, ONE, say=say(sitting, MUJOCO))
    sitting.task(32.0, ONE)
    assert read_session(sitting.path).row.place == "hand"
    assert after_pause(sitting.path) == [False, False, True]


# Checks.


def checked(sitting, **said):
    sitting.task(5.0, ONE, say=lambda stamp: sitting.say(stamp, **said))
    return read_session(sitting.path).row


def test_one_slow_tick_of_a_thousand_passes_and_one_of_twenty_does_not(sitting, tmp_path):
    row = checked(sitting, total_ms=[80.0, *[10.0] * 999])
    assert (row.latency_p99_ms, row.latency_ok, row.problems) == (10.0, True, "")
    row = checked(Sitting(tmp_path / "slow"), total_ms=[80.0, *[10.0] * 19])
    assert row.latency_ok is False
    assert "at most 50" in row.problems


def test_missed_ticks_fail_the_check_of_the_latency(sitting, tmp_path):
    assert checked(sitting, missed=1).latency_ok is True  # 1 of 101
    row = checked(Sitting(tmp_path / "missed"), missed=2)
    assert (row.latency_p99_ms, row.latency_ok) == (5.0, False)
    assert "2.0 % of the ticks missed" in row.problems


def test_stamps_of_another_clock_tell_no_latency(sitting):
    row = checked(sitting, total_ms=[1e9] * 10)
    assert (row.latency_p99_ms, row.latency_ok) == (None, None)
    assert "not of the clock of the run" in row.problems


@pytest.mark.parametrize(
    ("states", "faults"),
    [
        ([(ARMED, "")], 0),
        ([(ARMED, ""), (FAULT, "watchdog"), (FAULT, "watchdog"), (ARMED, "")], 1),
        ([(FAULT, "watchdog"), (FAULT, "signal"), (ESTOP, ""), (ESTOP, "")], 3),
        ([(ESTOP, ""), (ARMED, ""), (ESTOP, "")], 2),
    ],
)
def test_faults_and_stops_are_counted_when_the_hand_comes_into_them(sitting, states, faults):
    row = checked(sitting, states=states)
    assert (row.faults, row.faults_ok) == (faults, faults == 0)


def test_without_a_status_of_the_hand_there_is_nothing_to_judge_by(sitting):
    row = checked(sitting, states=(), total_ms=())
    assert (row.faults, row.faults_ok, row.latency_ok) == (0, None, None)


# Prompted tests.


def frames(gain=1.0, offset=0.0, spread=0.0, leak=0.0, relax=0.0):
    """Rest, then each DOF to 1 and back; the estimate has these faults."""
    made = []

    def add(period, seconds, x_d):
        for i in range(round(seconds * 20)):
            sign = 1.0 if i % 2 else -1.0
            noise = spread * sign * (period == REST)
            x_hat = gain * x_d + leak * x_d[::-1] + offset + noise
            made.append((period, x_d, x_hat, x_hat + relax))

    for j in range(2):
        add(REST, 3.0, np.zeros(2))
        add(PROMPT, 0.5, np.eye(2)[j])
        add(MOVE, 0.5, np.eye(2)[j])
        add(HOLD, 2.0, np.eye(2)[j])
    add(REST, 3.0, np.zeros(2))
    return made


def test_a_perfect_test_has_no_error(sitting):
    sitting.test(5.0, frames())
    row = read_session(sitting.path).row
    assert (row.nrmse, row.unintended, row.state) == (0.0, 0.0, "fitting")
    assert json.loads(row.rest_offset) == {"index_flex": 0.0, "wrist_flex": 0.0}
    assert (row.protocols, row.place) == ("results/test_trials.json", "hand")


def test_offset_resolution_and_unintended_movement_equal_those_by_hand(sitting):
    sitting.test(5.0, frames(gain=0.5, offset=0.1, spread=0.04, leak=0.02))
    row = read_session(sitting.path).row
    offset, resolvable = json.loads(row.rest_offset), json.loads(row.resolvable)
    for name in DOFS:
        assert offset[name] == pytest.approx(0.1, abs=0.041)
        # 0.04 around the offset at rest, a gain of 0.5: amplitudes below 0.08 drown.
        assert resolvable[name] == pytest.approx(0.08, rel=0.2)
    # While one moves, the other one is at 0.1 + 0.02.
    assert row.unintended == pytest.approx(0.12)


def test_the_error_of_a_gain_is_its_share_of_the_time_it_shows(sitting):
    sitting.test(5.0, frames(gain=0.8))
    # Scored: 9 s of rest, and 2.5 s of each DOF, of which this one misses 0.2.
    expected = 0.2 * np.sqrt(2.5 / (9.0 + 5.0))
    assert read_session(sitting.path).row.nrmse == pytest.approx(expected, rel=0.02)


def test_a_posture_of_rest_is_no_offset(sitting):
    sitting.test(5.0, frames(gain=0.7, relax=0.25), relax=[0.25])
    row = read_session(sitting.path).row
    assert json.loads(row.rest_offset) == {"index_flex": 0.0, "wrist_flex": 0.0}
    assert row.unintended == 0.0


def test_several_tests_count_alike_and_tests_win_over_trials(sitting):
    sitting.test(5.0, frames(leak=0.1))
    sitting.test(10.0, frames(leak=0.3))
    sitting.task(15.0, ONE)
    row = read_session(sitting.path).row
    assert row.unintended == pytest.approx(0.2)
    assert row.protocols == (
        "results/test_trials.json,results/test_2_trials.json,results/fitts_trials.json"
    )
    assert (row.state, row.n_trials) == ("scored", 1)


def test_a_test_without_a_decoder_is_told(sitting):
    sitting.test(5.0, [])
    row = read_session(sitting.path).row
    assert (row.nrmse, row.unintended, row.resolvable) == (None, None, "{}")
    assert "nothing is both prompted and decoded" in row.problems


def test_rows_hold_what_every_table_can_hold(sitting):
    sitting.task(5.0, ONE)
    sitting.test(10.0, frames(leak=0.1))
    row = read_session(sitting.path).row
    assert json.dumps(dataclasses.asdict(row), default=str, allow_nan=False)


def test_a_topic_of_another_type_is_told_and_never_a_traceback(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic(Topic("/decoder/timing", "std_msgs/msg/Bool", definition="bool data\n"))
        writer.write("/decoder/timing", b"\x00\x01\x00\x00\x01", 1)
    with pytest.raises(BagError, match="/decoder/timing holds std_msgs/msg/Bool, expected"):
        read_bag(tmp_path / "bag")

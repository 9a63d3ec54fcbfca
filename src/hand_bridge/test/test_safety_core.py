"""The safety core on a clock of its own: what it does, and what it never does."""

from __future__ import annotations

import numpy as np
import pytest

from emghand.dofs import Dof, parse_dofs
from emghand.settings import SettingsError
from hand_bridge.safety import (
    Command,
    Drive,
    Power,
    Reading,
    Refusal,
    SafetyCore,
    SafetySettings,
    State,
)

MS = 1_000_000
DOFS = (Dof("index_flex"), Dof("wrist_flex"), Dof("grip", 0.0, 1.0))
NAMES = tuple(d.name for d in DOFS)


class Rig:
    """A core, an ideal hand and a clock that steps in periods of 8 ms."""

    def __init__(self, position: tuple[float, ...] = (0.0, 0.0, 0.0), **settings: object) -> None:
        self.core = SafetyCore(DOFS, SafetySettings(**settings))
        self.now = 1_000 * MS
        self.position = np.array(position)
        self.drive = Drive(Power.OFF, self.position)
        self.reading: Reading | None = None

    def step(self, n: int = 1, **reading: object) -> Drive:
        for _ in range(n):
            self.now += 8 * MS
            self.drive = self.core.step(self.now, Reading(self.position.copy(), **reading))
            if self.drive.power is Power.ON:
                self.position = self.drive.position
        return self.drive

    def send(
        self,
        *position: float,
        publisher: str = "decoder",
        names: tuple[str, ...] = NAMES,
        age: int = 0,
        stamp: int | None = None,
    ) -> Refusal | None:
        stamp = self.now - age if stamp is None else stamp
        return self.core.command(Command(publisher, names, position, stamp, age), self.now)

    def follow(self, *position: float, n: int = 1) -> Drive:
        for _ in range(n):
            self.step()
            self.send(*position)
        return self.step()

    def armed(self) -> Rig:
        self.step()
        assert self.core.arm(self.now) == ""
        return self

    def status(self):
        return self.core.status()


def test_starts_disarmed_and_ignores_commands():
    rig = Rig()
    assert rig.follow(1.0, 1.0, 1.0, n=50).power is Power.OFF
    assert rig.status().state is State.DISARMED
    assert rig.status().accepted == 50


def test_nothing_moves_before_the_first_command():
    rig = Rig((0.4, -0.3, 0.2)).armed()
    drive = rig.step(100)
    assert drive.power is Power.ON
    np.testing.assert_array_equal(drive.position, [0.4, -0.3, 0.2])
    assert rig.status().state is State.ARMED


def test_a_command_sent_before_arming_moves_nothing():
    rig = Rig()
    rig.follow(1.0, 1.0, 1.0, n=5)
    rig.core.arm(rig.now)
    np.testing.assert_array_equal(rig.step(20).position, 0.0)


def test_a_commander_that_falls_silent_at_the_moment_of_arming_is_a_watchdog_fault():
    rig = Rig((0.8, 0.0, 0.8))
    rig.follow(1.0, 1.0, 1.0, n=5)
    assert rig.core.arm(rig.now) == ""
    rig.step(13)
    assert rig.status().fault == "watchdog"
    np.testing.assert_allclose(rig.step(200).position, 0.0)


def test_first_motion_ramps_from_the_position_that_was_read():
    rig = Rig((0.5, -0.5, 0.0), ramp_speed=1.0, ramp_in=1.0, speed_limit=(6.0,)).armed()
    before = rig.step().position
    drive = rig.follow(-1.0, 1.0, 1.0)
    first = np.abs(drive.position - before)
    assert (first > 0).all()
    assert (first <= 1.2 * 0.016).all()
    rig.follow(-1.0, 1.0, 1.0, n=300)
    np.testing.assert_allclose(rig.position, [-1.0, 1.0, 1.0])


def test_limits_hold_whatever_the_decoder_says():
    rig = Rig().armed()
    rig.follow(50.0, -50.0, -3.0, n=400)
    np.testing.assert_array_equal(rig.position, [1.0, -1.0, 0.0])
    assert rig.status().clipped == 400


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"names": ("index_flex", "nose", "grip")}, Refusal.UNKNOWN_DOF),
        ({"names": ("index_flex", "grip", "grip")}, Refusal.REPEATED_DOF),
        ({"names": ("index_flex", "grip")}, Refusal.WRONG_LENGTH),
        ({"names": ()}, Refusal.EMPTY),
        ({"age": 151 * MS}, Refusal.STALE),
        ({"age": -21 * MS}, Refusal.FUTURE),
        ({"publisher": "another"}, Refusal.OTHER_PUBLISHER),
    ],
)
def test_bad_commands_are_refused_and_counted_once(change, reason):
    rig = Rig().armed()
    rig.follow(0.0, 0.0, 0.0)
    for _ in range(3):
        rig.step()
        assert rig.send(0.5, 0.5, 0.5, **change) is reason
    status = rig.status()
    assert status.refusals[reason.value] == 3 == status.refused
    np.testing.assert_array_equal(rig.step().position, 0.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(value):
    rig = Rig().armed()
    assert rig.send(0.0, value, 0.0) is Refusal.NOT_FINITE


@pytest.mark.parametrize("age", [150 * MS, -20 * MS])
def test_stamps_at_the_edge_are_accepted(age):
    assert Rig().armed().send(0.0, 0.0, 0.0, age=age) is None


def test_stamps_must_rise_strictly_until_the_clock_steps():
    rig = Rig().armed()
    assert rig.send(0.0, 0.0, 0.0, stamp=100) is None
    assert rig.send(0.0, 0.0, 0.0, stamp=100) is Refusal.NOT_MONOTONE
    assert rig.send(0.0, 0.0, 0.0, stamp=99) is Refusal.NOT_MONOTONE
    rig.core.clock_stepped()
    assert rig.send(0.0, 0.0, 0.0, stamp=50) is None
    assert rig.send(0.0, 0.0, 0.0, stamp=50) is Refusal.NOT_MONOTONE


def test_dofs_in_any_order_and_missing_ones_go_to_rest():
    rig = Rig((0.3, 0.3, 0.3)).armed()
    for _ in range(300):
        rig.step()
        assert rig.send(0.7, -0.2, names=("grip", "index_flex")) is None
    np.testing.assert_allclose(rig.position, [-0.2, 0.0, 0.7])


def test_arming_is_refused_while_two_publishers_send():
    rig = Rig()
    rig.step()
    rig.send(0.0, 0.0, 0.0, publisher="a")
    rig.send(0.0, 0.0, 0.0, publisher="b")
    assert "more than one" in rig.core.arm(rig.now)
    rig.step(130)
    assert rig.core.arm(rig.now) == ""


def test_the_publisher_that_was_there_when_arming_is_the_one_obeyed():
    rig = Rig()
    rig.follow(0.0, 0.0, 0.0)
    rig.core.arm(rig.now)
    assert rig.status().commander == "decoder"
    assert rig.send(1.0, 1.0, 1.0, publisher="first to shout") is Refusal.OTHER_PUBLISHER


@pytest.mark.parametrize("rate", [62.5, 30.0])
def test_watchdog_goes_to_rest_by_a_ramp(rate):
    rig = Rig(command_rate=rate).armed()
    rig.follow(1.0, 0.5, 1.0, n=300)
    rig.position = rig.position.copy()
    last = rig.now - 8 * MS
    moved_after = None
    previous = rig.position.copy()
    for _ in range(400):
        rig.step()
        assert np.abs(rig.position - previous).max() <= 1.0 * 0.008 + 1e-12
        if moved_after is None and (rig.position < previous).any():
            moved_after = rig.now - last
        previous = rig.position.copy()
    assert rig.status().state is State.FAULT
    assert rig.status().fault == "watchdog"
    assert moved_after <= 6e9 / rate + 16 * MS
    if rate == 62.5:
        assert moved_after <= 150 * MS
    np.testing.assert_array_equal(rig.position, 0.0)


def test_recovery_from_the_watchdog_ramps_in():
    rig = Rig(ramp_in=0.5).armed()
    rig.follow(1.0, 1.0, 1.0, n=300)
    rig.step(60)
    assert rig.status().state is State.FAULT
    rig.follow(1.0, 1.0, 1.0, n=5)
    assert rig.status().state is State.FAULT
    rig.send(1.0, 1.0, 1.0)
    before = rig.position.copy()
    after = rig.step().position
    assert rig.status().state is State.ARMED
    assert np.abs(after - before).max() <= 0.01
    rig.follow(1.0, 1.0, 1.0, n=200)
    np.testing.assert_allclose(rig.position, 1.0)


def test_commands_with_gaps_between_them_do_not_end_a_watchdog_fault():
    rig = Rig().armed()
    rig.follow(1.0, 1.0, 1.0, n=300)
    rig.step(60)
    for _ in range(30):
        rig.send(1.0, 1.0, 1.0)
        rig.step(13)
        assert rig.status().state is State.FAULT
    np.testing.assert_allclose(rig.position, 0.0)


def test_the_decoders_own_reason_is_shown():
    rig = Rig().armed()
    rig.follow(0.5, 0.5, 0.5, n=10)
    rig.core.signal_fault("electrodes lifted", rig.now)
    rig.step(20)
    assert rig.status().fault == "signal"
    assert "electrodes lifted" in rig.status().reason


def test_hold_keeps_the_cup_at_reduced_current_and_then_goes_to_rest():
    rig = Rig(on_watchdog="hold", hold_time=0.5, hold_current=0.3).armed()
    rig.follow(1.0, 0.0, 1.0, n=300)
    grip = rig.position.copy()
    drive = rig.step(14 + 50)
    assert rig.status().fault_action == "hold"
    assert drive.current == 0.3
    np.testing.assert_array_equal(drive.position, grip)
    np.testing.assert_array_equal(rig.step(300).position, 0.0)
    assert rig.drive.current == 1.0


def test_open_extends_the_fingers_and_leaves_the_wrist_at_rest():
    rig = Rig(on_watchdog="open").armed()
    rig.follow(1.0, 1.0, 1.0, n=300)
    np.testing.assert_array_equal(rig.step(400).position, [-1.0, 0.0, 0.0])


def test_after_limp_the_hand_starts_from_where_it_was_pushed_to():
    rig = Rig(on_watchdog="limp").armed()
    rig.follow(1.0, 1.0, 1.0, n=300)
    assert rig.step(20).power is Power.LIMP
    rig.position = np.array([-0.5, 0.1, 0.2])
    drive = rig.follow(1.0, 1.0, 1.0, n=6)
    assert drive.power is Power.ON
    assert np.abs(drive.position - [-0.5, 0.1, 0.2]).max() <= 0.02


@pytest.mark.parametrize(("action", "power"), [("hold", Power.ON), ("limp", Power.LIMP)])
def test_emergency_stop_stops_at_once_and_stays(action, power):
    rig = Rig(on_estop=action).armed()
    rig.follow(1.0, 1.0, 1.0, n=20)
    where = rig.position.copy()
    rig.core.estop("test")
    drive = rig.follow(1.0, 1.0, 1.0, n=50)
    assert drive.power is power
    np.testing.assert_array_equal(drive.position, where)
    assert "emergency stop" in rig.core.arm(rig.now)
    rig.core.disarm()
    assert rig.status().state is State.ESTOP
    assert rig.core.reset_estop()
    assert rig.status().state is State.DISARMED
    assert rig.step(5).power is Power.OFF


def test_emergency_stop_does_not_power_a_disarmed_hand():
    rig = Rig()
    rig.step(5)
    rig.core.estop("test")
    assert rig.step(5).power is Power.OFF


def test_temperature_is_a_fault_that_lasts_until_disarmed():
    rig = Rig().armed()
    rig.follow(1.0, 1.0, 1.0, n=300)
    rig.step(temperature=np.array([40.0, 71.0]))
    assert rig.status().fault == "limit"
    assert "motor 2" in rig.status().reason
    rig.follow(1.0, 1.0, 1.0, n=300)
    np.testing.assert_array_equal(rig.position, 0.0)
    assert "disarm first" in rig.core.arm(rig.now)
    rig.core.disarm()
    rig.step(temperature=np.array([40.0, 71.0]))
    assert "cool" in rig.core.arm(rig.now)
    rig.step(temperature=np.array([40.0, 60.0]))
    assert rig.core.arm(rig.now) == ""


def test_current_may_exceed_its_limit_only_for_a_while():
    rig = Rig(current_max=500.0, current_time=0.2).armed()
    rig.follow(0.5, 0.5, 0.5, n=3)
    rig.step(10, current=np.array([900.0]))
    rig.step(current=np.array([100.0]))
    rig.send(0.5, 0.5, 0.5)
    rig.step(10, current=np.array([900.0]))
    rig.send(0.5, 0.5, 0.5)
    assert rig.status().state is State.ARMED
    for _ in range(3):
        rig.step(9, current=np.array([900.0]))
        rig.send(0.5, 0.5, 0.5)
    assert rig.status().fault == "limit"


def test_a_lost_bus_is_a_fault_and_leaves_the_hand_disarmed_when_it_returns():
    rig = Rig().armed()
    rig.follow(1.0, 1.0, 1.0, n=100)
    rig.core.bus_lost("unplugged", rig.now)
    assert rig.status().fault == "bus"
    assert "not known" in rig.core.arm(rig.now) or "fault" in rig.core.arm(rig.now)
    rig.now += 3_000 * MS
    assert rig.step().power is Power.OFF
    assert rig.status().state is State.DISARMED
    assert rig.follow(1.0, 1.0, 1.0, n=10).power is Power.OFF


def test_a_bus_that_returns_during_an_emergency_stop_powers_nothing():
    rig = Rig().armed()
    rig.follow(1.0, 1.0, 1.0, n=100)
    rig.core.estop("test")
    rig.step(5)
    rig.core.bus_lost("unplugged", rig.now)
    assert rig.step(5).power is Power.OFF
    assert rig.status().state is State.ESTOP


def test_a_silent_hand_is_a_fault():
    rig = Rig(feedback_timeout=0.1).armed()
    rig.follow(0.5, 0.5, 0.5, n=5)
    for _ in range(14):
        rig.now += 8 * MS
        rig.send(0.5, 0.5, 0.5)
        rig.core.step(rig.now, None)
    assert rig.status().fault == "bus"


def test_arming_is_refused_without_feedback_and_beyond_the_calibrated_range():
    assert "not known" in Rig().core.arm(0)
    rig = Rig((1.3, 0.0, 0.0))
    rig.step()
    assert "index_flex" in rig.core.arm(rig.now)


def test_parking_goes_to_rest_and_ignores_commands():
    rig = Rig().armed()
    rig.follow(1.0, 1.0, 1.0, n=300)
    rig.core.park()
    assert not rig.core.parked
    rig.follow(1.0, 1.0, 1.0, n=200)
    assert rig.core.parked
    np.testing.assert_allclose(rig.position, 0.0, atol=1e-3)
    rig.core.unpark()
    assert rig.step().power is Power.OFF


def test_parking_a_disarmed_or_stopped_hand_moves_nothing():
    rig = Rig((0.7, 0.7, 0.7))
    rig.step()
    rig.core.park()
    assert rig.core.parked
    assert rig.step(50).power is Power.OFF
    rig = Rig((0.7, 0.7, 0.7)).armed()
    rig.step()
    rig.core.estop("test")
    rig.core.park()
    np.testing.assert_array_equal(rig.step(50).position, 0.7)
    assert rig.core.parked


def test_another_publisher_takes_over_only_when_allowed_and_the_first_has_gone():
    for rebind, expected in ((False, Refusal.OTHER_PUBLISHER), (True, None)):
        rig = Rig(rebind=rebind).armed()
        rig.follow(0.5, 0.5, 0.5, n=5)
        rig.core.commander_left()
        assert rig.send(0.5, 0.5, 0.5, publisher="next") is Refusal.OTHER_PUBLISHER
        rig.step(20)
        rig.core.commander_left()
        assert rig.send(0.5, 0.5, 0.5, publisher="next") is expected


def test_another_model_ramps_in():
    rig = Rig(ramp_in=1.0).armed()
    rig.follow(0.0, 0.0, 0.0, n=200)
    rig.core.ramp_in(rig.now)
    before = rig.position.copy()
    after = rig.follow(1.0, 1.0, 1.0).position
    assert np.abs(after - before).max() <= 1.2 * 0.016


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(SettingsError, match="2 values for 3 DOFs"):
        SafetyCore(DOFS, SafetySettings(speed_limit=(1.0, 2.0)))
    with pytest.raises(SettingsError, match="open_posture"):
        SafetyCore(parse_dofs(["a"]), SafetySettings(open_posture=(0.0, 1.0)))
    with pytest.raises(SettingsError, match="ramp_speed"):
        SafetySettings(ramp_speed=2.0, speed_limit=(1.0,))
    rig = Rig().armed()
    with pytest.raises(SettingsError):
        rig.core.set_settings(SafetySettings(speed_limit=(1.0, 2.0)))
    rig.follow(0.5, 0.5, 0.5, n=3)

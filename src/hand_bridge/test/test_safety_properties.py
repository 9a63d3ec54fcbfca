"""Whatever happens in whatever order: what the safety core never does."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.dofs import Dof
from hand_bridge.safety import Command, Power, Reading, SafetyCore, SafetySettings, State
from hand_bridge.safety.core import MAX_STEP_S
from hand_bridge.safety.settings import ACTIONS

DOFS = (Dof("a"), Dof("b", 0.0, 1.0))
LOW, HIGH = np.array([-1.0, 0.0]), np.array([1.0, 1.0])

any_float = st.floats(allow_nan=True, allow_infinity=True)
position = st.tuples(st.floats(-1.2, 1.2), st.floats(-1.2, 1.2))
ms = st.integers(0, 400).map(lambda n: n * 1_000_000)
operation = st.one_of(
    st.tuples(
        st.just("command"),
        st.sampled_from(["p", "q"]),
        st.sampled_from([("a", "b"), ("b", "a"), ("a",), ("b", "c"), ()]),
        st.lists(any_float | st.floats(-2, 2), max_size=3),
        st.integers(-40, 200).map(lambda n: n * 1_000_000),
    ),
    st.tuples(st.just("follow"), st.floats(-2, 2), st.floats(-2, 2), st.integers(1, 120)),
    st.tuples(st.just("step"), ms, st.none() | position, st.floats(20, 100), st.booleans()),
    st.tuples(st.sampled_from(["arm", "rearm", "disarm", "reset", "ramp", "clock", "signal"])),
    st.tuples(st.sampled_from(["estop", "bus", "park", "unpark", "left"])),
)
configuration = st.builds(
    SafetySettings,
    on_watchdog=st.sampled_from(ACTIONS),
    on_signal=st.sampled_from(ACTIONS),
    on_limit=st.sampled_from(ACTIONS),
    on_estop=st.sampled_from(("hold", "limp")),
    speed_limit=st.sampled_from([(2.0,), (1.0, 8.0)]),
    ramp_speed=st.sampled_from([0.2, 1.0]),
    ramp_in=st.sampled_from([0.0, 0.7]),
    hold_time=st.sampled_from([0.0, 0.3]),
    rebind=st.booleans(),
)


class World:
    """Steps a core and checks after every step what must always hold."""

    def __init__(self, config: SafetySettings) -> None:
        self.core = SafetyCore(DOFS, config)
        self.speed = np.broadcast_to(np.array(config.speed_limit), 2)
        self.now = 10**9
        self.last_step: int | None = None
        self.position = np.zeros(2)
        self.drive = None
        self.bounds = (LOW, HIGH)

    def step(self, dt: int, reading: Reading | None) -> None:
        self.now += dt
        disarmed = self.core.status().state is State.DISARMED
        drive = self.core.step(self.now, reading)
        before, self.drive = self.drive, drive
        assert np.isfinite(drive.position).all()
        assert 0.0 < drive.current <= 1.0
        if disarmed:
            assert drive.power is Power.OFF
        if drive.power is Power.ON:
            if before is None or before.power is not Power.ON:
                start = np.clip(reading.position, -1.0, 1.0)
                self.bounds = (np.minimum(LOW, start), np.maximum(HIGH, start))
            else:
                start = before.position
            since = 0 if self.last_step is None else self.now - self.last_step
            reach = self.speed * min(since / 1e9, MAX_STEP_S)
            assert (np.abs(drive.position - start) <= reach + 1e-12).all()
            assert (drive.position >= self.bounds[0] - 1e-12).all()
            assert (drive.position <= self.bounds[1] + 1e-12).all()
            self.position = drive.position
        self.last_step = self.now

    def command(self, publisher, names, values, age) -> None:
        before = self.core.status()
        refusal = self.core.command(
            Command(publisher, names, values, self.now - age, age), self.now
        )
        after = self.core.status()
        assert after.accepted + after.refused == before.accepted + before.refused + 1
        acceptable = len(names) == len(values) and all(map(math.isfinite, values))
        if refusal is None:
            assert acceptable
            assert -20_000_000 <= age <= 150_000_000
            assert set(names) <= {"a", "b"}

    def do(self, operation: tuple) -> None:
        kind, *rest = operation
        core, now = self.core, self.now
        if kind == "command":
            self.command(*rest)
        elif kind == "follow":
            for _ in range(rest[2]):
                self.command("p", ("a", "b"), rest[:2], 0)
                self.step(8_000_000, Reading(self.position))
        elif kind == "step":
            dt, where, degrees, alert = rest
            reading = None
            if where is not None:
                alerts = ("servo 1: overload",) if alert and degrees > 60 else ()
                reading = Reading(np.array(where), None, np.array([degrees]), alerts)
            self.step(dt, reading)
        else:
            {
                "arm": lambda: core.arm(now),
                "rearm": self.rearm,
                "disarm": core.disarm,
                "estop": lambda: core.estop("x"),
                "reset": core.reset_estop,
                "bus": lambda: self.lose_bus(),
                "ramp": lambda: core.ramp_in(now),
                "clock": core.clock_stepped,
                "park": core.park,
                "unpark": core.unpark,
                "signal": lambda: core.signal_fault("x", now),
                "left": core.commander_left,
            }[kind]()

    def rearm(self) -> None:
        self.core.reset_estop()
        self.core.unpark()
        self.step(8_000_000, Reading(self.position))
        self.core.arm(self.now)

    def lose_bus(self) -> None:
        self.core.bus_lost("x", self.now)


@settings(max_examples=200, deadline=None)
@given(configuration, st.lists(operation, max_size=25))
def test_output_is_finite_limited_and_still_while_disarmed(config, operations):
    world = World(config)
    world.rearm()
    for operation in operations:
        world.do(operation)


@settings(max_examples=60, deadline=None)
@given(configuration, st.lists(operation, max_size=15), st.booleans())
def test_without_commands_every_history_ends_still(config, operations, estop):
    world = World(config)
    world.rearm()
    for operation in operations:
        world.do(operation)
    if estop:
        world.core.estop("x")
    # From one end of the range to the other at the slowest ramp takes 10 s.
    for _ in range(700):
        world.step(20_000_000, Reading(world.position))
    before = world.drive.position.copy()
    for _ in range(20):
        world.step(8_000_000, Reading(world.position))
        np.testing.assert_array_equal(world.drive.position, before)
    if estop:
        assert world.core.status().state is State.ESTOP

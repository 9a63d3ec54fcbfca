"""State machine, watchdog, limits and ramps of one hand.

`SafetyCore.command` only stores a checked command. `SafetyCore.step`, called at a fixed rate,
applies time-outs, fault actions, limits and ramps, and says what the device is to do. Nothing
else moves the hand.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emghand.dofs import Dof
from hand_bridge.safety.actions import LIMP, OFF, Plan, open_posture, plan_action, speed_limits
from hand_bridge.safety.check import CommandCheck, Refusal
from hand_bridge.safety.limits import LimitCheck
from hand_bridge.safety.settings import SafetySettings
from hand_bridge.safety.types import Command, Drive, Power, Reading, State, Status

MAX_STEP_S = 0.05
"""A late step counts as this long, so that a stalled bridge never catches up by a jump."""
ARM_FEEDBACK_NS = 250_000_000
ARM_TOLERANCE = 0.1
RIVAL_NS = 500_000_000
SIGNAL_NS = 500_000_000
PARKED = 1e-3


class SafetyCore:
    """Keeps one hand safe, whatever it is told.

    Every method may be called from any thread. Time is the steady clock in nanoseconds and is
    always passed in.

    Parameters
    ----------
    dofs : sequence of Dof
        DOFs of the hand; their ranges are the joint limits.
    settings : SafetySettings

    Raises
    ------
    SettingsError
        When a setting does not fit the DOFs.
    """

    def __init__(self, dofs: Sequence[Dof], settings: SafetySettings) -> None:
        self.dofs = tuple(dofs)
        self._lock = threading.Lock()
        self._check = CommandCheck(dofs, settings)
        self._limits = LimitCheck()
        self._apply_settings(settings)
        self._state = State.DISARMED
        self._fault = ""
        self._fault_since = 0
        self._reason = "not armed yet"
        self._revision = 0
        self._goal: NDArray[np.float64] | None = None
        self._goal_time = 0
        self._returned = 0
        self._ramp_since = 0
        self._reading: Reading | None = None
        self._reading_time = 0
        self._signal: tuple[int, str] | None = None
        self._parking = False
        self._drive = Drive(Power.OFF, np.zeros(len(self.dofs)))
        self._last_step: int | None = None

    # Settings

    def _apply_settings(self, settings: SafetySettings) -> None:
        self._speed = speed_limits(self.dofs, settings)
        self._opened = open_posture(self.dofs, settings)
        self._settings = settings
        self._check.settings = settings

    def set_settings(self, settings: SafetySettings) -> None:
        """Use other settings from the next step on.

        Raises
        ------
        SettingsError
            When a setting does not fit the DOFs; the old settings stay.
        """
        with self._lock:
            self._apply_settings(settings)

    # What others tell it

    def command(self, command: Command, now_ns: int) -> Refusal | None:
        """Check and store one command.

        Returns
        -------
        Refusal or None
            Why it was refused; None: it is the goal of the next steps while armed.
        """
        with self._lock:
            result = self._check.check(command, now_ns)
            if isinstance(result, Refusal):
                return result
            if self._state in (State.ARMED, State.FAULT):
                if not self._check.commander:
                    self._check.bind(command.publisher)
                    self._revision += 1
                if self._goal is None:
                    self._ramp_since = now_ns
                in_time = now_ns - self._goal_time <= self._settings.watchdog_ns
                self._returned = self._returned + 1 if in_time else 1
                self._goal = result
                self._goal_time = now_ns
            return None

    def clock_stepped(self) -> None:
        """The clock of the stamps has stepped: order is checked anew from the next command on."""
        with self._lock:
            self._check.clock_stepped()

    def signal_fault(self, detail: str, now_ns: int) -> None:
        """The decoder says why it sends no command. Shown as the reason when the watchdog acts."""
        with self._lock:
            self._signal = (now_ns, detail)

    def ramp_in(self, now_ns: int) -> None:
        """Ramp the speed limit up again, because what commands the hand has changed."""
        with self._lock:
            self._ramp_since = now_ns

    def commander_left(self) -> None:
        """The bound publisher is gone for good: with `rebind`, another one may follow."""
        with self._lock:
            if self._settings.rebind and self._state is State.FAULT and self._check.commander:
                self._check.bind("")
                self._revision += 1

    def arm(self, now_ns: int) -> str:
        """Start to follow commands, from where the hand is.

        Returns
        -------
        str
            Why that is not possible; empty: armed.
        """
        with self._lock:
            if self._state is State.ARMED:
                return ""
            refusal = self._arming_refusal(now_ns)
            if refusal:
                return refusal
            sending = self._check.recent_publishers(now_ns, self._settings.watchdog_ns)
            self._check.bind(sending[0] if sending else "")
            self._goal = None
            self._goal_time = now_ns
            self._signal = None
            self._limits.reset()
            self._enter(State.ARMED, "waiting for the first command")
            return ""

    def _arming_refusal(self, now_ns: int) -> str:
        if self._state is State.ESTOP:
            return (
                "the emergency stop is latched: remove its cause, then reset it "
                "(emghand estop --reset)"
            )
        if self._state is State.FAULT:
            return f"a fault is in force ({self._reason}): disarm first"
        if self._parking:
            return "the bridge is shutting down"
        if self._reading is None or now_ns - self._reading_time > ARM_FEEDBACK_NS:
            return "the position of the hand is not known: is it connected and is the node active?"
        outside = np.abs(self._reading.position) > 1.0 + ARM_TOLERANCE
        if outside.any():
            names = ", ".join(d.name for d, bad in zip(self.dofs, outside, strict=True) if bad)
            return f"the hand is bent beyond its calibrated range at {names}: move it back by hand"
        problem = self._limits.check(self._reading, now_ns, self._settings)
        if problem:
            return problem
        if len(self._check.recent_publishers(now_ns, RIVAL_NS)) > 1:
            return "more than one publisher sends commands: stop all but one"
        return ""

    def disarm(self) -> None:
        """Stop following commands. An emergency stop stays latched."""
        with self._lock:
            if self._state in (State.ARMED, State.FAULT) and self._fault != "bus":
                self._release("disarmed")

    def estop(self, reason: str) -> None:
        """Stop at once and latch."""
        with self._lock:
            if self._state is not State.ESTOP:
                self._goal = None
                self._enter(State.ESTOP, f"emergency stop: {reason}")

    def reset_estop(self) -> bool:
        """Release the latch; the hand is disarmed then. False when nothing was latched."""
        with self._lock:
            if self._state is not State.ESTOP:
                return False
            self._release("emergency stop was reset, arm to continue")
            return True

    def bus_lost(self, reason: str, now_ns: int) -> None:
        """The device cannot be reached. When it answers again the hand is disarmed."""
        with self._lock:
            self._reading = None
            self._drive = Drive(Power.OFF, self._drive.position)
            self._raise_fault("bus", reason, now_ns)

    def park(self) -> None:
        """The bridge is about to end: go to rest by a ramp, then switch off. See `parked`."""
        with self._lock:
            self._parking = True
            self._check.bind("")

    def unpark(self) -> None:
        """The bridge is in use again, disarmed."""
        with self._lock:
            self._parking = False
            self._last_step = None
            if self._state is not State.ESTOP:
                self._release("not armed yet")

    @property
    def parked(self) -> bool:
        """Whether nothing is left to do after `park`: at rest, or not under power."""
        with self._lock:
            drive = self._drive
            at_rest = drive.power is not Power.ON or bool((np.abs(drive.position) < PARKED).all())
            return self._parking and (at_rest or self._state is State.ESTOP)

    @property
    def revision(self) -> int:
        """Changes with everything in `status` but the counts."""
        return self._revision

    def reading(self) -> Reading | None:
        """What the device reported last; None: nothing, or it is gone."""
        return self._reading

    def status(self) -> Status:
        """Snapshot for display."""
        with self._lock:
            return Status(
                revision=self._revision,
                state=self._state,
                fault=self._fault,
                fault_action=self._action() if self._state is State.FAULT else "",
                reason=self._reason,
                commander=self._check.commander,
                accepted=self._check.accepted,
                clipped=self._check.clipped,
                refusals=dict(self._check.refusals),
            )

    # The step

    def step(self, now_ns: int, reading: Reading | None) -> Drive:
        """Advance by one step.

        Parameters
        ----------
        now_ns : int
            Steady time [ns].
        reading : Reading or None
            What the device reported just now; None: it did not answer.

        Returns
        -------
        Drive
            The position moves by no more than speed limit times the time since the last step, and
            never out of the joint limits (from outside, only towards them).
        """
        with self._lock:
            elapsed = 0.0 if self._last_step is None else (now_ns - self._last_step) / 1e9
            self._last_step = now_ns
            dt = min(max(elapsed, 0.0), MAX_STEP_S)
            measured = self._take_reading(reading, now_ns)
            self._watch(now_ns)
            self._drive = self._follow(self._plan(now_ns), dt, measured)
            return self._drive

    def _take_reading(self, reading: Reading | None, now_ns: int) -> NDArray[np.float64] | None:
        """Store a reading and act on it; returns the measured position if there is one."""
        powered = self._state in (State.ARMED, State.FAULT)
        if reading is not None and np.isfinite(reading.position).all():
            self._reading, self._reading_time = reading, now_ns
            if self._fault == "bus":
                self._release("the hand answers again, arm to continue")
            elif powered and self._fault != "limit":
                problem = self._limits.check(reading, now_ns, self._settings)
                if problem:
                    self._raise_fault("limit", problem, now_ns)
            return reading.position
        if powered and self._fault != "bus":
            silent = (now_ns - self._reading_time) / 1e9
            if silent > self._settings.feedback_timeout:
                self._raise_fault("bus", f"no answer from the hand for {silent:.2f} s", now_ns)
        return None

    def _watch(self, now_ns: int) -> None:
        if self._goal is None and not self._check.commander:
            # Nobody has sent anything yet: nobody can have fallen silent.
            return
        silent = now_ns - self._goal_time
        if self._state is State.ARMED and silent > self._settings.watchdog_ns:
            if self._signal is not None and now_ns - self._signal[0] < SIGNAL_NS:
                self._raise_fault("signal", f"the decoder refuses: {self._signal[1]}", now_ns)
            else:
                self._raise_fault("watchdog", f"no command for {silent / 1e6:.0f} ms", now_ns)
        elif (
            self._state is State.FAULT
            and self._fault in ("watchdog", "signal")
            and self._returned >= self._settings.resume_commands
            and silent <= self._settings.watchdog_ns
        ):
            self._ramp_since = now_ns
            self._enter(State.ARMED, "commands are back, ramping in")

    def _plan(self, now_ns: int) -> Plan:
        if self._state is State.ESTOP:
            if self._drive.power is Power.OFF:
                return OFF
            if self._settings.on_estop == "limp" or self._drive.power is Power.LIMP:
                return LIMP
            return Plan(Power.ON, current=self._settings.hold_current)
        if self._state is State.DISARMED or self._fault == "bus":
            return OFF
        if self._parking:
            if self._drive.power is not Power.ON:
                return OFF
            return plan_action("rest", 0.0, self._settings, self._opened)
        if self._state is State.FAULT:
            since = (now_ns - self._fault_since) / 1e9
            return plan_action(self._action(), since, self._settings, self._opened)
        if self._goal is None:
            return Plan(Power.ON)
        return Plan(Power.ON, self._goal, self._ramped_speed(now_ns))

    def _ramped_speed(self, now_ns: int) -> NDArray[np.float64]:
        ramp_in, slow = self._settings.ramp_in, self._settings.ramp_speed
        since = (now_ns - self._ramp_since) / 1e9
        share = 1.0 if since >= ramp_in else max(since, 0.0) / ramp_in
        return slow + (self._speed - slow) * share

    def _follow(self, plan: Plan, dt: float, measured: NDArray[np.float64] | None) -> Drive:
        """Turn a plan into what the device is told, from where the hand is."""
        position = self._drive.position
        if plan.power is not Power.ON or self._drive.power is not Power.ON:
            # What is not under power is wherever it was pushed to: start from there.
            if measured is not None:
                position = np.clip(measured, -1.0, 1.0)
            elif plan.power is Power.ON:
                plan = OFF
        if plan.power is Power.ON and plan.goal is not None:
            goal = np.clip(plan.goal, self._check.low, self._check.high)
            reach = plan.speed * dt
            position = position + np.clip(goal - position, -reach, reach)
        return Drive(plan.power, position, plan.current)

    # State changes

    def _action(self) -> str:
        return {
            "watchdog": self._settings.on_watchdog,
            "signal": self._settings.on_signal,
            "limit": self._settings.on_limit,
        }.get(self._fault, "limp")

    def _raise_fault(self, fault: str, reason: str, now_ns: int) -> None:
        if self._state is State.ESTOP:
            return
        if self._state is State.DISARMED and fault != "bus":
            return
        if self._fault == fault:
            return
        self._fault_since = now_ns
        self._returned = 0
        self._enter(State.FAULT, reason, fault)

    def _release(self, reason: str) -> None:
        self._goal = None
        self._drive = Drive(Power.OFF, self._drive.position)
        self._check.bind("")
        self._enter(State.DISARMED, reason)

    def _enter(self, state: State, reason: str, fault: str = "") -> None:
        self._state = state
        self._fault = fault
        self._reason = reason
        self._revision += 1

"""Replay: the estimates of a stored recording on the hand and on the plots."""

from __future__ import annotations

import math
import threading
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from emghand_interfaces.msg import HandStatus, ModelInfo
from rclpy.publisher import Publisher
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from emghand.activities.activity import CANCELLED, COMPLETE, Activity, Steps
from emghand.errors import UserError
from emghand.replay.course import (
    LONGEST_RAMP_S,
    RATES,
    Course,
    approach,
    course,
    decoded_estimates,
    recorded_estimates,
)
from emghand.storage.datasets import read_any
from emghand.storage.models import load_model
from emghand_ros import qos
from emghand_ros.clock import steady_ns
from emghand_ros.conversions import dofs_to_ros, ns_to_time, time_to_ns
from session_node.room import LiveRoom

COMMAND = "decoder/out_x_hat"
ESTOP = "/estop"
WHAT = ("estimates", "decode")
LISTEN_S = 0.5
"""A decoder or a hand that is there has been heard within this time."""
RETURN_S = 1.0
FEEDBACK_S = 0.25


class ReplayRun(Activity):
    """Sends what a recording holds, or what the running model makes of it, as commands.

    The hand has one commander. This is one for as long as it plays, and only where there is no
    other: it refuses to begin while a decoder sends, while the hand is bound to somebody, or in an
    emergency stop, and ends at once when one of these happens. Arming stays with the person; the
    bridge checks, limits and ramps these commands like all others.
    """

    room: LiveRoom

    def prepare(self) -> Steps[None]:
        """Read and decode the recording; look who else is there."""
        goal = self.goal
        self._rate = goal.rate or 1.0
        if not RATES[0] <= self._rate <= RATES[1]:
            raise UserError(f"rate: from {RATES[0]:g} to {RATES[1]:g}, got {self._rate:g}")
        if not 0.0 <= goal.ramp <= LONGEST_RAMP_S:
            raise UserError(f"ramp: from 0 to {LONGEST_RAMP_S:g} s, got {goal.ramp:g}")
        what = goal.what or WHAT[0]
        if what not in WHAT:
            raise UserError(f"what {goal.what!r}: unknown, choose from: {', '.join(WHAT)}")
        self._ticks = 0
        self._halt = ""
        self._sent: deque[int] = deque(maxlen=1000)
        self._hand: JointState | None = None
        self._armed = False
        self._moved = False
        self._rival = threading.Event()
        self._model: ModelInfo | None = None
        self._listen()
        recording = read_any(goal.recording, quiet=True)
        if what == "decode":
            model = yield from self._running_model()
            estimates = decoded_estimates(recording, model, self._go_on)
        else:
            estimates = recorded_estimates(recording)
        self._course = course(estimates, recording.x_d, self._rate, self.room.settings.prompt_rate)
        # What was heard while the recording was read may be long over.
        self._rival.clear()
        yield from self.pause(LISTEN_S)
        self._go_on()
        if self._rival.is_set():
            raise UserError(
                "a decoder commands the hand: stop the EMG source or the decoder first (emghand up "
                "collect runs none), because a hand has one commander"
            )
        self._check_dofs()

    def run(self) -> Steps[None]:
        """Go to the first posture, play, go to rest."""
        outlet = self.room.publisher(JointState, COMMAND, qos.TICK)
        rate = self.room.settings.prompt_rate
        played = self._course
        dofs = played.dofs
        rest = np.zeros(len(dofs))
        ways = (
            approach(dofs, self._posture(), played.x[0], self.goal.ramp, rate),
            played,
            approach(dofs, played.x[-1], rest, RETURN_S, rate),
        )
        gap = 1.0 / rate
        total = sum(way.duration + gap for way in ways)
        start = steady_ns()
        self.room.state(activity=self.name)
        try:
            completed = True
            for way in ways:
                if completed:
                    completed = yield from self._play(way, outlet, start, total, way is played)
        finally:
            # Silent from here on: the bridge's watchdog takes over, as for any commander.
            self.room.state()
        how = "" if self._moved else "; no hand was armed, nothing moved"
        self.message = f"{self._ticks} of {len(played.times)} ticks{how}"
        self.status = COMPLETE if completed else CANCELLED
        if self._halt:
            self.message = f"{self._halt}, after {self.message}"

    def result(self) -> dict[str, Any]:
        """How many estimates were sent."""
        return {"ticks": getattr(self, "_ticks", 0)}

    def _play(
        self, way: Course, outlet: Publisher, begun: int, total: float, is_recorded: bool
    ) -> Steps[bool]:
        """Send one course at absolute deadlines; False when it was stopped."""
        start = steady_ns() + round(1e9 / self.room.settings.prompt_rate)
        told = -math.inf
        for k, seconds in enumerate(way.times.tolist()):
            due = start + round(seconds * 1e9)
            late = (steady_ns() - due) * 1e-9
            if k + 1 < len(way.times) and late > way.times[k + 1] - seconds:
                continue  # its time has passed, that of the next one has come
            if (yield from self.pause(max(0.0, -late))):
                return False
            self._send(way, k, outlet)
            self._ticks += is_recorded
            self._moved |= is_recorded and self._armed
            elapsed = (steady_ns() - begun) * 1e-9
            if elapsed - told >= FEEDBACK_S:
                told = elapsed
                self.room.feedback(elapsed=elapsed, remaining=max(0.0, total - elapsed))
        return True

    def _send(self, way: Course, k: int, outlet: Publisher) -> None:
        stamp_ns = self.room.now_ns()
        self._sent.append(stamp_ns)
        outlet.publish(dofs_to_ros(way.dofs, way.x[k], ns_to_time(stamp_ns)))
        if way.x_d_dofs and np.isfinite(way.x_d[k]).all():
            self.room.show(way.x_d_dofs, way.x_d[k], stamp_ns)

    def _go_on(self) -> None:
        """Unless it is to end before it has begun."""
        if self.stopping:
            raise UserError(self._halt or "cancelled before it began")

    def _posture(self) -> np.ndarray:
        """Where the hand is, for the DOFs of the recording; at rest where that is not known."""
        hand = self._hand
        where = {} if hand is None else dict(zip(hand.name, hand.position, strict=False))
        return np.array([where.get(name, 0.0) for name in self._course.dofs])

    def _check_dofs(self) -> None:
        hand = self._hand
        unknown = [] if hand is None else [d for d in self._course.dofs if d not in hand.name]
        if unknown:
            raise UserError(f"the hand has no {', '.join(unknown)}: it would refuse every command")

    def _running_model(self) -> Steps[Any]:
        wait = self.room.settings.decoder_wait
        missing = "no model runs: load one (emghand load-model), or replay the recorded estimates"
        try:
            yield from self.wait_for(lambda: self._model, wait, "the model", missing)
        except UserError as error:
            raise UserError(self._halt or str(error)) from error
        assert self._model is not None
        model = load_model(Path(self._model.uri))
        if model.model_id != self._model.model_id:
            raise UserError(f"{self._model.uri}: is not the model that runs any more, load it anew")
        return model

    # What it hears, in the executor's thread.

    def _listen(self) -> None:
        room = self.room
        room.subscribe(ModelInfo, "decoder/model", self._on_model, qos.LATCHED)
        room.subscribe(JointState, "hand/state", self._on_hand, qos.TICK)
        room.subscribe(HandStatus, "hand/status", self._on_status, qos.LATCHED)
        room.subscribe(JointState, COMMAND, self._on_command, qos.TICK)
        # As the bridges do: every writer, nothing missed, and what was said before.
        for profile in (qos.ANY_WRITER, qos.EVENT, qos.LATCHED):
            room.subscribe(Bool, ESTOP, self._on_estop, profile)

    def _end(self, reason: str) -> None:
        self._halt = self._halt or reason
        self.cancel()

    def _on_model(self, message: ModelInfo) -> None:
        self._model = message

    def _on_hand(self, message: JointState) -> None:
        self._hand = message

    def _on_estop(self, message: Bool) -> None:
        if message.data:
            self._end("emergency stop")

    def _on_status(self, message: HandStatus) -> None:
        self._armed = message.state == HandStatus.ARMED
        if message.state == HandStatus.ESTOP:
            self._end(f"the hand is stopped ({message.reason})")
        elif message.commander and not self._sent:
            self._end("the hand follows another commander: disarm it first (emghand arm off)")

    def _on_command(self, message: JointState) -> None:
        if time_to_ns(message.header.stamp) in self._sent:
            return
        self._rival.set()
        if self._sent:
            self._end("a decoder commands the hand as well")

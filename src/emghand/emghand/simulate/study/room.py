"""Where the activities of a generated study take place: no graph, no waiting, a hand that moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import numpy as np

from emghand.activities.activity import Activity
from emghand.activities.messages import spec_fields
from emghand.activities.room import Recorder
from emghand.activities.settings import SessionSettings
from emghand.errors import UserError
from emghand.jobs import Plan
from emghand.jobs.here import JobHere
from emghand.progress.rows import HAND, SIMULATOR
from emghand.simulate.study.hand import MovingHand
from emghand.tasks.perturbation import Perturbation, definitions_digest
from emghand.tasks.spec import TrialSpec
from emghand.virtual.recorder import VirtualRecorder
from emghand.virtual.topics import Topics

DOFS = ("thumb_flex", "index_flex", "wrist_flex")
DISARMED, ARMED, FAULT, ESTOP = range(4)
"""States of ``HandStatus``."""
STATES = ("DISARMED", "ARMED", "FAULT", "ESTOP")
BRIDGES = {SIMULATOR: "mujoco_bridge", HAND: "servo_bridge"}
"""Name on ``/diagnostics`` of what moves the hand."""
INTERRUPT_S = (4.0, 5.0)
"""Begin and end of what happens to the hand in an activity, since the begin of that."""
DIAGNOSTICS_NS = 2_000_000_000
ONE_CHUNK_S = 3600.0
"""Every bag is one chunk, so that its bytes depend on nothing else."""
SETTINGS = SessionSettings(prompt_rate=20.0, lead=0.2, tail=0.1)


class StudyRoom:
    """`emghand.activities.room.Room` in which a `MovingHand` is all there is.

    Recorded are what the session says, diagnostics and the state of the bridge, in prompted runs
    also what is shown and the estimates with their times, and in tasks the positions of the hand
    where that is asked for: they are most of a bag.

    Parameters
    ----------
    hand : MovingHand
    begin_ns : int
        ROS time of the begin.
    rate : float
        Ticks per second [Hz].
    topics : Topics
        Are kept from room to room: their message types take long to read.
    on_hand : bool
        There is a real one.
    seed : sequence of int

    Attributes
    ----------
    now : int
        ROS time [ns].
    records_hand : bool
        Whether its positions are recorded.
    late : bool
        Commands are late.
    lapses : callable
        Tells of each trial of a task whether it is a lapse.
    """

    def __init__(
        self,
        hand: MovingHand,
        begin_ns: int,
        rate: float,
        topics: Topics,
        *,
        on_hand: bool,
        seed: Sequence[int],
    ) -> None:
        self.settings = SETTINGS
        self.now = begin_ns
        self.records_hand = False
        self.late = False
        self.lapses: Callable[[TrialSpec], bool] = lambda spec: False
        self._hand = hand
        self._rng = np.random.default_rng(list(seed))
        self._period_ns = round(1e9 / rate)
        self._place = HAND if on_hand else SIMULATOR
        self._topics = topics
        self._topics.last.clear()
        self._topics.add("/decoder/timing", "emghand_interfaces/msg/TickTiming")
        self._topics.add("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray")
        self.recorder: Recorder = VirtualRecorder(
            topics, self.now_ns, lambda: None, flush_s=ONE_CHUNK_S
        )
        self._status: dict[str, Any] = {}
        self._coming: list[tuple[int, tuple[int, str, str]]] = []
        self._forget()
        self._set_hand(ARMED)

    def _forget(self) -> None:
        """What belongs to one activity."""
        self._ears: dict[str, list[Callable[[Any], None]]] = {}
        self._woken = False
        self._prompted = False
        self._shown: Any = None
        self._lapse = False
        self._pushes: dict[str, float] = {}
        self._definitions = ""
        self._hand.push = 0.0
        self._ticks = 0
        self._next_ns = self.now
        self._next_diagnostics = self.now

    @property
    def date(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self.now * 1e-9, timezone.utc)

    def wait(self, seconds: float) -> None:
        """Let time pass in which nothing happens."""
        self.now += round(seconds * 1e9)

    def run(self, activity: Activity) -> None:
        """Run an activity to its end.

        Raises
        ------
        UserError
            When it was not completed: the study would not be what it was meant to be.
        """
        self._forget()
        self._prompted = activity.name in ("test", "collect")
        decodes = activity.name in ("test", "control")
        for seconds in activity.work():
            until = self.now + round(seconds * 1e9)
            while not self._woken and self._next_ns <= until:
                self.now = max(self.now, self._next_ns)
                self._tick(decodes)
                self._next_ns += self._period_ns
            if not self._woken:
                self.now = until
            self._woken = False
        if not activity.success:
            raise UserError(f"generated study: {activity.name}: {activity.message}")

    def interrupt(self, state: int, fault: str, reason: str) -> None:
        """Let something happen to the hand in the next activity, and pass."""
        begin = self.now + round(INTERRUPT_S[0] * 1e9)
        end = self.now + round(INTERRUPT_S[1] * 1e9)
        self._coming = [(begin, (state, fault, reason)), (end, (ARMED, "", ""))]

    def _set_hand(self, state: int, fault: str = "", reason: str = "") -> None:
        self._status = {"state": state, "fault": fault, "reason": reason}
        self._topics.publish("/hand/status", self._status, self.now)
        for ear in self._ears.get("hand/status", ()):
            ear(SimpleNamespace(**self._status))

    def _tick(self, decodes: bool) -> None:
        if self._coming and self.now >= self._coming[0][0]:
            self._set_hand(*self._coming.pop(0)[1])
        x = self._hand.step()
        if decodes:
            self._hear("decoder/out_x_hat", x)
        else:
            self._hear("hand/state", x)
        if self._topics.tap is None:
            return
        publish = self._topics.publish
        joints = {"name": list(DOFS), "position": x}
        if decodes:
            publish("/decoder/out_x_hat", joints, self.now)
            publish("/decoder/timing", self._timing(), self.now)
        if self.records_hand and not self._prompted:
            publish("/hand/state", joints, self.now)
        if self.now >= self._next_diagnostics:
            self._next_diagnostics = self.now + DIAGNOSTICS_NS
            publish("/diagnostics", self._diagnosis(), self.now)
            publish("/hand/status", self._status, self.now)
        self._ticks += 1

    def _diagnosis(self) -> dict[str, Any]:
        """What the bridge of the hand says of itself."""
        values = {
            "place": self._place,
            "state": STATES[self._status["state"]],
            "fault": self._status["fault"],
            "commander": "",
        }
        pairs = [{"key": key, "value": value} for key, value in values.items()]
        return {"status": [{"name": BRIDGES[self._place], "values": pairs}]}

    def _timing(self) -> dict[str, int]:
        """Times as they are on a quiet computer, or on one that is too slow [ns]."""
        slowness = 25.0 if self.late else 1.0
        arrival, decode = (
            round(slowness * ms * 1e6 * float(np.exp(0.15 * self._rng.standard_normal())))
            for ms in (4.0, 0.6)
        )
        filtered, published = 40_000, 60_000
        return {
            "tick": self._ticks,
            "arrival_ns": arrival,
            "decode_ns": decode,
            "filter_ns": filtered,
            "publish_ns": published,
            "total_ns": arrival + decode + filtered + published,
        }

    def _hear(self, topic: str, x: list[float]) -> None:
        ears = self._ears.get(topic)
        if not ears:
            return
        seconds, nanoseconds = divmod(self.now, 1_000_000_000)
        stamp = SimpleNamespace(sec=seconds, nanosec=nanoseconds)
        header = SimpleNamespace(stamp=stamp)
        message = SimpleNamespace(header=header, name=list(DOFS), position=x)
        for ear in ears:
            ear(message)

    # What activities use.

    def wake(self) -> None:
        """See `Room`."""
        self._woken = True

    def steady_ns(self) -> int:
        """See `Room`."""
        return self.now

    def to_ros(self, steady: int) -> int:
        """See `Room`."""
        return steady

    def now_ns(self) -> int:
        """See `Room`."""
        return self.now

    def listen(self, topic: str, callback: Callable[[Any], None]) -> None:
        """See `Room`."""
        self._ears.setdefault(topic, []).append(callback)
        if topic == "hand/status":
            callback(SimpleNamespace(**self._status))
        elif topic == "perturbation/state":
            callback(SimpleNamespace(data=json.dumps({"of": self._definitions})))

    def show(self, dofs: Sequence[str], x_d: Any, stamp_ns: int) -> None:
        """See `Room`; the person looks at it."""
        if x_d is self._shown and not self._prompted:
            return  # Nothing new, as in most ticks.
        self._shown = x_d
        position = [0.0] * len(DOFS)
        for name, value in zip(dofs, x_d, strict=True):
            position[DOFS.index(name)] = float(value)
        if self._prompted:
            self._hand.follow(position)
        else:
            self._hand.reach(position, self._lapse)
        if self._topics.tap is not None and self._prompted:
            shown = {"name": list(DOFS), "position": position}
            self._topics.publish("/task/x_d", shown, stamp_ns)

    def state(self, stamp_ns: int | None = None, **fields: Any) -> None:
        """See `Room`."""
        self._topics.publish("/session/state", fields, stamp_ns or self.now)

    def open_specs(self) -> None:
        """See `Room`."""

    def spec(self, spec: TrialSpec, session: str, stamp_ns: int) -> None:
        """See `Room`; the person makes up their mind, and what perturbs sets in."""
        self._lapse = self.lapses(spec)
        self._hand.push = sum(self._pushes[label] for label in spec.perturbations)
        self._topics.publish("/session/spec", spec_fields(spec, session), stamp_ns)

    def trial(self, start_ns: int, end_ns: int, **fields: Any) -> None:
        """See `Room`."""
        self._lapse = False
        self._hand.push = 0.0
        fields |= {"start": start_ns, "end": end_ns}
        self._topics.publish("/session/trial", fields, end_ns)

    def perturb(self, perturbations: Sequence[Perturbation]) -> None:
        """See `Room`; only a bias of the first DOF is simulated."""
        for p in perturbations:
            if p.kind != "bias" or p.dofs != DOFS[:1]:
                raise UserError(f"perturbation {p.label}: only a bias of {DOFS[0]} is simulated")
            self._pushes[p.label] = p.strength
        self._definitions = definitions_digest(perturbations)

    def spec_listeners(self) -> int:
        """See `Room`."""
        return 1

    def feedback(self, **fields: Any) -> None:
        """See `Room`; nobody asked for it."""

    def job(self, plan: Plan) -> JobHere:
        """See `Room`; takes no virtual time."""
        return JobHere(plan)

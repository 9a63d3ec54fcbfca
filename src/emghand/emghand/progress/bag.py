"""Everything that is measured on a bag, gathered while it is read once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emghand.evaluate.online_bag import (
    HAND_TOPIC,
    RESULT_TOPIC,
    SPEC_TOPIC,
    TrialMessages,
)
from emghand.progress.rows import HAND, NOWHERE, SIMULATOR
from emghand.storage.bags import BagReader
from emghand.storage.bags.messages import BagError
from emghand.storage.recording import PeriodKind

PROMPT_TOPIC, STATE_TOPIC = "/task/x_d", "/session/state"
ESTIMATE_TOPIC, OUTPUT_TOPIC = "/decoder/x_hat", "/decoder/out_x_hat"
MODEL_TOPIC, TIMING_TOPIC, STATUS_TOPIC = "/decoder/model", "/decoder/timing", "/hand/status"
DIAGNOSTICS_TOPIC, INTENTION_TOPIC = "/diagnostics", "/user/intention"

_OURS, _JOINTS = "emghand_interfaces/msg/", "sensor_msgs/msg/JointState"
_TYPES = {
    PROMPT_TOPIC: _JOINTS,
    ESTIMATE_TOPIC: _JOINTS,
    OUTPUT_TOPIC: _JOINTS,
    HAND_TOPIC: _JOINTS,
    STATE_TOPIC: _OURS + "SessionState",
    SPEC_TOPIC: _OURS + "TrialSpec",
    RESULT_TOPIC: _OURS + "TrialResult",
    MODEL_TOPIC: _OURS + "ModelInfo",
    TIMING_TOPIC: _OURS + "TickTiming",
    STATUS_TOPIC: _OURS + "HandStatus",
    DIAGNOSTICS_TOPIC: "diagnostic_msgs/msg/DiagnosticArray",
}

FAULT, ESTOP = 2, 3
"""States of ``HandStatus``."""
_DRIVEN = ("ARMED", "FAULT")
"""States of a bridge on ``/diagnostics`` in which it has the hand."""
_BRIDGES = {"servo_bridge": HAND, "mujoco_bridge": SIMULATOR}
"""Where recordings are from whose bridges did not say yet what they drive."""


_PERIODS = frozenset(map(int, PeriodKind))


@dataclass
class BagContent:
    """What a bag tells.

    Parameters
    ----------
    start_ns, end_ns : int
        Times of its first and last message.
    activity : str
        What the session did last; empty: it does not say.
    trials : TrialMessages or None
        None: it announces no trial, or they were not asked for.
    x_d, x_hat, out_x_hat, states : list
        Decoded messages of a prompted test; empty unless they were asked for.
    relax_pos : mapping of str to float
        Posture of the relaxed hand by DOF, of the last model.
    total_ns : list of int
        Of every tick, from the acquisition of its last sample to the command.
    missed : int
        Ticks that were never decoded.
    status_heard : bool
        Whether the hand said how it is.
    faults : int
        Times the hand came into a fault or an emergency stop, one at the begin included.
    place : str
        What had the hand: `SIMULATOR`, `HAND`, or `NOWHERE` where nothing says so.
    """

    start_ns: int
    end_ns: int
    activity: str = ""
    trials: TrialMessages | None = None
    x_d: list[Any] = field(default_factory=list)
    x_hat: list[Any] = field(default_factory=list)
    out_x_hat: list[Any] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)
    relax_pos: Mapping[str, float] = field(default_factory=dict)
    total_ns: list[int] = field(default_factory=list)
    missed: int = 0
    status_heard: bool = False
    faults: int = 0
    place: str = NOWHERE


def bag_span(path: str | Path) -> tuple[int, int]:
    """Times of the first and last message of a bag [ns].

    Raises
    ------
    BagError
        When it cannot be read.
    """
    with BagReader(path) as reader:
        return reader.start_ns, reader.end_ns


def read_bag(path: str | Path, *, trials: bool = False, prompted: bool = False) -> BagContent:
    """Read a bag once, from front to back.

    Parameters
    ----------
    path : str or Path
    trials, prompted : bool
        Gather what trials of a task, or a prompted test, are computed from.

    Raises
    ------
    BagError
        When it cannot be read.
    UserError
        When what it announces makes no sense.
    """
    with BagReader(path) as reader:
        prefix = _namespace(reader)
        content = BagContent(reader.start_ns, reader.end_ns)
        wanted = {STATE_TOPIC, TIMING_TOPIC, STATUS_TOPIC}
        if trials and reader.counts.get(prefix + SPEC_TOPIC, 0):
            content.trials = TrialMessages(path)
            wanted |= {SPEC_TOPIC, RESULT_TOPIC, HAND_TOPIC}
        if prompted:
            wanted |= {PROMPT_TOPIC, ESTIMATE_TOPIC, OUTPUT_TOPIC, MODEL_TOPIC}
        gathered = _Gathered(content, prompted)
        # Diagnostics are of the whole computer.
        topics = [prefix + name for name in sorted(wanted)] + [DIAGNOSTICS_TOPIC]
        topics = [t for t in topics if t in reader.topics]
        for name in topics:
            _check_type(reader, name, _TYPES[name.removeprefix(prefix)])
        for raw in reader.messages(topics):
            gathered.take(raw.topic.removeprefix(prefix), reader.decode(raw))
        if not gathered.bridges and reader.counts.get(prefix + INTENTION_TOPIC, 0):
            # The intention of a person is not known: the whole graph was simulated.
            content.place = SIMULATOR
        return content


def _check_type(reader: BagReader, topic: str, wanted: str) -> None:
    found = reader.topics[topic].type
    if found != wanted:
        raise BagError(f"bag {reader.path}: {topic} holds {found}, expected {wanted}")


def _namespace(reader: BagReader) -> str:
    """What stands before the topics of a session; empty where it is not one."""
    found = [n.removesuffix(STATE_TOPIC) for n in reader.topics if n.endswith(STATE_TOPIC)]
    return found[0] if len(found) == 1 else ""


class _Gathered:
    def __init__(self, content: BagContent, prompted: bool) -> None:
        self.bridges: set[str] = set()
        self._content = content
        self._prompted = prompted
        self._status = (0, "")
        self._missed: int | None = None

    def take(self, topic: str, message: Any) -> None:
        content = self._content
        if topic == DIAGNOSTICS_TOPIC:
            for status in message.status:
                self._diagnosed(status)
        elif topic == STATUS_TOPIC:
            self._hand(message)
        elif topic == TIMING_TOPIC:
            missed = int(message.missed)
            # The counter begins anew with the decoder.
            content.missed += max(0, missed - (missed if self._missed is None else self._missed))
            self._missed = missed
            content.total_ns.append(int(message.total_ns))
        elif topic == MODEL_TOPIC:
            content.relax_pos = _relax_pos(message)
        elif topic == PROMPT_TOPIC:
            content.x_d.append(message)
        elif topic == ESTIMATE_TOPIC:
            content.x_hat.append(message)
        elif topic == OUTPUT_TOPIC:
            content.out_x_hat.append(message)
        elif topic == STATE_TOPIC:
            content.activity = message.activity or content.activity
            if self._prompted and message.period in _PERIODS:
                content.states.append(message)
        elif content.trials is not None:
            content.trials.take(topic, message)

    def _hand(self, message: Any) -> None:
        content = self._content
        content.status_heard = True
        status = (int(message.state), str(message.fault))
        if status[0] in (FAULT, ESTOP) and status != self._status:
            content.faults += 1
        self._status = status

    def _diagnosed(self, status: Any) -> None:
        values = {v.key: v.value for v in status.values}
        if "state" not in values or not {"place", "commander"} & values.keys():
            return  # no bridge of a hand
        name = str(status.name).rpartition("/")[2]
        place = values.get("place") or _BRIDGES.get(name, NOWHERE)
        self.bridges.add(place)
        if values["state"] not in _DRIVEN or place not in (HAND, SIMULATOR):
            return
        # A simulation that mirrors a real hand does not make it a simulated one.
        if self._content.place != HAND:
            self._content.place = place


def _relax_pos(message: Any) -> dict[str, float]:
    try:
        given = json.loads(message.settings)["output"]["relax_pos"]
        values = [float(v) for v in given]
    except (ValueError, KeyError, TypeError):
        return {}
    names = list(message.dofs)
    if len(values) == 1:
        values *= len(names)
    return dict(zip(names, values, strict=False))

"""Topics in one process: who publishes is heard at once, in the order of listening."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from emghand.errors import UserError
from emghand.storage.bags.making import Maker

START_NS = 1_000_000_000_000_000_000
"""Stamp of virtual time 0."""

_INFINITE = QosTime(9223372036, 854775807)


@dataclass(frozen=True)
class Outlet:
    """A topic that the graph publishes.

    Parameters
    ----------
    type : str
    depth : int
        Of the queue of the live publisher.
    latched : bool
        Who comes late gets the last message.
    """

    type: str
    depth: int = 1000
    latched: bool = False

    @property
    def qos(self) -> Qos:
        """What the live publisher offers."""
        return Qos(
            history=QosHistory.KEEP_LAST,
            depth=self.depth,
            reliability=QosReliability.RELIABLE,
            durability=QosDurability.TRANSIENT_LOCAL if self.latched else QosDurability.VOLATILE,
            deadline=_INFINITE,
            lifespan=_INFINITE,
            liveliness=QosLiveliness.AUTOMATIC,
            liveliness_lease_duration=_INFINITE,
            avoid_ros_namespace_conventions=False,
        )


_JOINTS = Outlet("sensor_msgs/msg/JointState", 200)
_OWN = "emghand_interfaces/msg/"

OUTLETS: Mapping[str, Outlet] = {
    "/emg/raw": Outlet(f"{_OWN}EmgFrame", 500),
    "/emg/info": Outlet(f"{_OWN}EmgInfo", 1, latched=True),
    "/features": Outlet(f"{_OWN}FeatureFrame", 200),
    "/features/info": Outlet(f"{_OWN}FeatureInfo", 1, latched=True),
    "/features/event": Outlet(f"{_OWN}PipelineEvent"),
    "/features/state": Outlet(f"{_OWN}StateSnapshot", 4),
    "/decoder/x_hat": _JOINTS,
    "/decoder/out_x_hat": _JOINTS,
    "/decoder/model": Outlet(f"{_OWN}ModelInfo", 1, latched=True),
    "/decoder/event": Outlet(f"{_OWN}PipelineEvent"),
    "/decoder/state": Outlet(f"{_OWN}StateSnapshot", 4),
    "/glove/dof": _JOINTS,
    "/hand/state": _JOINTS,
    "/hand/status": Outlet(f"{_OWN}HandStatus", 1, latched=True),
    "/user/intention": _JOINTS,
    "/task/x_d": _JOINTS,
    "/session/state": Outlet(f"{_OWN}SessionState", 5, latched=True),
    "/session/spec": Outlet(f"{_OWN}TrialSpec"),
    "/session/trial": Outlet(f"{_OWN}TrialResult"),
    "/session/perturbations": Outlet("std_msgs/msg/String", 1, latched=True),
    "/protocol/event": Outlet(f"{_OWN}StageEvent", 1000, latched=True),
}
"""Topics of the graph. Left out are those for displays (envelopes, diagnostics), and the measured
times of ``/decoder/timing``, which are those of the computer and not of the graph."""

Callback = Callable[[Any], None]
Tap = Callable[[str, Outlet, Any], None]
"""Gets every message with its topic."""


class Topics:
    """Publishes and delivers messages.

    A message is only made when somebody hears it or will.
    """

    def __init__(self) -> None:
        self.maker = Maker()
        self.last: dict[str, Any] = {}
        self.tap: Tap | None = None
        self._outlets: dict[str, Outlet] = dict(OUTLETS)
        self._ears: dict[str, list[_Ear]] = {}

    @property
    def latched(self) -> list[tuple[str, Outlet, Any]]:
        """Last messages of the latched topics, in the order of their first ones."""
        return [(name, self._outlets[name], message) for name, message in self.last.items()]

    def add(self, topic: str, type_name: str) -> None:
        """Know a topic of somebody else's.

        Raises
        ------
        UserError
            When it is known with another type.
        """
        outlet = self._outlets.setdefault(topic, Outlet(type_name))
        if outlet.type != type_name:
            raise UserError(f"{topic}: is of type {outlet.type}, not {type_name}")

    def publish(self, topic: str, fields: Mapping[str, Any], stamp_ns: int | None = None) -> None:
        """Publish a message; the stamp goes into its header, where there is one."""
        outlet = self._outlets[topic]
        ears = self._ears.get(topic)
        if not ears and not outlet.latched and self.tap is None:
            return
        if stamp_ns is not None:
            fields = {**fields, "header": {"stamp": stamp_ns, **fields.get("header", {})}}
        message = self.maker.make(outlet.type, fields)
        if outlet.latched:
            self.last[topic] = message
        if self.tap is not None:
            self.tap(topic, outlet, message)
        for ear in list(ears or ()):
            ear.hear(message)

    def listen(self, topic: str, callback: Callback) -> _Ear:
        """Hear a topic, from its last message on where it is latched, until cancelled."""
        ears = self._ears.setdefault(topic, [])
        ear = _Ear(ears, callback)
        ears.append(ear)
        if topic in self.last:
            ear.hear(self.last[topic])
        return ear

    def listeners(self, topic: str) -> int:
        """How many hear a topic."""
        return len(self._ears.get(topic, ()))


class _Ear:
    def __init__(self, among: list[_Ear], callback: Callback) -> None:
        self._among = among
        self._callback = callback

    def hear(self, message: Any) -> None:
        if self in self._among:  # one that heard before may have cancelled it
            self._callback(message)

    def cancel(self) -> None:
        if self in self._among:
            self._among.remove(self)

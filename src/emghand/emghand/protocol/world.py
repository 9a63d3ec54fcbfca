"""What a stage can do: the seam between the engine and ROS, or a simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from emghand.protocol.coroutines import Handle
from emghand.protocol.fields import Reading


@dataclass(frozen=True)
class Need:
    """Something outside that a stage uses; the world opens it before the first stage starts.

    Parameters
    ----------
    role : str
        ``watch``, ``publish``, ``service`` or ``action``.
    name, type : str
        ``/hand/state``, ``sensor_msgs/msg/JointState``.
    content : mapping
        Fields that will be set in a message, request or goal.
    field : str
        Field that is watched.
    """

    role: str
    name: str
    type: str
    content: Mapping[str, Any] = field(default_factory=dict)
    field: str = ""


@dataclass(frozen=True)
class Answer:
    """Result of a service or an action.

    Parameters
    ----------
    ok : bool
        It came, and says success where it says anything about it.
    message : str
        Why not.
    values : mapping
        Fields of the response or result.
    """

    ok: bool
    message: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


class World(Protocol):
    """Time, topics, services and actions. Every callback comes from the thread that runs it."""

    def now(self) -> float:
        """Time [s] since the world was made."""

    def schedule(self, delay: float, callback: Callable[[], None]) -> Handle:
        """Call a function after `delay` seconds; equal times in the order they were given."""

    def prepare(self, needs: Sequence[Need]) -> None:
        """Open topics, services and actions; `UserError` when a type or a field is unknown."""

    def publish(self, topic: str, type: str, message: Mapping[str, Any]) -> None:
        """Publish a message."""

    def call(
        self,
        service: str,
        type: str,
        request: Mapping[str, Any],
        on_answer: Callable[[Answer], None],
    ) -> Handle:
        """Call a service; `on_answer` is called once, unless the call is cancelled."""

    def act(
        self,
        action: str,
        type: str,
        goal: Mapping[str, Any],
        on_answer: Callable[[Answer], None],
    ) -> Handle:
        """Start an action; `on_answer` is called once, also after a cancellation."""

    def watch(
        self, topic: str, type: str, field: str, on_value: Callable[[Reading], None]
    ) -> Handle:
        """Report a numeric field: the last known value at once, then every new one."""

"""A world without hardware, in virtual time: every answer is stated beforehand."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emghand.errors import UserError
from emghand.protocol.coroutines import Handle
from emghand.protocol.fields import Field, Reading
from emghand.protocol.loop import OnLoop, Timer, VirtualLoop
from emghand.protocol.world import Answer, Need

LIMIT_S = 30 * 86400.0
"""Longest virtual time of a protocol."""


@dataclass(frozen=True)
class VirtualTopic:
    """A topic that changes by itself.

    Parameters
    ----------
    field : str
        The field that changes.
    steps : sequence of (time [s], value)
        Values at times since the start.
    random : sequence of float
        Shortest and longest time between two values, each 0 or 1, drawn evenly [s]; empty: none.
    """

    field: str = "data"
    steps: tuple[tuple[float, float], ...] = ()
    random: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        Field(self.field)
        pairs = [tuple(step) for step in self.steps]
        if any(len(p) != 2 or not all(isinstance(v, int | float) for v in p) for p in pairs):
            raise UserError("steps: expected pairs of a time and a value")
        object.__setattr__(self, "steps", tuple((float(t), float(v)) for t, v in pairs))
        if self.random and (len(self.random) != 2 or not 0 < self.random[0] <= self.random[1]):
            raise UserError("random: expected the shortest and the longest time, above 0")


@dataclass(frozen=True)
class VirtualAnswer:
    """How a service or an action answers.

    Parameters
    ----------
    seconds : float
        Until the answer [s].
    ok : bool
    message : str
    values : mapping
        Fields of the answer.
    """

    seconds: float = 0.0
    ok: bool = True
    message: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.values, Mapping):
            raise UserError(f"values: expected a mapping, got {self.values!r}")
        if isinstance(self.seconds, str) or not 0 <= self.seconds < math.inf:
            raise UserError(f"seconds: expected a time from 0 on, got {self.seconds!r}")


@dataclass(frozen=True)
class Request:
    """Something a stage has asked for: ``publish``, ``call``, ``act`` or ``cancel``."""

    time: float
    what: str
    name: str
    content: Mapping[str, Any]


class VirtualWorld(OnLoop[VirtualLoop]):
    """Implements `World`.

    Services answer and actions end as stated in `answers`; others answer at once, with success and
    no fields. A topic has the last message that was published to it, by a stage, by `send`, or by
    its `VirtualTopic`.

    Parameters
    ----------
    topics : mapping of name to VirtualTopic
    answers : mapping of name to VirtualAnswer
    seed : int
        Of the random topics.

    Attributes
    ----------
    requests : list of Request
        Everything the stages have asked for, in order.
    """

    def __init__(
        self,
        topics: Mapping[str, VirtualTopic] | None = None,
        answers: Mapping[str, VirtualAnswer] | None = None,
        *,
        seed: int = 0,
        limit: float = LIMIT_S,
    ) -> None:
        super().__init__(VirtualLoop(limit))
        self.requests: list[Request] = []
        self._answers = dict(answers or {})
        self._last: dict[str, Mapping[str, Any]] = {}
        self._watches: list[_Watch] = []
        for name, topic in (topics or {}).items():
            for at, value in topic.steps:
                self._play(at, name, topic.field, value)
            if topic.random:
                self._play_random(name, topic, random.Random(f"{seed} {name}"))

    def prepare(self, needs: Sequence[Need]) -> None:
        """Everything is there."""

    def send(self, topic: str, message: Mapping[str, Any]) -> None:
        """A message of a virtual device."""
        self._last[topic] = message
        for watch in [w for w in self._watches if w.topic == topic]:
            if watch in self._watches:  # one of the others may have ended it
                watch.take(message)

    def publish(self, topic: str, type: str, message: Mapping[str, Any]) -> None:
        """Note it, and let those who watch the topic see it."""
        self._note("publish", topic, message)
        self.send(topic, message)

    def call(
        self,
        service: str,
        type: str,
        request: Mapping[str, Any],
        on_answer: Callable[[Answer], None],
    ) -> Handle:
        """Note it, and answer as stated."""
        self._note("call", service, request)
        return self._answer(service, on_answer)

    def act(
        self,
        action: str,
        type: str,
        goal: Mapping[str, Any],
        on_answer: Callable[[Answer], None],
    ) -> Handle:
        """Note it, and end as stated, or at once when it is cancelled."""
        self._note("act", action, goal)
        timer = self._answer(action, on_answer)
        return _Cancellable(self, action, timer, on_answer)

    def watch(
        self, topic: str, type: str, field: str, on_value: Callable[[Reading], None]
    ) -> Handle:
        """Report the field of the last message and of every new one."""
        watch = _Watch(self._watches, topic, Field(field), on_value)
        self._watches.append(watch)
        if topic in self._last:
            watch.take(self._last[topic])
        return watch

    def _note(self, what: str, name: str, content: Mapping[str, Any]) -> None:
        self.requests.append(Request(self.now(), what, name, content))

    def _answer(self, name: str, on_answer: Callable[[Answer], None]) -> Timer:
        stated = self._answers.get(name, VirtualAnswer())
        answer = Answer(stated.ok, stated.message, stated.values)
        return self.schedule(stated.seconds, lambda: on_answer(answer))

    def _play(self, delay: float, name: str, field: str, value: float) -> None:
        self.schedule(delay, lambda: self.send(name, _message(field, value)))

    def _play_random(self, name: str, topic: VirtualTopic, draws: random.Random) -> None:
        low, high = topic.random

        def send() -> None:
            self.send(name, _message(topic.field, float(draws.random() >= 0.5)))
            self.schedule(low + (high - low) * draws.random(), send)

        self.schedule(low + (high - low) * draws.random(), send)


class _Watch:
    def __init__(
        self, all_of: list[_Watch], topic: str, field: Field, on_value: Callable[[Reading], None]
    ) -> None:
        self.topic = topic
        self._all_of = all_of
        self._field = field
        self._on_value = on_value

    def take(self, message: Mapping[str, Any]) -> None:
        self._on_value(self._field.read(message))

    def cancel(self) -> None:
        if self in self._all_of:
            self._all_of.remove(self)


class _Cancellable:
    def __init__(
        self, world: VirtualWorld, name: str, timer: Timer, on_answer: Callable[[Answer], None]
    ) -> None:
        self._world = world
        self._name = name
        self._timer = timer
        self._on_answer = on_answer

    def cancel(self) -> None:
        if self._timer.callback is None:
            return
        self._timer.cancel()
        self._world._note("cancel", self._name, {})
        self._world.schedule(0.0, lambda: self._on_answer(Answer(False, "cancelled")))


def _message(field: str, value: float) -> dict[str, Any]:
    """Message in which a field has a value: mappings all the way, also for elements."""
    message: Any = value
    for part in reversed(field.replace("]", "").replace("[", ".").split(".")):
        message = {part: message}
    return dict(message)

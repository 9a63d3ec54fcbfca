"""The world of a protocol with a simulated person: everything happens, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emghand.activities.activity import Activity
from emghand.activities.table import ACTIVITIES
from emghand.errors import UserError
from emghand.protocol.coroutines import Handle
from emghand.protocol.events import Event
from emghand.protocol.fields import Field, Reading
from emghand.protocol.loop import OnLoop, VirtualLoop
from emghand.protocol.world import Answer, Need
from emghand.virtual.graph import VirtualGraph
from emghand.virtual.recorder import VirtualRecorder
from emghand.virtual.room import VirtualRoom, answer_of
from emghand.virtual.topics import Topics

LIMIT_S = 86400.0
"""Longest virtual time of a protocol."""

KINDS = {f"/{kind.topic}": kind for kind in ACTIVITIES}


class SimulatedWorld(OnLoop[VirtualLoop]):
    """Implements `emghand.protocol.world.World` on a `VirtualGraph`.

    Parameters
    ----------
    seed : int
        Of the person.

    Attributes
    ----------
    topics : Topics
    """

    def __init__(self, seed: int) -> None:
        super().__init__(VirtualLoop(LIMIT_S))
        self.topics = Topics()
        self.graph = VirtualGraph(self.loop, self.topics, seed)
        self._recorder = VirtualRecorder(self.topics, self.graph.now_ns, self.graph.snapshot_soon)
        self._running: dict[bool, Activity] = {}
        self._services: Mapping[str, Callable[[Mapping[str, Any]], Answer]] = {
            "/decoder_node/load_model": self._load_model,
        }

    def tell(self, protocol: str, event: Event) -> None:
        """Publish an event of the protocol that runs here."""
        fields = {
            "index": event.index,
            "protocol": protocol,
            "stage": event.stage,
            "trigger": event.trigger,
            "item": event.item,
            "value": event.value,
            "trial": event.trial,
        }
        self.topics.publish("/protocol/event", fields, self.graph.now_ns())

    def prepare(self, needs: Sequence[Need]) -> None:
        """Check that everything is there.

        Raises
        ------
        UserError
            For an action or service that is not simulated, an unknown type, or an unknown field.
        """
        for need in needs:
            if need.role == "action":
                _known("action", need.name, KINDS)
                self.topics.maker.check_goal(need.type, need.content)
            elif need.role == "service":
                _known("service", need.name, self._services)
            else:
                self.topics.add(need.name, need.type)

    def publish(self, topic: str, type: str, message: Mapping[str, Any]) -> None:
        """Publish a message."""
        self.topics.publish(topic, message)

    def call(
        self,
        service: str,
        type: str,
        request: Mapping[str, Any],
        on_answer: Callable[[Answer], None],
    ) -> Handle:
        """Call a service, which answers at once."""
        return self.schedule(0.0, lambda: on_answer(self._services[service](request)))

    def act(
        self,
        action: str,
        type: str,
        goal: Mapping[str, Any],
        on_answer: Callable[[Answer], None],
    ) -> Handle:
        """Start an activity."""
        kind = KINDS[action]
        try:
            message = self.topics.maker.goal(type, goal)
        except UserError as error:
            mistake = Answer(False, str(error))
            return self.schedule(0.0, lambda: on_answer(mistake))
        room = VirtualRoom(self.loop, self.topics, self._recorder)
        activity = kind.make(kind.name, message, room)
        busy = self._running.get(activity.live)
        if busy is not None:
            refusal = Answer(False, f"busy with: {busy.name}")
            return self.schedule(0.0, lambda: on_answer(refusal))
        self._running[activity.live] = activity

        def end() -> None:
            del self._running[activity.live]
            on_answer(Answer(activity.success, activity.message, answer_of(activity)))

        room.start(activity, end)
        return activity

    def watch(
        self, topic: str, type: str, field: str, on_value: Callable[[Reading], None]
    ) -> Handle:
        """Report the field of every new message, and of the last one where it is latched."""
        path = Field(field)
        return self.topics.listen(topic, lambda message: on_value(path.read(message)))

    def _load_model(self, request: Mapping[str, Any]) -> Answer:
        try:
            model = self.graph.load_model(str(request.get("uri", "")))
        except UserError as error:
            return Answer(False, str(error))
        return Answer(True, "loaded", {"model_id": model.model_id, "success": True})


def _known(what: str, name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        raise UserError(f"{what} {name}: is not simulated, only: {', '.join(known)}")

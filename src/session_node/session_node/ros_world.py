"""The world of a protocol on ROS topics, services and actions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from unique_identifier_msgs.msg import UUID

from emghand.client.interfaces import check_needs, find_type, make
from emghand.errors import UserError
from emghand.protocol.coroutines import Handle
from emghand.protocol.fields import Field, Reading
from emghand.protocol.loop import OnLoop, RealLoop
from emghand.protocol.world import Answer, Need
from emghand_ros import qos
from session_node.ros_goal import POLL_S, ActionGoal, UnderWay, answer_of

SETUP_S = 10.0


class RosWorld(OnLoop[RealLoop]):
    """Implements `emghand.protocol.world.World` in a worker thread; the executor's thread spins.

    Parameters
    ----------
    node : Node
        Owns what is opened, until `close`.
    discovery_wait : float
        How long to look for writers of the topics that are watched [s]: only from one that is there
        is it known whether it keeps its last message for those who come late.
    new_id : callable, optional
        Makes the id of every goal that is sent.
    """

    def __init__(
        self,
        node: Node,
        discovery_wait: float = 2.0,
        new_id: Callable[[], UUID | None] = lambda: None,
    ) -> None:
        super().__init__(RealLoop())
        self.new_id = new_id
        self._node = node
        self._discovery_wait = discovery_wait
        self._publishers: dict[str, Any] = {}
        self._services: dict[str, Any] = {}
        self._actions: dict[str, Any] = {}
        self._topics: dict[str, _Topic] = {}

    def prepare(self, needs: Sequence[Need]) -> None:
        """Check every type and field, and open everything.

        Raises
        ------
        UserError
            For an unknown type or field, or a name that is used with two types.
        """
        check_needs([("", need) for need in needs])
        types: dict[tuple[str, str], str] = {}
        for need in needs:
            kind = "topic" if need.role in ("watch", "publish") else need.role
            if types.setdefault((kind, need.name), need.type) != need.type:
                raise UserError(f"{need.name}: is used with two types")
        deadline = time.monotonic() + self._discovery_wait
        watched = {n.name for n in needs if n.role == "watch"}
        while time.monotonic() < deadline and not all(map(self._node.count_publishers, watched)):
            time.sleep(POLL_S)
        self._open_all(needs)

    def close(self) -> None:
        """Close everything that was opened; in the executor's thread."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        for client in self._services.values():
            self._node.destroy_client(client)
        for action in self._actions.values():
            action.destroy()
        for topic in self._topics.values():
            self._node.destroy_subscription(topic.subscription)

    def publish(self, topic: str, type: str, message: Mapping[str, Any]) -> None:
        """Publish a message."""
        self._publishers[topic].publish(make(find_type(type, "publish"), message))

    def call(
        self,
        service: str,
        type: str,
        request: Mapping[str, Any],
        on_answer: Callable[[Answer], None],
    ) -> Handle:
        """Call a service as soon as it is there."""
        client = self._services[service]
        filled = make(find_type(type, "service").Request, request)
        under_way = UnderWay(on_answer)

        def ask() -> None:
            if under_way.over:
                return
            if not client.service_is_ready():
                self.schedule(POLL_S, ask)
                return
            future = client.call_async(filled)
            future.add_done_callback(lambda f: self.loop.post(lambda: take(f)))

        def take(future: Any) -> None:
            under_way.end(answer_of(future.result()))

        ask()
        return under_way

    def act(
        self,
        action: str,
        type: str,
        goal: Mapping[str, Any],
        on_answer: Callable[[Answer], None],
    ) -> Handle:
        """Start an action as soon as its server is there."""
        filled = make(find_type(type, "action").Goal, goal)
        running = ActionGoal(self, self._actions[action], action, filled, on_answer)
        running.begin()
        return running

    def watch(
        self, topic: str, type: str, field: str, on_value: Callable[[Reading], None]
    ) -> Handle:
        """Report the field of the last message and of every new one."""
        watch = _Watch(self._topics[topic].watches, Field(field), on_value)
        watch.watches.append(watch)
        last = self._topics[topic].last
        if last is not None:
            watch.take(last)
        return watch

    def writers(self, topic: str) -> list[Any]:
        """Who publishes a topic."""
        return list(self._node.get_publishers_info_by_topic(topic))

    def _open(self, need: Need) -> None:
        node, name = self._node, need.name
        kind = find_type(need.type, need.role)
        if need.role == "publish":
            if name not in self._publishers:
                self._publishers[name] = node.create_publisher(kind, name, qos.EVENT)
        elif need.role == "service":
            if name not in self._services:
                self._services[name] = node.create_client(kind, name)
        elif need.role == "action":
            if name not in self._actions:
                self._actions[name] = ActionClient(node, kind, name)
        elif name not in self._topics:
            topic = self._topics[name] = _Topic()
            topic.subscription = node.create_subscription(
                kind, name, lambda m: self.loop.post(lambda: topic.take(m)), self._profile(name)
            )

    def _profile(self, topic: str) -> QoSProfile:
        """What all writers of a topic offer: more would match none, less would miss the last."""
        writers = [w.qos_profile for w in self.writers(topic)]
        profile = QoSProfile(depth=qos.TICK.depth, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        if writers and all(w.reliability == QoSReliabilityPolicy.RELIABLE for w in writers):
            profile.reliability = QoSReliabilityPolicy.RELIABLE
            if all(w.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL for w in writers):
                profile.durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
        return profile

    def in_executor(self, work: Callable[[], object]) -> Any:
        """Let something be done in the executor's thread; the future of its result."""
        return self._node.executor.create_task(work)

    def _open_all(self, needs: Sequence[Need]) -> None:
        done = threading.Event()
        future = self.in_executor(lambda: [self._open(need) for need in needs])
        future.add_done_callback(lambda _: done.set())
        if not done.wait(SETUP_S):
            raise UserError("the node is too busy to open topics, services and actions")
        future.result()


class _Topic:
    """A topic that is watched: its last message, and who watches it."""

    subscription: Any

    def __init__(self) -> None:
        self.last: Any = None
        self.watches: list[_Watch] = []

    def take(self, message: Any) -> None:
        self.last = message
        for watch in list(self.watches):
            if watch in self.watches:  # one of the others may have ended it
                watch.take(message)


class _Watch:
    def __init__(
        self, watches: list[_Watch], field: Field, on_value: Callable[[Reading], None]
    ) -> None:
        self.watches = watches
        self._field = field
        self._on_value = on_value

    def take(self, message: Any) -> None:
        self._on_value(self._field.read(message))

    def cancel(self) -> None:
        if self in self.watches:
            self.watches.remove(self)

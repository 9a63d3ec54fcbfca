"""Ends what a protocol has asked for when the node that ran it was killed."""

from __future__ import annotations

import functools
import hashlib
import secrets
import time

from action_msgs.msg import GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import qos_profile_action_status_default
from unique_identifier_msgs.msg import UUID

LOOK_S = 0.2
SETTLE_S = 2.0
"""So long after the start of the node every action has told what goes on there [s]."""
STATUS = "/_action/status"
ACTIVE = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING)
MARK_BYTES = 8


class LeftGoals:
    """Marks the goals of a node, and cancels those that it left behind when it was killed.

    The first half of the id of a goal tells the name of the node that sent it. A goal of this name
    that is active when the node comes was sent by the one before: nobody waits for its result, and
    it keeps others from beginning.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        name = node.get_fully_qualified_name()
        self._mark = hashlib.sha256(name.encode()).digest()[:MARK_BYTES]
        self._own: set[bytes] = set()
        self._left: dict[str, set[bytes]] = {}
        self._clients: dict[str, Client] = {}
        self._settled_at = time.monotonic() + SETTLE_S
        self._timer = node.create_timer(LOOK_S, self._look)

    def new_id(self) -> UUID:
        """Id for a goal of this node."""
        made = self._mark + secrets.token_bytes(16 - MARK_BYTES)
        self._own.add(made)
        return UUID(uuid=list(made))

    @property
    def settled(self) -> bool:
        """Whether all that was left behind has ended."""
        return time.monotonic() > self._settled_at and not any(self._left.values())

    # In the executor's thread.

    def _look(self) -> None:
        for topic, types in self._node.get_topic_names_and_types():
            action = topic.removesuffix(STATUS)
            if action != topic and action not in self._clients and types[0].endswith("Array"):
                self._follow(action)
        for action, ids in self._left.items():
            for goal in ids if self._clients[action].service_is_ready() else ():
                request = CancelGoal.Request()
                request.goal_info.goal_id.uuid = list(goal)
                self._clients[action].call_async(request)
        if self.settled:
            self._timer.cancel()

    def _follow(self, action: str) -> None:
        self._clients[action] = self._node.create_client(
            CancelGoal, f"{action}/_action/cancel_goal"
        )
        self._node.create_subscription(
            GoalStatusArray,
            f"{action}{STATUS}",
            functools.partial(self._on_status, action),
            qos_profile_action_status_default,
        )

    def _on_status(self, action: str, message: GoalStatusArray) -> None:
        active = {
            bytes(s.goal_info.goal_id.uuid) for s in message.status_list if s.status in ACTIVE
        }
        left = {goal for goal in active - self._own if goal.startswith(self._mark)}
        if left - self._left.get(action, set()):
            self._node.get_logger().warning(
                f"{action}: what a {self._node.get_name()} that was killed asked for is cancelled"
            )
        self._left[action] = left

"""What an activity may use of the node: topics, prompts, clock, recorder, feedback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from emghand_interfaces.msg import SessionState, TrialResult
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from emghand.errors import UserError
from emghand_ros.clock import RosSteadyMap, steady_ns
from emghand_ros.conversions import dofs_to_ros, ns_to_time
from session_node.recorder_client import RecorderClient
from session_node.settings import SessionSettings

CALL_S = 5.0
POLL_S = 0.05

T = TypeVar("T")


class Outlets:
    """The topics that every activity shows itself on."""

    def __init__(self, x_d: Publisher, states: Publisher, trials: Publisher) -> None:
        self.x_d = x_d
        self.states = states
        self.trials = trials
        self.prompts = 0


class Room:
    """The node as one activity sees it; its methods may be called from the activity's thread.

    Parameters
    ----------
    node : Node
    settings : SessionSettings
    outlets : Outlets
    clock : RosSteadyMap
    recorder : RecorderClient
    action : type
        Of the goal.
    goal : ServerGoalHandle
    """

    def __init__(
        self,
        node: Node,
        settings: SessionSettings,
        outlets: Outlets,
        clock: RosSteadyMap,
        recorder: RecorderClient,
        action: Any,
        goal: ServerGoalHandle,
    ) -> None:
        self.settings = settings
        self.recorder = recorder
        self._node = node
        self._outlets = outlets
        self._clock = clock
        self._action = action
        self._goal = goal
        self._opened: list[Subscription | Publisher] = []

    def to_ros(self, steady: int) -> int:
        """Steady time as ROS time, both [ns]."""
        return self._clock.to_ros(steady)

    def now_ns(self) -> int:
        """ROS time [ns]."""
        return self.to_ros(steady_ns())

    # What it shows

    def show(self, dofs: Sequence[str], x_d: Any, stamp_ns: int) -> None:
        """Publish desired DOFs, shape (n_dofs,)."""
        self._outlets.prompts += 1
        self._outlets.x_d.publish(dofs_to_ros(dofs, np.asarray(x_d), ns_to_time(stamp_ns)))

    def state(self, stamp_ns: int | None = None, **fields: Any) -> None:
        """Publish what the session does; without fields: nothing is asked of the subject."""
        message = SessionState(**fields)
        message.header.stamp = ns_to_time(self.now_ns() if stamp_ns is None else stamp_ns)
        self._outlets.states.publish(message)

    def trial(self, message: TrialResult) -> None:
        """Publish the result of a trial."""
        self._outlets.trials.publish(message)

    def feedback(self, **fields: Any) -> None:
        """Publish the feedback of the goal."""
        self._goal.publish_feedback(self._action.Feedback(**fields))

    # What it hears and sends; all of it ends with the activity

    def listen(
        self, kind: type, topic: str, callback: Callable[[Any], None], profile: QoSProfile
    ) -> None:
        """Subscribe; `callback` is called in the executor's thread."""
        self._opened.append(
            self._call(lambda: self._node.create_subscription(kind, topic, callback, profile))
        )

    def publisher(self, kind: type, topic: str, profile: QoSProfile) -> Publisher:
        """A publisher of the activity's own."""
        made = self._call(lambda: self._node.create_publisher(kind, topic, profile))
        self._opened.append(made)
        return made

    def wait_for(
        self,
        condition: Callable[[], object],
        stop: threading.Event,
        timeout: float,
        what: str,
        missing: str,
    ) -> None:
        """Wait until something is there.

        Raises
        ------
        UserError
            `missing`, after the time-out [s]; that it was cancelled while waiting for `what`.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            if stop.wait(POLL_S):
                raise UserError(f"cancelled while waiting for {what}")
            if time.monotonic() > deadline:
                raise UserError(missing)

    def close(self) -> None:
        """Hear and send nothing any more; in the executor's thread."""
        for made in self._opened:
            if isinstance(made, Publisher):
                self._node.destroy_publisher(made)
            else:
                self._node.destroy_subscription(made)
        self._opened.clear()

    def _call(self, function: Callable[[], T]) -> T:
        """Result of `function`, called in the executor's thread."""
        done = threading.Event()
        task = self._node.executor.create_task(function)
        task.add_done_callback(lambda _: done.set())
        if not done.wait(CALL_S):
            raise UserError("session_node is too busy; try again")
        return task.result()

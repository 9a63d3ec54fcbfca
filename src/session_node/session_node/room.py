"""What an activity may use of the node: topics, prompts, clock, recorder, feedback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from emghand_interfaces.msg import (
    EmgFrame,
    EmgInfo,
    FeatureFrame,
    FeatureInfo,
    HandStatus,
    SessionState,
    TrialResult,
    TrialSpec,
)
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from emghand.activities.settings import SessionSettings
from emghand.errors import UserError
from emghand.jobs import JobProcess, Plan
from emghand.tasks import spec as specs
from emghand.tasks.perturbation import Perturbation
from emghand_ros import qos
from emghand_ros.clock import RosSteadyMap, steady_ns
from emghand_ros.conversions import dofs_to_ros, ns_to_time
from emghand_ros.task_messages import perturbations_to_text, spec_to_ros
from session_node.recorder_client import RecorderClient

CALL_S = 5.0

HEARD: Mapping[str, tuple[type, QoSProfile]] = {
    "decoder/out_x_hat": (JointState, qos.TICK),
    "decoder/x_hat": (JointState, qos.TICK),
    "emg/info": (EmgInfo, qos.LATCHED),
    "emg/raw": (EmgFrame, qos.EMG),
    "features": (FeatureFrame, qos.TICK),
    "features/info": (FeatureInfo, qos.LATCHED),
    "glove/dof": (JointState, qos.TICK),
    "hand/state": (JointState, qos.TICK),
    "hand/status": (HandStatus, qos.LATCHED),
    "perturbation/state": (String, qos.LATCHED),
}
"""Topics that activities hear."""

T = TypeVar("T")


class Outlets:
    """The topics that every activity shows itself on."""

    def __init__(self, x_d: Publisher, states: Publisher, trials: Publisher) -> None:
        self.x_d = x_d
        self.states = states
        self.trials = trials
        self.prompts = 0


class LiveRoom:
    """The node as one activity sees it: `emghand.activities.room.Room` on the graph.

    Its methods may be called from the activity's thread.

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
        self._specs: Publisher | None = None
        self._woken = threading.Event()

    def pass_time(self, work: Generator[float, None, None]) -> None:
        """Advance an activity to its end, in this thread, waiting as it asks for."""
        for seconds in work:
            self._woken.wait(seconds)
            self._woken.clear()

    def wake(self) -> None:
        """See `Room`."""
        self._woken.set()

    def steady_ns(self) -> int:
        """See `Room`."""
        return steady_ns()

    def to_ros(self, steady: int) -> int:
        """See `Room`."""
        return self._clock.to_ros(steady)

    def now_ns(self) -> int:
        """See `Room`."""
        return self.to_ros(steady_ns())

    # What it shows

    def show(self, dofs: Sequence[str], x_d: Any, stamp_ns: int) -> None:
        """See `Room`."""
        self._outlets.prompts += 1
        self._outlets.x_d.publish(dofs_to_ros(dofs, np.asarray(x_d), ns_to_time(stamp_ns)))

    def state(self, stamp_ns: int | None = None, **fields: Any) -> None:
        """See `Room`."""
        message = SessionState(**fields)
        message.header.stamp = ns_to_time(self.now_ns() if stamp_ns is None else stamp_ns)
        self._outlets.states.publish(message)

    def open_specs(self) -> None:
        """See `Room`."""
        self._specs = self.publisher(TrialSpec, "session/spec", qos.EVENT)

    def spec(self, spec: specs.TrialSpec, session: str, stamp_ns: int) -> None:
        """See `Room`."""
        assert self._specs is not None
        self._specs.publish(spec_to_ros(spec, session, stamp_ns))

    def trial(self, start_ns: int, end_ns: int, **fields: Any) -> None:
        """See `Room`."""
        message = TrialResult(start=ns_to_time(start_ns), end=ns_to_time(end_ns), **fields)
        message.header.stamp = message.end
        self._outlets.trials.publish(message)

    def perturb(self, perturbations: Sequence[Perturbation]) -> None:
        """See `Room`."""
        definitions = self.publisher(String, "session/perturbations", qos.LATCHED)
        definitions.publish(String(data=perturbations_to_text(perturbations)))

    def spec_listeners(self) -> int:
        """See `Room`."""
        return 0 if self._specs is None else int(self._specs.get_subscription_count())

    def feedback(self, **fields: Any) -> None:
        """See `Room`."""
        self._goal.publish_feedback(self._action.Feedback(**fields))

    def job(self, plan: Plan) -> JobProcess:
        """See `Room`."""
        return JobProcess(plan)

    # What it hears and sends; all of it ends with the activity

    def listen(self, topic: str, callback: Callable[[Any], None]) -> None:
        """See `Room`; `callback` is called in the executor's thread."""
        kind, profile = HEARD[topic]
        self.subscribe(kind, topic, callback, profile)

    def subscribe(
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

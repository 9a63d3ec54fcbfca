"""session_node: a room of activities, each offered as an action; see `session_node.activities`."""

from __future__ import annotations

import functools
import sys
import threading
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import SessionState, TrialResult
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from sensor_msgs.msg import JointState

from emghand.activities.activity import Activity
from emghand.activities.settings import SessionSettings
from emghand.errors import UserError
from emghand_ros import qos
from emghand_ros.background import run_in_thread
from emghand_ros.clock import RosSteadyMap, steady_ns
from emghand_ros.conversions import ns_to_time
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters
from session_node.activities import ACTIVITIES, Kind
from session_node.progress import ProgressBoard
from session_node.recorder_client import RecorderClient
from session_node.room import LiveRoom, Outlets
from session_node.status import StatusBoard

JOIN_S = 3.0
NEVER_MISSED = ("emg/raw", "task/x_d", "session/state", "session/spec", "session/trial")
"""Topics whose first message belongs to a recording."""


@dataclass
class Running:
    """An activity that is going on."""

    activity: Activity
    room: LiveRoom
    goal: ServerGoalHandle
    ended: threading.Event


class SessionNode(EmghandNode):
    """Runs one live activity at a time and, beside it, one on stored data.

    A goal that cannot be followed is aborted with the reason in the result's `message`: a goal that
    is rejected cannot carry one.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("session_node", **kwargs)
        self._settings = SettingsParameters(self, SessionSettings)
        self._steady = RosSteadyMap(self.get_clock())
        self._running: dict[bool, Running] = {}
        self._x_d = self.create_publisher(JointState, "task/x_d", qos.TICK)
        self._states = self.create_publisher(SessionState, "session/state", qos.STATE)
        self._trials = self.create_publisher(TrialResult, "session/trial", qos.EVENT)
        self._outlets = Outlets(self._x_d, self._states, self._trials)
        self.create_timer(1.0, self._steady.update)
        self._recorder = RecorderClient(self, self._settings.value.recorder, NEVER_MISSED)
        self._status = StatusBoard(self)
        self._progress = ProgressBoard(self, lambda: self._settings.value)
        self._servers = [
            ActionServer(
                self,
                kind.action,
                kind.topic,
                functools.partial(self._execute, kind),
                cancel_callback=self._on_cancel,
            )
            for kind in ACTIVITIES
        ]

    def activate(self) -> None:
        """Show that nothing is going on."""
        state = SessionState()
        state.header.stamp = ns_to_time(self._steady.to_ros(steady_ns()))
        self._states.publish(state)
        self._status.look()

    def deactivate(self) -> None:
        """Stop the activities; their sessions stay valid."""
        self._progress.stop()
        running = list(self._running.values())
        for one in running:
            one.activity.abandoned = True
            one.activity.cancel()
        late = [one.activity.name for one in running if not one.ended.wait(JOIN_S)]
        if late:
            raise UserError(f"{', '.join(late)} did not stop in time; a table may be missing")

    # The actions, in the executor's thread.

    async def _execute(self, kind: Kind, goal: ServerGoalHandle) -> Any:
        settings = self._settings.value
        room = LiveRoom(
            self, settings, self._outlets, self._steady, self._recorder, kind.action, goal
        )
        activity = kind.make(kind.name, goal.request, room)
        busy = self._running.get(activity.live)
        refusal = "" if self.active else "session_node is not active"
        if busy is not None:
            limit = "activity" if activity.live else "job"
            refusal = f"busy with: {busy.activity.name}; one {limit} at a time"
        if refusal:
            goal.abort()
            return kind.action.Result(message=refusal)
        running = self._running[activity.live] = Running(activity, room, goal, threading.Event())
        if goal.is_cancel_requested:
            activity.cancel()
        try:
            await run_in_thread(self, lambda: self._work(running))
        finally:
            del self._running[activity.live]
            room.close()
        self.get_logger().info(f"{activity.name} {activity.status}: {activity.message}")
        self._status.open(activity.session_path)
        if activity.table is not None and self.active:
            # A table lies in the results of its session.
            self._progress.follow(activity.table.absolute().parent.parent)
        result = kind.action.Result(
            success=activity.success, message=activity.message, **activity.result()
        )
        if activity.success:
            goal.succeed()
        elif goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.abort()
        return result

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        for running in self._running.values():
            if running.goal == goal:
                running.activity.cancel()
        return CancelResponse.ACCEPT

    # An activity, in a thread of its own.

    def _work(self, running: Running) -> None:
        try:
            running.room.pass_time(running.activity.work())
        finally:
            running.ended.set()

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """What is going on."""
        if not self.active:
            return DiagnosticStatus.WARN, "inactive", {}
        names = [running.activity.name for running in self._running.values()]
        values: dict[str, object] = {"prompts": self._outlets.prompts}
        level, said = DiagnosticStatus.OK, ", ".join(names) or "idle"
        if self._progress.failure:
            level, said = DiagnosticStatus.WARN, f"{said}; progress: {self._progress.failure}"
        return level, said, values


def main() -> None:
    """Run the node."""
    sys.exit(run([SessionNode]))


if __name__ == "__main__":
    main()

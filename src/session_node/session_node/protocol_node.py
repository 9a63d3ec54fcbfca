"""protocol_node: the action server that runs protocols."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.action import RunProtocol
from emghand_interfaces.msg import StageEvent
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle

from emghand.cli.examples import assignments
from emghand.errors import UserError
from emghand.protocol.events import Event
from emghand.protocol.loader import load_protocol
from emghand.protocol.runner import ProtocolRunner, Result, load_interrupted
from emghand.settings import check, setting
from emghand_ros import qos
from emghand_ros.background import run_in_thread
from emghand_ros.clock import RosSteadyMap, steady_ns
from emghand_ros.conversions import ns_to_time
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters
from session_node.left_goals import LOOK_S, LeftGoals
from session_node.ros_world import RosWorld

JOIN_S = 3.0
LEFT_S = 30.0
"""How long an activity that was left behind may take to end [s]."""


@dataclass(frozen=True)
class ProtocolSettings:
    """What a protocol may do, and how its topics are found."""

    allow_python: bool = setting(
        False,
        "Whether protocols may be Python files: whoever can send a goal can then run any Python "
        "file of this computer.",
    )
    discovery_wait: float = setting(
        2.0,
        "How long to look for the writers of topics that gates watch, before a protocol starts.",
        unit="s",
        low=0.0,
        high=60.0,
    )

    def __post_init__(self) -> None:
        check(self)


class _Active:
    """The protocol that runs."""

    def __init__(self, goal: ServerGoalHandle, world: RosWorld) -> None:
        self.goal = goal
        self.world = world
        self.name = ""
        self.runner: ProtocolRunner | None = None
        self.ended = threading.Event()
        self.stop = threading.Event()

    def cancel(self) -> None:
        """Cancel it, from any thread."""
        self.stop.set()
        self.world.loop.post(self.cancel_now)

    def cancel_now(self) -> None:
        """Cancel it, in its own thread."""
        if self.stop.is_set() and self.runner is not None:
            self.runner.run.cancel()


class ProtocolNode(EmghandNode):
    """Runs one protocol at a time.

    A node of its own: a protocol asks session_node for its activities, which may crash and come
    back while the protocol goes on.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("protocol_node", **kwargs)
        self._settings = SettingsParameters(self, ProtocolSettings)
        self._steady = RosSteadyMap(self.get_clock())
        self._current: _Active | None = None
        self._events = self.create_publisher(StageEvent, "protocol/event", qos.HISTORY)
        self.create_timer(1.0, self._steady.update)
        self._left = LeftGoals(self)
        self._server = ActionServer(
            self,
            RunProtocol,
            "session/run_protocol",
            self._execute,
            cancel_callback=self._on_cancel,
        )

    def deactivate(self) -> None:
        """Cancel the protocol: every stage still gets its end."""
        current = self._current
        if current is not None:
            current.cancel()
            if not current.ended.wait(JOIN_S):
                raise UserError("the protocol did not end in time; resume it from its checkpoint")

    async def _execute(self, goal: ServerGoalHandle) -> Any:
        refusal = "" if self.active else "protocol_node is not active"
        if self._current is not None:
            refusal = f"busy with: {self._current.name}; one protocol at a time"
        if refusal:
            goal.abort()
            return RunProtocol.Result(message=refusal)
        world = RosWorld(self, self._settings.value.discovery_wait, self._left.new_id)
        self._current = current = _Active(goal, world)
        current.name = goal.request.protocol
        try:
            result = await run_in_thread(self, lambda: self._work(current))
        finally:
            self._current = None
            world.close()
        self.get_logger().info(f"{result.status}: {result.message}")
        if result.status == "complete":
            goal.succeed()
        elif goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.abort()
        runner = current.runner
        session = "" if runner is None or runner.session is None else str(runner.session.path)
        return RunProtocol.Result(
            success=result.status == "complete",
            message=result.message,
            session=session,
            log=result.log,
            events=result.events,
        )

    def _work(self, current: _Active) -> Result:
        request = current.goal.request
        python = self._settings.value.allow_python
        try:
            parameters = assignments("parameters", request.parameters)
            if request.resume:
                protocol = load_interrupted(
                    request.protocol, request.session, parameters, python=python
                )
            else:
                protocol = load_protocol(request.protocol, parameters, python=python)
            current.name = protocol.name
            current.runner = runner = ProtocolRunner(
                protocol,
                current.world,
                session=request.session or None,
                subject=request.subject,
                seed=request.seed,
                resume=request.resume,
                on_event=lambda event: self._on_event(current, event),
            )
            if request.resume:
                self._wait_for_left(current)
            current.cancel_now()  # a cancellation may have come before there was a run
            return runner.execute()
        except UserError as error:
            return Result("failed", str(error), 0)
        finally:
            current.ended.set()

    def _wait_for_left(self, current: _Active) -> None:
        """Wait until what was interrupted has ended: the same activity is going to be asked for."""
        deadline = time.monotonic() + LEFT_S
        while not self._left.settled:
            if time.monotonic() > deadline:
                raise UserError("what was asked for before the interruption does not end")
            if current.stop.wait(LOOK_S):
                return

    def _on_event(self, current: _Active, event: Event) -> None:
        stamp_ns = self._steady.to_ros(steady_ns())
        message = StageEvent(
            index=event.index,
            protocol=current.name,
            stage=event.stage,
            trigger=event.trigger,
            item=event.item,
            value=event.value,
            trial=event.trial,
        )
        message.header.stamp = ns_to_time(stamp_ns)
        self._events.publish(message)
        if event.trigger in ("stage_start", "trial_start", "stage_end"):
            current.goal.publish_feedback(
                RunProtocol.Feedback(
                    stage=event.stage,
                    trial=event.trial,
                    event=event.trigger,
                    events=event.index + 1,
                )
            )

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        if self._current is not None and goal == self._current.goal:
            self._current.cancel()
        return CancelResponse.ACCEPT

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """What is going on."""
        current = self._current
        if not self.active:
            return DiagnosticStatus.WARN, "inactive", {}
        if current is None:
            return DiagnosticStatus.OK, "idle", {}
        running = [] if current.runner is None else list(current.runner.run.running)
        return DiagnosticStatus.OK, current.name, {"stages": ", ".join(running)}


def main() -> None:
    """Run the node."""
    sys.exit(run([ProtocolNode]))


if __name__ == "__main__":
    main()

"""session_node: action servers for prompted collection and testing."""

from __future__ import annotations

import functools
import sys
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.action import CollectTrials, RunTest
from emghand_interfaces.msg import SessionState, TrialResult
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from sensor_msgs.msg import JointState

from emghand.errors import UserError
from emghand_ros import qos
from emghand_ros.background import run_in_thread
from emghand_ros.clock import RosSteadyMap, steady_ns
from emghand_ros.conversions import dofs_to_ros, ns_to_time, time_to_ns
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters
from session_node.prompter import Shown
from session_node.recorder_client import RecorderClient
from session_node.run import FinishedTrial, Outcome, PromptedRun
from session_node.settings import SessionSettings

ACTIVITIES = (
    ("collect", CollectTrials, "session/collect_trials"),
    ("test", RunTest, "session/run_test"),
)
FEEDBACK_EVERY = 6
JOIN_S = 3.0


class SessionNode(EmghandNode):
    """Runs one activity at a time and shows it on the topics.

    A goal that cannot be followed is aborted with the reason in the result's `message`: a goal that
    is rejected cannot carry one.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("session_node", **kwargs)
        self._settings = SettingsParameters(self, SessionSettings)
        self._steady = RosSteadyMap(self.get_clock())
        self._prompted: PromptedRun | None = None
        self._goal: ServerGoalHandle | None = None
        self._ended = threading.Event()
        self._ended.set()
        self._kind: Any = None
        self._prompts = 0
        self._heard_output = threading.Event()

        self._x_d = self.create_publisher(JointState, "task/x_d", qos.TICK)
        self._states = self.create_publisher(SessionState, "session/state", qos.STATE)
        self._trials = self.create_publisher(TrialResult, "session/trial", qos.EVENT)
        self.create_subscription(JointState, "decoder/out_x_hat", self._on_output, qos.TICK)
        self.create_timer(1.0, self._steady.update)
        self._recorder = RecorderClient(self, self._settings.value.recorder)
        self._servers = [
            ActionServer(
                self,
                kind,
                action,
                functools.partial(self._execute, activity, kind),
                cancel_callback=self._on_cancel,
            )
            for activity, kind, action in ACTIVITIES
        ]

    def activate(self) -> None:
        """Show that nothing is going on."""
        self.idle()

    def deactivate(self) -> None:
        """Stop the activity; its session stays valid."""
        if self._prompted is not None:
            self._prompted.abandoned = True
            self._prompted.stop.set()
            if not self._ended.wait(JOIN_S):
                raise UserError("the activity did not stop in time; its table may be missing")

    # The actions, in the executor's thread.

    async def _execute(self, activity: str, kind: Any, goal: ServerGoalHandle) -> Any:
        refusal = "" if self.active else "session_node is not active"
        if self._prompted is not None:
            refusal = f"busy with: {self._prompted.activity}; one activity at a time"
        if refusal:
            goal.abort()
            return kind.Result(message=refusal)
        self._prompted = prompted = PromptedRun(
            activity, goal.request, self._settings.value, self, self._steady.to_ros
        )
        self._goal, self._kind = goal, kind
        self._ended.clear()
        try:
            await run_in_thread(self, lambda: self._work(prompted))
        finally:
            self._prompted = self._goal = None
        outcome = prompted.outcome
        self.get_logger().info(f"{activity} {outcome.status}: {outcome.message}")
        result = self._result(kind, outcome)
        if outcome.status == "complete":
            goal.succeed()
        elif goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.abort()
        return result

    def _result(self, kind: Any, outcome: Outcome) -> Any:
        return kind.Result(
            success=outcome.status == "complete",
            message=outcome.message,
            session=outcome.session,
            bag=outcome.bag,
            trials=len(outcome.trials),
            report=outcome.report,
        )

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        if self._prompted is not None and goal == self._goal:
            self._prompted.stop.set()
        return CancelResponse.ACCEPT

    def _on_output(self, message: JointState) -> None:
        prompted = self._prompted
        if prompted is None:
            return
        self._heard_output.set()
        if prompted.errors is not None:
            stamp_ns = time_to_ns(message.header.stamp)
            prompted.errors.add(stamp_ns, message.name, message.position)

    # The activity, in a thread of its own.

    def _work(self, prompted: PromptedRun) -> None:
        try:
            prompted.prepare()
            if prompted.activity == "test":
                self._wait_for_decoder(prompted.stop)
            prompted.execute(self._recorder)
        except UserError as error:
            prompted.outcome.message = str(error)
        finally:
            self._ended.set()

    def _wait_for_decoder(self, stop: threading.Event) -> None:
        self._heard_output.clear()
        deadline = time.monotonic() + self._settings.value.decoder_wait
        while not self._heard_output.wait(0.05):
            if stop.is_set():
                raise UserError("cancelled while waiting for the decoder")
            if time.monotonic() > deadline:
                raise UserError(
                    "nothing is decoded: /decoder/out_x_hat is silent; load a model and check the "
                    "EMG"
                )

    def show(self, prompted: PromptedRun, shown: Shown, changed: bool) -> None:
        """Publish a prompt, and the state when it changed."""
        stamp_ns = self._steady.to_ros(shown.steady_ns)
        prompt = shown.prompt
        self._x_d.publish(dofs_to_ros(prompted.schedule.dofs, prompt.x_d, ns_to_time(stamp_ns)))
        trial = prompt.trial
        if changed:
            state = SessionState(
                session=prompted.session.path.name,
                activity=prompted.activity,
                period=int(prompt.period),
                n_trials=prompted.schedule.n_trials,
            )
            state.header.stamp = ns_to_time(stamp_ns)
            if trial is not None:
                state.movement = trial.movement.name
                state.movement_index = trial.movement_index
                state.repetition = trial.repetition
                state.trial = trial.index
            self._states.publish(state)
        self._prompts += 1
        if self._goal is not None and (changed or self._prompts % FEEDBACK_EVERY == 0):
            self._goal.publish_feedback(
                self._kind.Feedback(
                    trial=0 if trial is None else trial.index,
                    n_trials=prompted.schedule.n_trials,
                    movement="" if trial is None else trial.movement.name,
                    period=int(prompt.period),
                    remaining=max(0.0, prompted.schedule.duration - shown.elapsed),
                )
            )

    def finished(self, prompted: PromptedRun, trial: FinishedTrial) -> None:
        """Publish the result of a trial."""
        message = TrialResult(
            session=prompted.session.path.name,
            activity=prompted.activity,
            trial=trial.trial.index,
            movement=trial.trial.movement.name,
            movement_index=trial.trial.movement_index,
            repetition=trial.trial.repetition,
            start=ns_to_time(trial.start_ns),
            end=ns_to_time(trial.end_ns),
            dofs=list(prompted.schedule.dofs),
            rmse=trial.rmse,
        )
        message.header.stamp = message.end
        self._trials.publish(message)

    def idle(self) -> None:
        """Publish that nothing is asked of the subject."""
        state = SessionState()
        state.header.stamp = ns_to_time(self._steady.to_ros(steady_ns()))
        self._states.publish(state)

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """What is going on."""
        prompted = self._prompted
        if not self.active:
            return DiagnosticStatus.WARN, "inactive", {}
        if prompted is None:
            return DiagnosticStatus.OK, "idle", {"prompts": self._prompts}
        values = {"trials": len(prompted.outcome.trials), "prompts": self._prompts}
        return DiagnosticStatus.OK, prompted.activity, values


def main() -> None:
    """Run the node."""
    sys.exit(run([SessionNode]))


if __name__ == "__main__":
    main()

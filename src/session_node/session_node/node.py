"""session_node: the actions of a session, prompts on /task/x_d, trials into a session directory."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.action import CollectTrials, RunTest
from emghand_interfaces.msg import EmgInfo, FeatureInfo, SessionState, TrialResult
from emghand_interfaces.srv import StartRecording, StopRecording
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.client import Client
from sensor_msgs.msg import JointState

from emghand.errors import UserError
from emghand.settings import check, setting
from emghand.tasks.movements import Prompt, Trial
from emghand_ros import qos
from emghand_ros.background import run_in_thread
from emghand_ros.clock import RosSteadyMap
from emghand_ros.conversions import (
    MessageError,
    dofs_from_ros,
    dofs_to_ros,
    ns_to_time,
    to_field,
)
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters
from session_node.activity import Plan, make_plan
from session_node.prompter import Listener, Prompter
from session_node.scoring import TrialScore

FEEDBACK_S = 0.1


@dataclass(frozen=True)
class SessionSettings:
    """Settings of session_node."""

    prompt_rate: float = setting(
        60.0, "Prompts per second on /task/x_d", unit="Hz", low=5, high=250
    )
    recorder: str = setting("/bag_recorder", "Name of the recorder node", live=False)
    recorder_timeout: float = setting(
        3.0, "How long to wait for the recorder", unit="s", low=0.1, high=60.0
    )

    def __post_init__(self) -> None:
        check(self)


class SessionNode(EmghandNode):
    """Action servers around `make_plan` and `Prompter`; one activity at a time."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("session_node", **kwargs)
        self._settings = SettingsParameters(self, SessionSettings)
        self._clock_map = RosSteadyMap(self.get_clock())
        self._features: FeatureInfo | None = None
        self._emg: EmgInfo | None = None
        self._plan: Plan | None = None
        self._busy = False
        self._prompter: Prompter | None = None
        self._score: TrialScore | None = None

        recorder = self._settings.value.recorder
        self._start_recording = self.create_client(StartRecording, f"{recorder}/start")
        self._stop_recording = self.create_client(StopRecording, f"{recorder}/stop")
        self._prompts = self.create_publisher(JointState, "/task/x_d", qos.TICK)
        self._states = self.create_publisher(SessionState, "/session/state", qos.LATCHED)
        self._trials = self.create_publisher(TrialResult, "/session/trial", qos.EVENT)
        self.create_subscription(FeatureInfo, "/features/info", self._on_features, qos.LATCHED)
        self.create_subscription(EmgInfo, "/emg/info", self._on_emg, qos.LATCHED)
        self.create_subscription(JointState, "/decoder/out_x_hat", self._on_output, qos.TICK)
        self._servers = [
            self._server(CollectTrials, "collect_trials", "collect"),
            self._server(RunTest, "run_test", "test"),
        ]

    def _server(self, kind: type, name: str, activity: str) -> ActionServer:
        async def execute(goal: ServerGoalHandle) -> Any:
            return await self._execute(kind, activity, goal)

        return ActionServer(
            self, kind, f"/session/{name}", execute, cancel_callback=self._on_cancel
        )

    def activate(self) -> None:
        """Say that nothing is going on."""
        self._publish_idle()

    def deactivate(self) -> None:
        """End the activity that is going on."""
        if self._prompter is not None:
            self._prompter.cancel()

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """What is going on."""
        if not self.active:
            return DiagnosticStatus.WARN, "inactive", {}
        plan = self._plan
        if plan is None:
            return DiagnosticStatus.OK, "idle", {}
        values = {
            "session": plan.session.path,
            "trials": f"{len(plan.trials)} of {len(plan.schedule.trials)}",
        }
        return DiagnosticStatus.OK, plan.activity, values

    def _on_features(self, info: FeatureInfo) -> None:
        self._features = info

    def _on_emg(self, info: EmgInfo) -> None:
        self._emg = info

    def _on_output(self, message: JointState) -> None:
        score, plan = self._score, self._plan
        if score is None or plan is None:
            return
        try:
            score.output(dofs_from_ros(message, plan.schedule.dofs))
        except MessageError as error:
            self.get_logger().warning(
                f"/decoder/out_x_hat is not scored: {error}", throttle_duration_sec=5.0
            )

    def _on_cancel(self, _: ServerGoalHandle) -> CancelResponse:
        if self._prompter is not None:
            self._prompter.cancel()
        return CancelResponse.ACCEPT

    async def _execute(self, kind: type, activity: str, goal: ServerGoalHandle) -> Any:
        result = kind.Result()
        try:
            if not self.active:
                raise UserError("session_node is not active")
            if self._busy:
                raise UserError("another activity is running: wait for it, or cancel it")
            self._busy = True
            try:
                await self._run_activity(kind, activity, goal, result)
            finally:
                self._busy = False
        except UserError as error:
            result.message = str(error)
            self.get_logger().error(f"{activity}: {error}")
        if goal.is_cancel_requested:
            goal.canceled()
        elif result.success:
            goal.succeed()
        else:
            goal.abort()
        return result

    async def _run_activity(
        self, kind: type, activity: str, goal: ServerGoalHandle, result: Any
    ) -> None:
        request, settings = goal.request, self._session_settings()
        plan = await run_in_thread(self, lambda: make_plan(activity, request, settings))
        result.session = str(plan.session.path)
        if plan.bag is not None:
            await self._call(
                self._start_recording, StartRecording.Request(uri=str(plan.bag), topics=[])
            )
        self._clock_map.update()
        self._score = TrialScore(len(plan.schedule.dofs))
        self._plan = plan
        listener = self._listener(plan, kind, goal)
        prompter = Prompter(plan.schedule, self._settings.value.prompt_rate, listener)
        self._prompter = prompter
        report: dict[str, Any] = {}
        finished = False
        try:
            if goal.is_cancel_requested:
                prompter.cancel()
            done = await run_in_thread(self, prompter.run)
            finished = done == len(plan.schedule.trials)
        finally:
            self._prompter = self._plan = self._score = None
            self._publish_idle()
            if plan.bag is not None:
                answer = await self._call(self._stop_recording, StopRecording.Request())
                report = json.loads(answer.report)
            await run_in_thread(self, lambda: plan.finish(report, finished))
        result.trials = len(plan.trials)
        result.bag = str(plan.bag or "")
        result.report = json.dumps(report)
        result.success = finished
        total = len(plan.schedule.trials)
        result.message = (
            f"{total} trials" if finished else f"ended after {len(plan.trials)} of {total} trials"
        )

    def _session_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        if self._features is not None:
            settings["features"] = json.loads(self._features.settings)
        if self._emg is not None:
            info = self._emg
            settings["emg"] = {
                "device": info.device,
                "channel_names": list(info.channel_names),
                "rate": info.rate,
                "unit": info.unit,
            }
        return settings

    async def _call(self, client: Client, request: Any) -> Any:
        timeout = self._settings.value.recorder_timeout
        if not await run_in_thread(self, lambda: client.wait_for_service(timeout)):
            raise UserError(
                f"{client.srv_name} did not appear within {timeout:g} s: start the recorder, or "
                "record nothing"
            )
        answer = await client.call_async(request)
        if not answer.success:
            raise UserError(answer.message)
        return answer

    def _listener(self, plan: Plan, kind: type, goal: ServerGoalHandle) -> Listener:
        schedule, score = plan.schedule, self._score
        assert score is not None
        next_feedback = 0.0
        scored: Trial | None = None

        def on_prompt(prompt: Prompt, since: float) -> None:
            nonlocal next_feedback
            now = self.get_clock().now().to_msg()
            self._prompts.publish(dofs_to_ros(schedule.dofs, prompt.x_d, now))
            score.prompt(prompt.x_d)
            if since >= next_feedback:
                next_feedback += FEEDBACK_S
                goal.publish_feedback(_feedback(kind, prompt, schedule, since))

        def on_period(prompt: Prompt, steady: int) -> None:
            nonlocal scored
            if prompt.trial is not scored and prompt.period == SessionState.MOVE:
                scored = prompt.trial
                score.start()
            self._states.publish(self._state(plan, prompt, steady))

        def on_trial(trial: Trial, start: int) -> None:
            message = self._trial_result(plan, trial, start)
            self._trials.publish(message)
            plan.trials.append(
                {
                    "trial": trial.index,
                    "movement": trial.movement.name,
                    "repetition": trial.repetition,
                    "start_s": round(trial.move, 6),
                    "end_s": round(trial.end, 6),
                    "rmse": dict(zip(schedule.dofs, message.rmse, strict=False)),
                }
            )

        return Listener(on_prompt, on_period, on_trial)

    def _state(self, plan: Plan, prompt: Prompt, steady: int) -> SessionState:
        message = SessionState(
            session=str(plan.session.path),
            activity=plan.activity,
            period=int(prompt.period),
            n_trials=len(plan.schedule.trials),
        )
        message.header.stamp = ns_to_time(self._clock_map.to_ros(steady))
        if prompt.trial is not None:
            message.movement = prompt.trial.movement.name
            message.movement_index = prompt.trial.movement_index
            message.repetition = prompt.trial.repetition
            message.trial = prompt.trial.index
        return message

    def _trial_result(self, plan: Plan, trial: Trial, start: int) -> TrialResult:
        assert self._score is not None

        def at(seconds: float) -> Time:
            return ns_to_time(self._clock_map.to_ros(start + round(seconds * 1e9)))

        message = TrialResult(
            session=str(plan.session.path),
            activity=plan.activity,
            trial=trial.index,
            movement=trial.movement.name,
            movement_index=trial.movement_index,
            repetition=trial.repetition,
            start=at(trial.move),
            end=at(trial.end),
            dofs=list(plan.schedule.dofs),
            rmse=to_field(self._score.rmse()),
        )
        message.header.stamp = message.end
        return message

    def _publish_idle(self) -> None:
        message = SessionState(period=SessionState.IDLE)
        message.header.stamp = self.get_clock().now().to_msg()
        self._states.publish(message)


def _feedback(kind: type, prompt: Prompt, schedule: Any, since: float) -> Any:
    feedback = kind.Feedback(
        n_trials=len(schedule.trials),
        period=int(prompt.period),
        remaining=max(0.0, schedule.duration - since),
    )
    if prompt.trial is not None:
        feedback.trial = prompt.trial.index
        feedback.movement = prompt.trial.movement.name
    return feedback


def main() -> int:
    """Run the node."""
    return run([SessionNode])


if __name__ == "__main__":
    sys.exit(main())

"""Talks to a running graph: start activities, arm the hand, stop it, load models."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from emghand.errors import UserError

TIMEOUT_S = 5.0
SETTLE_S = 0.3
"""After finding the first node of a kind, a second one is found within this time."""


@dataclass(frozen=True)
class Progress:
    """How far an activity is.

    Parameters
    ----------
    period : int
        `emghand.storage.recording.PeriodKind`.
    remaining : float
        Time to the end [s].
    """

    trial: int
    n_trials: int
    movement: str
    period: int
    remaining: float


class GraphClient:
    """Client of the graph on this machine's ROS domain; use it in a ``with`` statement.

    Parameters
    ----------
    timeout : float
        How long to wait for a service or an action; four times as long for its answer [s].
    on_notice : callable, optional
        Gets what a person who has pressed Ctrl-C should know (default: to standard error).

    Attributes
    ----------
    interrupted : bool
        Ctrl-C has cancelled an activity.

    Raises
    ------
    UserError
        On entering: when ROS 2 cannot be imported.

    Examples
    --------
    >>> with GraphClient() as graph:  # doctest: +SKIP
    ...     graph.load_model("hand.emgmodel")
    ...     graph.arm()
    """

    def __init__(
        self, timeout: float = TIMEOUT_S, on_notice: Callable[[str], None] | None = None
    ) -> None:
        self.timeout = timeout
        self.on_notice = on_notice or _show
        self.interrupted = False

    def __enter__(self) -> GraphClient:
        try:
            import rclpy
            from rclpy.executors import SingleThreadedExecutor
            from rclpy.signals import SignalHandlerOptions
        except ImportError as error:
            raise UserError(f"ROS 2 is not here ({error}): enter it with . ./setup.bash") from error
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node: Any = rclpy.create_node(
            f"emghand_client_{time.monotonic_ns() % 1_000_000_000}",
            context=self._context,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def wait_for(self, condition: Callable[[], bool], what: str, timeout: float = 0.0) -> None:
        """Wait for a condition, with the client's node spinning.

        Raises
        ------
        UserError
            Names `what` did not come within the time-out.
        """
        limit = timeout or self.timeout
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                raise UserError(
                    f"{what}: not there after {limit:g} s; is the graph running (emghand up live), "
                    "in the same ROS domain?"
                )
            self._executor.spin_once(timeout_sec=0.05)

    def wait_for_services(self, names: Sequence[str], timeout: float = 0.0) -> None:
        """Wait until all these services exist."""
        for name in names:
            self.wait_for(lambda name=name: name in self._services(), name, timeout)  # type: ignore[misc]

    def wait_for_message(
        self, kind: type, topic: str, *, latched: bool = False, timeout: float = 0.0
    ) -> Any:
        """Next message of a topic; of a latched one also the last one that was published."""
        from rclpy.qos import DurabilityPolicy, QoSProfile

        received: list[Any] = []
        profile = QoSProfile(depth=10)
        if latched:
            profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
        subscription = self._node.create_subscription(kind, topic, received.append, profile)
        try:
            self.wait_for(lambda: bool(received), f"a message on {topic}", timeout)
        finally:
            self._node.destroy_subscription(subscription)
        return received[-1]

    def collect(self, on_progress: Callable[[Progress], None] | None = None, **goal: Any) -> Any:
        """Collect labelled EMG; `goal` are fields of ``CollectTrials``. Returns its result.

        Ctrl-C cancels, and the result of what was finished is returned.
        """
        from emghand_interfaces.action import CollectTrials

        return self.act(CollectTrials, "/session/collect_trials", goal, _trials(on_progress))

    def test(self, on_progress: Callable[[Progress], None] | None = None, **goal: Any) -> Any:
        """Test the running decoder; `goal` are fields of ``RunTest``. Returns its result."""
        from emghand_interfaces.action import RunTest

        return self.act(RunTest, "/session/run_test", goal, _trials(on_progress))

    def arm(self, on: bool = True) -> list[str]:
        """Arm the hand bridge, or disarm every one; returns what they answer.

        Raises
        ------
        UserError
            When there is no bridge, one refuses, or two are there to be armed: a graph that was
            forgotten would move its hand as well.
        """
        from std_srvs.srv import SetBool

        if on:
            self._refuse_two_bridges()
        return self._call_all("arm", SetBool, SetBool.Request(data=on))

    def _refuse_two_bridges(self) -> None:
        self.wait_for(lambda: self._node.count_publishers("/hand/status") > 0, "a hand bridge")
        settled = time.monotonic() + SETTLE_S
        while time.monotonic() < settled:
            self._executor.spin_once(timeout_sec=0.05)
        count = self._node.count_publishers("/hand/status")
        if count > 1:
            raise UserError(
                f"{count} hand bridges are in this ROS domain: end the graph that does not belong "
                "here, or wait 20 s if a bridge has just died; nothing was armed"
            )

    def stop(self) -> None:
        """Emergency stop: latched by every bridge until it is reset.

        Raises
        ------
        UserError
            When no bridge confirms that it has stopped.
        """
        from emghand_interfaces.msg import HandStatus
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from std_msgs.msg import Bool

        profile = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        publisher = self._node.create_publisher(Bool, "/estop", profile)
        stopped: list[bool] = []

        def on_status(status: Any) -> None:
            if status.state == HandStatus.ESTOP:
                stopped.append(True)

        def is_stopped() -> bool:
            # Again and again: whoever hears it first may be a plot or a recorder, not the bridge.
            publisher.publish(Bool(data=True))
            return bool(stopped)

        status = self._node.create_subscription(HandStatus, "/hand/status", on_status, profile)
        try:
            self.wait_for(is_stopped, "a hand bridge that confirms the stop")
        finally:
            self._node.destroy_subscription(status)

    def reset_estop(self) -> list[str]:
        """Reset the emergency stop of every bridge; they stay disarmed."""
        from std_srvs.srv import Trigger

        return self._call_all("reset_estop", Trigger, Trigger.Request())

    def load_model(self, path: str | Path) -> str:
        """Let the decoder load a model file; returns what it says.

        Raises
        ------
        UserError
            When the decoder refuses it, with the reason; the running model stays.
        """
        from emghand_interfaces.srv import LoadModel

        request = LoadModel.Request(uri=str(Path(path).expanduser().absolute()))
        names = self._call_all("load_model", LoadModel, request)
        return ", ".join(names)

    def _services(self) -> list[str]:
        return [name for name, _ in self._node.get_service_names_and_types()]

    def _call_all(self, name: str, kind: type, request: Any) -> list[str]:
        """Call every service ``/<node>/<name>``; returns ``service: message``."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [s for s in self._services() if s.endswith(f"/{name}")]
            return bool(found)

        self.wait_for(look, f"a service */{name}")
        answers, refusals = [], []
        for service in found:
            # One that refuses or hangs must not keep the others from being asked.
            try:
                answers.append(self._call(service, kind, request))
            except UserError as error:
                refusals.append(str(error))
        if refusals:
            raise UserError("; ".join(refusals))
        return answers

    def ask(self, kind: type, service: str, request: Any) -> Any:
        """Answer of a service whose answers say ``success`` and ``message``.

        Raises
        ------
        UserError
            When there is no such service, it does not answer, or it refuses, with its reason.
        """
        client = self._node.create_client(kind, service)
        try:
            self.wait_for(client.service_is_ready, service)
            answer = self._result(client.call_async(request), service)
        finally:
            self._node.destroy_client(client)
        if not answer.success:
            raise UserError(f"{service}: {answer.message}")
        return answer

    def _call(self, service: str, kind: type, request: Any) -> str:
        return f"{service}: {self.ask(kind, service, request).message}"

    def _result(self, future: Any, what: str) -> Any:
        # A message that is lost when two processes meet comes again after 3 s.
        self.wait_for(future.done, f"an answer of {what}", 4 * self.timeout)
        return future.result()

    def act(
        self,
        kind: type,
        name: str,
        goal: dict[str, Any],
        on_feedback: Callable[[Any], None] | None = None,
    ) -> Any:
        """Result of an action. Ctrl-C cancels it and waits for what it then answers.

        However long that takes: a large recording is written to its end. A second Ctrl-C leaves at
        once, with `KeyboardInterrupt`, and says how to look after it.

        Parameters
        ----------
        kind : type
            Action of the message package.
        name : str
            Of the action.
        goal : dict
            Fields of the goal.
        on_feedback : callable, optional
            Gets every feedback message.

        Raises
        ------
        UserError
            When there is no such action, or its node has gone.
        """
        from emghand.client.goal import Goal

        return Goal(self, kind, name, on_feedback).run(goal)


def _show(notice: str) -> None:
    print(notice, file=sys.stderr, flush=True)


def _trials(on_progress: Callable[[Progress], None] | None) -> Callable[[Any], None] | None:
    if on_progress is None:
        return None
    return lambda f: on_progress(Progress(f.trial, f.n_trials, f.movement, f.period, f.remaining))

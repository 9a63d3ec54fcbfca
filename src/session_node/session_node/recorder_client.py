"""Starts and stops the bag recorder from a worker thread."""

from __future__ import annotations

import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from emghand_interfaces.srv import StartRecording, StopRecording
from rclpy.client import Client
from rclpy.node import Node

from emghand.errors import UserError
from emghand_ros import qos

WAIT_S = 5.0
STOP_S = 120.0
MISSED_REPORTS = 5
"""A recorder that leaves out so many reports is gone."""
OLD_REPORT_S = 0.5
"""A report that comes so soon after the start may have been sent before it."""


class RecorderClient:
    """The services of one recorder.

    `start` and `stop` block: they must not be called in the executor's thread, which has to deliver
    the answers.

    Parameters
    ----------
    node : Node
    name : str
        Name of the recorder node.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._name = name
        self._full_name = node.resolve_service_name(name).lstrip("/")
        self._started = self._heard = time.monotonic()
        self._period = 1.0
        self._trouble = ""
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.SLOW)
        self._start = node.create_client(StartRecording, f"{name}/start")
        self._stop = node.create_client(StopRecording, f"{name}/stop")

    def start(self, uri: str) -> None:
        """Start to record every topic.

        Raises
        ------
        UserError
            When there is no recorder, or it refuses.
        """
        if not self._start.wait_for_service(WAIT_S):
            raise UserError(
                f"no recorder answers as {self._name}: start bag_recorder, or do not record"
            )
        answer = self._call(self._start, StartRecording.Request(uri=uri), WAIT_S)
        if not answer.success:
            raise UserError(f"recorder: {answer.message}")
        self._started = self._heard = time.monotonic()
        self._trouble = ""

    def problem(self) -> str:
        """Why nothing is recorded any more although it was started; empty: it is, as it seems."""
        if self._trouble:
            return self._trouble
        return f"recorder {self._name} has gone" if self._is_gone() else ""

    def _is_gone(self) -> bool:
        return time.monotonic() - self._heard > MISSED_REPORTS * self._period

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name != self._full_name:
                continue
            now = time.monotonic()
            self._period = max(1.0, now - self._heard)
            self._heard = now
            if now - self._started < OLD_REPORT_S:
                continue
            if status.level == DiagnosticStatus.ERROR or status.message != "recording":
                self._trouble = f"recorder: {status.message}"

    def stop(self) -> str:
        """Finish the recording; its integrity report as JSON.

        Raises
        ------
        UserError
            When the recorder is gone or could not finish the bag.
        """
        answer = self._call(self._stop, StopRecording.Request(), STOP_S)
        if not answer.success:
            raise UserError(f"recorder: {answer.message}")
        return str(answer.report)

    def abandon(self) -> None:
        """Ask the recorder to stop without waiting for the answer."""
        self._stop.call_async(StopRecording.Request())

    def _call(self, client: Client, request: Any, timeout: float) -> Any:
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        deadline = time.monotonic() + timeout
        while not done.wait(0.2):
            if time.monotonic() > deadline or (timeout > WAIT_S and self._is_gone()):
                future.cancel()
                raise UserError(f"recorder {self._name} does not answer")
        return future.result()

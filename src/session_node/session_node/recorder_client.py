"""Starts and stops the bag recorder from a worker thread."""

from __future__ import annotations

import threading
from typing import Any

from emghand_interfaces.srv import StartRecording, StopRecording
from rclpy.client import Client
from rclpy.node import Node

from emghand.errors import UserError

WAIT_S = 5.0
STOP_S = 120.0


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
        if not done.wait(timeout):
            future.cancel()
            raise UserError(f"recorder {self._name} did not answer within {timeout:g} s")
        return future.result()

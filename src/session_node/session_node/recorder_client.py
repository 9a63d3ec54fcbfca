"""Starts and stops the bag recorder from a worker thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from emghand_interfaces.srv import StartRecording, StopRecording
from rclpy.client import Client
from rclpy.node import Node

from emghand.errors import UserError
from emghand.storage.manifest import MANIFEST
from emghand.storage.sessions import Session
from emghand_ros import qos
from emghand_ros.node import ear_of

WAIT_S = 5.0
STOP_S = 120.0
MISSED_REPORTS = 5
"""A recorder that leaves out so many reports is gone."""
DISCOVERY_S = 5.0
"""A recorder that has not subscribed by then does not hear what it should."""
LOOK_S = 0.02
OLD_REPORT_S = 0.5
"""A report that comes so soon after the start may have been sent before it."""


class RecorderClient:
    """The services of one recorder.

    `start` and `stop` block: they must not be called in the executor's thread, which has to deliver
    the answers.

    A recorder that is recording into a session when this node comes was started by an activity
    that was killed. Nobody else would ever end that bag, and no run could begin before it: it is
    ended here, whole, and entered into its session. What somebody records elsewhere is left alone.

    Parameters
    ----------
    node : Node
    name : str
        Name of the recorder node.
    topics : sequence of str
        What a recording must not miss: it begins when the recorder hears those that are published.
    """

    def __init__(self, node: Node, name: str, topics: Sequence[str]) -> None:
        self._node = node
        self._name = name
        self._topics = [node.resolve_topic_name(topic) for topic in topics]
        self._full_name = node.resolve_service_name(name).lstrip("/")
        self._ear = ear_of(f"/{self._full_name}")
        self._started = self._heard = time.monotonic()
        self._period = 1.0
        self._trouble = ""
        self._log = node.get_logger()
        # Of starting and stopping, so that what is ended is never a recording of our own.
        self._lock = threading.Lock()
        self._left: Path | None = None
        self._known = threading.Event()
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.SLOW)
        self._start = node.create_client(StartRecording, f"{name}/start")
        self._stop = node.create_client(StopRecording, f"{name}/stop")

    def start(self, uri: str) -> None:
        """Start to record every topic; returns when the recorder hears what it must not miss.

        Raises
        ------
        UserError
            When there is no recorder, it refuses, or it does not hear one of them.
        """
        if not self._start.wait_for_service(WAIT_S):
            raise UserError(
                f"no recorder answers as {self._name}: start bag_recorder, or do not record"
            )
        with self._lock:
            known, answer = self._begin(uri)
            # Before the first report it is not known what the recorder is busy with.
            if not answer.success and self._known.wait(WAIT_S) and self._end_left():
                known, answer = self._begin(uri)
            if not answer.success:
                raise UserError(f"recorder: {answer.message}")
            self._left = None
            self._known.set()
            self._started = self._heard = time.monotonic()
            self._trouble = ""
        try:
            self._wait_until_heard(known)
        except UserError:
            self.abandon()
            raise

    def _begin(self, uri: str) -> tuple[set[bytes], StartRecording.Response]:
        """Subscriptions of recorders that were there before, and the recorder's answer."""
        known = set().union(*map(self._ears, self._topics))
        return known, self._call(self._start, StartRecording.Request(uri=uri), WAIT_S)

    def _wait_until_heard(self, known: set[bytes]) -> None:
        """Wait until the recorder has subscribed.

        One that was just started does so when it has discovered the publishers; what was published
        before, it never hears. Subscriptions that are `known` are not of this recording: those of a
        recorder that was killed are listed for some time.
        """
        deadline = time.monotonic() + DISCOVERY_S
        while True:
            published = [t for t in self._topics if self._node.count_publishers(t)]
            missed = [topic for topic in published if not self._ears(topic) - known]
            if not missed:
                return
            if problem := self.problem():
                raise UserError(problem)
            if time.monotonic() > deadline:
                raise UserError(
                    f"recorder {self._name} does not hear {', '.join(missed)}: try again in half a "
                    "minute; then see whether it runs in the same network"
                )
            time.sleep(LOOK_S)

    def _ears(self, topic: str) -> set[bytes]:
        """Subscriptions of the recorder's listening node, whichever process it is of."""
        found = self._node.get_subscriptions_info_by_topic(topic)
        return {
            bytes(info.endpoint_gid)
            for info in found
            if f"{info.node_namespace.rstrip('/')}/{info.node_name}" == self._ear
        }

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
            if not self._known.is_set():
                self._look_for_left(status)
            if now - self._started < OLD_REPORT_S:
                continue
            if status.level == DiagnosticStatus.ERROR or status.message != "recording":
                self._trouble = f"recorder: {status.message}"

    def _look_for_left(self, status: DiagnosticStatus) -> None:
        values = {v.key: v.value for v in status.values}
        path = Path(values.get("bag", ""))
        if status.message == "recording" and _is_of_session(path):
            self._left = path
            threading.Thread(target=self._take_over, name="recorder take over", daemon=True).start()
        self._known.set()

    def _take_over(self) -> None:
        with self._lock:
            self._end_left()

    def _end_left(self) -> bool:
        """End what was left behind, with the lock; whether there was something and it has ended."""
        path, self._left = self._left, None
        if path is None:
            return False
        try:
            self._finish()
            Session.open(path.parents[1]).add_file(path)
        except UserError as error:
            # Said, not raised: the recorder says in its next answer whether it is free.
            self._log.warning(f"{path} was left behind by a session_node that is gone: {error}")
        else:
            self._log.info(f"{path} was left behind by a session_node that is gone: ended, whole")
        return True

    def stop(self) -> str:
        """Finish the recording; its integrity report as JSON.

        Raises
        ------
        UserError
            When the recorder is gone or could not finish the bag.
        """
        with self._lock:
            return self._finish()

    def _finish(self) -> str:
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
        begin = time.monotonic()
        while not done.wait(0.2):
            waited = time.monotonic() - begin
            # One that was started again meanwhile knows nothing of the request.
            lost = self._is_gone() or (self._trouble and waited > WAIT_S)
            if waited > timeout or (timeout > WAIT_S and lost):
                future.cancel()
                raise UserError(f"recorder {self._name} does not answer")
        return future.result()


def _is_of_session(bag: Path) -> bool:
    """Whether a bag is one of a session, as activities record them."""
    return bag.parent.name == "bags" and (bag.parents[1] / MANIFEST).is_file()

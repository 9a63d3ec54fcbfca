"""Node that records topics into a rosbag2 directory (MCAP)."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.srv import StartRecording, StopRecording
from std_srvs.srv import Trigger

from bag_tools.recording import Recording, check_space
from emghand.errors import UserError
from emghand.settings import check, setting
from emghand_ros.node import EmghandNode, ear_of, run
from emghand_ros.parameters import SettingsParameters

SETTLE_S = 0.5
"""Nothing new was heard for so long: all that was there is recorded now [s]."""

SPACING_S = 0.15
"""Between two requests for a snapshot: several ticks [s]."""

ALONE_S = 10.0
"""A recording that was asked for is finished when for so long nobody is there any more who could
ask for its end: longer than a node needs to be started again [s]."""


@dataclass(frozen=True)
class RecorderSettings:
    """What is recorded, and where."""

    uri: str = setting("", "Bag to record from the start; empty: wait for ~/start", live=False)
    topics: tuple[str, ...] = setting(
        (), "Topics recorded from the start; empty: all but hidden ones", live=False
    )
    discovery_period: float = setting(
        0.1, "Time between two looks for new topics", unit="s", low=0.02, high=5.0, live=False
    )
    min_free: float = setting(
        200.0, "Free space at which a recording is finished", unit="MB", low=0.0
    )
    snapshot_services: tuple[str, ...] = setting(
        ("/feature_node/snapshot", "/decoder_node/snapshot"),
        "Services (Trigger), in the order of the signal path, called when all topics are heard: a "
        "replay begins at the first snapshots",
        live=False,
    )

    def __post_init__(self) -> None:
        check(self)


class BagRecorder(EmghandNode):
    """Thin node around `Recording`: services, parameters, discovery, disk space."""

    def __init__(self, name: str = "bag_recorder", **kwargs: object) -> None:
        super().__init__(name, **kwargs)
        self._settings = SettingsParameters(self, RecorderSettings)
        self._recording: Recording | None = None
        self._report: dict[str, object] = {}
        # Not in the executor: its subscriptions are emptied by hand, see `Recording`.
        self._ear = rclpy.create_node(
            ear_of(self.get_name()),
            namespace=self.get_namespace(),
            context=self.context,
            enable_rosout=False,
            start_parameter_services=False,
            use_global_arguments=False,
        )
        self._snapshots = {
            name: self.create_client(Trigger, name)
            for name in self._settings.value.snapshot_services
        }
        self._heard: tuple[int, tuple[str, ...]] = (0, ())
        self._heard_since = 0.0
        self._asked = self._heard
        self._to_ask: list[str] = []
        self._last_asked = 0.0
        self._is_on_request = False
        # When somebody last was there who can end what was asked for; None: nobody ever was.
        self._company: float | None = None
        self.create_service(StartRecording, "~/start", self._on_start)
        self.create_service(StopRecording, "~/stop", self._on_stop)
        self.create_timer(self._settings.value.discovery_period, self._follow_graph)
        self.create_timer(1.0, self._check_recording)

    def activate(self) -> None:
        """Start to record when `uri` is set."""
        settings = self._settings.value
        if settings.uri:
            self.start_recording(settings.uri, settings.topics)

    def deactivate(self) -> None:
        """Finish the bag."""
        if self._recording is not None:
            self.stop_recording()

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """State of the recording."""
        recording = self._recording
        if recording is None:
            lost = self._report.get("lost", 0)
            level = DiagnosticStatus.WARN if lost else DiagnosticStatus.OK
            return level, "not recording", {"lost in the last recording": lost}
        values = {
            "bag": recording.path,
            "topics": len(recording.topics),
            "messages": recording.message_count,
            "not published": ", ".join(recording.missing),
        }
        return DiagnosticStatus.OK, "recording", values

    def start_recording(self, uri: str, topics: tuple[str, ...]) -> str:
        """Start a recording; returns a sentence.

        Raises
        ------
        UserError
            When one is running, the bag exists, the node is not active or the disk is full.
        """
        if self._recording is not None:
            raise UserError(f"already recording {self._recording.path}; stop that first")
        if not uri:
            raise UserError("no bag was named: give the directory to create")
        path = Path(uri).expanduser().absolute()
        check_space(path, self._settings.value.min_free)
        self.failure = ""
        self._is_on_request, self._company = False, None
        names = [self.resolve_topic_name(topic) for topic in topics]
        self._recording = Recording(self._ear, path, names, self.get_logger().warning)
        self._heard = self._asked = (0, ())
        self._to_ask = []
        text = f"recording {path}"
        self.get_logger().info(text)
        return text

    def stop_recording(self) -> dict[str, object]:
        """Finish the recording; returns its integrity report.

        Raises
        ------
        UserError
            When none is running, or its bag could not be finished.
        """
        recording, self._recording = self._recording, None
        if recording is None:
            raise UserError(f"not recording: {self.failure}" if self.failure else "not recording")
        self._report = recording.stop()
        total = sum(self._report["messages"].values())  # type: ignore[attr-defined]
        text = f"recorded {total} messages into {recording.path}, lost {self._report['lost']}"
        log = self.get_logger().warning if self._report["lost"] else self.get_logger().info
        log(text)
        return self._report

    def _on_start(
        self, request: StartRecording.Request, response: StartRecording.Response
    ) -> StartRecording.Response:
        try:
            if not self.active:
                raise UserError("the recorder is not active")
            response.message = self.start_recording(request.uri, tuple(request.topics))
            response.success = self._is_on_request = True
        except UserError as error:
            response.message = str(error)
        return response

    def _on_stop(
        self, request: StopRecording.Request, response: StopRecording.Response
    ) -> StopRecording.Response:
        try:
            response.report = json.dumps(self.stop_recording())
            response.success = True
            response.message = f"recorded {self._report['bag']}"
        except UserError as error:
            response.message = str(error)
        return response

    def _follow_graph(self) -> None:
        if self._recording is None:
            return
        self._recording.follow_graph()
        self._ask_for_snapshots(len(self._recording.topics), time.monotonic())

    def _ask_for_snapshots(self, n_topics: int, now: float) -> None:
        ready = tuple(n for n, client in self._snapshots.items() if client.service_is_ready())
        heard = (n_topics, ready)
        if heard != self._heard:
            self._heard, self._heard_since = heard, now
        elif heard != self._asked and now - self._heard_since > SETTLE_S:
            self._asked, self._to_ask = heard, list(ready)
        # One after the other: a snapshot is of use only where those before it in the path of the
        # signal are older.
        if self._to_ask and now - self._last_asked > SPACING_S:
            self._last_asked = now
            self._snapshots[self._to_ask.pop(0)].call_async(Trigger.Request())

    def _check_recording(self) -> None:
        if self._recording is None:
            return
        try:
            self._recording.check(self._settings.value.min_free)
            self._check_company(time.monotonic())
        except UserError as error:
            self.failure = str(error)
            self.get_logger().error(f"{error}; the recording is finished now")
            try:
                self.stop_recording()
            except UserError as failed:
                self.failure = str(failed)
                self.get_logger().error(self.failure)

    def _check_company(self, now: float) -> None:
        """Notice that whoever asked for the recording has died and was not started again.

        A recording that was asked for at a command line has nobody to end it yet, and that of the
        parameter `uri` ends with this node.
        """
        if not self._is_on_request:
            return
        if self.count_clients(self.resolve_service_name("~/stop")):
            self._company = now
        elif self._company is not None and now - self._company > ALONE_S:
            raise UserError("nobody is left who could end the recording")

    def destroy_node(self) -> None:
        """Also destroy the node that listens."""
        self._ear.destroy_node()
        super().destroy_node()


def main() -> int:
    """Run the node."""
    return run([BagRecorder])


if __name__ == "__main__":
    sys.exit(main())

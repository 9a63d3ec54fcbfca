"""Keeps the status of the session that is open on /session/status."""

from __future__ import annotations

import dataclasses
import os
import threading

from emghand_interfaces.msg import FeatureInfo, ModelInfo, SessionStatus
from emghand_interfaces.srv import GetStatus
from rclpy.node import Node

from emghand.errors import UserError
from emghand.jobs.status import Digests, Status, session_status
from emghand_ros import qos
from emghand_ros.background import run_in_thread


class StatusBoard:
    """Publishes what the open session holds, on every change; answers for any other one.

    The session of the last activity is the one that is open. It is looked at in a thread, because
    recordings are hashed: once each, for as long as they stay as they are.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._digests = Digests()
        # Hashing twice at the same time gains nothing.
        self._lock = threading.Lock()
        self._path = ""
        self._features_hash = ""
        self._model: ModelInfo | None = None
        self._shown: SessionStatus | None = None
        self._is_looking = self._is_due = False
        self._outlet = node.create_publisher(SessionStatus, "session/status", qos.LATCHED)
        node.create_subscription(ModelInfo, "decoder/model", self._on_model, qos.LATCHED)
        node.create_subscription(FeatureInfo, "features/info", self._on_info, qos.LATCHED)
        node.create_service(GetStatus, "session/get_status", self._on_request)

    def open(self, path: str) -> None:
        """Show this session from now on; empty: the one before."""
        if path:
            self._path = os.path.abspath(os.path.expanduser(path))
        self.look()

    def look(self) -> None:
        """Look again, soon; in the executor's thread."""
        self._is_due = True
        if not self._is_looking:
            self._is_looking = True
            self._node.executor.create_task(self._look)

    async def _look(self) -> None:
        try:
            while self._is_due:
                self._is_due = False
                message = await run_in_thread(self._node, lambda: self._try(self._path))
                self._publish(message)
        finally:
            self._is_looking = False

    def _try(self, path: str) -> SessionStatus:
        try:
            return self._status(path)
        except UserError as error:
            return self._message(Status(session=path, why=(str(error),)))

    def _status(self, path: str) -> SessionStatus:
        if not path:
            return self._message(Status(why=("no session is open",)))
        with self._lock:
            found = session_status(
                path,
                features_hash=self._features_hash,
                model_id="" if self._model is None else self._model.model_id,
                digests=self._digests,
            )
        return self._message(found)

    def _message(self, status: Status) -> SessionStatus:
        message = SessionStatus(**dataclasses.asdict(status))
        if self._model is not None:
            message.model_id, message.model_uri = self._model.model_id, self._model.uri
        return message

    def _publish(self, message: SessionStatus) -> None:
        # The stamp is left out of the comparison: only changes are published.
        if message == self._shown:
            return
        self._shown = SessionStatus(
            **{n: getattr(message, n) for n in message.get_fields_and_field_types()}
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._outlet.publish(message)

    def _on_model(self, message: ModelInfo) -> None:
        self._model = message if message.model_id else None
        self.look()

    def _on_info(self, message: FeatureInfo) -> None:
        self._features_hash = message.settings_hash
        self.look()

    async def _on_request(
        self, request: GetStatus.Request, response: GetStatus.Response
    ) -> GetStatus.Response:
        path = request.session or self._path
        try:
            response.status = await run_in_thread(self._node, lambda: self._status(path))
        except UserError as error:
            response.message = str(error)
            return response
        response.status.header.stamp = self._node.get_clock().now().to_msg()
        response.success = True
        response.message = "; ".join(response.status.why) or "everything is up to date"
        return response

"""Keeps the progress of the subject of the last run on /session/progress."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emghand_interfaces.msg import Progress
from rclpy.node import Node

from emghand.activities.settings import SessionSettings
from emghand.errors import UserError
from emghand.jobs import JobProcess, Plan
from emghand.progress.folder import find_study
from emghand.storage.sessions import Session
from emghand_ros import qos
from emghand_ros.background import run_in_thread

AUTO = "auto"


class ProgressBoard:
    """Computes where the subject of a session stands, and publishes it.

    That is done by `emghand progress` in a process of its own, one at a time, so that whatever is
    live never waits. A failure is told in the log and by `failure`, and is none of the session.

    Parameters
    ----------
    node : Node
    settings : callable
        The settings as they are.

    Attributes
    ----------
    failure : str
        Why the last one was not computed; empty: it was, or there was none.
    """

    def __init__(self, node: Node, settings: Callable[[], SessionSettings]) -> None:
        self._node = node
        self._settings = settings
        self._due: list[Path] = []
        self._is_working = False
        self._job: JobProcess | None = None
        self._is_stopped = False
        self.failure = ""
        self._outlet = node.create_publisher(Progress, "session/progress", qos.LATCHED)

    def follow(self, session: Path) -> None:
        """Compute it after a run in a session, soon; in the executor's thread."""
        if session not in self._due:
            self._due.append(session)
        if not self._is_working:
            self._is_working = True
            self._node.executor.create_task(self._work)

    def stop(self) -> None:
        """End what is being computed; the tables stay as they are, or are the new ones."""
        self._due.clear()
        self._is_stopped = True
        job = self._job  # The thread that computes takes it away when it has ended.
        if job is not None:
            job.cancel()

    async def _work(self) -> None:
        try:
            while self._due:
                session = self._due.pop(0)
                try:
                    compute = functools.partial(self._compute, session)
                    found = await run_in_thread(self._node, compute)
                except UserError as error:
                    self.failure = str(error)
                    self._node.get_logger().error(f"progress after {session.name}: {error}")
                    continue
                self.failure = ""
                if found is not None:
                    self._publish(session, found)
        finally:
            self._is_working = False

    def _compute(self, session: Path) -> dict[str, Any] | None:
        """What `emghand progress --json` says; None: the session lies in no study, or cancelled."""
        settings = self._settings()
        if not settings.study:
            return None
        if settings.study == AUTO:
            study = find_study(session.parent)
        else:
            study = Path(settings.study).expanduser().absolute()
            if not session.resolve().is_relative_to(study.resolve()):
                raise UserError(f"session {session}: does not lie in the study {study}")
        if study is None:
            return None
        words = ["progress", Session.open(session).subject, f"--in={study}", "--warn", "--json"]
        words += [f"--database={settings.database}"] if settings.database else []
        self._job = job = JobProcess(Plan(tuple(words), None, None, uri="study"))
        if self._is_stopped:
            job.cancel()  # `stop` came before there was anything to cancel.
        try:
            ended = job.run(lambda step: None)
        finally:
            self._job = None
        if ended.status == "failed":
            raise UserError(ended.message)
        found: dict[str, Any] | None = json.loads(ended.result) if ended.result else None
        return found

    def _publish(self, session: Path, found: dict[str, Any]) -> None:
        update = found["update"]
        message = Progress(
            study=found["study"],
            subject=found["subject"],
            session=str(session),
            date=found["date"],
            status=found["status"],
            raw_status=found["raw_status"],
            advice=found["advice"],
            next_level=found["next_level"],
            missing=found["sentences"],
            reached=list(found["reached"]),
            reached_on=[entry["date"] for entry in found["reached"].values()],
            problems=[
                *update["problems"],
                *(f"{path}: {reason}" for path, reason in update["damaged"].items()),
            ],
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._outlet.publish(message)

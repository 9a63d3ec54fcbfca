"""What live activities leave in a session: a bag and a table of what happened."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emghand.activities.activity import FAILED, Activity
from emghand.activities.room import Recorder
from emghand.errors import UserError
from emghand.storage.files import write_file
from emghand.storage.resume import write_plan
from emghand.storage.sessions import Session

COPIES = {"movement_set": "movements", "task": "settings"}
"""Folder of a session for copies of files that goals name."""


def open_session(text: str, subject: str) -> Session:
    """Open a session, or make a new one.

    Raises
    ------
    UserError
        When no directory or, for a new one, no subject is named, or it is another subject's.
    """
    if not text:
        raise UserError("session: name the directory of the session")
    # Not that of Path, which fails where there is no such user.
    path = Path(os.path.expanduser(text)).absolute()
    if _is_in_use(path):
        session = Session.open(path)
        if subject and subject != session.subject:
            raise UserError(f"session {path}: belongs to subject {session.subject}, not {subject}")
        return session
    if not subject:
        raise UserError(f"session {path}: is new, name its subject (--subject PSEUDONYM)")
    return Session.create(path, subject)


class SessionBag:
    """A bag of a session while it is recorded.

    Parameters
    ----------
    session : Session
    label : str
        Name of the bag; a number is added where it is taken.
    recorder : Recorder or None
        None: nothing is recorded.

    Attributes
    ----------
    path : Path
    uri : str
        The path once the recording has begun; empty: nothing is recorded.
    report : str
        Integrity report of the finished recording as JSON; empty: there is none.
    """

    def __init__(self, session: Session, label: str, recorder: Recorder | None) -> None:
        self.path = session.new_bag_path(label)
        self.uri = ""
        self.report = ""
        self._session = session
        self._recorder = recorder
        self._problem = ""

    def start(self) -> None:
        """Start to record.

        Raises
        ------
        UserError
            When the recorder refuses or is not there.
        """
        if self._recorder is not None:
            self._recorder.start(str(self.path))
            self.uri = str(self.path)

    def write_plan(
        self, activity: str, n_trials: int, field: str, source: str, goal: dict[str, Any]
    ) -> None:
        """Say what is about to be done, so that it can be resumed if nobody sees its end.

        To be called before `start`: a run that was killed on its way there is resumed as well.

        Parameters
        ----------
        activity : str
        n_trials : int
            Of the whole schedule.
        field, source : str
            Field of the goal that names a file, and the file; the session keeps a copy.
        goal : dict
            The other fields that make the schedule, without ``first``.

        Raises
        ------
        UserError
            When the file cannot be read or the plan cannot be written.
        """
        if self._recorder is None:
            return
        file = Path(source)
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UserError(f"{field} {file}: cannot be read: {error}") from error
        kept = self._session.keep(COPIES[field], file.name, content)
        inside = f"bags/{self.path.name}"
        write_plan(self._session, activity, inside, n_trials, {field: kept, **goal})

    def problem(self) -> str:
        """Why nothing is recorded any more; empty: it is, or was not to be."""
        return self._recorder.problem() if self.uri and self._recorder is not None else ""

    def finish(self, abandoned: bool) -> None:
        """End the recording; what goes wrong is told by `conclude`."""
        if not self.uri or self._recorder is None:
            return
        if abandoned:
            # This node is about to end: nobody would hear the answer.
            self._recorder.abandon()
            return
        try:
            self.report = self._recorder.stop()
        except UserError as error:
            self._problem = self._recorder.problem() or str(error)

    def conclude(
        self,
        activity: Activity,
        status: str,
        said: Sequence[str],
        name: str,
        table: Mapping[str, Any],
    ) -> None:
        """Give an activity its message and status after `finish`, and write what happened.

        The table is ``results/NAME.json``; it and the bag are entered into the manifest.

        Parameters
        ----------
        activity : Activity
        status : str
            ``failed`` instead when the recording was begun and not finished.
        said : sequence of str
            Parts of the message; empty ones are left out.
        name : str
            Of the table, without extension; a number is added where it is taken.
        table : mapping
            Plain, finite values; how it ended and what was recorded is added.
        """
        if self.uri and not self.report and not activity.abandoned:
            status = FAILED
        activity.message = "; ".join(filter(None, (*said, self._problem)))
        document = {
            "activity": activity.name,
            "status": status,
            "message": activity.message,
            **table,
            "bag": self.path.relative_to(self._session.path).as_posix() if self.uri else "",
            "recording": json.loads(self.report) if self.report else None,
        }
        path = self._session.new_file_path("results", name, ".json")
        write_file(path, json.dumps(document, indent=1, allow_nan=False).encode())
        self._session.add_file(path)
        if self.report:
            self._session.add_file(self.path)
        activity.status, activity.table = status, path


def _is_in_use(path: Path) -> bool:
    try:
        return path.exists() and any(path.iterdir())
    except OSError as error:
        raise UserError(
            f"session {path}: is no directory that can be read: {error.strerror or error}"
        ) from error

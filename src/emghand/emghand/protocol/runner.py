"""One run of a protocol into a session: log, checkpoints, result."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

from emghand.errors import UserError
from emghand.protocol.checkpoint import STEM, Checkpoint, checkpoints, last_checkpoint
from emghand.protocol.coroutines import Cancelled
from emghand.protocol.engine import Run
from emghand.protocol.events import Event, EventLog
from emghand.protocol.loader import RESERVED, Protocol, load_protocol
from emghand.protocol.world import World
from emghand.storage.files import write_file
from emghand.storage.sessions import MANIFEST, Session


class RunnableWorld(World, Interface):
    """A world that runs its own loop."""

    def run(self, until: Callable[[], bool]) -> None:
        """Let time pass until a condition holds."""


@dataclass(frozen=True)
class Result:
    """What became of a run.

    Parameters
    ----------
    status : str
        ``complete``, ``cancelled`` or ``failed``.
    message : str
        One sentence.
    events : int
        Events of the whole protocol, those before a resume too.
    log : str
        CSV of the events; empty: none was written.
    """

    status: str
    message: str
    events: int
    log: str = ""


class ProtocolRunner:
    """Runs a protocol from start, or from its last checkpoint, to its end.

    Parameters
    ----------
    protocol : Protocol
    world : RunnableWorld
    session : path, optional
        Directory; made when it does not exist. None: nothing is written.
    subject : str
        For a new session.
    seed : int
        Of every draw; a resumed protocol keeps its own.
    resume : bool
    on_event : callable, optional

    Raises
    ------
    UserError
        When the session cannot be opened, there is nothing to resume, the protocol is another one
        than was interrupted, or the world lacks what a stage needs.
    """

    def __init__(
        self,
        protocol: Protocol,
        world: RunnableWorld,
        *,
        session: str | Path | None = None,
        subject: str = "",
        seed: int = 0,
        resume: bool = False,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.protocol = protocol
        self.world = world
        self.session = None if session is None else open_session(session, subject, resume=resume)
        before = _interrupted(protocol, self.session) if resume else None
        self.seed = seed if before is None else before.seed
        self._on_event = on_event
        self._digest = protocol.digest
        self._log: EventLog | None = None
        self._checkpoint: Path | None = None
        self.run = Run(
            protocol.root,
            world,
            seed=self.seed,
            variables={**({} if before is None else before.variables), **self._reserved(subject)},
            on_event=self._event,
            on_progress=lambda run: self._save(finished=False),
            progress=None if before is None else before.progress,
            first_index=0 if before is None else before.index,
            start_time=0.0 if before is None else before.time,
        )

    def _reserved(self, subject: str) -> dict[str, Any]:
        session = self.session
        return {
            "session": "" if session is None else str(session.path),
            "subject": subject if session is None else session.subject,
            "seed": self.seed,
            "folder": str(self.protocol.folder),
        }

    def execute(self) -> Result:
        """Run it; blocks until every stage has had its end."""
        with contextlib.ExitStack() as open_files:
            if self.session is not None:
                self._log = open_files.enter_context(EventLog(self._new("protocol_events", ".csv")))
                self._checkpoint = self._new(STEM, ".json")
                self._describe()
                self._save(finished=False)
            failure: BaseException | None = None
            try:
                self.world.run(lambda: self.run.task.ended.done)
            except UserError as error:
                # Nothing can happen any more: say what waits in vain, and end it in order.
                failure = UserError(f"{error}; waiting: {', '.join(self._leaves())}")
                self.run.cancel()
                self.world.run(lambda: self.run.task.ended.done)
            failure = failure or self.run.error
            if failure is None:
                self._save(finished=True)
        if self.session is not None and self._log is not None and self._checkpoint is not None:
            self.session.add_file(self._log.path)
            self.session.add_file(self._checkpoint)
        return self._result(failure)

    def _leaves(self) -> list[str]:
        """Paths of the stages that run and hold none that runs."""
        paths = list(self.run.running)
        return [p for p in paths if not any(q.startswith(f"{p}/") for q in paths)]

    def _result(self, failure: BaseException | None) -> Result:
        events, log = self.run.index, "" if self._log is None else str(self._log.path)
        name = self.protocol.name
        if failure is None:
            return Result("complete", f"{name}: completed", events, log)
        if isinstance(failure, Cancelled):
            return Result("cancelled", f"{name}: cancelled", events, log)
        if not isinstance(failure, UserError):
            raise failure
        return Result("failed", str(failure), events, log)

    def _event(self, event: Event) -> None:
        if self._log is not None:
            self._log.add(event)
        self._on_event(event)

    def _save(self, finished: bool) -> None:
        if self._checkpoint is None:
            return
        run = self.run
        variables = {k: v for k, v in run.variables.items() if k not in RESERVED}
        Checkpoint(
            protocol=self.protocol.name,
            digest=self._digest,
            seed=self.seed,
            finished=finished,
            index=run.index,
            time=run.time,
            progress=run.snapshot(),
            variables=variables,
            parameters=_plain(self.protocol.parameters),
        ).save(self._checkpoint)

    def _new(self, stem: str, extension: str) -> Path:
        assert self.session is not None
        return self.session.new_file_path("results", stem, extension)

    def _describe(self) -> None:
        """Keep what was run beside its log."""
        assert self.session is not None
        values = {
            "protocol": self.protocol.name,
            "digest": self._digest,
            "seed": self.seed,
            "parameters": dict(self.protocol.parameters),
            "stage": self.protocol.root.describe(),
        }
        path = self._new("protocol", ".json")
        write_file(path, json.dumps(values, indent=1, default=str).encode())
        self.session.add_file(path)


def open_session(path: str | Path, subject: str, *, resume: bool = False) -> Session:
    """Open a session, or make it.

    Raises
    ------
    UserError
        When it is damaged, of another subject, or new without a subject.
    """
    path = Path(path).expanduser().absolute()
    if not (path / MANIFEST).exists():
        if resume:
            raise UserError(f"session {path}: is not there, so nothing can be resumed")
        if not subject:
            raise UserError(f"session {path}: is new, so give the subject's pseudonym")
        return Session.create(path, subject)
    session = Session.open(path)
    if subject and subject != session.subject:
        raise UserError(f"session {path}: is of {session.subject}, not of {subject}")
    return session


def load_interrupted(
    path: str | Path,
    session: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    python: bool = True,
) -> Protocol:
    """Read a protocol to resume it: with the parameters that it was interrupted with.

    Parameters
    ----------
    path : path
    session : path
        Directory of the session in which it was interrupted.
    parameters : mapping, optional
        These instead of those of the checkpoint; `ProtocolRunner` refuses any others.
    python : bool
        Whether a Python file may be run.

    Raises
    ------
    UserError
        When the protocol or a checkpoint of the session cannot be read.
    """
    left = () if parameters else checkpoints(Path(session).expanduser() / "results")
    for checkpoint in left:
        # It may be one of another protocol, with other parameters.
        with contextlib.suppress(UserError):
            protocol = load_protocol(path, checkpoint.parameters, python=python)
            if not checkpoint.finished and checkpoint.digest == protocol.digest:
                return protocol
    return load_protocol(path, parameters, python=python)


def _interrupted(protocol: Protocol, session: Session | None) -> Checkpoint:
    if session is None:
        raise UserError("nothing can be resumed without a session")
    checkpoint = last_checkpoint(session.path / "results", protocol.digest)
    if checkpoint is None:
        raise UserError(f"session {session.path}: no protocol was interrupted here")
    if checkpoint.finished:
        raise UserError(f"session {session.path}: {checkpoint.protocol} was completed")
    if checkpoint.digest != protocol.digest:
        raise UserError(
            f"session {session.path}: {checkpoint.protocol} was interrupted, and {protocol.name} "
            "is not the same: take the file and the parameters of that time"
        )
    return checkpoint


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are the same when they come back from JSON."""
    found = {}
    for name, value in values.items():
        with contextlib.suppress(TypeError, ValueError):
            if json.loads(json.dumps(value)) == value:
                found[name] = value
    return found

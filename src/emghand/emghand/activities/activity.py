"""What every activity is: a goal that is prepared, run, perhaps cancelled, answered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

from emghand.activities.room import Room
from emghand.errors import UserError

COMPLETE, CANCELLED, FAILED = "complete", "cancelled", "failed"

T = TypeVar("T")
Steps = Generator[float, None, T]
"""Work that yields how long it waits at most [s]; it goes on sooner when it is woken."""


class Activity(ABC):
    """One goal, from its arrival to its result.

    `work` is advanced by whoever runs it; they raise `emghand.errors.UserError` for what cannot be
    done. What is heard and `cancel` may come from another thread at any time and must not block.
    Whatever an activity leaves on the disk is valid however it ends.

    Parameters
    ----------
    name : str
        What it is called on the topics: ``collect``, ``test``, ...
    goal : Any
        With the fields of the goal of its action.
    room : Room
        Everything it may use.

    Attributes
    ----------
    live : bool
        Uses the hand, the prompts or the recorder: live ones exclude each other. Others work on
        stored data, beside it, one at a time.
    stopping : bool
        It is to end.
    abandoned : bool
        Who runs it is about to end: nobody will hear answers of others.
    status : str
        ``complete``, ``cancelled`` or ``failed``.
    message : str
        One sentence for a person.
    table : Path or None
        What it wrote into the results of the session, if anything.
    """

    live = True

    def __init__(self, name: str, goal: Any, room: Room) -> None:
        self.name = name
        self.goal = goal
        self.room = room
        self.stopping = False
        self.abandoned = False
        self.status = FAILED
        self.message = ""
        self.table: Path | None = None

    def work(self) -> Steps[None]:
        """Prepare and run; a mistake of the user becomes the message."""
        try:
            yield from self.prepare()
            yield from self.run()
        except UserError as error:
            self.message = str(error)

    @abstractmethod
    def prepare(self) -> Steps[None]:
        """Check everything that can be checked before anybody is asked to do anything."""

    @abstractmethod
    def run(self) -> Steps[None]:
        """Do it; sets `status` and `message`."""

    @abstractmethod
    def result(self) -> dict[str, Any]:
        """Fields of the result beside ``success`` and ``message``."""

    def cancel(self) -> None:
        """Ask it to end."""
        self.stopping = True
        self.room.wake()

    def pause(self, seconds: float) -> Steps[bool]:
        """Wait for a time; True as soon as it is to end."""
        end = self.room.steady_ns() + round(seconds * 1e9)
        while not self.stopping and (left := end - self.room.steady_ns()) > 0:
            yield left * 1e-9
        return self.stopping

    def wait_for(
        self, condition: Callable[[], object], timeout: float, what: str, missing: str
    ) -> Steps[None]:
        """Wait until something is there.

        Raises
        ------
        UserError
            `missing`, after the time-out [s]; that it was cancelled while waiting for `what`.
        """
        deadline = self.room.steady_ns() + round(timeout * 1e9)
        while not condition():
            if (yield from self.pause(POLL_S)):
                raise UserError(f"cancelled while waiting for {what}")
            if self.room.steady_ns() > deadline:
                raise UserError(missing)

    @property
    def success(self) -> bool:
        """Whether what was asked for was done."""
        return self.status == COMPLETE

    @property
    def session_path(self) -> str:
        """Directory of the session it works on; empty: none."""
        return str(getattr(self.goal, "session", ""))


POLL_S = 0.05
"""How often to look whether something is there."""

"""What every activity of the room is: a goal that is prepared, run, perhaps cancelled, answered."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from session_node.room import Room

COMPLETE, CANCELLED, FAILED = "complete", "cancelled", "failed"


class Activity(ABC):
    """One goal, from its arrival to its result.

    `prepare` and `run` are called in a thread of their own, one after the other, and may block;
    they raise `emghand.errors.UserError` for what cannot be done. `cancel` comes from the
    executor's thread at any time and must not block. Whatever an activity leaves on the disk is
    valid however it ends.

    Parameters
    ----------
    name : str
        What it is called on the topics: ``collect``, ``test``, ...
    goal : Any
        Goal message of its action.
    room : Room
        Everything it may use.

    Attributes
    ----------
    live : bool
        Uses the hand, the prompts or the recorder: live ones exclude each other. Others work on
        stored data, beside it, one at a time.
    stop : threading.Event
        Set when it is to end.
    abandoned : bool
        The node is about to end: nobody will hear answers of others.
    status : str
        ``complete``, ``cancelled`` or ``failed``.
    message : str
        One sentence for a person.
    """

    live = True

    def __init__(self, name: str, goal: Any, room: Room) -> None:
        self.name = name
        self.goal = goal
        self.room = room
        self.stop = threading.Event()
        self.abandoned = False
        self.status = FAILED
        self.message = ""

    @abstractmethod
    def prepare(self) -> None:
        """Check everything that can be checked before anybody is asked to do anything."""

    @abstractmethod
    def run(self) -> None:
        """Do it; sets `status` and `message`."""

    @abstractmethod
    def result(self) -> dict[str, Any]:
        """Fields of the result beside ``success`` and ``message``."""

    def cancel(self) -> None:
        """Ask it to end."""
        self.stop.set()

    @property
    def success(self) -> bool:
        """Whether what was asked for was done."""
        return self.status == COMPLETE

    @property
    def session_path(self) -> str:
        """Directory of the session it works on; empty: none."""
        return str(getattr(self.goal, "session", ""))


@dataclass(frozen=True)
class Kind:
    """An activity as it is offered to the graph.

    Parameters
    ----------
    name : str
    action : type
        Action of the message package.
    topic : str
        Name of the action.
    make : callable
        Makes the activity from its name, goal and room.
    """

    name: str
    action: Any
    topic: str
    make: Callable[[str, Any, Room], Activity]

"""The log of a protocol: one event per transition of a stage, as line, CSV row or message."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from emghand.errors import UserError
from emghand.storage.files import make_folder

COLUMNS = ("index", "timestamp", "name", "trigger", "item", "value")

NOTABLE = (
    "stage_start",
    "trial_start",
    "trial_end",
    "stage_end",
    "draw",
    "gate",
    "value",
    "error",
)
"""Triggers that a person wants to see; the others say that a method of a stage has returned."""


@dataclass(frozen=True)
class Event:
    """A transition of a stage; the fields of ``StageEvent``.

    Parameters
    ----------
    index : int
        Running number, starting at 0; goes on after a resume.
    time : float
        Since the start of the protocol [s].
    stage : str
        Path of names from the root, with ``/``.
    trigger, item, value : str
        What happened, what it is about, and its value.
    trial : int
        Trial of the stage; -1: none.
    """

    index: int
    time: float
    stage: str
    trigger: str
    item: str
    value: str
    trial: int

    @property
    def row(self) -> tuple[str, ...]:
        """Values of `COLUMNS`."""
        time = f"{self.time:.6f}"
        return (str(self.index), time, self.stage, self.trigger, self.item, self.value)

    @property
    def line(self) -> str:
        """One line for a terminal."""
        depth = self.stage.count("/")
        name = "  " * depth + self.stage.rpartition("/")[2]
        return (
            f"{self.index:5d} {self.time:11.3f}  {name:32s} {self.trigger:12s} "
            f"{self.item} {self.value}"
        ).rstrip()


class EventLog:
    """CSV file of events, complete to the last one after a crash.

    Parameters
    ----------
    path : path
        New file; must not exist.

    Raises
    ------
    UserError
        When it exists or cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        make_folder(self.path.parent)
        try:
            self._file = self.path.open("x", newline="", encoding="utf-8")
        except FileExistsError:
            raise UserError(f"{path}: exists already; choose another name") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
        self._write(COLUMNS)

    def add(self, event: Event) -> None:
        """Write an event."""
        self._write(event.row)

    def _write(self, row: tuple[str, ...]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row)
        try:
            self._file.write(text.getvalue())
            self._file.flush()
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

"""When the sessions of a generated study take place, and what is done in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

from emghand.simulate.study.people import Person

FIRST_DAY = date(2026, 1, 12)
"""A Monday."""
WEEKDAYS = (0, 1, 3, 4)
"""On which sessions are planned."""
BEGIN = time(9, 0, tzinfo=timezone.utc)
"""So that a date is the same one from 9 h west of Greenwich to 12 h east."""
SECOND_AFTER = timedelta(hours=1, minutes=30)
FITTING, FREE, TASKS = "fitting", "free", "tasks"
"""What a session is for: calibration and collection; free control alone; scored trials."""


@dataclass(frozen=True)
class Sitting:
    """One session as it is planned.

    Parameters
    ----------
    person : Person
    number : int
        From 1 on.
    begin : datetime
        UTC.
    purpose : str
        `FITTING`, `FREE` or `TASKS`.
    """

    person: Person
    number: int
    begin: datetime
    purpose: str

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"s{self.number:02}"

    @property
    def skill(self) -> float:
        """Of the person in this session."""
        return self.person.skill.at(self.number)

    @property
    def on_hand(self) -> bool:
        """Whether it is on a real hand."""
        return 0 < self.person.hand <= self.number


def plan(person: Person, sessions: int) -> tuple[Sitting, ...]:
    """The sessions of a person, in order."""
    days = _days()
    found: list[Sitting] = []
    for number in range(1, sessions + 1):
        if number in person.doubled and found:
            begin = found[-1].begin + SECOND_AFTER
        else:
            day = next(days)
            if number in person.missed:
                day = next(days)
            begin = datetime.combine(day, BEGIN)
        purpose = TASKS
        if number in person.no_tasks:
            purpose = FREE if number in person.passive else FITTING
        found.append(Sitting(person, number, begin, purpose))
    return tuple(found)


def _days() -> Iterator[date]:
    day = FIRST_DAY
    while True:
        if day.weekday() in WEEKDAYS:
            yield day
        day += timedelta(days=1)

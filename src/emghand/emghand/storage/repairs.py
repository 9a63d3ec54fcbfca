"""What a reader mended in a damaged file, left out of it, or only noticed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emghand.errors import UserError

REPAIRED = "repaired"
LEFT_OUT = "left out"
KEPT = "kept"
NOTED = "noted"
ACTIONS = (REPAIRED, LEFT_OUT, KEPT, NOTED)

_SHOWN = 5
_LOGGER = logging.getLogger("emghand.datasets")


@dataclass(frozen=True)
class Repair:
    """All places of one file at which the same was wrong.

    Parameters
    ----------
    file : str
    kind : str
        One word for programs, such as ``short_row``.
    action : str
        ``repaired``: read otherwise than it is written; ``left out``: not in the recording;
        ``kept``: looks wrong, read as it is; ``noted``: no damage, but the format or the user asks
        for something that changes the data, such as a grid.
    count : int
        Number of lines, samples, ...
    unit : str
        What is counted: ``line``, ``sample``, ``row``, ``message``, ``byte``, ``label``.
    ranges : tuple of (first, last)
        Where, both ends included. Lines and rows count from 1, samples from 0.
    text : str
        What was found and what was done, for a person.
    """

    file: str
    kind: str
    action: str
    count: int
    unit: str
    ranges: tuple[tuple[int, int], ...]
    text: str

    def __str__(self) -> str:
        shown = ", ".join(
            f"{first}" if first == last else f"{first}-{last}"
            for first, last in self.ranges[:_SHOWN]
        )
        more = f" and {len(self.ranges) - _SHOWN} more" if len(self.ranges) > _SHOWN else ""
        place = f" ({self.unit} {shown}{more})" if self.ranges else ""
        plural = "" if self.count == 1 else "s"
        return f"{self.file}: {self.action}: {self.count} {self.unit}{plural}{place}: {self.text}"

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {**asdict(self), "ranges": [list(r) for r in self.ranges]}


class RepairLog:
    """Collects the repairs of one reading.

    Parameters
    ----------
    strict : bool
        Refuse what would have to be repaired, left out, or kept although it looks wrong.
    """

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self._found: list[Repair] = []

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """In the order they were found."""
        return tuple(self._found)

    def add(
        self,
        file: str | Path,
        kind: str,
        action: str,
        text: str,
        places: ArrayLike = (),
        unit: str = "line",
        count: int | None = None,
    ) -> None:
        """Enter one kind of damage; nothing when there are no places and no count.

        Parameters
        ----------
        places : array-like of int
            Every line or sample, in ascending order.
        count : int, optional
            By default the number of places.

        Raises
        ------
        UserError
            With `strict`, unless the action is ``noted``.
        """
        at = np.asarray(places, np.int64).ravel()
        number = len(at) if count is None else count
        if number == 0:
            return
        repair = Repair(str(file), kind, action, number, unit, _ranges(at), text)
        if self.strict and action != NOTED:
            raise UserError(f"{repair}; strict reading refuses this")
        self._found.append(repair)


def _ranges(at: np.ndarray) -> tuple[tuple[int, int], ...]:
    if not at.size:
        return ()
    at = np.unique(at)
    starts = np.flatnonzero(np.diff(at, prepend=at[0] - 2) > 1)
    ends = np.append(starts[1:], len(at)) - 1
    return tuple(zip(at[starts].tolist(), at[ends].tolist(), strict=True))


def repairs_from(values: Sequence[Any]) -> tuple[Repair, ...]:
    """Repairs from the plain values of `Repair.as_dict`.

    Raises
    ------
    UserError
        When they are not what `Repair.as_dict` gives.
    """
    try:
        return tuple(
            Repair(
                file=str(v["file"]),
                kind=str(v["kind"]),
                action=str(v["action"]),
                count=int(v["count"]),
                unit=str(v["unit"]),
                ranges=tuple((int(first), int(last)) for first, last in v["ranges"]),
                text=str(v["text"]),
            )
            for v in values
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"a list of repairs is damaged ({error})") from error


def summary(source: str, repairs: Iterable[Repair]) -> str:
    """One line for a terminal; empty when nothing is worth a warning."""
    counts: dict[tuple[str, str, str], int] = {}
    for repair in repairs:
        if repair.action != NOTED:
            key = (repair.action, repair.kind, repair.unit)
            counts[key] = counts.get(key, 0) + repair.count
    parts = [
        f"{action} {count} {unit}{'' if count == 1 else 's'} ({kind.replace('_', ' ')})"
        for (action, kind, unit), count in counts.items()
    ]
    return f"{source}: {', '.join(parts)}; emghand convert prints the whole report" if parts else ""


def announce(source: str, repairs: Iterable[Repair]) -> None:
    """Warn in one line on the logger ``emghand.datasets``: on stderr, unless logging is set up."""
    text = summary(source, repairs)
    if text:
        _LOGGER.warning("warning: %s", text)

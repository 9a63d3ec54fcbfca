"""Time stamps of files: units, clocks of 12 and 24 hours, dates, and which rows go forward."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.repairs import LEFT_OUT, NOTED, RepairLog

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
FORMATS = (*UNITS, "clock12", "clock24", "iso")

WRAP_S = 600.0
"""A clock that falls back is taken to have passed 12 (or 24) o'clock only when the step across it
is shorter than this; otherwise the stamp is wrong."""

_HOUR = 3600.0
_TIME_OF_DAY = re.compile(r"\s*(\d{1,2}):(\d\d):(\d\d(?:\.\d+)?)\s*([AaPp][Mm])?\s*")


def parse_times(texts: Sequence[str], form: str) -> Floats:
    """Seconds of each stamp; NaN where a text is none.

    Parameters
    ----------
    texts : sequence of str
    form : str
        A unit of `UNITS` for numbers; ``clock12`` or ``clock24`` for a time of day (seconds since
        midnight or, without AM and PM, since 12 o'clock); ``iso`` for a date and time in ISO 8601
        (seconds since 1970, UTC unless it says otherwise); or a pattern of
        `datetime.datetime.strptime` with a ``%``.

    Raises
    ------
    UserError
        For an unknown form.
    """
    if form in UNITS:
        return np.array([_number(text) * UNITS[form] for text in texts])
    if form in ("clock12", "clock24"):
        return np.array([_time_of_day(text, form == "clock12") for text in texts])
    if form == "iso" or "%" in form:
        return np.array([_moment(text, form) for text in texts])
    raise UserError(
        f"{form!r} is no form of time, choose from {', '.join(FORMATS)}, or a pattern with %"
    )


def dial_s(texts: Sequence[str], form: str) -> float:
    """After how many seconds such a clock begins anew; 0: never."""
    if form == "clock24":
        return 24 * _HOUR
    if form != "clock12":
        return 0.0
    found = (_TIME_OF_DAY.fullmatch(text) for text in texts)
    return 24 * _HOUR if any(m is not None and m[4] for m in found) else 12 * _HOUR


def unwrap(times: Floats, dial: float) -> tuple[Floats, Ints]:
    """Time that goes on where a clock of `dial` seconds begins anew.

    Returns
    -------
    times : ndarray
    turns : ndarray of int
        Rows at which the clock had begun anew. A step back counts as that only when it is a step
        forward of less than `WRAP_S` on the dial: a single wrong stamp must not add half a day to
        all that follow.
    """
    if dial == 0.0 or len(times) < 2:
        return times, np.zeros(0, np.int64)
    step = np.diff(times)
    turns = np.flatnonzero((step < 0) & (step + dial < WRAP_S)) + 1
    added = np.zeros(len(times))
    added[turns] = dial
    return times + np.cumsum(added), turns


def going_forward(times: Floats) -> NDArray[np.bool_]:
    """The largest part of the rows whose time never goes back; shape (n,).

    One stamp that lies far ahead is left out alone, not everything after it (longest
    non-decreasing subsequence, Schensted 1961, doi 10.4153/CJM-1961-015-3).
    """
    keep = np.ones(len(times), np.bool_)
    if len(times) < 2 or np.diff(times).min() >= 0:
        return keep
    tails: list[float] = []
    last: list[int] = []
    before = np.full(len(times), -1)
    for i, time in enumerate(times.tolist()):
        place = bisect.bisect_right(tails, time)
        if place:
            before[i] = last[place - 1]
        tails[place : place + 1] = [time]
        last[place : place + 1] = [i]
    keep[:] = False
    i = last[-1]
    while i >= 0:
        keep[i] = True
        i = int(before[i])
    return keep


def forward_rows(
    path: Path, times: Floats, same_as_before: NDArray[np.bool_], lines: Ints, log: RepairLog
) -> NDArray[np.bool_]:
    """Rows to keep, shape (n,): time goes forward, and none is there twice.

    Parameters
    ----------
    times : ndarray, shape (n,)
    same_as_before : ndarray of bool, shape (n,)
        The row equals the one before it, stamp included.
    lines : ndarray of int, shape (n,)
        For the report.
    """
    log.add(path, "duplicate_row", LEFT_OUT, "the row before it again", lines[same_as_before])
    keep = ~same_as_before
    rows = np.flatnonzero(keep)
    forward = going_forward(times[rows])
    log.add(path, "time_back", LEFT_OUT, "its time is out of order", lines[rows[~forward]])
    keep[rows[~forward]] = False
    return keep


def note_turns(path: Path, lines: Ints, dial: float, log: RepairLog) -> None:
    """Report the lines at which a clock began anew."""
    text = f"the clock of {dial / _HOUR:.0f} hours begins anew; time goes on"
    log.add(path, "clock_turn", NOTED, text, lines)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return np.nan
    return value if np.isfinite(value) and "_" not in text else np.nan


def _time_of_day(text: str, twelve: bool) -> float:
    found = _TIME_OF_DAY.fullmatch(text)
    if found is None:
        return np.nan
    hour, minute, second = int(found[1]), int(found[2]), float(found[3])
    half = (found[4] or "").lower()
    if hour > (12 if twelve or half else 23) or minute > 59 or second >= 61.0:
        return np.nan
    if twelve or half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return hour * _HOUR + minute * 60.0 + second


def _moment(text: str, form: str) -> float:
    try:
        if form == "iso":
            # Python 3.10 knows neither the Z nor fractions of other than 3 or 6 digits.
            moment = datetime.fromisoformat(_python_310(text.strip()))
        else:
            moment = datetime.strptime(text.strip(), form)
    except ValueError:
        return np.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()


def _python_310(text: str) -> str:
    text = re.sub(r"[Zz]$", "+00:00", text)
    return re.sub(r"\.(\d+)", lambda m: "." + m[1][:6].ljust(6, "0"), text, count=1)

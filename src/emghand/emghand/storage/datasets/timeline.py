"""Where the rows of a file lie in time: on a counter, on evenly spaced stamps, or on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.datasets.clock import forward_rows
from emghand.storage.repairs import KEPT, LEFT_OUT, NOTED, RepairLog

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_HOLD_S = 1.0
"""Longest gap of irregular samples over which the last one is held; a longer one stays a gap."""

GAP_S = 0.25
"""A step of irregular samples that is longer than this is reported."""

MAX_RATE = 1e6
MAX_TIME_S = 1e10
"""A stamp beyond this (300 years) is none."""

_IRREGULAR = 0.25
_FEW = 4
_MAX_COUNTER = 2.0**53


@dataclass(frozen=True)
class Rows:
    """Samples as a file holds them.

    Parameters
    ----------
    path : Path
    emg : ndarray, shape (n, n_channels)
        NaN where a cell is no number.
    lines : ndarray of int, shape (n,)
        Line or row of each, for reports.
    positions : ndarray of int, shape (n,)
        Place of each row if every row of the file were there.
    time_s : ndarray, shape (n,), optional
        NaN where a stamp is damaged.
    counter : ndarray, shape (n,), optional
        The device's own counter of samples; NaN where damaged.
    counter_wraps : int
        The counter begins anew after so many; 0: never.
    counter_step : int
        By how much it grows from one sample to the next.
    unit : str
        What `lines` counts.
    """

    path: Path
    emg: Floats
    lines: Ints
    positions: Ints
    time_s: Floats | None = None
    counter: Floats | None = None
    counter_wraps: int = 0
    counter_step: int = 1
    unit: str = "line"


@dataclass(frozen=True)
class Placed:
    """Samples with their places.

    Parameters
    ----------
    samples : ndarray, shape (m, n_channels)
        Of the grid, where there is one.
    index : ndarray of int, shape (m,)
        Place of each on the sample counter, ascending; missing samples are missing numbers.
    rate : float
    rows : ndarray of int, shape (k,)
        Rows of the file that were used.
    time_s : ndarray, shape (k,)
        Time of each of these rows after sample 0 of the counter.
    start_s : float
        Time of sample 0 of the counter on the clock of the file; 0 without one.
    """

    samples: Floats
    index: Ints
    rate: float
    rows: Ints
    time_s: Floats
    start_s: float


def place(rows: Rows, rate: float, log: RepairLog) -> Placed:
    """Find the place of every row.

    Rows with a value that is no finite number are left out. Then, in this order: a counter gives
    the places; or the time together with `rate` gives samples held on a grid; or the time alone
    must be evenly spaced, and a step of several samples is a gap; or, without both, every row of
    the file is one sample, those that were left out included.

    Parameters
    ----------
    rows : Rows
    rate : float
        Samples per second [Hz]; 0: from the time.

    Raises
    ------
    UserError
        When no rate is known, time stands still, or samples are not evenly spaced.
    """
    if not 0.0 <= rate <= MAX_RATE:
        raise UserError(f"{rows.path}: the rate must be positive and at most 1 MHz, got {rate}")
    used = _finite_rows(rows, log)
    placed = _place(rows, used, rate, log)
    if not 0.0 < placed.rate <= MAX_RATE or placed.index[-1] / placed.rate > MAX_TIME_S:
        raise UserError(
            f"{rows.path}: its time makes no sense ({placed.rate:g} samples per second); is its "
            "unit another one?"
        )
    return placed


def _place(rows: Rows, used: Ints, rate: float, log: RepairLog) -> Placed:
    if rows.counter is not None:
        return _on_counter(rows, used, rate, log)
    if rows.time_s is None:
        if rate <= 0:
            raise UserError(f"{rows.path}: has no column 'time', give the rate")
        index = rows.positions[used] - rows.positions[used[0]]
        return Placed(rows.emg[used], index, rate, used, index / rate, 0.0)
    used = used[_forward(rows, used, log)]
    if len(used) < 2:
        raise UserError(f"{rows.path}: needs at least two rows whose time goes forward")
    time_s = rows.time_s[used]
    if time_s[-1] <= time_s[0]:
        raise UserError(f"{rows.path}: the column 'time' runs backwards or stands still")
    if rate > 0:
        return _on_grid(rows, used, time_s, rate, log)
    return _evenly_spaced(rows, used, time_s, log)


def _finite_rows(rows: Rows, log: RepairLog) -> Ints:
    good = np.isfinite(rows.emg).all(axis=1)
    log.add(
        rows.path,
        "bad_value",
        LEFT_OUT,
        "a value of the EMG that is missing or no finite number",
        rows.lines[~good],
        rows.unit,
    )
    for name, values, limit in (
        ("time", rows.time_s, MAX_TIME_S),
        ("counter", rows.counter, _MAX_COUNTER),
    ):
        if values is not None:
            readable = np.abs(values) <= limit
            text = f"the {name} is missing, cannot be read or is far too large"
            log.add(
                rows.path,
                f"bad_{name}",
                LEFT_OUT,
                text,
                rows.lines[good & ~readable],
                rows.unit,
            )
            good &= readable
    used = np.flatnonzero(good)
    if not used.size:
        raise UserError(f"{rows.path}: holds no row of EMG that can be used")
    return used


def _forward(rows: Rows, used: Ints, log: RepairLog) -> NDArray[np.bool_]:
    assert rows.time_s is not None
    time_s = rows.time_s[used]
    same = np.zeros(len(used), np.bool_)
    same[1:] = (np.diff(time_s) == 0) & (np.diff(rows.emg[used], axis=0) == 0).all(axis=1)
    return forward_rows(rows.path, time_s, same, rows.lines[used], log)


def _on_counter(rows: Rows, used: Ints, rate: float, log: RepairLog) -> Placed:
    assert rows.counter is not None
    if rate <= 0 and rows.time_s is None:
        raise UserError(f"{rows.path}: a counter alone says no rate, give it")
    counter = np.round(rows.counter[used]).astype(np.int64)
    step = np.diff(counter, prepend=counter[:1])
    if rows.counter_wraps:
        step %= rows.counter_wraps
    same = step == 0
    same[0] = False
    text = "its counter is that of the row before it"
    log.add(rows.path, "duplicate_row", LEFT_OUT, text, rows.lines[used[same]], rows.unit)
    places = np.cumsum(step // rows.counter_step)
    # Without a wrap a counter may also fall back; what comes again is left out.
    highest = np.maximum.accumulate(np.concatenate([[-1], places[:-1]]))
    back = (places <= highest) & ~same
    text = "its counter is out of order"
    log.add(rows.path, "counter_back", LEFT_OUT, text, rows.lines[used[back]], rows.unit)
    keep = ~(same | back)
    index, used = places[keep], used[keep]
    _report_dropped(rows, index, used, log)
    start_s = 0.0
    if rows.time_s is not None:
        time_s = rows.time_s[used]
        span = float(time_s[-1] - time_s[0])
        if rate <= 0 and (len(index) < 2 or span <= 0):
            raise UserError(f"{rows.path}: the time stands still, give the rate")
        rate, start_s = rate or _rounded(index[-1] / span), float(time_s[0])
    return Placed(rows.emg[used], index, rate, used, index / rate, start_s)


def _evenly_spaced(rows: Rows, used: Ints, time_s: Floats, log: RepairLog) -> Placed:
    step = np.diff(time_s)
    typical = float(np.median(step))
    single = step[np.round(step / typical) == 1] if typical > 0 else step[:0]
    if single.size:
        typical = float(single.mean())  # stamps are often rounded: better than any one of them
    ratio = step / typical if typical > 0 else np.zeros(len(step))
    number = np.maximum(np.round(ratio), 1.0)
    odd = (np.abs(ratio - number) > _IRREGULAR) & (number <= _FEW)
    if odd.any():
        line = rows.lines[used[1:][odd][0]]
        raise UserError(
            f"{rows.path}, {rows.unit} {line}: samples are not evenly spaced in time, give a rate "
            "to hold them"
        )
    index = np.concatenate([[0], np.cumsum(number.astype(np.int64))])
    _report_dropped(rows, index, used, log)
    rate = _rounded(index[-1] / (time_s[-1] - time_s[0]))
    return Placed(rows.emg[used], index, rate, used, time_s - time_s[0], float(time_s[0]))


def _rounded(rate: float) -> float:
    # Six digits: two files of one device must have the same rate, whatever the last digit of their
    # stamps, to be learned from together. It costs 4 ms in an hour at most.
    return float(f"{rate:.6g}")


def _report_dropped(rows: Rows, index: Ints, used: Ints, log: RepairLog) -> None:
    missing = np.diff(index) - 1
    gaps = np.flatnonzero(missing > 0)
    log.add(
        rows.path,
        "dropped",
        KEPT,
        f"samples are missing before these {rows.unit}s; they stay a gap of the sample counter",
        rows.lines[used[gaps + 1]],
        "sample",
        count=int(missing[gaps].sum()),
    )


def _on_grid(rows: Rows, used: Ints, time_s: Floats, rate: float, log: RepairLog) -> Placed:
    since = time_s - time_s[0]
    text = f"put on a grid of {rate:g} Hz by holding the last sample that had arrived"
    log.add(rows.path, "grid", NOTED, text, count=len(used), unit=rows.unit)
    step = np.diff(since)
    for kind, text, long in (
        (
            "gap_held",
            f"a gap of more than {GAP_S:g} s before it; the last sample is held",
            (step > GAP_S) & (step <= MAX_HOLD_S),
        ),
        (
            "gap",
            f"a gap of more than {MAX_HOLD_S:g} s before it; it stays a gap of the sample counter",
            step > MAX_HOLD_S,
        ),
    ):
        log.add(rows.path, kind, KEPT, text, rows.lines[used[1:][long]], rows.unit)
    source, index = held_on_grid(since, rate)
    return Placed(rows.emg[used][source], index, rate, used, since, float(time_s[0]))


def held_on_grid(time_s: Floats, rate: float, max_hold_s: float = MAX_HOLD_S) -> tuple[Ints, Ints]:
    """Sample-and-hold on the uniform grid k / rate: nothing is used before it was measured.

    Parameters
    ----------
    time_s : ndarray, shape (n,)
        Ascending, from 0.
    rate : float
        Of the grid [Hz].
    max_hold_s : float
        A sample that is older than this is not held on: the grid has a gap.

    Returns
    -------
    source : ndarray of int, shape (m,)
        The last sample that had arrived at each point of the grid.
    index : ndarray of int, shape (m,)
        The points k.
    """
    # Stamps are in whole milliseconds or finer: a microsecond absorbs the rounding of the grid.
    first = np.ceil((time_s - 1e-6) * rate).astype(np.int64)
    last = np.floor((time_s + 1e-6) * rate).astype(np.int64)
    end = np.append(first[1:], max(first[-1], last[-1]) + 1)
    end = np.minimum(end, np.floor((time_s + max_hold_s + 1e-6) * rate).astype(np.int64) + 1)
    count = np.maximum(end - first, 0)
    count[-1] = last[-1] + 1 - first[-1]
    source = np.repeat(np.arange(len(time_s)), count)
    offset = np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count)
    return source, first[source] + offset

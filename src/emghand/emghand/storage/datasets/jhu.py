"""Reader of the JHU recording: Myo armband and finger angles seen by a camera."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.datasets.clock import forward_rows, note_turns, parse_times, unwrap
from emghand.storage.datasets.common import (
    Floats,
    Ints,
    blocks_at,
    default_block_size,
    make_recording,
    report_still_channels,
)
from emghand.storage.datasets.text_table import TextTable, read_table
from emghand.storage.datasets.timeline import Rows, place
from emghand.storage.recording import Recording, Series, Stream
from emghand.storage.repairs import KEPT, LEFT_OUT, NOTED, RepairLog

GRID_RATE = 60.0
"""Default of the uniform grid [Hz]. The armband's samples arrive irregularly, 54 a second on
average."""

COUNTS = 100.0
"""The file holds signed 8-bit counts divided by 100: every value is a multiple of 0.01 in
[-1.28, 1.27]."""

GLITCH_DEG = 20.0
FINGERS = ("thumb", "index", "middle", "ring", "little")
_HALF_DAY_S = 12 * 3600.0
_CHANNELS = 8
_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)_(\d{6})")


def read_jhu(
    folder: str | Path,
    rate: float = GRID_RATE,
    block_size: int | None = None,
    *,
    strict: bool = False,
) -> Recording:
    """Read the folder of the JHU recording.

    The EMG is put on a uniform grid by sample-and-hold, which is causal. The finger angles keep
    their own stamps; 180 deg (straight) becomes -1 and 0 deg becomes +1:
    x_d = 1 - angle / 90 deg. The map is fixed, so that nothing is learned from the data.

    Parameters
    ----------
    folder : str or Path
        Holds one ``EMG_data_*.csv[.gz]`` and one ``mediapipe_*.csv[.gz]``.
    rate : float
        Of the grid [Hz].
    block_size : int, optional
        Samples per block; by default the largest power of two within 16 ms.
    strict : bool
        Refuse damage instead of reporting it. The published recording has some.

    Returns
    -------
    Recording
        8 channels in counts; `x_d` named ``thumb_flex`` ... ``little_flex``; stamps are the wall
        clock of the recording PC taken as UTC. See `is_camera_glitch` for bad labels.

    Raises
    ------
    UserError
        When a file is missing or damaged.
    """
    folder = Path(folder)
    log = RepairLog(strict)
    emg_path = _only(folder, "EMG_data_*.csv*")
    camera_path = _only(folder, "mediapipe_*.csv*")
    camera_s, angles = _read_camera(camera_path, log)
    placed = place(_read_emg(emg_path, camera_s[0], log), rate, log)
    start_s = placed.start_s
    if camera_s[-1] < start_s or camera_s[0] > start_s + placed.time_s[-1]:
        raise UserError(
            f"{folder}: camera and EMG do not overlap in time, do they belong together?"
        )
    block_size = block_size or default_block_size(rate)
    start_ns = int(_milliseconds(np.array([start_s]))[0]) * 1_000_000
    counts = np.round(placed.samples * COUNTS)
    stream = Stream(
        device="jhu",
        stream=emg_path.name.split(".")[0],
        channel_names=tuple(f"ch{i + 1}" for i in range(_CHANNELS)),
        rate=rate,
        block_size=block_size,
        unit="count",
        full_scale=128.0,
    )
    report_still_channels(emg_path, counts, stream.channel_names, rate, 128.0, log)
    series = Series(
        tuple(f"{finger}_flex" for finger in FINGERS),
        _milliseconds(camera_s) * 1_000_000,
        1.0 - angles / 90.0,
    )
    glitches = int(is_camera_glitch(series.values).sum())
    text = f"an angle below {GLITCH_DEG:.0f} degrees, a glitch of the hand tracker or a full bend"
    log.add(camera_path, "camera_glitch", KEPT, text, count=glitches, unit="label")
    dated = _DATE.search(emg_path.name)
    return make_recording(
        str(folder),
        stream,
        blocks_at(counts, placed.index, rate, block_size, start_ns),
        series,
        subject="jhu",
        session=f"{dated[1]}{dated[2]}{dated[3]}_{dated[4]}" if dated else "",
        date=f"{dated[1]}-{dated[2]}-{dated[3]}" if dated else "",
        log=log,
    )


def is_camera_glitch(x_d: Floats) -> NDArray[np.bool_]:
    """Where a label of `read_jhu` is an angle below 20 deg.

    The rule by which results on this recording are given a second time. It is a blunt one: single
    images in which the hand tracker jumps fall under it, but nine in ten of these labels lie in
    runs of seconds and look like fingers that are fully bent.
    """
    return np.asarray(x_d) > 1.0 - GLITCH_DEG / 90.0


def _milliseconds(time_s: Floats) -> Ints:
    # The files hold whole milliseconds; seconds since 1970 in a double do not hold nanoseconds.
    return np.round(time_s * 1e3).astype(np.int64)


def _only(folder: Path, pattern: str) -> Path:
    if not folder.is_dir():
        raise UserError(f"{folder}: is not a folder, name the folder of the JHU recording")
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise UserError(f"{folder}: expected one file {pattern}, found {len(found)}")
    return found[0]


def _read_camera(path: Path, log: RepairLog) -> tuple[Floats, Floats]:
    table = read_table(path, log)
    if table.names != ("timestamp", *FINGERS):
        raise UserError(f"{path}: expected the columns timestamp, {', '.join(FINGERS)}")
    times = parse_times(table.column(0), "%y/%m/%d %H:%M:%S.%f")
    angles = table.numbers(range(1, 6))
    good = _stamped(table, times, "is not a time stamp", log)
    finite = np.isfinite(angles).all(axis=1)
    text = "an angle that is no finite number"
    log.add(path, "bad_value", LEFT_OUT, text, table.lines[good & ~finite])
    rows = np.flatnonzero(good & finite)
    same = np.zeros(len(rows), np.bool_)
    same[1:] = (np.diff(times[rows]) == 0) & (np.diff(angles[rows], axis=0) == 0).all(axis=1)
    rows = rows[forward_rows(path, times[rows], same, table.lines[rows], log)]
    if len(rows) < 2:
        raise UserError(f"{path}: expected at least two rows whose time goes forward")
    return times[rows], angles[rows]


def _read_emg(path: Path, near_s: float, log: RepairLog) -> Rows:
    """Times [s since 1970] and samples; the 12-hour clock is resolved by a time close to it."""
    table = read_table(path, log)
    if len(table.names) != 1 + _CHANNELS:
        raise UserError(f"{path}: expected a time and {_CHANNELS} channels")
    clock = parse_times(table.column(0), "clock12")
    good = np.flatnonzero(_stamped(table, clock, "is not a time of day", log))
    times, turns = unwrap(clock[good], _HALF_DAY_S)
    note_turns(path, table.lines[good[turns]], _HALF_DAY_S, log)
    half_days = round((near_s - times[0]) / _HALF_DAY_S)
    text = "the clock of 12 hours does not say which half of the day; the camera's date does"
    log.add(path, "clock12", NOTED, text, count=len(good))
    return Rows(
        path,
        table.numbers(range(1, 1 + _CHANNELS))[good],
        table.lines[good],
        table.positions[good],
        times + half_days * _HALF_DAY_S,
    )


def _stamped(table: TextTable, times: Floats, wrong: str, log: RepairLog) -> NDArray[np.bool_]:
    good = np.isfinite(times)
    if not good.any():
        raise UserError(f"{table.path}, line {table.lines[0]}: {table.rows[0][0]!r} {wrong}")
    log.add(table.path, "bad_time", LEFT_OUT, f"its stamp {wrong}", table.lines[~good])
    return good

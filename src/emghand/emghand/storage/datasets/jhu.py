"""Reader of the JHU recording: Myo armband and finger angles seen by a camera."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.datasets.common import (
    Floats,
    blocks_from,
    default_block_size,
    hold_on_grid,
    make_recording,
    numbers,
    read_rows,
)
from emghand.storage.recording import Recording, Series, Stream

GRID_RATE = 60.0
"""Default of the uniform grid [Hz]. The armband's samples arrive irregularly, 54 a second on
average."""

COUNTS = 100.0
"""The file holds signed 8-bit counts divided by 100: every value is a multiple of 0.01 in
[-1.28, 1.27]."""

GLITCH_DEG = 20.0
FINGERS = ("thumb", "index", "middle", "ring", "little")
_HALF_DAY_S = 12 * 3600
_EMG_TIME = re.compile(r"(\d{1,2}):(\d\d):(\d\d(?:\.\d+)?)")


def read_jhu(
    folder: str | Path, rate: float = GRID_RATE, block_size: int | None = None
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
    emg_path = _only(folder, "EMG_data_*.csv*")
    camera_path = _only(folder, "mediapipe_*.csv*")
    camera_s, angles = _read_camera(camera_path)
    emg_s, counts = _read_emg(emg_path, camera_s[0])
    if camera_s[-1] < emg_s[0] or camera_s[0] > emg_s[-1]:
        raise UserError(
            f"{folder}: camera and EMG do not overlap in time, do they belong together?"
        )
    block_size = block_size or default_block_size(rate)
    start_ns = int(_milliseconds(emg_s[:1])[0]) * 1_000_000
    blocks = blocks_from(hold_on_grid(emg_s, counts, rate), rate, block_size, start_ns)
    stream = Stream(
        device="jhu",
        stream=emg_path.name.split(".")[0],
        channel_names=tuple(f"ch{i + 1}" for i in range(counts.shape[1])),
        rate=rate,
        block_size=block_size,
        unit="count",
        full_scale=128.0,
    )
    series = Series(
        tuple(f"{finger}_flex" for finger in FINGERS),
        _milliseconds(camera_s) * 1_000_000,
        1.0 - angles / 90.0,
    )
    return make_recording(str(folder), stream, blocks, series)


def is_camera_glitch(x_d: Floats) -> NDArray[np.bool_]:
    """Where a label of `read_jhu` is an angle below 20 deg.

    The rule by which results on this recording are given a second time. It is a blunt one: single
    images in which the hand tracker jumps fall under it, but nine in ten of these labels lie in
    runs of seconds and look like fingers that are fully bent.
    """
    return np.asarray(x_d) > 1.0 - GLITCH_DEG / 90.0


def _milliseconds(time_s: Floats) -> NDArray[np.int64]:
    # The files hold whole milliseconds; seconds since 1970 in a double do not hold nanoseconds.
    return np.round(time_s * 1e3).astype(np.int64)


def _only(folder: Path, pattern: str) -> Path:
    if not folder.is_dir():
        raise UserError(f"{folder}: is not a folder, name the folder of the JHU recording")
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise UserError(f"{folder}: expected one file {pattern}, found {len(found)}")
    return found[0]


def _read_camera(path: Path) -> tuple[Floats, Floats]:
    header, *rows = read_rows(path)
    if tuple(header) != ("timestamp", *FINGERS):
        raise UserError(f"{path}: expected the columns timestamp, {', '.join(FINGERS)}")
    times = []
    for line, row in enumerate(rows, 2):
        try:
            moment = datetime.strptime(row[0], "%y/%m/%d %H:%M:%S.%f")
        except ValueError:
            raise UserError(f"{path}, line {line}: {row[0]!r} is not a time stamp") from None
        times.append(moment.replace(tzinfo=timezone.utc).timestamp())
    angles = numbers(path, [row[1:] for row in rows], 2)
    _check_table(path, np.array(times), angles, len(FINGERS))
    return np.array(times), angles


def _read_emg(path: Path, near_s: float) -> tuple[Floats, Floats]:
    """Times [s since 1970] and counts; the 12-hour clock is resolved by a time close to it."""
    _, *rows = read_rows(path)
    clock = np.empty(len(rows))
    for i, row in enumerate(rows):
        found = _EMG_TIME.fullmatch(row[0])
        if found is None:
            raise UserError(f"{path}, line {i + 2}: {row[0]!r} is not a time of day")
        hour, minute, second = found.groups()
        clock[i] = int(hour) % 12 * 3600 + int(minute) * 60 + float(second)
    samples = numbers(path, [row[1:] for row in rows], 2)
    # A step back by more than half of the clock's range is the clock passing 12 o'clock.
    turns = np.cumsum(np.diff(clock, prepend=clock[:1]) < -_HALF_DAY_S / 2)
    times = clock + turns * _HALF_DAY_S
    times += round((near_s - times[0]) / _HALF_DAY_S) * _HALF_DAY_S if len(rows) else 0.0
    _check_table(path, times, samples, 8)
    return times, np.round(samples * COUNTS)


def _check_table(path: Path, times: Floats, values: Floats, width: int) -> None:
    if len(times) < 2 or values.shape[1] != width:
        raise UserError(f"{path}: expected at least two rows with {width} values")
    back = np.flatnonzero(np.diff(times) < 0)
    if back.size:
        raise UserError(f"{path}, line {back[0] + 3}: the time runs backwards")

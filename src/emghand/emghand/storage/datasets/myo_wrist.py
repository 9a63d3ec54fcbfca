"""Reader of the Myo wrist recordings: prompted wrist movements, no kinematics."""

from __future__ import annotations

import lzma
import re
import tarfile
import zlib
from pathlib import Path

import numpy as np

from emghand.errors import UserError
from emghand.storage.datasets.common import (
    Floats,
    Ints,
    blocks_at,
    default_block_size,
    make_recording,
    report_still_channels,
)
from emghand.storage.datasets.gestures import Gesture, gesture_periods, postures
from emghand.storage.datasets.text_table import parse_table
from emghand.storage.recording import Block, Period, PeriodKind, Recording, Series, Stream
from emghand.storage.repairs import LEFT_OUT, NOTED, RepairLog

RATE = 200.0
REACTION_S = 0.75
"""The first part of a hold, in which the subject reacts and moves."""

PAUSE_S = 1.0
"""Gap of the sample counter between two files, which were not recorded back to back."""

DOFS = ("wrist_flex", "wrist_dev", "wrist_rot", "fist")
"""Flexion +, radial deviation +, pronation +; fist is one-sided."""

GESTURES = (
    Gesture("rest"),
    Gesture("wrist_flexion", {"wrist_flex": 1.0}),
    Gesture("wrist_extension", {"wrist_flex": -1.0}),
    Gesture("radial_deviation", {"wrist_dev": 1.0}),
    Gesture("ulnar_deviation", {"wrist_dev": -1.0}),
    Gesture("pronation", {"wrist_rot": 1.0}),
    Gesture("supination", {"wrist_rot": -1.0}),
    Gesture("fist", {"fist": 1.0}),
)
"""By label."""

CHANNELS = tuple(f"ch{i + 1}" for i in range(8))
FULL_SCALE = 128.0
SECONDS = 60.0
"""Length of a file."""

_REST = 0
_LENGTH_TOLERANCE = 0.01
_NAME = re.compile(r"(\d+)-(\d+)")
_MAX_FILE = 16_000_000


def read_myo_wrist(
    archive: str | Path, block_size: int | None = None, *, strict: bool = False
) -> Recording:
    """Read one session: a folder or tar archive with the files ``0.txt`` to ``7.txt``.

    The files follow each other with a gap of one second in the sample counter. `x_d` is the
    prompt: a step to ±1 while a movement is asked for. The first 0.75 s of each are MOVE, the
    rest HOLD.

    Parameters
    ----------
    archive : str or Path
    block_size : int, optional
        Samples per block; by default 2 (10 ms).
    strict : bool
        Refuse damage instead of reporting it.

    Returns
    -------
    Recording
        8 channels in counts at a nominal 200 Hz; stamps start at 0.

    Raises
    ------
    UserError
        When a file is missing or damaged.
    """
    archive = Path(archive)
    log = RepairLog(strict)
    texts = _texts(archive)
    block_size = block_size or default_block_size(RATE)
    blocks: list[Block] = []
    stamps: list[Ints] = []
    values: list[Floats] = []
    periods: list[Period] = []
    first = 0
    trial = 0
    for gesture in range(len(GESTURES)):
        samples, labels, positions, length = _parse(
            archive, f"{gesture}.txt", texts[f"{gesture}.txt"], log
        )
        index = first + positions
        blocks += blocks_at(samples, index, RATE, block_size)
        stamp = np.round(index * 1e9 / RATE).astype(np.int64)
        meaning = np.where(labels == _REST, -1, labels)
        stamps.append(stamp)
        values.append(postures(meaning, GESTURES, DOFS))
        new = gesture_periods(meaning, stamp, GESTURES, reaction_s=REACTION_S, first_trial=trial)
        periods += new
        trial += sum(p.kind is PeriodKind.MOVE for p in new)
        first += length + round(PAUSE_S * RATE)
        first += -first % block_size
    stream = Stream(
        device="myo",
        stream=archive.name.split(".")[0],
        channel_names=CHANNELS,
        rate=RATE,
        block_size=block_size,
        unit="count",
        full_scale=FULL_SCALE,
    )
    x_d = Series(DOFS, np.concatenate(stamps), np.concatenate(values))
    named = _NAME.match(stream.stream)
    return make_recording(
        str(archive),
        stream,
        blocks,
        x_d,
        periods,
        subject=named[1] if named else "",
        session=named[2] if named else "",
        log=log,
    )


def _texts(archive: Path) -> dict[str, bytes]:
    wanted = [f"{gesture}.txt" for gesture in range(len(GESTURES))]
    try:
        found = _from_folder(archive, wanted) if archive.is_dir() else _from_tar(archive, wanted)
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{archive}: cannot be read, is it damaged? ({error})") from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise UserError(f"{archive}: is no complete session, {', '.join(missing)} missing")
    return found


def _from_folder(folder: Path, wanted: list[str]) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in wanted if (folder / name).is_file()}


def _from_tar(archive: Path, wanted: list[str]) -> dict[str, bytes]:
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            if name not in wanted or not member.isfile():
                continue
            if member.size > _MAX_FILE:
                raise UserError(f"{archive}: {member.name} is too large for a recording")
            file = tar.extractfile(member)
            if file is not None:
                found[name] = file.read()
    return found


def _parse(archive: Path, name: str, data: bytes, log: RepairLog) -> tuple[Floats, Ints, Ints, int]:
    """Samples, labels, their places in the file, and how many rows the file would have whole."""
    where = archive / name
    table = parse_table(where, data, log, header=False, width=len(CHANNELS) + 1)
    numbers = table.numbers(range(len(CHANNELS) + 1))
    readable = np.isfinite(numbers).all(axis=1)
    text = "a value that is missing or no finite number"
    log.add(where, "bad_value", LEFT_OUT, text, table.lines[~readable])
    of_set = np.isin(numbers[:, -1], (_REST, int(name[0])))
    of_set &= (np.abs(numbers[:, :-1]) <= FULL_SCALE).all(axis=1)
    text = "a label or sample that is not of this data set"
    log.add(where, "foreign_value", LEFT_OUT, text, table.lines[readable & ~of_set])
    keep = readable & of_set
    if 2 * keep.sum() < len(keep):
        raise UserError(f"{where}: holds labels or samples that are not of this data set")
    samples, positions = numbers[keep, :-1], table.positions[keep]
    length = int(table.positions[-1]) + 1
    if abs(length / RATE / SECONDS - 1.0) > _LENGTH_TOLERANCE:
        text = (
            f"where {SECONDS:.0f} s at {RATE:.0f} Hz are {SECONDS * RATE:.0f}; no stamps tell why"
        )
        log.add(where, "odd_length", NOTED, text, count=length, unit="sample")
    report_still_channels(where, samples, CHANNELS, RATE, FULL_SCALE, log)
    return samples, numbers[keep, -1].astype(np.int64), positions, length

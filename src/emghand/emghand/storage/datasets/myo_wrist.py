"""Reader of the Myo wrist recordings: prompted wrist movements, no kinematics."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.datasets.common import (
    Floats,
    blocks_from,
    default_block_size,
    make_recording,
    numbers,
)
from emghand.storage.recording import Block, Period, PeriodKind, Recording, Series, Stream

RATE = 200.0
REACTION_S = 0.75
"""The first part of a hold, in which the subject reacts and moves."""

PAUSE_S = 1.0
"""Gap of the sample counter between two files, which were not recorded back to back."""

DOFS = ("wrist_flex", "wrist_dev", "wrist_rot", "fist")
"""Flexion +, radial deviation +, pronation +; fist is one-sided."""

GESTURES = (
    ("rest", -1, 0.0),
    ("wrist_flexion", 0, 1.0),
    ("wrist_extension", 0, -1.0),
    ("radial_deviation", 1, 1.0),
    ("ulnar_deviation", 1, -1.0),
    ("pronation", 2, 1.0),
    ("supination", 2, -1.0),
    ("fist", 3, 1.0),
)
"""Name, index of the DOF and its value, by label."""

_MAX_FILE = 16_000_000


def read_myo_wrist(archive: str | Path, block_size: int | None = None) -> Recording:
    """Read one session: a folder or tar archive with the files ``0.txt`` to ``7.txt``.

    The files follow each other with a gap of one second in the sample counter. `x_d` is the
    prompt: a step to ±1 while a movement is asked for. The first 0.75 s of each are MOVE, the
    rest HOLD.

    Parameters
    ----------
    archive : str or Path
    block_size : int, optional
        Samples per block; by default 2 (10 ms).

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
    tables = {name: _parse(archive, name, text) for name, text in _texts(archive).items()}
    block_size = block_size or default_block_size(RATE)
    blocks: list[Block] = []
    stamps: list[NDArray[np.int64]] = []
    values: list[Floats] = []
    periods: list[Period] = []
    first = 0
    trial = 0
    for gesture in range(len(GESTURES)):
        table = tables[f"{gesture}.txt"]
        labels = table[:, -1].astype(int)
        blocks += blocks_from(table[:, :-1], RATE, block_size, first_sample=first)
        stamp = np.round((first + np.arange(len(table))) * 1e9 / RATE).astype(np.int64)
        stamps.append(stamp)
        values.append(_prompts(labels))
        new = _periods(labels, stamp, trial)
        periods += new
        trial += sum(p.kind is PeriodKind.HOLD for p in new)
        first += len(table) + round(PAUSE_S * RATE)
        first += -first % block_size
    stream = Stream(
        device="myo",
        stream=archive.name.split(".")[0],
        channel_names=tuple(f"ch{i + 1}" for i in range(8)),
        rate=RATE,
        block_size=block_size,
        unit="count",
        full_scale=128.0,
    )
    x_d = Series(DOFS, np.concatenate(stamps), np.concatenate(values))
    return make_recording(str(archive), stream, blocks, x_d, periods)


def _prompts(labels: NDArray[np.int_]) -> Floats:
    x_d = np.zeros((len(labels), len(DOFS)))
    for label, (_, dof, value) in enumerate(GESTURES):
        if dof >= 0:
            x_d[labels == label, dof] = value
    return x_d


def _periods(labels: NDArray[np.int_], stamp: NDArray[np.int64], first_trial: int) -> list[Period]:
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    ends = np.append(starts[1:], len(labels))
    periods: list[Period] = []
    repetition = -1
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        label = int(labels[start])
        name = GESTURES[label][0]
        if label == 0:
            place = (max(repetition, 0), first_trial + max(repetition, 0))
            periods.append(Period(int(stamp[start]), PeriodKind.REST, name, label, *place))
            continue
        repetition += 1
        place = (repetition, first_trial + repetition)
        periods.append(Period(int(stamp[start]), PeriodKind.MOVE, name, label, *place))
        steady = start + round(REACTION_S * RATE)
        if steady < end:
            periods.append(Period(int(stamp[steady]), PeriodKind.HOLD, name, label, *place))
    return periods


def _texts(archive: Path) -> dict[str, str]:
    wanted = [f"{gesture}.txt" for gesture in range(len(GESTURES))]
    try:
        found = _from_folder(archive, wanted) if archive.is_dir() else _from_tar(archive, wanted)
        texts = {name: data.decode("ascii") for name, data in found.items()}
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{archive}: cannot be read, is it damaged? ({error})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{archive}: holds something that is not text") from error
    missing = [name for name in wanted if name not in texts]
    if missing:
        raise UserError(f"{archive}: is no complete session, {', '.join(missing)} missing")
    return texts


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


def _parse(archive: Path, name: str, text: str) -> Floats:
    where = archive / name
    rows = [line.split(",") for line in text.splitlines() if line.strip()]
    if not rows:
        raise UserError(f"{where}: is empty")
    table = numbers(where, rows, 1)
    if table.shape[1] != 9:
        raise UserError(f"{where}: expected 8 channels and a label, got {table.shape[1]} columns")
    label = int(name[0])
    if not np.isin(table[:, -1], (0, label)).all() or np.abs(table[:, :-1]).max() > 128:
        raise UserError(f"{where}: holds labels or samples that are not of this data set")
    return table

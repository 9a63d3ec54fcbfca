"""What the readers share: text tables, grids, blocks."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.recording import (
    Block,
    Period,
    Recording,
    Series,
    Stream,
    recording_digest,
)

Floats = NDArray[np.float64]

TARGET_BLOCK_S = 0.016


def default_block_size(rate: float) -> int:
    """Largest power of two of samples that last no longer than 16 ms; at least 1."""
    size = 1
    while 2 * size <= TARGET_BLOCK_S * rate:
        size *= 2
    return size


def read_rows(path: Path) -> list[list[str]]:
    """Rows of a csv file, plain or .gz; empty rows are left out.

    Raises
    ------
    UserError
        When the file cannot be read to its end or holds no row.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
                rows = [row for row in csv.reader(file) if row]
        else:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = [row for row in csv.reader(file) if row]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read, is it damaged? ({error})") from error
    if not rows:
        raise UserError(f"{path}: is empty")
    return rows


def numbers(path: Path, rows: Sequence[Sequence[str]], first_line: int) -> Floats:
    """Cells as numbers, shape (n_rows, n_columns).

    Raises
    ------
    UserError
        Names the line that is short, long, or holds something that is no finite number.
    """
    if not rows:
        raise UserError(f"{path}: holds no data")
    try:
        table = np.array(rows, np.float64)
        if table.ndim == 2 and np.isfinite(table).all():
            return table
    except ValueError:
        pass
    width = len(rows[0])
    for line, row in enumerate(rows, first_line):
        if len(row) != width:
            raise UserError(f"{path}, line {line}: {len(row)} values where {width} are expected")
        for cell in row:
            if not _is_finite(cell):
                raise UserError(f"{path}, line {line}: {cell!r} is not a finite number")
    raise UserError(f"{path}: holds no data")


def _is_finite(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False


def hold_on_grid(time_s: Floats, values: Floats, rate: float) -> Floats:
    """Irregular samples on the uniform grid time_s[0] + k / rate, shape (n, n_channels).

    Sample-and-hold: each grid point takes the last sample that had arrived by then, so that
    nothing is used before it was measured.
    """
    # Stamps are in whole milliseconds or finer: a microsecond absorbs the rounding of the grid.
    span = time_s[-1] - time_s[0] + 1e-6
    grid = time_s[0] + np.arange(int(span * rate) + 1) / rate
    return np.asarray(values[np.searchsorted(time_s, grid + 1e-6, side="right") - 1])


def blocks_from(
    samples: Floats, rate: float, block_size: int, start_ns: int = 0, first_sample: int = 0
) -> list[Block]:
    """Cut samples into blocks; the last one may be shorter.

    `start_ns` is the time of sample 0 of the counter, so that counter and stamps stay in step.
    """
    samples32 = np.ascontiguousarray(samples, np.float32)
    return [
        Block(
            first_sample + i,
            start_ns + round((first_sample + i) * 1e9 / rate),
            samples32[i : i + block_size],
        )
        for i in range(0, len(samples32), block_size)
    ]


def make_recording(
    source: str,
    stream: Stream,
    blocks: list[Block],
    x_d: Series | None = None,
    periods: list[Period] | None = None,
) -> Recording:
    """Recording with its digest."""
    periods = periods or []
    digest = recording_digest(stream, blocks, x_d, periods)
    return Recording(source, stream, blocks, x_d=x_d, periods=periods, digest=digest)

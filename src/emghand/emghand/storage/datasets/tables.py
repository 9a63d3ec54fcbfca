"""Plain csv tables whose header says what each column is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emghand.errors import UserError
from emghand.storage.datasets.common import (
    blocks_at,
    default_block_size,
    make_recording,
    report_still_channels,
)
from emghand.storage.datasets.text_table import is_number, read_table
from emghand.storage.datasets.timeline import Rows, place
from emghand.storage.recording import Recording, Series, Stream
from emghand.storage.repairs import KEPT, RepairLog

X_D_PREFIX = "x_d."


def read_csv(
    path: str | Path,
    rate: float = 0.0,
    unit: str = "V",
    full_scale: float = 0.0,
    block_size: int | None = None,
    *,
    strict: bool = False,
) -> Recording:
    """Read EMG, and labels where there are some, from a csv file (or csv.gz) with a header.

    A column ``time`` [s] is optional; columns named ``x_d.<dof>`` are labels; every other column
    is a channel. Without ``time``, `rate` must be given. With ``time`` and `rate`, the samples are
    put on a uniform grid of that rate by sample-and-hold. For any other layout there are column
    maps: `read_mapped`.

    Parameters
    ----------
    rate : float
        Samples per second [Hz]; 0: from the column ``time``.
    unit : str
        ``V`` or ``count``.
    full_scale : float
        In `unit`; 0: unknown.
    block_size : int, optional
        Samples per block.
    strict : bool
        Refuse damage instead of reporting it.

    Raises
    ------
    UserError
        When most of the file is damaged, or its rate is missing or irregular.
    """
    path = Path(path)
    log = RepairLog(strict)
    table = read_table(path, log)
    if all(is_number(name) for name in table.names):
        raise UserError(
            f"{path}: its first line holds numbers, not names; write a column map with "
            "'header: false' (docs/datasets.md)"
        )
    labels = [i for i, name in enumerate(table.names) if name.startswith(X_D_PREFIX)]
    channels = [i for i, name in enumerate(table.names) if i not in labels and name != "time"]
    if not channels:
        raise UserError(f"{path}: holds no EMG")
    if unit not in ("V", "count"):
        raise UserError(f"{path}: unit {unit!r} is unknown, use V or count")
    time_s = table.numbers([table.names.index("time")])[:, 0] if "time" in table.names else None
    rows = Rows(path, table.numbers(channels), table.lines, table.positions, time_s)
    placed = place(rows, rate, log)
    names = tuple(table.names[i] for i in channels)
    report_still_channels(path, rows.emg[placed.rows], names, placed.rate, full_scale, log)
    series = None
    if labels:
        x_d = table.numbers(labels)[placed.rows]
        bad = table.lines[placed.rows][~np.isfinite(x_d).all(axis=1)]
        log.add(path, "bad_label", KEPT, "a label is missing or no number; no label there", bad)
        dofs = tuple(table.names[i].removeprefix(X_D_PREFIX) for i in labels)
        series = Series(dofs, np.round(placed.time_s * 1e9).astype(np.int64), x_d)
    block_size = block_size or default_block_size(placed.rate)
    stream = Stream(
        "file", path.name.split(".")[0], names, placed.rate, block_size, unit, full_scale
    )
    blocks = blocks_at(placed.samples, placed.index, placed.rate, block_size)
    return make_recording(str(path), stream, blocks, series, log=log)

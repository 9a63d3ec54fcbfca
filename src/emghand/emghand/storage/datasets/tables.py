"""Readers of plain tables: npz and csv."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

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

X_D_PREFIX = "x_d."
_IRREGULAR = 0.25


def read_npz(path: str | Path, block_size: int | None = None) -> Recording:
    """Read EMG, and labels where there are some, from an npz file.

    Arrays of the file: ``emg`` (n_samples, n_channels) and ``rate`` [Hz]; optional
    ``channel_names``, ``unit`` (``V`` or ``count``), ``full_scale``, and together ``x_d``
    (n, n_dofs), ``x_d_names`` and ``x_d_time`` [s from the first sample].

    Raises
    ------
    UserError
        When the file is damaged or an array is missing or does not fit.
    """
    path = Path(path)
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: is missing, damaged, or not an npz file")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: cannot be read as npz, is it damaged? ({error})") from error
    emg = _numeric(path, arrays, "emg", 2)
    rate = float(_numeric(path, arrays, "rate", 0))
    series = None
    if "x_d" in arrays:
        names = tuple(str(name) for name in np.atleast_1d(_array(path, arrays, "x_d_names")))
        time_s = _numeric(path, arrays, "x_d_time", 1)
        series = _series(path, names, time_s, _numeric(path, arrays, "x_d", 2))
    names = tuple(str(name) for name in np.atleast_1d(arrays.get("channel_names", ())))
    return _recording(
        path,
        emg,
        rate,
        names or tuple(f"ch{i + 1:02d}" for i in range(emg.shape[1])),
        str(arrays.get("unit", "V")),
        float(_numeric(path, arrays, "full_scale", 0)) if "full_scale" in arrays else 0.0,
        series,
        block_size,
    )


def read_csv(
    path: str | Path,
    rate: float = 0.0,
    unit: str = "V",
    full_scale: float = 0.0,
    block_size: int | None = None,
) -> Recording:
    """Read EMG, and labels where there are some, from a csv file (or csv.gz) with a header.

    A column ``time`` [s] is optional; columns named ``x_d.<dof>`` are labels; every other column
    is a channel. Without ``time``, `rate` must be given. With ``time`` and `rate`, the samples are
    put on a uniform grid of that rate by sample-and-hold.

    Parameters
    ----------
    rate : float
        Samples per second [Hz]; 0: from the column ``time``.
    unit : str
        ``V`` or ``count``.
    full_scale : float
        In `unit`; 0: unknown.

    Raises
    ------
    UserError
        When the file is damaged, or its rate is missing or irregular.
    """
    path = Path(path)
    header, *rows = read_rows(path)
    header = [name.strip() for name in header]
    if len(set(header)) != len(header):
        raise UserError(f"{path}: a column is named twice")
    if not rows:
        raise UserError(f"{path}: holds a header but no data")
    table = numbers(path, rows, 2)
    if table.shape[1] != len(header):
        raise UserError(f"{path}: {len(header)} names but {table.shape[1]} columns")
    labels = [i for i, name in enumerate(header) if name.startswith(X_D_PREFIX)]
    channels = [i for i, name in enumerate(header) if i not in labels and name != "time"]
    emg = table[:, channels]
    if "time" in header:
        time_s = table[:, header.index("time")]
        rate_found = _rate(path, time_s, needs_grid=rate > 0)
        emg = hold_on_grid(time_s, emg, rate) if rate > 0 else emg
        rate = rate or rate_found
    elif rate > 0:
        time_s = np.arange(len(table)) / rate
    else:
        raise UserError(f"{path}: has no column 'time', give the rate")
    series = None
    if labels:
        dofs = tuple(header[i].removeprefix(X_D_PREFIX) for i in labels)
        series = _series(path, dofs, time_s - time_s[0], table[:, labels])
    names = tuple(header[i] for i in channels)
    return _recording(path, emg, rate, names, unit, full_scale, series, block_size)


def _rate(path: Path, time_s: Floats, *, needs_grid: bool) -> float:
    if len(time_s) < 2:
        raise UserError(f"{path}: needs at least two rows")
    step = np.diff(time_s)
    if step.min() < 0 or time_s[-1] <= time_s[0]:
        raise UserError(f"{path}: the column 'time' runs backwards or stands still")
    mean = (time_s[-1] - time_s[0]) / len(step)
    if not needs_grid and np.abs(step / mean - 1).max() > _IRREGULAR:
        raise UserError(f"{path}: samples are not evenly spaced in time, give a rate to hold them")
    return float(1 / mean)


def _recording(
    path: Path,
    emg: Floats,
    rate: float,
    channel_names: tuple[str, ...],
    unit: str,
    full_scale: float,
    x_d: Series | None,
    block_size: int | None,
) -> Recording:
    if emg.shape[0] == 0 or emg.shape[1] == 0:
        raise UserError(f"{path}: holds no EMG")
    if not np.isfinite(rate) or rate <= 0:
        raise UserError(f"{path}: the rate must be positive, got {rate}")
    if unit not in ("V", "count"):
        raise UserError(f"{path}: unit {unit!r} is unknown, use V or count")
    if len(channel_names) != emg.shape[1]:
        raise UserError(f"{path}: {len(channel_names)} names for {emg.shape[1]} channels")
    block_size = block_size or default_block_size(rate)
    blocks = blocks_from(emg, rate, block_size)
    name = path.name.split(".")[0]
    stream = Stream("file", name, channel_names, rate, block_size, unit, full_scale)
    return make_recording(str(path), stream, blocks, x_d)


def _series(path: Path, names: tuple[str, ...], time_s: Floats, x_d: Floats) -> Series:
    if x_d.shape != (len(time_s), len(names)):
        raise UserError(
            f"{path}: x_d has shape {x_d.shape} but {len(time_s)} times and {len(names)} names"
        )
    if time_s.size == 0 or np.diff(time_s).min(initial=0.0) < 0:
        raise UserError(f"{path}: the times of x_d are missing or run backwards")
    return Series(names, np.round(time_s * 1e9).astype(np.int64), x_d)


def _array(path: Path, arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        raise UserError(f"{path}: has no array {name!r}, it has: {', '.join(arrays) or 'none'}")
    return arrays[name]


def _numeric(path: Path, arrays: dict[str, np.ndarray], name: str, ndim: int) -> Floats:
    array = _array(path, arrays, name)
    if array.ndim != ndim or array.dtype.kind not in "fiu":
        raise UserError(f"{path}: {name} must be numbers with {ndim} dimensions")
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise UserError(f"{path}: {name} holds values that are not finite")
    return values

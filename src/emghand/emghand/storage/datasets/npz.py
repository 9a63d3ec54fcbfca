"""npz files: what other programs write, and whole recordings without loss."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.arrays import read_arrays
from emghand.storage.datasets.common import (
    Floats,
    Ints,
    blocks_at,
    default_block_size,
    make_recording,
    report_still_channels,
)
from emghand.storage.files import write_file
from emghand.storage.recording import Block, Period, PeriodKind, Recording, Series, Stream
from emghand.storage.repairs import KEPT, LEFT_OUT, RepairLog, repairs_from

_SERIES = ("x_d", "x_hat", "out_x_hat")
_TEXTS = ("subject", "session", "date")
_BLOCK = ("samples", "first_sample", "stamp_ns")
Arrays = Mapping[str, NDArray[Any]]


def load_npz(path: str | Path) -> dict[str, NDArray[Any]]:
    """Arrays of an npz file; pickled ones are refused.

    Raises
    ------
    UserError
        When the file is damaged.
    """
    path = Path(path)
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: is missing, damaged, or not an npz file")
    try:
        return read_arrays(path)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def read_npz(path: str | Path, block_size: int | None = None, *, strict: bool = False) -> Recording:
    """Read a recording from an npz file.

    Arrays of the file: ``emg`` (n_samples, n_channels) and ``rate`` [Hz]; optional
    ``channel_names``, ``unit`` (``V`` or ``count``), ``full_scale``, ``subject``, ``session``,
    ``date``, and together ``x_d`` (n, n_dofs), ``x_d_names`` and ``x_d_time`` [s from the first
    sample]. A sample with a value that is not finite is left out. Files of `save_npz` hold more,
    and come back as they were.

    Parameters
    ----------
    path : str or Path
    block_size : int, optional
        Samples per block, where the file has no blocks of its own.
    strict : bool
        Refuse damage instead of reporting it.

    Raises
    ------
    UserError
        When the file is damaged or an array is missing or does not fit.
    """
    path = Path(path)
    arrays = load_npz(path)
    log = RepairLog(strict)
    emg = _numeric(path, arrays, "emg", 2)
    stream = _stream(path, arrays, emg.shape[1], block_size)
    if len(emg) == 0:
        raise UserError(f"{path}: holds no EMG")
    own = "block_samples" in arrays
    blocks = _own_blocks(path, arrays, emg) if own else _blocks(path, emg, stream, log)
    if not own:
        kept = np.concatenate([b.samples for b in blocks]).astype(np.float64)
        report_still_channels(path, kept, stream.channel_names, stream.rate, stream.full_scale, log)
    series = {name: _series(path, arrays, name, log) for name in _SERIES}
    recording = make_recording(
        str(path),
        stream,
        blocks,
        series["x_d"],
        _periods(path, arrays),
        **{name: str(arrays.get(name, "")) for name in _TEXTS},
        log=log,
    )
    return dataclasses.replace(
        recording,
        x_hat=series["x_hat"],
        out_x_hat=series["out_x_hat"],
        repairs=(*_repairs(path, arrays), *recording.repairs),
    )


def save_npz(recording: Recording, path: str | Path, *, replace: bool = False) -> None:
    """Write a recording; `read_npz` gives back the same blocks, labels, periods and digest.

    The same recording gives the same bytes.

    Raises
    ------
    UserError
        When the file exists and must not be replaced, or cannot be written.
    """
    blocks, stream = recording.blocks, recording.stream
    channels = stream.n_channels
    arrays: dict[str, Any] = {
        "emg": np.concatenate([b.samples for b in blocks] or [np.zeros((0, channels), np.float32)]),
        "rate": np.float64(stream.rate),
        "channel_names": np.array(stream.channel_names, np.str_),
        "unit": stream.unit,
        "full_scale": np.float64(stream.full_scale),
        "device": stream.device,
        "stream": stream.stream,
        "block_size": np.int64(stream.block_size),
        "block_samples": np.array([len(b.samples) for b in blocks], np.int64),
        "block_first_sample": np.array([b.first_sample for b in blocks], np.int64),
        "block_stamp_ns": np.array([b.stamp_ns for b in blocks], np.int64),
        **{name: getattr(recording, name) for name in _TEXTS},
        "repairs": json.dumps([r.as_dict() for r in recording.repairs]),
    }
    for name in _SERIES:
        series: Series | None = getattr(recording, name)
        if series is not None:
            arrays[name] = series.values
            arrays[f"{name}_names"] = np.array(series.names, np.str_)
            arrays[f"{name}_stamp_ns"] = series.stamps_ns
    if recording.periods:
        periods = recording.periods
        arrays["period_stamp_ns"] = np.array([p.stamp_ns for p in periods], np.int64)
        arrays["period_movement"] = np.array([p.movement for p in periods], np.str_)
        for name in ("kind", "movement_index", "repetition", "trial"):
            values = [int(getattr(p, name)) for p in periods]
            arrays[f"period_{name}"] = np.array(values, np.int64)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_file(path, buffer.getvalue(), replace=replace)


def _stream(path: Path, arrays: Arrays, channels: int, block_size: int | None) -> Stream:
    rate = float(_numeric(path, arrays, "rate", 0))
    if not np.isfinite(rate) or rate <= 0:
        raise UserError(f"{path}: the rate must be positive, got {rate}")
    unit = str(arrays.get("unit", "V"))
    if unit not in ("V", "count"):
        raise UserError(f"{path}: unit {unit!r} is unknown, use V or count")
    names = tuple(str(name) for name in np.atleast_1d(arrays.get("channel_names", ())))
    names = names or tuple(f"ch{i + 1:02d}" for i in range(channels))
    if channels == 0:
        raise UserError(f"{path}: holds no EMG")
    if len(names) != channels:
        raise UserError(f"{path}: {len(names)} names for {channels} channels")
    stored = int(_numeric(path, arrays, "block_size", 0)) if "block_size" in arrays else 0
    return Stream(
        str(arrays.get("device", "file")),
        str(arrays.get("stream", path.name.split(".")[0])),
        names,
        rate,
        stored or block_size or default_block_size(rate),
        unit,
        float(_numeric(path, arrays, "full_scale", 0)) if "full_scale" in arrays else 0.0,
    )


def _blocks(path: Path, emg: Floats, stream: Stream, log: RepairLog) -> list[Block]:
    good = (np.abs(emg) <= np.finfo(np.float32).max).all(axis=1)
    text = "a value of the EMG that is no finite number"
    log.add(path, "bad_value", LEFT_OUT, text, np.flatnonzero(~good), "sample")
    if not good.any():
        raise UserError(f"{path}: emg holds values that are not finite, and no sample without")
    return blocks_at(emg[good], np.flatnonzero(good), stream.rate, stream.block_size)


def _own_blocks(path: Path, arrays: Arrays, emg: Floats) -> list[Block]:
    parts = [_integers(path, arrays, f"block_{name}") for name in _BLOCK]
    samples, firsts, stamps = parts
    if len({len(p) for p in parts}) != 1 or samples.min(initial=1) < 1 or samples.sum() != len(emg):
        raise UserError(f"{path}: its blocks do not fit its EMG, is it damaged?")
    emg32 = emg.astype(np.float32)
    ends = np.cumsum(samples)
    return [
        Block(first, stamp, emg32[end - n : end])
        for n, first, stamp, end in zip(
            samples.tolist(), firsts.tolist(), stamps.tolist(), ends.tolist(), strict=True
        )
    ]


def _series(path: Path, arrays: Arrays, name: str, log: RepairLog) -> Series | None:
    if name not in arrays:
        return None
    names = tuple(str(n) for n in np.atleast_1d(_array(path, arrays, f"{name}_names")))
    values = _numeric(path, arrays, name, 2)
    if f"{name}_stamp_ns" in arrays:
        stamps = _integers(path, arrays, f"{name}_stamp_ns")
    else:
        time_s = _numeric(path, arrays, f"{name}_time", 1)
        if not (np.abs(time_s) <= 1e10 * 0.9).all():
            raise UserError(f"{path}: the times of {name} are not finite")
        if time_s.size == 0 or np.diff(time_s).min(initial=0.0) < 0:
            raise UserError(f"{path}: the times of {name} are missing or run backwards")
        stamps = np.round(time_s * 1e9).astype(np.int64)
        bad = ~np.isfinite(values).all(axis=1)
        text = f"no finite value of {name}; no label there"
        log.add(path, "bad_label", KEPT, text, np.flatnonzero(bad), "label")
    if values.shape != (len(stamps), len(names)):
        raise UserError(
            f"{path}: {name} has shape {values.shape} but {len(stamps)} times and "
            f"{len(names)} names"
        )
    return Series(names, stamps, values)


def _periods(path: Path, arrays: Arrays) -> list[Period]:
    if "period_stamp_ns" not in arrays:
        return []
    stamps, kinds, indices, repetitions, trials = (
        _integers(path, arrays, f"period_{name}").tolist()
        for name in ("stamp_ns", "kind", "movement_index", "repetition", "trial")
    )
    movements = [str(m) for m in np.atleast_1d(_array(path, arrays, "period_movement"))]
    try:
        return [
            Period(stamp, PeriodKind(kind), movement, index, repetition, trial)
            for stamp, kind, movement, index, repetition, trial in zip(
                stamps, kinds, movements, indices, repetitions, trials, strict=True
            )
        ]
    except ValueError as error:
        raise UserError(f"{path}: its periods are damaged ({error})") from error


def _repairs(path: Path, arrays: Arrays) -> tuple[Any, ...]:
    try:
        return repairs_from(json.loads(str(arrays.get("repairs", "[]"))))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its list of repairs is damaged ({error})") from error


def _array(path: Path, arrays: Arrays, name: str) -> NDArray[Any]:
    if name not in arrays:
        raise UserError(f"{path}: has no array {name!r}, it has: {', '.join(arrays) or 'none'}")
    return arrays[name]


def _numeric(path: Path, arrays: Arrays, name: str, ndim: int) -> Floats:
    array = _array(path, arrays, name)
    if array.ndim != ndim or array.dtype.kind not in "fiu":
        raise UserError(f"{path}: {name} must be numbers with {ndim} dimensions")
    return array.astype(np.float64)


def _integers(path: Path, arrays: Arrays, name: str) -> Ints:
    array = _array(path, arrays, name)
    if array.ndim != 1 or array.dtype.kind != "i":
        raise UserError(f"{path}: {name} must be a list of whole numbers")
    return array.astype(np.int64)

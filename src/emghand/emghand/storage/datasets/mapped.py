"""Reader of any csv, npz, MAT file or rosbag, by a column map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from emghand.errors import UserError
from emghand.storage.datasets.clock import UNITS as TIME_UNITS
from emghand.storage.datasets.clock import dial_s, note_turns, parse_times, unwrap
from emghand.storage.datasets.column_map import UNITS, ColumnMap, TimeMap, load_map
from emghand.storage.datasets.common import (
    Floats,
    Ints,
    blocks_at,
    default_block_size,
    make_recording,
    report_still_channels,
)
from emghand.storage.datasets.gestures import REST, UNKNOWN, gesture_periods, postures
from emghand.storage.datasets.matlab import load_mat
from emghand.storage.datasets.npz import load_npz
from emghand.storage.datasets.sources import ArraySource, BagSource, CsvSource, Source, Track
from emghand.storage.datasets.text_table import read_table, row_widths
from emghand.storage.datasets.timeline import MAX_TIME_S, Placed, Rows, place
from emghand.storage.recording import Period, Recording, Series, Stream
from emghand.storage.repairs import KEPT, LEFT_OUT, RepairLog


def read_mapped(
    map_path: str | Path,
    file: str | Path | None = None,
    *,
    rate: float = 0.0,
    block_size: int | None = None,
    strict: bool = False,
) -> Recording:
    """Read a file by a column map.

    Parameters
    ----------
    map_path : str or Path
        See docs/datasets.md for what it says.
    file : str or Path, optional
        Instead of the ``file`` that the map names, which is relative to the map.
    rate : float
        Instead of the rate of the map [Hz]: of the samples where the file has no stamps, else of
        the grid on which they are held; 0: that of the map.
    block_size : int, optional
        Samples per block.
    strict : bool
        Refuse damage instead of reporting it; the map may ask for it too.

    Returns
    -------
    Recording
        Stamps are those of the file where it has dates, else they begin at 0 with the first sample.

    Raises
    ------
    UserError
        When the map is wrong, does not fit the file, or the file is damaged beyond repair.
    """
    layout = load_map(map_path)
    if file is None and not layout.file:
        raise UserError(f"{map_path}: names no file; add 'file: NAME', or give the file")
    path = Path(file).expanduser() if file is not None else layout.folder / layout.file
    if not path.exists():
        raise UserError(f"{path}: does not exist ({map_path} names it)")
    log = RepairLog(strict or layout.strict)
    source = _open(path, layout, log)
    rows, names = _rows(path, source, layout, rate or layout.rate, log)
    placed = place(rows, rate or layout.rate, log)
    emg = layout.emg
    report_still_channels(path, rows.emg[placed.rows], names, placed.rate, emg.full_scale, log)
    dated = layout.time is not None and (layout.time.as_ == "iso" or "%" in layout.time.as_)
    start_s = placed.start_s if dated or isinstance(source, BagSource) else 0.0
    x_d, periods = _labels(path, source, layout, placed, start_s, log)
    block_size = block_size or default_block_size(placed.rate)
    start_ns = round(start_s * 1e6) * 1000
    return make_recording(
        str(path),
        Stream(
            layout.device,
            path.name.split(".")[0],
            names,
            placed.rate,
            block_size,
            "count" if emg.unit == "count" else "V",
            emg.full_scale,
        ),
        blocks_at(placed.samples, placed.index, placed.rate, block_size, start_ns),
        x_d,
        periods,
        subject=layout.subject,
        session=layout.session,
        date=layout.date,
        log=log,
    )


def _open(path: Path, layout: ColumnMap, log: RepairLog) -> Source:
    kind = layout.format or _format(path)
    if kind == "npz":
        return ArraySource(path, load_npz(path), layout.emg.transpose)
    if kind == "mat":
        return ArraySource(path, load_mat(path), layout.emg.transpose)
    if kind == "rosbag":
        return BagSource(path)
    widths = [] if layout.header else row_widths(path, layout.delimiter, layout.skip_lines)
    table = read_table(
        path,
        log,
        header=layout.header,
        width=max(set(widths), key=widths.count, default=0),
        delimiter=layout.delimiter,
        skip_lines=layout.skip_lines,
    )
    if not table.rows:
        raise UserError(f"{path}: holds no data")
    return CsvSource(table, layout.decimal)


def _format(path: Path) -> str:
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in (".bag", ".mcap", ".db3"):
        return "rosbag"
    return {".npz": "npz", ".mat": "mat"}.get(suffix, "csv")


def _rows(
    path: Path, source: Source, layout: ColumnMap, rate: float, log: RepairLog
) -> tuple[Rows, tuple[str, ...]]:
    emg = layout.emg
    track = source.track(emg.from_)
    time_s = track.time_s
    if layout.time is not None:
        time_s = _times(path, source, layout.time, len(track.values), log)
    counter = None
    if layout.counter is not None:
        counter = source.track([layout.counter.from_]).values[:, 0]
        if len(counter) != len(track.values):
            raise UserError(
                f"{path}: the counter has {len(counter)} values, the EMG {len(track.values)}"
            )
    rows = Rows(
        path,
        track.values * (emg.scale * UNITS[emg.unit]),
        track.places,
        track.positions,
        time_s,
        counter,
        layout.counter.wraps if layout.counter is not None else 0,
        layout.counter.step if layout.counter is not None else 1,
        source.unit,
    )
    names = track.names
    if emg.channels and track.values.shape[1] != emg.channels:
        rows = _taken_apart(rows, emg.channels, rate)
        names = tuple(f"ch{i + 1:02d}" for i in range(emg.channels))
    if emg.names and len(emg.names) != len(names):
        raise UserError(f"{path}: emg: {len(emg.names)} names for {len(names)} channels")
    names = emg.names or names
    if len(set(names)) != len(names):
        raise UserError(f"{path}: emg: a channel is named twice: {', '.join(names)}")
    return rows, names


def _taken_apart(rows: Rows, channels: int, rate: float) -> Rows:
    """Several samples per row: one row each."""
    width = rows.emg.shape[1]
    if width % channels:
        raise UserError(f"{rows.path}: {width} values a row are no whole samples of {channels}")
    count = width // channels
    within = np.tile(np.arange(count), len(rows.emg))
    if rows.time_s is not None and rows.counter is None and rate <= 0:
        raise UserError(f"{rows.path}: {count} samples share a stamp, give the rate")
    step = 1.0 / rate if rate > 0 else 0.0
    return replace(
        rows,
        emg=rows.emg.reshape(-1, channels),
        lines=np.repeat(rows.lines, count),
        positions=np.repeat(rows.positions, count) * count + within,
        time_s=None if rows.time_s is None else np.repeat(rows.time_s, count) + within * step,
        counter=None
        if rows.counter is None
        else np.repeat(rows.counter, count) + within * rows.counter_step,
    )


def _times(path: Path, source: Source, time: TimeMap, length: int, log: RepairLog) -> Floats:
    track = source.track([time.from_])
    if len(track.values) != length:
        raise UserError(f"{path}: {time.from_} has {len(track.values)} values where {length} are")
    if time.as_ in TIME_UNITS:
        return track.values[:, 0] * TIME_UNITS[time.as_]
    if track.texts is None:
        texts = [repr(v) for v in track.values[:, 0].tolist()]
    else:
        texts = track.texts[0]
    times = parse_times(texts, time.as_)
    dial = dial_s(texts, time.as_)
    if dial:
        good = np.flatnonzero(np.isfinite(times))
        times[good], turns = unwrap(times[good], dial)
        note_turns(path, track.places[good[turns]], dial, log)
    return times


def _labels(
    path: Path,
    source: Source,
    layout: ColumnMap,
    placed: Placed,
    start_s: float,
    log: RepairLog,
) -> tuple[Series | None, list[Period]]:
    x_d, periods = None, []
    if layout.x_d is not None and layout.x_d.dofs:
        parts = []
        for dof in layout.x_d.dofs.values():
            track = source.track([dof.from_])
            parts.append((track.values[:, :1] - dof.zero) / (dof.one - dof.zero))
        if len({len(p) for p in parts}) != 1:
            raise UserError(f"{path}: the labels of x_d are not equally long")
        rows, stamps = _label_times(path, source, track, layout.x_d.time, placed, start_s, log)
        values = np.hstack(parts)[rows]
        bad = track.places[rows][~np.isfinite(values).all(axis=1)]
        text = "a label is missing or no number; no label there"
        log.add(path, "bad_label", KEPT, text, bad, source.unit)
        x_d = Series(tuple(layout.x_d.dofs), stamps, values)
    gestures = layout.gestures
    if gestures is not None:
        track = source.track([gestures.from_])
        rows, stamps = _label_times(path, source, track, gestures.time, placed, start_s, log)
        place_of = {label: i for i, label in enumerate(gestures.postures)}
        place_of[gestures.rest] = REST
        labels = track.labels()
        index = np.array([place_of.get(labels[r], UNKNOWN) for r in rows.tolist()], np.int64)
        unknown = index == UNKNOWN
        log.add(
            path,
            "unknown_label",
            KEPT,
            "a gesture that the map does not name; nobody learns from it",
            track.places[rows[unknown]],
            source.unit,
        )
        listed = list(gestures.postures.values())
        repetition: Ints | None = None
        if gestures.repetition:
            numbers = source.track([gestures.repetition]).values[:, 0]
            if len(numbers) != len(track.values):
                raise UserError(f"{path}: {gestures.repetition} is not as long as the labels")
            said = np.nan_to_num(numbers[rows], nan=-1.0)
            repetition = np.clip(said, -1, 2**31).astype(np.int64)
        periods = gesture_periods(
            index, stamps, listed, repetition=repetition, reaction_s=gestures.reaction_s
        )
        names = tuple(dict.fromkeys(n for g in listed for n in g.dofs))
        if x_d is None and names:
            x_d = Series(names, stamps, postures(index, listed, names))
    return x_d, periods


def _label_times(
    path: Path,
    source: Source,
    track: Track,
    time: TimeMap | None,
    placed: Placed,
    start_s: float,
    log: RepairLog,
) -> tuple[Ints, Ints]:
    """Rows of a label track that have a stamp, and these stamps [ns]."""
    times = track.time_s
    if time is not None:
        times = _times(path, source, time, len(track.values), log)
    start_ns = round(start_s * 1e6) * 1000
    if times is None:
        if len(track.values) <= int(placed.rows[-1]):
            raise UserError(
                f"{path}: {len(track.values)} labels for {int(placed.rows[-1]) + 1} samples; "
                "name the array with their times"
            )
        return placed.rows, start_ns + np.round(placed.time_s * 1e9).astype(np.int64)
    good = np.abs(times) <= MAX_TIME_S
    text = "the stamp of a label is missing or cannot be read"
    log.add(path, "bad_time", LEFT_OUT, text, track.places[~good], source.unit)
    rows = np.flatnonzero(good)
    rows = rows[np.argsort(times[rows], kind="stable")]
    since = times[rows] - placed.start_s
    return rows, start_ns + np.round(since * 1e9).astype(np.int64)

"""A bag as one `Recording`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emghand.storage.bags.messages import BagError
from emghand.storage.bags.reader import BagReader
from emghand.storage.recording import (
    Block,
    Period,
    PeriodKind,
    Recording,
    Series,
    Stream,
    recording_digest,
)
from emghand.storage.repairs import KEPT, REPAIRED, Repair, RepairLog
from emghand.storage.sessions import sitting_of

EMG_TYPE = "emghand_interfaces/msg/EmgFrame"
INFO_TYPE = "emghand_interfaces/msg/EmgInfo"
STATE_TYPE = "emghand_interfaces/msg/SessionState"
SERIES_TYPE = "sensor_msgs/msg/JointState"


def stamp_ns(message: Any) -> int:
    """Time stamp in the header of a decoded message [ns]."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def read_recording(
    path: str | Path, *, stream: str | None = None, namespace: str | None = None
) -> Recording:
    """Raw EMG, labels and estimates of a bag.

    Parameters
    ----------
    path : str or Path
        Bag directory or MCAP file; one cut short is read as far as it goes.
    stream : str, optional
        ``EmgInfo.stream`` to read where the bag holds several, for example after the driver was
        restarted. By default there must be only one that holds samples.
    namespace : str, optional
        Of the topics, for example ``/left``. By default there must be only one with raw EMG.

    Raises
    ------
    BagError
        When the bag cannot be read, holds no raw EMG or its description, or holds several streams
        and none was chosen.
    """
    with BagReader(path) as reader:
        prefix = _namespace(reader, namespace)
        names = {
            key: f"{prefix}/{key}"
            for key in (
                *("emg/raw", "emg/info", "task/x_d", "glove/dof"),
                *("decoder/x_hat", "decoder/out_x_hat", "session/state"),
            )
        }
        messages: dict[str, list[Any]] = {name: [] for name in names.values()}
        for raw in reader.messages([n for n in names.values() if n in reader.topics]):
            messages[raw.topic].append(reader.decode(raw))
        damaged = reader.damaged
    parts = split_streams(str(path), messages[names["emg/info"]], messages[names["emg/raw"]])
    info, blocks = _choose(str(path), parts, stream)
    x_d = series_of(messages[names["task/x_d"]], 0.0) or series_of(
        messages[names["glove/dof"]], 0.0
    )
    periods = periods_of(messages[names["session/state"]])
    return Recording(
        source=str(path),
        stream=info,
        blocks=blocks,
        x_d=x_d,
        x_hat=series_of(messages[names["decoder/x_hat"]], np.nan),
        out_x_hat=series_of(messages[names["decoder/out_x_hat"]], np.nan),
        periods=periods,
        digest=recording_digest(info, blocks, x_d, periods),
        repairs=_repairs(str(path), damaged, blocks),
        **sitting_of(path),
    )


def _repairs(source: str, damaged: bool, blocks: Sequence[Block]) -> tuple[Repair, ...]:
    log = RepairLog()
    text = "the bag has no proper end; read as far as it goes"
    log.add(source, "cut_short", REPAIRED, text, count=int(damaged), unit="file end")
    expected = [b.first_sample + len(b.samples) for b in blocks[:-1]]
    missing = np.array([b.first_sample for b in blocks[1:]], np.int64) - np.array(
        expected, np.int64
    )
    gaps = np.flatnonzero(missing > 0)
    text = "samples are missing before these; they stay a gap of the sample counter"
    places = [blocks[i + 1].first_sample for i in gaps.tolist()]
    log.add(source, "dropped", KEPT, text, places, "sample", count=int(missing[gaps].sum()))
    return log.repairs


def _namespace(reader: BagReader, namespace: str | None) -> str:
    found = [
        name.removesuffix("/emg/raw")
        for name, topic in reader.topics.items()
        if topic.type == EMG_TYPE and name.endswith("/emg/raw") and reader.counts[name]
    ]
    if namespace is not None:
        prefix = "/" + namespace.strip("/") if namespace.strip("/") else ""
        if prefix not in found:
            raise BagError(f"bag {reader.path}: holds no raw EMG on {prefix}/emg/raw")
        return prefix
    if not found:
        held = ", ".join(n for n in reader.topics if reader.counts[n]) or "no message at all"
        raise BagError(f"bag {reader.path}: holds no raw EMG (/emg/raw), but: {held}")
    if len(found) > 1:
        known = ", ".join(f"{p}/emg/raw" for p in found)
        raise BagError(f"bag {reader.path}: holds raw EMG on {known}; choose a namespace")
    return found[0]


def stream_from_info(message: Any) -> Stream:
    """`Stream` of a decoded EmgInfo."""
    return Stream(
        device=message.device,
        stream=message.stream,
        channel_names=tuple(message.channel_names),
        rate=float(message.rate),
        block_size=int(message.block_size),
        unit=message.unit,
        full_scale=float(message.full_scale),
    )


def block_from_frame(message: Any) -> Block | None:
    """`Block` of a decoded EmgFrame; None when its data are not whole samples."""
    data = np.asarray(message.data, np.float32)
    channels = int(message.n_channels)
    if channels == 0 or data.size == 0 or data.size % channels:
        return None
    return Block(int(message.first_sample), stamp_ns(message), data.reshape(-1, channels))


def split_streams(
    source: str, infos: Sequence[Any], frames: Iterable[Any]
) -> list[tuple[Stream, list[Block]]]:
    """Blocks of each stream of EMG, in order.

    A frame names its stream in ``header.frame_id``. For recordings of drivers that do not, a
    stream begins where the sample counter falls back, or where the number of channels changes: the
    descriptions and the frames travel on different topics, so their order in the bag is not exact,
    but both are in order among themselves.

    What feature_node refuses live is left out here as well: frames that are not whole samples, that
    do not have the channels of their stream, or whose stream nobody described.

    Raises
    ------
    BagError
        When there are not as many descriptions as streams.
    """
    streams: list[Stream] = []
    for info in infos:
        found = stream_from_info(info)
        if not streams or streams[-1].stream != found.stream:
            streams.append(found)
    if not streams:
        raise BagError(f"{source}: holds raw EMG but no /emg/info that describes it")
    named = {stream.stream: stream for stream in streams}
    frames = list(frames)
    by_name = any(frame.header.frame_id in named for frame in frames)
    runs: list[list[Block]] = []
    names: list[str] = []
    for frame in frames:
        block, name = block_from_frame(frame), str(frame.header.frame_id)
        if block is None or (by_name and not _belongs(block, named.get(name))):
            continue
        same = bool(runs) and names[-1] == name
        if not same or (name not in named and _starts_anew(runs[-1][-1], block)):
            runs.append([])
            names.append(name)
        runs[-1].append(block)
    if by_name:
        return _pair_named(named, names, runs)
    return _pair(source, streams, runs)


def _pair_named(
    named: Mapping[str, Stream], names: list[str], runs: list[list[Block]]
) -> list[tuple[Stream, list[Block]]]:
    merged: dict[str, list[Block]] = {}
    for name, run in zip(names, runs, strict=True):
        merged.setdefault(name, []).extend(run)
    return [(named[name], blocks) for name, blocks in merged.items()]


def _belongs(block: Block, stream: Stream | None) -> bool:
    return stream is not None and block.samples.shape[1] == stream.n_channels


def _starts_anew(before: Block, block: Block) -> bool:
    if block.samples.shape[1] != before.samples.shape[1]:
        return True
    # A late duplicate also goes back, by a frame or two; a new stream goes back to its start.
    back = before.first_sample - block.first_sample
    return back >= 0 and block.stamp_ns > before.stamp_ns


def _pair(
    source: str, streams: list[Stream], runs: list[list[Block]]
) -> list[tuple[Stream, list[Block]]]:
    # A driver that opened a stream and died before its first frame leaves a description alone;
    # the channel counts then tell which description belongs to which run.
    pairs = []
    candidates = iter(streams)
    if len(streams) < len(runs):
        raise BagError(
            f"{source}: the sample counter starts anew {len(runs) - 1} times, but /emg/info "
            f"describes only {len(streams)} streams"
        )
    spare = len(streams) - len(runs)
    for run in runs:
        channels = run[0].samples.shape[1]
        stream = next(candidates)
        while stream.n_channels != channels and spare:
            stream, spare = next(candidates), spare - 1
        if stream.n_channels != channels:
            raise BagError(
                f"{source}: /emg/raw has {channels} channels, /emg/info {stream.n_channels}"
            )
        pairs.append((stream, run))
    return pairs


def _choose(
    source: str, parts: list[tuple[Stream, list[Block]]], wanted: str | None
) -> tuple[Stream, list[Block]]:
    if wanted is not None:
        for info, blocks in parts:
            if info.stream == wanted:
                return info, blocks
    elif len(parts) == 1:
        return parts[0]
    known = ", ".join(info.stream for info, _ in parts)
    if wanted is not None:
        raise BagError(f"{source}: holds no EMG stream {wanted!r}, but: {known}")
    raise BagError(f"{source}: holds {len(parts)} EMG streams ({known}); choose one of them")


def series_of(messages: Sequence[Any], missing: float) -> Series | None:
    """Values over time from decoded JointStates; `missing` where one lacks a name of others."""
    # Whoever listens live refuses a message without a position for every name.
    messages = [m for m in messages if len(m.name) == len(m.position)]
    if not messages:
        return None
    names: dict[str, int] = {}
    for message in messages:
        for name in message.name:
            names.setdefault(name, len(names))
    values = np.full((len(messages), len(names)), missing)
    stamps = np.empty(len(messages), np.int64)
    for row, message in enumerate(messages):
        stamps[row] = stamp_ns(message)
        values[row, [names[n] for n in message.name]] = np.asarray(message.position, np.float64)
    return Series(tuple(names), stamps, values)


def periods_of(messages: Sequence[Any]) -> list[Period]:
    """Periods, in order of time, from decoded SessionStates."""
    periods: list[Period] = []
    for message in sorted(messages, key=stamp_ns):
        period = Period(
            stamp_ns=stamp_ns(message),
            kind=PeriodKind(int(message.period)),
            movement=message.movement,
            movement_index=int(message.movement_index),
            repetition=int(message.repetition),
            trial=int(message.trial),
        )
        if not periods or periods[-1] != period:
            periods.append(period)
    return periods

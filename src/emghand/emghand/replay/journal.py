"""What a bag holds for a replay: raw EMG, events, snapshots, and what was published."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.storage.arrays import read_arrays
from emghand.storage.bags import BagError, BagReader
from emghand.storage.bags.convert import split_streams, stamp_ns
from emghand.storage.recording import Block, Stream

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Event:
    """A PipelineEvent; `detail` is its parsed JSON."""

    kind: str
    tick: int
    last_tick: int
    stamp_ns: int
    detail: dict[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """A StateSnapshot: the state after `tick`."""

    tick: int
    stamp_ns: int
    model_id: str
    settings: dict[str, Any]
    arrays: Arrays


@dataclass
class Journal:
    """Events and snapshots of one node, each in order of time."""

    events: list[Event] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)

    def sections(self) -> list[Section]:
        """The journal cut at every start; what came before the first one is a section too."""
        starts = [e for e in self.events if e.kind == "start"]
        edges = [s.stamp_ns for s in starts]
        sections = [Section(None)] + [Section(start) for start in starts]
        for event in self.events:
            if event.kind != "start":
                sections[_index(edges, event.stamp_ns)].events.append(event)
        for snapshot in self.snapshots:
            sections[_index(edges, snapshot.stamp_ns)].snapshots.append(snapshot)
        return [s for s in sections if s.start is not None or s.snapshots]


def _index(edges: Sequence[int], stamp: int) -> int:
    return int(np.searchsorted(np.asarray(edges, np.int64), stamp, side="right"))


@dataclass
class Section:
    """From one start of a pipeline to the next; `start` None: it began before the recording."""

    start: Event | None
    events: list[Event] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)


@dataclass(frozen=True)
class Published:
    """One recorded vector."""

    stamp_ns: int
    names: tuple[str, ...]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class PublishedFeatures:
    """One recorded feature frame."""

    stamp_ns: int
    tick: int
    quality: int
    reset: bool
    z: NDArray[np.float64]


@dataclass
class Tape:
    """Everything a replay needs from a bag."""

    path: Path
    streams: list[tuple[Stream, list[Block]]] = field(default_factory=list)
    features: Journal = field(default_factory=Journal)
    decoder: Journal = field(default_factory=Journal)
    published_features: list[PublishedFeatures] = field(default_factory=list)
    x_hat: list[Published] = field(default_factory=list)
    out_x_hat: list[Published] = field(default_factory=list)
    model_files: dict[str, str] = field(default_factory=dict)


def read_tape(path: str | Path) -> Tape:
    """Read what a replay needs.

    Raises
    ------
    BagError
        When the bag cannot be read, or lacks something without which nothing can be repeated.
    """
    tape = Tape(Path(path))
    infos: list[Any] = []
    frames: list[Any] = []
    wanted = {
        "/emg/info": infos.append,
        "/emg/raw": frames.append,
        "/features": lambda m: tape.published_features.append(_features(m)),
        "/features/event": lambda m: tape.features.events.append(_event(m)),
        "/features/state": lambda m: tape.features.snapshots.append(_snapshot(m)),
        "/decoder/event": lambda m: tape.decoder.events.append(_event(m)),
        "/decoder/state": lambda m: tape.decoder.snapshots.append(_snapshot(m)),
        "/decoder/model": lambda m: tape.model_files.update({m.model_id: m.uri}),
        "/decoder/x_hat": lambda m: tape.x_hat.append(_published(m)),
        "/decoder/out_x_hat": lambda m: tape.out_x_hat.append(_published(m)),
    }
    with BagReader(path) as reader:
        missing = [
            topic
            for topic in ("/emg/raw", "/features/state", "/decoder/state")
            if not reader.counts.get(topic)
        ]
        if missing:
            raise BagError(f"bag {path}: cannot be repeated without {', '.join(missing)}")
        for raw in reader.messages([t for t in wanted if t in reader.topics]):
            wanted[raw.topic](reader.decode(raw))
    tape.streams = split_streams(str(path), infos, frames)
    for journal in (tape.features, tape.decoder):
        journal.events.sort(key=lambda e: e.stamp_ns)
        journal.snapshots.sort(key=lambda s: s.stamp_ns)
    for event in tape.decoder.events:
        if "model_id" in event.detail:
            tape.model_files.setdefault(event.detail["model_id"], event.detail.get("uri", ""))
    return tape


def _event(message: Any) -> Event:
    try:
        detail = json.loads(message.detail) if message.detail else {}
    except ValueError as error:
        raise BagError(f"event of {message.node}: its detail is not JSON") from error
    return Event(message.kind, int(message.tick), int(message.last_tick), stamp_ns(message), detail)


def _snapshot(message: Any) -> Snapshot:
    try:
        arrays = read_arrays(io.BytesIO(message.data.tobytes()))
        settings = json.loads(message.settings)
    except (UserError, ValueError) as error:
        raise BagError(f"snapshot of {message.node}: cannot be read: {error}") from error
    return Snapshot(int(message.tick), stamp_ns(message), message.model_id, settings, arrays)


def _published(message: Any) -> Published:
    return Published(stamp_ns(message), tuple(message.name), np.array(message.position, np.float64))


def _features(message: Any) -> PublishedFeatures:
    return PublishedFeatures(
        stamp_ns(message),
        int(message.tick),
        int(message.quality),
        bool(message.reset),
        np.array(message.data, np.float64),
    )

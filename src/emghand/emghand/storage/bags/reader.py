"""Reads rosbag2 directories and MCAP files, finished or cut short."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mcap.exceptions import McapError
from mcap.reader import SeekingReader
from mcap.records import Channel, Message, Schema
from mcap.summary import Summary
from rosbags.serde import SerdeError

from emghand.storage.bags import metadata
from emghand.storage.bags.definitions import types_for
from emghand.storage.bags.messages import BagError, Closing, RawMessage, Topic
from emghand.storage.bags.scan import Damage, is_complete, scan


def bag_files(path: str | Path) -> list[Path]:
    """MCAP files of a bag, in order of time; `path` is a bag directory or one MCAP file.

    Raises
    ------
    BagError
        When there are none, or the bag is in another format.
    """
    path = Path(path)
    if path.is_file() and path.suffix == ".mcap":
        return [path]
    if not path.is_dir():
        kind = "is not an .mcap file or a bag directory" if path.exists() else "does not exist"
        raise BagError(f"bag {path}: {kind}")
    information = _metadata_or_none(path)
    if information is not None:
        storage = information.get("storage_identifier")
        if storage != "mcap":
            raise BagError(
                f"bag {path}: storage {storage!r} is not MCAP; convert it with: "
                f"rosbags-convert --src {path} --dst NEW --dst-storage mcap"
            )
        if information.get("compression_mode"):
            raise BagError(f"bag {path}: decompress it first (ros2 bag convert)")
        names = information.get("relative_file_paths") or []
        files = [path / Path(str(name)).name for name in names]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise BagError(f"bag {path}: {', '.join(missing)} is missing")
    else:
        files = sorted(path.glob("*.mcap"), key=_by_number)
    if not files:
        raise BagError(f"bag {path}: holds no .mcap file")
    return files


def _metadata_or_none(path: Path) -> dict[str, Any] | None:
    # A torn metadata.yaml must not hide the recording beside it.
    try:
        return metadata.read_metadata(path)
    except BagError:
        return None


def _by_number(path: Path) -> tuple[int, str]:
    digits = re.findall(r"\d+", path.stem)
    return (int(digits[-1]) if digits else 0, path.name)


@dataclass
class _File:
    path: Path
    handle: BinaryIO
    indexed: SeekingReader | None
    damage: Damage


class BagReader(Closing):
    """Reads a bag; one that was cut short is read as far as it goes.

    Parameters
    ----------
    path : str or Path
        Bag directory, or one MCAP file.
    salvage : bool
        Distrust the index: read every file from front to back and leave out what is damaged.

    Attributes
    ----------
    topics : dict of str to Topic
    counts : dict of str to int
        Messages per topic.
    damaged : bool
        A file has no proper end, or no index; bad chunks are only known with `salvage`.
        ``emghand session repair`` makes such a bag playable for every tool.

    Raises
    ------
    BagError
        When it is not a bag.
    """

    def __init__(self, path: str | Path, *, salvage: bool = False) -> None:
        self.path = Path(path)
        self.topics: dict[str, Topic] = {}
        self.counts: dict[str, int] = {}
        self.start_ns = 2**63 - 1
        self.end_ns = 0
        self._salvage = salvage
        self._files: list[_File] = []
        try:
            for file in bag_files(path):
                self._open(file)
        except OSError as error:
            self.close()
            raise BagError(f"bag {path}: cannot be read: {error}") from error
        except BagError:
            self.close()
            raise
        if not self.message_count:
            self.start_ns = 0
        self.topics = dict(sorted(self.topics.items()))
        known = ((t.type, t.definition, t.encoding) for t in self.topics.values())
        self._types = types_for(frozenset(known))

    @property
    def damaged(self) -> bool:
        """A file has no proper end, or holds bad chunks."""
        return any(damage != Damage() for damage in self.damages.values())

    @property
    def custom(self) -> dict[str, str]:
        """``custom_data`` of the metadata, as far as they can be read."""
        information = _metadata_or_none(self.path) if self.path.is_dir() else None
        custom = (information or {}).get("custom_data") or {}
        return {str(key): str(value) for key, value in custom.items()}

    @property
    def shared(self) -> list[str]:
        """Topics that several publishers shared: their message counters mean nothing here."""
        return self.custom.get(metadata.SHARED_KEY, "").split()

    @property
    def damages(self) -> dict[Path, Damage]:
        """What is wrong with each file that was read without its index."""
        return {f.path: f.damage for f in self._files if f.indexed is None}

    @property
    def message_count(self) -> int:
        """Messages in all topics."""
        return sum(self.counts.values())

    @property
    def duration_s(self) -> float:
        """From the first to the last message [s]."""
        return (self.end_ns - self.start_ns) * 1e-9

    def _open(self, path: Path) -> None:
        handle = path.open("rb")
        file = _File(path, handle, None, Damage())
        self._files.append(file)
        try:
            indexed = _open_indexed(handle) if is_complete(path) else None
        except (McapError, KeyError, ValueError, struct.error):
            indexed = None
        if indexed is not None and not self._salvage:
            file.indexed, summary = indexed
            self._count_indexed(summary)
            return
        for topic, message in _scan_messages(path, file.damage):
            self._count(topic, 1, message.log_time, message.log_time)
        file.damage.no_index = indexed is None

    def _count_indexed(self, summary: Summary) -> None:
        statistics = summary.statistics
        assert statistics is not None
        for channel in summary.channels.values():
            count = statistics.channel_message_counts.get(channel.id, 0)
            topic = _topic(channel, summary.schemas.get(channel.schema_id))
            self._count(topic, count, 2**63 - 1, 0)
        if statistics.message_count:
            self.start_ns = min(self.start_ns, statistics.message_start_time)
            self.end_ns = max(self.end_ns, statistics.message_end_time)

    def _count(self, topic: Topic, count: int, start_ns: int, end_ns: int) -> None:
        known = self.topics.setdefault(topic.name, topic)
        if known.type != topic.type:
            raise BagError(f"bag {self.path}: {topic.name} is both {known.type} and {topic.type}")
        self.counts[topic.name] = self.counts.get(topic.name, 0) + count
        self.start_ns = min(self.start_ns, start_ns)
        self.end_ns = max(self.end_ns, end_ns)

    def messages(
        self, topics: Iterable[str] | None = None, start_ns: int | None = None
    ) -> Iterator[RawMessage]:
        """Messages in the order they were received; damaged files in the order of the file.

        Parameters
        ----------
        topics : iterable of str, optional
            Only these.
        start_ns : int, optional
            Only messages received from then on [ns since the epoch].
        """
        wanted = None if topics is None else set(topics)
        for file in self._files:
            if file.indexed is None:
                for topic, message in _scan_messages(file.path):
                    if (wanted is None or topic.name in wanted) and (
                        start_ns is None or message.log_time >= start_ns
                    ):
                        yield _raw(topic.name, message)
                continue
            try:
                for _, channel, message in file.indexed.iter_messages(wanted, starting_at=start_ns):
                    yield _raw(channel.topic, message)
            except (McapError, ValueError, struct.error) as error:
                raise BagError(
                    f"{file.path}: is damaged ({error}); run: emghand session repair"
                ) from error

    def decode(self, message: RawMessage) -> object:
        """The message with the fields of its type; arrays are numpy views on its bytes.

        Raises
        ------
        BagError
            When its bytes do not fit its type.
        """
        try:
            return self._types.decode(self.topics[message.topic], message.data)
        except SerdeError as error:
            raise BagError(f"bag {self.path}: {message.topic}: {error}") from error

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.handle.close()


def _open_indexed(handle: BinaryIO) -> tuple[SeekingReader, Summary]:
    reader = SeekingReader(handle, validate_crcs=True)
    summary = reader.get_summary()
    if summary is None or summary.statistics is None:
        raise McapError("no summary")
    if summary.statistics.message_count and not summary.chunk_indexes:
        raise McapError("no index")
    return reader, summary


def _raw(topic: str, message: Message) -> RawMessage:
    return RawMessage(topic, message.data, message.log_time, message.publish_time, message.sequence)


def _topic(channel: Channel, schema: Schema | None) -> Topic:
    return Topic(
        name=channel.topic,
        type=schema.name if schema else "",
        qos=metadata.qos_from_text(channel.metadata.get("offered_qos_profiles", "")),
        definition=schema.data.decode() if schema else "",
        type_hash=channel.metadata.get("topic_type_hash", ""),
        encoding=schema.encoding if schema else "",
    )


def _scan_messages(path: Path, damage: Damage | None = None) -> Iterator[tuple[Topic, Message]]:
    schemas: dict[int, Schema] = {}
    topics: dict[int, Topic] = {}
    for record in scan(path, damage):
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            if record.schema_id in schemas:
                topics[record.id] = _topic(record, schemas[record.schema_id])
        elif record.channel_id in topics:
            yield topics[record.channel_id], record

"""Writes a rosbag2 directory (MCAP and `metadata.yaml`), safe against being killed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mcap.writer import CompressionType, Writer

from emghand.storage.bags import metadata
from emghand.storage.bags.definitions import Types, find_definition
from emghand.storage.bags.messages import BagError, Closing, RawMessage, Topic
from emghand.storage.files import sync, take_lock

FLUSH_S = 0.1
SYNC_S = 2.0
MAX_PENDING_BYTES = 64 * 2**20


class _AppendFile:
    """File that holds complete flushes only: a failed one leaves no torn record behind."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        # A repair then sees that this is no bag of a recorder that has died; one that looks at it
        # just now has the lock for a moment.
        take_lock(self._file.fileno(), wait=True)
        self._pending: list[bytes] = []
        self._size = 0
        self._written = 0

    def write(self, data: bytes) -> int:
        self._pending.append(bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        left = memoryview(b"".join(self._pending))
        self._pending.clear()
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(self._written)
            raise
        self._written = self._size

    def sync(self) -> None:
        sync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class BagWriter(Closing):
    """Writes already serialised messages in a thread of its own.

    What was handed to `write` reaches the operating system within `flush_s` as complete MCAP
    chunks, so that a process killed with -9 loses at most that much, and the disk within
    `sync_s`. The chunks are not compressed: raw EMG hardly compresses, and then even a torn chunk
    can be read message by message.

    Parameters
    ----------
    path : str or Path
        Directory to create; must not exist.
    flush_s, sync_s : float
        Longest time until messages reach the operating system, and the disk [s].
    max_pending_bytes : int
        Bound of the buffer towards a slow disk. Beyond it `write` refuses messages.
    custom : mapping of str to str, optional
        ``custom_data`` of the metadata.

    Attributes
    ----------
    error : OSError or None
        What stopped the writing.
    counts : dict of str to int
        Messages written per topic.
    refused : int
        Messages that were not taken, see `write`.
    custom : dict
        May be added to until `close`.

    Raises
    ------
    BagError
        When the directory exists or cannot be made.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        flush_s: float = FLUSH_S,
        sync_s: float = SYNC_S,
        max_pending_bytes: int = MAX_PENDING_BYTES,
        custom: Mapping[str, str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.file_path = self.path / f"{self.path.name}_0.mcap"
        self.error: OSError | None = None
        self.counts: dict[str, int] = {}
        self.refused = 0
        self._flush_s = flush_s
        self._sync_s = sync_s
        self._max_pending = max_pending_bytes
        self.custom: dict[str, str] = dict(custom or {})
        self._types = Types()
        self._topics: dict[str, Topic] = {}
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._start_ns = 2**63 - 1
        self._end_ns = 0
        self._queue: deque[RawMessage] = deque()
        self._pending_bytes = 0
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._closing = False
        try:
            self.path.mkdir(parents=True)
            self._file = _AppendFile(self.file_path)
            self._mcap = Writer(
                self._file,  # type: ignore[arg-type]
                chunk_size=2**62,
                compression=CompressionType.NONE,
            )
            self._mcap.start(profile="ros2", library="emghand")
            self._file.flush()
        except FileExistsError:
            raise BagError(f"bag {self.path}: exists already, choose another name") from None
        except OSError as error:
            raise BagError(f"bag {self.path}: cannot be written: {error}") from error
        self._thread = threading.Thread(target=self._run, name="bag writer", daemon=True)
        self._thread.start()

    @property
    def topics(self) -> list[Topic]:
        """Topics in the order they were added."""
        return list(self._topics.values())

    def add_topic(self, topic: Topic) -> None:
        """Add a topic; a second time it is ignored.

        Raises
        ------
        BagError
            When its message definition is not found, or it was added with another type.
        """
        known = self._topics.get(topic.name)
        if known is not None:
            if known.type != topic.type:
                raise BagError(f"{topic.name}: recorded as {known.type}, not as {topic.type}")
            return
        definition = topic.definition or find_definition(topic.type)
        topic = replace(topic, definition=definition)
        if not topic.type_hash:
            topic = replace(topic, type_hash=self._types.hash(topic))
        with self._lock:
            self._topics[topic.name] = topic
            self.counts[topic.name] = 0

    def write(
        self,
        topic: str,
        data: bytes,
        log_time: int,
        publish_time: int | None = None,
        sequence: int = 0,
        *,
        wait: bool = False,
    ) -> bool:
        """Hand over one serialised message of a topic that was added.

        Parameters
        ----------
        log_time, publish_time : int
            [ns since the epoch]; `publish_time` is `log_time` by default.
        sequence : int
            The publisher's own counter of this message; 0: unknown.
        wait : bool
            Wait for room in the buffer instead of refusing the message.

        Returns
        -------
        bool
            False when it was refused: the buffer is full, or writing failed before (`error`).
        """
        if topic not in self._topics:
            raise KeyError(f"{topic}: add_topic first")
        message = RawMessage(
            topic, data, log_time, log_time if publish_time is None else publish_time, sequence
        )
        with self._changed:
            while wait and self._pending_bytes > self._max_pending and self.error is None:
                self._changed.notify_all()
                self._changed.wait(0.05)
            if self.error is not None or self._pending_bytes > self._max_pending:
                self.refused += 1
                return False
            self._queue.append(message)
            self._pending_bytes += len(data)
        return True

    def _run(self) -> None:
        next_sync = time.monotonic() + self._sync_s
        closing = False
        while not closing:
            with self._changed:
                if not self._closing and self._pending_bytes <= self._max_pending:
                    self._changed.wait(self._flush_s)
                closing = self._closing
                batch, self._queue = self._queue, deque()
                self._pending_bytes = 0
                self._changed.notify_all()
            try:
                for message in batch:
                    self._append(message)
                self._mcap.flush()
                if time.monotonic() >= next_sync:
                    self._file.sync()
                    next_sync = time.monotonic() + self._sync_s
            except OSError as error:
                with self._changed:
                    self.error = error
                    self.refused += len(self._queue)
                    self._queue.clear()
                return

    def _append(self, message: RawMessage) -> None:
        channel = self._channels.get(message.topic)
        if channel is None:
            channel = self._register(self._topics[message.topic])
        self._mcap.add_message(
            channel,
            message.log_time,
            message.data,
            message.publish_time,
            message.sequence & 0xFFFFFFFF,
        )
        self.counts[message.topic] += 1
        self._start_ns = min(self._start_ns, message.log_time)
        self._end_ns = max(self._end_ns, message.log_time)

    def _register(self, topic: Topic) -> int:
        if topic.type not in self._schemas:
            self._schemas[topic.type] = self._mcap.register_schema(
                topic.type, topic.encoding, topic.definition.encode()
            )
        channel = self._mcap.register_channel(
            topic.name,
            "cdr",
            self._schemas[topic.type],
            {
                "offered_qos_profiles": metadata.qos_to_text(topic.qos),
                "topic_type_hash": topic.type_hash,
            },
        )
        self._channels[topic.name] = channel
        return channel

    def close(self) -> None:
        """Write what is pending, the index and `metadata.yaml`.

        Raises
        ------
        BagError
            When writing failed, now or before. What was written stays and can be repaired.
        """
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        try:
            if self.error is None:
                self._finish()
        except OSError as error:
            self.error = error
        finally:
            self._file.close()
        if self.error is not None:
            raise BagError(
                f"bag {self.path}: writing stopped: {self.error.strerror or self.error}; free some "
                f"space and run: emghand session repair {self.path}"
            ) from self.error

    def _finish(self) -> None:
        for topic in self._topics.values():
            if topic.name not in self._channels:
                self._register(topic)
        self._mcap.flush()
        information = metadata.bag_information(
            self.topics,
            self.counts,
            self.file_path.name,
            self._start_ns,
            self._end_ns,
            self.custom,
        )
        self._mcap.add_metadata("rosbag2", {"serialized_metadata": metadata.to_text(information)})
        self._mcap.finish()
        self._file.flush()
        self._file.sync()
        metadata.write_metadata(self.path, information)

"""Records every topic of the virtual graph into a bag."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from typing import Any

from emghand.errors import UserError
from emghand.storage.bags import BagWriter, RawMessage, Topic
from emghand.storage.bags.holding import ResultHold
from emghand.storage.bags.integrity import Integrity
from emghand.storage.bags.writer import FLUSH_S
from emghand.virtual.topics import Outlet, Topics


class VirtualRecorder:
    """`emghand.activities.room.Recorder` on `Topics`.

    Parameters
    ----------
    topics : Topics
    now_ns : callable
        Stamp of the moment.
    on_start : callable
        Called when a recording has begun.
    flush_s : float
        See `BagWriter`; its chunks, and so the bytes of a bag, depend on the time of the computer
        unless a whole recording fits in here [s].
    """

    def __init__(
        self,
        topics: Topics,
        now_ns: Callable[[], int],
        on_start: Callable[[], None],
        flush_s: float = FLUSH_S,
    ) -> None:
        self._topics = topics
        self._now_ns = now_ns
        self._on_start = on_start
        self._flush_s = flush_s
        self._writer: BagWriter | None = None
        self._hold = ResultHold(self._write)
        self._integrity = Integrity()
        self._known: dict[str, Topic] = {}
        self._sequence: dict[str, int] = {}

    def start(self, uri: str) -> None:
        """See `Recorder`."""
        if self._writer is not None:
            raise UserError("the recorder is recording already")
        self._writer = BagWriter(uri, flush_s=self._flush_s)
        self._hold = ResultHold(self._write)
        self._integrity = Integrity()
        self._known.clear()
        self._sequence.clear()
        for name, outlet, message in self._topics.latched:
            self._take(name, outlet, message)
        self._topics.tap = self._take
        self._on_start()

    def problem(self) -> str:
        """See `Recorder`."""
        error = None if self._writer is None else self._writer.error
        return f"recorder: {error}" if error is not None else ""

    def stop(self) -> str:
        """See `Recorder`."""
        writer = self._writer
        if writer is None:
            raise UserError("the recorder is not recording")
        self._topics.tap = None
        self._hold.close()
        self._writer = None
        writer.close()
        report = {"bag": str(writer.path)} | self._integrity.report(writer.refused)
        return json.dumps(report)

    def abandon(self) -> None:
        """See `Recorder`."""
        if self._writer is not None:
            self.stop()

    def _take(self, name: str, outlet: Outlet, message: Any) -> None:
        topic = self._known.get(name)
        if topic is None:
            maker = self._topics.maker
            definition, digest = maker.definition(outlet.type), maker.hash(outlet.type)
            topic = Topic(name, outlet.type, (outlet.qos,), definition, type_hash=digest)
            self._known[name] = topic
            assert self._writer is not None
            self._writer.add_topic(topic)
        number = self._sequence[name] = self._sequence.get(name, 0) + 1
        data = self._topics.maker.encode(outlet.type, message)
        now = self._now_ns()
        self._hold.take(topic, RawMessage(name, data, now, now, number))
        self._hold.release(now)

    def _write(self, topic: Topic, message: RawMessage, publisher: Hashable) -> bool:
        assert self._writer is not None
        # Virtual time waits for the disk.
        is_written = self._writer.write(*message, wait=True)
        if is_written:
            self._integrity.add(topic, message)
        return is_written

"""Keeps the result of a trial out of a bag until the data it speaks of is in it."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from rosbags.serde import SerdeError

from emghand.storage.bags.definitions import Types
from emghand.storage.bags.integrity import EMG_TYPE
from emghand.storage.bags.messages import RawMessage, Topic

RESULT_TYPE = "emghand_interfaces/msg/TrialResult"
JOINT_TYPE = "sensor_msgs/msg/JointState"
PATIENCE_NS = {EMG_TYPE: 1_000_000_000, JOINT_TYPE: 200_000_000}
"""How long a stream that has fallen silent is waited for.

Raw EMG as long as any result is held. Of the joints some are only published during a trial.
"""
LONGEST_NS = 1_000_000_000
"""Longest time a result is held: the stamps of a stream may be of another day, as in a replay."""

Write = Callable[[Topic, RawMessage, Hashable], bool]


class _Stream(NamedTuple):
    stamp_ns: int
    heard_ns: int
    patience_ns: int


class _Held(NamedTuple):
    end_ns: int
    topic: Topic
    message: RawMessage
    publisher: Hashable


class ResultHold:
    """Hands messages on to a bag, and the result of a trial only after the streams it speaks of.

    A result is published within milliseconds of the end of its trial, and the block of raw EMG
    with the last samples comes after it. Were it written first, a recorder that is killed, or a
    disk that is full in between, would leave a trial that counts as done and lacks its end. So it
    waits until every stream, raw EMG and positions of joints, has come to the end of the trial.

    Parameters
    ----------
    write : callable
        Writes a message: its topic, the message, and what tells its publisher. False: it could not.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._types = Types()
        self._streams: dict[str, _Stream] = {}
        self._held: deque[_Held] = deque()

    def __len__(self) -> int:
        """Results that are held."""
        return len(self._held)

    def take(self, topic: Topic, message: RawMessage, publisher: Hashable = None) -> None:
        """Write a message, or hold it; messages of a topic keep their order."""
        if topic.type == RESULT_TYPE:
            end_ns = self._end_ns(topic, message)
            self._held.append(_Held(end_ns, topic, message, publisher))
            return
        is_written = self._write(topic, message, publisher)
        patience_ns = PATIENCE_NS.get(topic.type)
        if patience_ns is not None and is_written:
            stamp_ns = _stamp_ns(message.data)
            self._streams[topic.name] = _Stream(stamp_ns, message.log_time, patience_ns)

    def release(self, now_ns: int) -> None:
        """Write the results whose data has been written; call it again and again.

        Parameters
        ----------
        now_ns : int
            On the clock of the messages' `log_time`.
        """
        while self._held and not self._must_wait(self._held[0], now_ns):
            self._let_go()

    def close(self) -> None:
        """Write what is still held."""
        while self._held:
            self._let_go()

    def _let_go(self) -> None:
        held = self._held.popleft()
        self._write(held.topic, held.message, held.publisher)

    def _must_wait(self, held: _Held, now_ns: int) -> bool:
        # A clock that was set back says nothing of how long it has been.
        if not 0 <= now_ns - held.message.log_time < LONGEST_NS:
            return False
        return any(
            s.stamp_ns < held.end_ns and now_ns - s.heard_ns < s.patience_ns
            for s in self._streams.values()
        )

    def _end_ns(self, topic: Topic, message: RawMessage) -> int:
        try:
            result: Any = self._types.decode(topic, message.data)
        except SerdeError:
            return 0  # It is written as it is.
        return int(result.end.sec) * 1_000_000_000 + int(result.end.nanosec)


def _stamp_ns(data: bytes) -> int:
    """Stamp of a serialised message that begins with a header; what is too short has none."""
    if len(data) < 12:
        return 0
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)

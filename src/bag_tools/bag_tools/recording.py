"""One recording in progress: subscriptions that follow the graph, and the bag they fill."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription

from bag_tools.ros_types import DEEP, message_class, qos_to_bag, recording_qos
from emghand.errors import UserError
from emghand.storage.bags import BagError, BagWriter, RawMessage, Topic
from emghand.storage.bags.holding import ResultHold
from emghand.storage.bags.integrity import Integrity
from emghand.storage.bags.metadata import SHARED_KEY

POLL_S = 0.01
SKIPPED = ("/parameter_events", "/clock")
_NO_SEQUENCE = 2**64 - 1


def is_hidden(topic: str) -> bool:
    """Whether a part of the name starts with an underscore, as those of actions do."""
    return any(part.startswith("_") for part in topic.split("/"))


def check_space(folder: Path, least_mb: float) -> None:
    """Check the free space where a bag goes.

    Raises
    ------
    UserError
        When there is less than `least_mb`.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e6
    if free < least_mb:
        raise UserError(
            f"{folder}: only {free:.0f} MB are free, a recording wants {least_mb:.0f} MB; "
            "free some space"
        )


@dataclass
class Tap:
    """A subscription that is emptied by hand, and what it was made for."""

    subscription: Subscription
    topic: Topic
    publishers: frozenset[bytes]
    latest_ns: int = 0

    def in_order(self, log_time: int, now_ns: int) -> int:
        """Time of the next message, so that a bag, which is read by time, keeps their order.

        A message that is sent again arrives after later ones and is handed out before them: the
        times of arrival step back. When the clock was set back, the latest is yet to come.
        """
        if log_time < self.latest_ns <= now_ns:
            log_time = self.latest_ns
        self.latest_ns = log_time
        return log_time


class Recording:
    """Records topics into a new bag until it is stopped.

    Messages are taken from their subscriptions in a thread, every `POLL_S`, without an executor:
    that costs a fraction of the processor time, and the executors that are fast do not tell the
    publisher and its message counter. Nothing depends on the moment of taking, because the
    middleware stamps a message when it arrives and the queues are deep.

    Parameters
    ----------
    node : Node
        Holds the subscriptions; must not be spun.
    path : Path
        Bag directory to create.
    topics : sequence of str
        Names to record; empty: all, also those that appear later, except hidden ones, parameter
        events and the clock.
    warn : callable
        Gets one sentence.

    Raises
    ------
    BagError
        When the bag exists or cannot be made.
    """

    def __init__(
        self, node: Node, path: Path, topics: Sequence[str], warn: Callable[[str], None]
    ) -> None:
        self.path = path
        self._node = node
        self._wanted = frozenset(topics)
        self._warn = warn
        self._integrity = Integrity()
        self._taps: dict[str, Tap] = {}
        self._unusable: set[str] = set()
        self._shared: set[str] = set()
        self._failure = ""
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._writer = BagWriter(path)
        self._hold = ResultHold(self._write)
        self.follow_graph()
        self._thread = threading.Thread(target=self._take_all, name="bag taker", daemon=True)
        self._thread.start()

    @property
    def topics(self) -> list[str]:
        """Names of the topics that are recorded now."""
        return sorted(self._taps)

    @property
    def message_count(self) -> int:
        """Messages handed to the bag so far."""
        return sum(self._writer.counts.values())

    @property
    def missing(self) -> list[str]:
        """Wanted topics that nobody publishes."""
        return sorted(self._wanted - self._taps.keys() - self._unusable)

    def follow_graph(self) -> None:
        """Subscribe to what appeared, and adapt to publishers that joined."""
        for name, types in self._node.get_topic_names_and_types():
            if self._wanted and name not in self._wanted:
                continue
            if not self._wanted and (is_hidden(name) or name in SKIPPED):
                continue
            if name in self._unusable:
                continue
            publishers = self._node.get_publishers_info_by_topic(name)
            gids = frozenset(bytes(p.endpoint_gid) for p in publishers)
            if len(gids) > 1:
                self._shared.add(name)
            tap = self._taps.get(name)
            if not publishers or (tap is not None and tap.publishers == gids):
                continue
            profile = recording_qos([p.qos_profile for p in publishers])
            if tap is not None:
                tap.publishers = gids
                old = tap.subscription.qos_profile
                if (old.reliability, old.durability) == (profile.reliability, profile.durability):
                    continue
            try:
                message_type = message_class(types[0])
                topic = Topic(
                    name,
                    types[0],
                    tuple(qos_to_bag(p.qos_profile) for p in publishers),
                    type_hash=str(publishers[0].topic_type_hash),
                )
                self._writer.add_topic(topic)
            except UserError as error:
                self._unusable.add(name)
                self._warn(f"{name} is not recorded: {error}")
                continue
            with self._lock:
                if tap is not None:
                    self._warn(f"{name}: a publisher with weaker QoS joined, subscribing again")
                    self._take(tap)
                    self._node.destroy_subscription(tap.subscription)
                subscription = self._node.create_subscription(
                    message_type, name, _never, profile, raw=True
                )
                definition = next(t for t in self._writer.topics if t.name == name)
                self._taps[name] = Tap(subscription, definition, gids)

    def _take_all(self) -> None:
        stopping = False
        # One more round after the wish to stop: what has arrived belongs to the recording. And as
        # many as it takes until the data of the last trial is there.
        while not stopping or self._hold:
            if stopping:
                time.sleep(POLL_S)
            stopping = self._stopping.wait(POLL_S)
            try:
                with self._lock:
                    for tap in self._taps.values():
                        self._take(tap)
                    self._hold.release(time.time_ns())
            except Exception as error:
                # Whatever it is: a thread that dies unseen would be a recording that loses all.
                self._failure = f"messages can no longer be taken: {error!r}"
                return

    def _take(self, tap: Tap) -> None:
        name, message_type = tap.topic.name, tap.subscription.msg_type
        handle = tap.subscription.handle
        with handle:
            # Bounded: a flood on one topic must not keep the others waiting.
            for _ in range(DEEP):
                taken = handle.take_message(message_type, True)
                if taken is None:
                    return
                data, info = taken
                sequence = info.get("publication_sequence_number")
                if sequence is None or sequence == _NO_SEQUENCE:
                    sequence = 0
                gid = info.get("publisher_gid")
                if gid is None and len(tap.publishers) > 1:
                    self._integrity.leave_unchecked(name)
                now_ns = time.time_ns()
                log_time = tap.in_order(info["received_timestamp"] or now_ns, now_ns)
                message = RawMessage(name, data, log_time, info["source_timestamp"], sequence)
                self._hold.take(tap.topic, message, None if gid is None else gid["data"])

    def _write(self, topic: Topic, message: RawMessage, publisher: Hashable) -> bool:
        is_written = self._writer.write(*message)
        if is_written:
            self._integrity.add(topic, message, publisher)
        return is_written

    def check(self, least_mb: float) -> None:
        """Check that the recording still can go on.

        Raises
        ------
        UserError
            When the disk is full or nearly so, or no message can be taken any more.
        """
        if self._failure:
            raise BagError(f"recording {self.path}: {self._failure}")
        if self._writer.error is not None:
            raise BagError(f"recording {self.path}: {self._writer.error}")
        check_space(self.path, least_mb)

    def stop(self) -> dict[str, Any]:
        """Finish the bag.

        Returns
        -------
        dict
            Integrity report, see `Integrity.report`; ``bag`` is its path.

        Raises
        ------
        BagError
            When it could not be finished.
        """
        self._stopping.set()
        self._thread.join()
        # Where messages could no longer be taken results may still be held: their trials are not
        # done, so they stay out.
        for tap in self._taps.values():
            self._node.destroy_subscription(tap.subscription)
        if self._shared:
            self._writer.custom[SHARED_KEY] = " ".join(sorted(self._shared))
        self._writer.close()
        report = {"bag": str(self.path)} | self._integrity.report(self._writer.refused)
        for name in self.missing:
            report["messages"].setdefault(name, 0)
        return report


def _never(message: object) -> None:
    """Messages are taken by hand; the node is never spun."""

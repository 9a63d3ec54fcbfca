"""Counts what a recording lost, from the counters that its messages carry."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from rosbags.serde import SerdeError

from emghand.storage.bags.definitions import Types
from emghand.storage.bags.messages import RawMessage, Topic

EMG_TYPE = "emghand_interfaces/msg/EmgFrame"
FEATURES_TYPE = "emghand_interfaces/msg/FeatureFrame"
MAX_LISTED = 20
MANY_RESTARTS = 3
"""So many restarts of one message counter: several publishers that cannot be told apart."""


@dataclass
class _Counter:
    """A counter that should never jump: samples, ticks, or a publisher's messages."""

    count: int = 0
    missing: int = 0
    restarts: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    _next: int | None = None

    def add(self, first: int, count: int = 1) -> None:
        expected = self._next
        self._next = first + count
        self.count += count
        if expected is None or first == expected:
            return
        if first < expected:
            self.restarts += 1
            return
        self.missing += first - expected
        if len(self.gaps) < MAX_LISTED:
            self.gaps.append((expected, first - expected))

    def report(self, unit: str) -> dict[str, Any]:
        return {
            unit: self.count,
            "missing": self.missing,
            "restarts": self.restarts,
            "gaps": [{"at": at, "missing": missing} for at, missing in self.gaps],
        }


class Integrity:
    """Follows the counters of a recording, message by message.

    Three kinds of loss are told apart. A gap in a publisher's own message counter is a message
    the recording lost. A gap in ``first_sample`` of the raw EMG, without one in the message
    counter, is a loss before the driver: at the electrode side. A gap in the ticks of the features
    is a tick that was never computed.
    """

    def __init__(self) -> None:
        self._types = Types()
        self._counts: dict[str, int] = {}
        self._samples: dict[str, _Counter] = {}
        self._ticks: dict[str, _Counter] = {}
        self._sequences: dict[str, dict[Hashable, _Counter]] = {}
        self._unchecked: set[str] = set()
        self._malformed: dict[str, int] = {}

    def add(self, topic: Topic, message: RawMessage, publisher: Hashable = None) -> None:
        """Count one message.

        Parameters
        ----------
        publisher : hashable, optional
            Tells the publishers of a topic apart; None where that is not known.
        """
        self._counts[topic.name] = self._counts.get(topic.name, 0) + 1
        if message.sequence:
            sequences = self._sequences.setdefault(topic.name, {})
            sequences.setdefault(publisher, _Counter()).add(message.sequence)
        if topic.type not in (EMG_TYPE, FEATURES_TYPE):
            return
        try:
            content: Any = self._types.decode(topic, message.data)
        except SerdeError:
            self._malformed[topic.name] = self._malformed.get(topic.name, 0) + 1
            return
        if topic.type == EMG_TYPE:
            samples = len(content.data) // max(content.n_channels, 1)
            counter = self._samples.setdefault(topic.name, _Counter())
            counter.add(int(content.first_sample), samples)
        else:
            self._ticks.setdefault(topic.name, _Counter()).add(int(content.tick))

    def leave_unchecked(self, topic: str) -> None:
        """Ignore the message counters of a topic whose publishers cannot be told apart."""
        self._unchecked.add(topic)

    def report(self, refused: int = 0) -> dict[str, Any]:
        """What was counted, ready for JSON.

        Parameters
        ----------
        refused : int
            Messages that arrived but could not be written.

        Returns
        -------
        dict
            ``messages`` per topic; ``lost`` messages in all, and per topic in ``lost_messages``;
            ``samples`` and ``ticks``: per topic their number, those missing, restarts of the
            counter, and the first gaps; ``unchecked``: topics without a usable message counter;
            ``malformed``: per topic the messages whose bytes do not fit their type.
        """
        mixed = {
            topic
            for topic, counters in self._sequences.items()
            if None in counters and counters[None].restarts >= MANY_RESTARTS
        }
        unchecked = (self._counts.keys() - self._sequences.keys()) | self._unchecked | mixed
        lost = {
            topic: missing
            for topic, counters in self._sequences.items()
            if topic not in unchecked and (missing := sum(c.missing for c in counters.values()))
        }
        return {
            "lost": sum(lost.values()) + refused,
            "lost_messages": lost,
            "refused": refused,
            "messages": dict(sorted(self._counts.items())),
            "samples": {t: c.report("samples") for t, c in sorted(self._samples.items())},
            "ticks": {t: c.report("ticks") for t, c in sorted(self._ticks.items())},
            "unchecked": sorted(unchecked),
            "malformed": dict(sorted(self._malformed.items())),
        }

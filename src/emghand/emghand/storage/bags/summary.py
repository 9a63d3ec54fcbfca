"""What a bag holds, for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emghand.storage.bags.integrity import Integrity
from emghand.storage.bags.reader import BagReader


def summarise(path: str | Path) -> dict[str, Any]:
    """Topics, counts, duration, gaps and damage of a bag, ready for JSON.

    Raises
    ------
    BagError
        When it cannot be read.
    """
    integrity = Integrity()
    with BagReader(path) as reader:
        for topic in reader.shared:
            integrity.leave_unchecked(topic)
        for message in reader.messages():
            integrity.add(reader.topics[message.topic], message)
        damages = reader.damages
        return {
            "bag": str(path),
            "duration_s": reader.duration_s,
            "start_ns": reader.start_ns,
            "message_count": reader.message_count,
            "damaged": reader.damaged,
            "lost_bytes": sum(d.lost_bytes for d in damages.values()),
            "topics": {
                name: {"type": topic.type, "messages": reader.counts[name]}
                for name, topic in reader.topics.items()
            },
            "integrity": integrity.report(),
        }
